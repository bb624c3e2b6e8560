"""The dry run: it builds nothing, counts what is there to do, and shows what a model would be trained on."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conftest import Json, SmallExperiment, documents, read

from ragft.arms.asking import Asking
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.listening import Silence
from ragft.arms.models import LocalModel
from ragft.arms.planning import plan
from ragft.config import load_experiment
from ragft.retrieval.store import PassageStore
from ragft.workspace import Workspace

ARMS = ("base", "few_shot", "rag", "finetuned", "raft_rag", "oracle")
BOOKKEEPING = {"hashes.json", "lock", ".gitignore"}

Planned = Callable[..., Json]


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model may be loaded and no index opened."""

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a dry run builds nothing")

    monkeypatch.setattr(LocalModel, "_load", forbidden)
    monkeypatch.setattr(Bench, "_load_embedder", forbidden)
    monkeypatch.setattr(PassageStore, "__init__", forbidden)


def bench_of(experiment: SmallExperiment) -> Bench:
    loaded = load_experiment(experiment.file)
    return Bench(loaded.experiment, Workspace(experiment.workspace).prepare(), Silence())


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in BOOKKEEPING)
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def by_name(rows: list[Json]) -> dict[str, Json]:
    return {row["name"]: row for row in rows}


def test_a_plan_of_a_fresh_experiment_builds_nothing(experiment: SmallExperiment, lazy: None) -> None:
    found = experiment.json("compare", "--dry-run")
    assert contents(experiment.workspace) == {}
    assert not (experiment.folder / "runs").exists()
    assert (found["documents"], found["passages"]) == (10, 10)
    assert (found["index_reused"], found["estimated_passages"]) == (False, True)
    assert [(row["name"], row["reused"], row["examples"]) for row in found["adapters"]] == [
        ("closed_book", False, 12),
        ("raft", False, 12),
    ]
    assert [(row["name"], row["prompts"], row["answered"]) for row in found["arms"]] == [(a, 12, 0) for a in ARMS]
    assert found["seconds"] == pytest.approx(
        10 / 30 + sum(row["seconds"] for row in [*found["adapters"], *found["arms"]])
    )
    assert all(row["seconds"] > 0 for row in [*found["adapters"], *found["arms"]])


def test_a_plan_of_what_is_built_finds_nothing_to_do(built: SmallExperiment, lazy: None) -> None:
    before = contents(built.workspace)
    found = built.json("compare", "--dry-run")
    assert contents(built.workspace) == before
    assert (found["index_reused"], found["estimated_passages"], found["seconds"]) == (True, False, 0.0)
    assert all(row["reused"] and row["seconds"] == 0.0 for row in found["adapters"])
    assert all(row["answered"] == 12 and row["prompt_tokens"] == 0 for row in found["arms"])


def test_a_plan_counts_the_tokens_that_are_asked(built: SmallExperiment, lazy: None) -> None:
    found = by_name(built.json("compare", "--dry-run", "--set", "generation.max_new_tokens=7")["arms"])
    said = read(built.first_run / "metrics.json")["arms"]
    for arm in ARMS:
        assert found[arm]["answered"] == 0
        assert found[arm]["prompt_tokens"] == round(12 * said[arm]["prompt_tokens_mean"])


def test_a_plan_counts_the_tokens_that_are_trained_on(built: SmallExperiment) -> None:
    whole = ("--set", "adapters.closed_book.training.max_steps=-1")
    epochs = ("--set", "adapters.closed_book.training.num_train_epochs=2")
    planned = by_name(built.json("compare", "--dry-run", *whole, *epochs)["adapters"])
    run = built.compare(whole[1], epochs[1])
    trained = read(run / "metrics.json")["adapters"]["closed_book"]
    assert trained["examples_seen"] == 24
    assert planned["closed_book"]["tokens"] == trained["tokens_seen"]
    assert planned["closed_book"]["reused"] is False
    assert planned["raft"]["reused"] is True


