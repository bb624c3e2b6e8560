"""Sweeps: settings are tried on the dev examples, the best is compared on eval, and nothing is done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import SmallExperiment, read, write_experiment

from ragft.arms.trials import combinations
from ragft.config import SweepConfig
from ragft.generation.local import LocalGenerator


def grid(**parameters: list[int]) -> SweepConfig:
    return SweepConfig(arm="rag", parameters=parameters)  # type: ignore[arg-type]


def test_a_grid_is_every_combination_in_order() -> None:
    assert combinations(grid(a=[1, 2], b=[3, 4]), seed=1) == [
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
        {"a": 2, "b": 3},
        {"a": 2, "b": 4},
    ]


def test_random_draws_different_combinations_by_the_seed() -> None:
    sweep = SweepConfig(arm="rag", kind="random", trials=3, parameters={"a": list(range(5)), "b": [1, 2]})  # type: ignore[arg-type]
    drawn = combinations(sweep, seed=4)
    assert len({tuple(item.items()) for item in drawn}) == 3
    assert combinations(sweep, seed=4) == drawn
    assert any(combinations(sweep, seed=seed) != drawn for seed in range(5, 10))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_embedder: Path) -> SmallExperiment:
    experiment = write_experiment(tmp_path_factory.mktemp("sweep") / "experiment", tiny_model, tiny_embedder)
    compare = experiment.config["compare"]
    compare["arms"] = {"base": {}, "rag": {"retrieval": "index"}, "finetuned": {"adapter": "closed_book"}}
    compare["contrasts"] = [["rag", "base"]]
    compare["sweep"] = {"arm": "rag", "parameters": {"retrieval.top_k": [1, 2, 3]}}
    experiment.save()
    experiment.first_run = experiment.compare()
    return experiment


def test_every_setting_is_scored_on_dev_and_the_best_is_compared(swept: SmallExperiment) -> None:
    sweep = read(swept.first_run / "sweep.json")
    assert [trial["values"] for trial in sweep["trials"]] == [{"retrieval.top_k": k} for k in (1, 2, 3)]
    assert {trial["n"] for trial in sweep["trials"]} == {4}  # the dev examples, not the twelve of eval
    means = [trial["mean"] for trial in sweep["trials"]]
    assert sweep["chosen"] == means.index(max(means))
    chosen = sweep["trials"][sweep["chosen"]]["values"]["retrieval.top_k"]
    assert read(swept.first_run / "metrics.json")["retrieval"]["top_k"] == chosen


def test_eval_questions_are_asked_with_the_chosen_setting_only(
    swept: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = LocalGenerator.generate
    monkeypatch.setattr(LocalGenerator, "generate", lambda self, prompts: asked.extend(prompts) or real(self, prompts))
    swept.compare("compare.sweep.parameters={retrieval.top_k: [2, 4]}", "compare.latency_questions=0")
    # Four dev questions with 4 passages are new; eval with the winner is new only if 4 wins over 2.
    assert len(asked) in (4, 16)


def test_a_repeated_sweep_asks_nothing(swept: SmallExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("everything was answered before")

    monkeypatch.setattr(LocalGenerator, "generate", forbidden)
    metrics = read(swept.compare() / "metrics.json")
    assert "sweep: 3 of 3 trials" in metrics["reused"]


def test_a_sweep_over_training_builds_one_adapter_for_each_value(swept: SmallExperiment) -> None:
    run = swept.compare("compare.sweep.arm=finetuned", "compare.sweep.parameters={adapters.closed_book.peft.r: [2, 4]}")
    sweep = read(run / "sweep.json")
    assert [trial["values"] for trial in sweep["trials"]] == [{"adapters.closed_book.peft.r": r} for r in (2, 4)]
    assert [trial["reused"] for trial in sweep["trials"]] == [False, False]
    rank = sweep["trials"][sweep["chosen"]]["values"]["adapters.closed_book.peft.r"]
    assert read(run / "adapter" / "closed_book" / "adapter_config.json")["r"] == rank


def test_a_plan_says_that_a_sweep_comes_first(swept: SmallExperiment) -> None:
    output = swept.run("compare", "--dry-run").stdout
    assert "sweep before that: 3 settings, 12 questions to dev examples at most" in output


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("{retrieval.topk: [1]}", "there is no key retrieval.topk"),
        ("{retrieval.top_k: [0]}", "retrieval.top_k: input should be greater than or equal to 1"),
        ("{data.eval: [a.jsonl]}", "cannot be swept"),
        ("{adapters.nothing.peft.r: [1]}", "there is no key adapters.nothing"),
    ],
)
def test_what_cannot_be_swept_is_a_fault_of_the_file(experiment: SmallExperiment, setting: str, fault: str) -> None:
    result = experiment.run(
        "validate", "--set", "compare.sweep.arm=rag", "--set", f"compare.sweep.parameters={setting}"
    )
    assert result.exit_code == 1
    assert fault in result.stderr
