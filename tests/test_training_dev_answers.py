"""A task metric of dev answers chooses the checkpoint: through the recipe's prompts, and after a resumption too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import SmallExperiment, dev_rows, question

from ragft.arms import dev_answers
from ragft.arms.adapters import Adapters
from ragft.arms.bench import Bench
from ragft.arms.dev_answers import DevAnswers
from ragft.arms.listening import Silence
from ragft.config import load_experiment
from ragft.errors import RagftError
from ragft.generation.generator import Generation
from ragft.generation.local import LocalGenerator
from ragft.workspace import Workspace

KEY = "adapters.closed_book.training"
BY_F1 = (f"{KEY}.metric_for_best_model=token_f1", f"{KEY}.evals_per_run=4")


@pytest.fixture
def closed_book(closed_book: SmallExperiment) -> SmallExperiment:
    """The small experiment without documents; one of its dev questions has no answer."""
    closed_book.rows("dev", [*dev_rows(), question("d9", "Who owns Jorvik?", None, None)])
    return closed_book


def adapters_of(experiment: SmallExperiment, *overrides: str, workspace: Path | None = None) -> Adapters:
    space = Workspace(workspace or experiment.workspace).prepare()
    return Adapters(Bench(load_experiment(experiment.file, list(overrides)).experiment, space, Silence()), None)


class Scripted:
    """Says what a script says at each measurement, whatever is asked; remembers the prompts."""

    def __init__(self, script: Sequence[Mapping[str, str]]) -> None:
        self.script, self.prompts = script, list[list[str]]()
        self.rounds = 0

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        self.prompts.append(list(prompts))
        said = self.script[self.rounds]
        self.rounds += 1
        names = [next((name for name in said if name in prompt), "") for prompt in prompts]
        return [Generation(said.get(name, "nothing right"), 1, 1, 0.0, "stop") for name in names]


def metrics_of(adapters: Adapters) -> list[float]:
    history = adapters.record("closed_book")["training"]["history"]
    return [row["eval_token_f1"] for row in history if "eval_token_f1" in row]


def test_the_checkpoint_with_the_best_answers_is_kept_and_they_are_scored_as_in_compare(
    closed_book: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five questions one has no answer, and to abstain is right: 1/5, 2/5, 2/5, 0/5; the first of the best stays."""
    nothing: dict[str, str] = {}
    right = {"Who owns Jorvik": "I don't know."}
    first = dev_rows()[0]
    both = {**right, str(first["question"]): str(first["references"][0])}
    scripted = Scripted([right, both, both, nothing])
    monkeypatch.setattr(LocalGenerator, "generate", lambda _, prompts: scripted.generate(prompts))
    adapters = adapters_of(closed_book, *BY_F1, "generation.batch_size=8")
    assert adapters.build("closed_book")
    training = adapters.record("closed_book")["training"]
    assert metrics_of(adapters) == [0.2, 0.4, 0.4, 0.0]
    assert training["best_step"] == 2
    asked = {text.prompt for text in adapters.recipe("closed_book").dev}
    assert len(asked) == 5
    assert all(set(prompts) == asked for prompts in scripted.prompts)  # the prompts of the recipe, byte for byte


class Killed(BaseException):
    """Stands for a process that dies."""


def test_a_resumed_training_measures_and_chooses_the_same(
    closed_book: SmallExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = adapters_of(closed_book, *BY_F1, workspace=tmp_path / "whole")
    whole.build("closed_book")
    cut = adapters_of(closed_book, *BY_F1, workspace=tmp_path / "cut")
    real, measured = DevAnswers.measured, []

    def dies(self: DevAnswers, *arguments: Any) -> Mapping[str, float]:
        measured.append(real(self, *arguments))
        if len(measured) == 3:
            raise Killed
        return measured[-1]

    with monkeypatch.context() as patch:
        patch.setattr(DevAnswers, "measured", dies)
        with pytest.raises(Killed):
            cut.build("closed_book")
    cut.build("closed_book")
    one, two = (adapters.record("closed_book")["training"] for adapters in (whole, cut))
    assert metrics_of(cut) == metrics_of(whole)
    assert len(metrics_of(cut)) == 4
    assert (one["best_step"], one["train_loss"]) == (two["best_step"], two["train_loss"])


def test_of_many_questions_the_same_few_are_asked(
    closed_book: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev_answers, "MOST", 3)
    chosen = []
    for _ in range(2):
        adapters = adapters_of(closed_book, *BY_F1)
        recipe = adapters.recipe("closed_book")
        found = DevAnswers(adapters._bench, recipe.dev)
        chosen.append([text.id for text in found._texts])
        assert len(chosen[-1]) == 3
    assert chosen[0] == chosen[1]


def test_a_metric_that_the_task_lacks_is_told_before_anything_is_trained(closed_book: SmallExperiment) -> None:
    adapters = adapters_of(closed_book, f"{KEY}.metric_for_best_model=rouge")
    with pytest.raises(RagftError, match="names 'rouge', which task qa does not measure") as caught:
        adapters.build("closed_book")
    assert caught.value.hint == "it can be loss or one of token_f1, exact_match, contains, abstained"


def test_what_the_metric_depends_on_belongs_to_the_adapter(closed_book: SmallExperiment) -> None:
    """Other references or longer answers choose another checkpoint; where the loss chooses, they change nothing."""
    longer = "generation.max_new_tokens=7"
    prints = [adapters_of(closed_book, *more).fingerprint("closed_book") for more in ((), (longer,))]
    assert prints[0] == prints[1]
    by_f1 = [adapters_of(closed_book, *BY_F1, *more).fingerprint("closed_book") for more in ((), (longer,))]
    assert len({*prints, *by_f1}) == 3