def test_a_cap_on_the_steps_caps_the_planned_tokens(experiment: SmallExperiment, lazy: None) -> None:
    planned = by_name(experiment.json("compare", "--dry-run")["adapters"])["closed_book"]
    whole = ("--set", "adapters.closed_book.training.max_steps=-1", "--set")
    epoch = experiment.json("compare", "--dry-run", *whole, "adapters.closed_book.training.num_train_epochs=1")
    all_tokens = by_name(epoch["adapters"])["closed_book"]["tokens"]
    assert planned["tokens"] == round(all_tokens * 8 / 12)  # four steps of two examples


def test_drawn_passages_stand_in_until_the_index_is_built(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment)
    planned = plan(bench)
    tokens = {arm.name: arm.prompt_tokens for arm in planned.arms}
    knowledge = Knowledge(bench, planning=True)
    rankings = knowledge.rankings(bench.splits.eval)
    assert all(len(ranking.passages) == 10 for ranking in rankings[10:])
    assert all(len(ranking.passages) == 9 for ranking in rankings[:10])  # all but the gold one
    run = experiment.compare()
    for arm in ("rag", "raft_rag"):
        real = 12 * read(run / "metrics.json")["arms"][arm]["prompt_tokens_mean"]
        assert tokens[arm] == pytest.approx(real, rel=0.1)


def test_a_changed_document_is_planned_for(experiment: SmallExperiment) -> None:
    experiment.compare("compare.latency_questions=0")
    rows = documents()
    rows[0]["text"] = rows[0]["text"].replace("green", "violet")
    experiment.rows("documents", rows)
    found = experiment.json("compare", "--dry-run", "--set", "compare.latency_questions=0")
    assert (found["index_reused"], found["estimated_passages"]) == (False, True)
    arms = by_name(found["arms"])
    assert [arms[name]["answered"] for name in ("base", "few_shot", "finetuned")] == [12, 12, 12]
    assert arms["rag"]["answered"] < 12
    assert by_name(found["adapters"])["closed_book"]["reused"] is True
    assert by_name(found["adapters"])["raft"]["reused"] is False


def test_the_training_example_is_shown_with_its_loss_marked(built: SmallExperiment, lazy: None) -> None:
    found = built.json("compare", "--dry-run", "--set", "compare.arms={one: {adapter: closed_book}}", *NO_CONTRASTS)
    example = found["samples"][0]
    assert (example["id"], example["completion"]) == ("t00", "green")
    assert example["prompt"].endswith("Question: Which colour has Aldmoor?<|im_end|>\n<|im_start|>assistant\n")
    text = built.run("compare", "--dry-run").stdout
    head, _, shown = text.partition("Training example t00 (closed_book); only the part in ⟦ ⟧ carries the loss\n")
    assert head.startswith("Checks of the data\n")
    assert "\nPlan\n" in head
    assert shown.endswith("<|im_start|>assistant\n⟦green<end of turn>⟧\n")


NO_CONTRASTS = ("--set", "compare.contrasts=[]")


def test_a_plan_without_adapters_shows_no_training_example(built: SmallExperiment, lazy: None) -> None:
    arms = ("--set", "compare.arms={one: {}}", *NO_CONTRASTS)
    found = built.json("compare", "--dry-run", *arms)
    assert (found["samples"], found["adapters"], found["index_reused"]) == ([], [], None)
    assert "Training example" not in built.run("compare", "--dry-run", *arms).stdout


def test_what_is_planned_is_what_is_asked(experiment: SmallExperiment) -> None:
    experiment.compare("compare.arms={base: {}, rag: {retrieval: index}}", "compare.contrasts=[[rag, base]]")
    bench = bench_of(experiment)
    found = {arm.name: arm for arm in plan(bench).arms}
    from ragft.arms.adapters import Adapters

    knowledge = Knowledge(bench)
    asking = Asking(bench, knowledge, Adapters(bench, knowledge))
    for name in ("base", "rag", "few_shot", "oracle"):
        arm = asking.arm(name)
        left = asking.missing(arm, asking.questions(arm, bench.splits.eval))
        assert found[name].prompts - found[name].answered == len(left)
