"""Several training seeds: as many adapters, arms that average over them, and intervals that hold their chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import SmallExperiment, read, write_experiment

from ragft import jsonl


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_embedder: Path) -> SmallExperiment:
    experiment = write_experiment(tmp_path_factory.mktemp("seeds") / "experiment", tiny_model, tiny_embedder)
    experiment.config["adapters"] = {"closed_book": {**experiment.config["adapters"]["closed_book"], "seeds": [1, 2]}}
    experiment.config["compare"]["arms"] = {"base": {}, "finetuned": {"adapter": "closed_book"}}
    experiment.config["compare"]["contrasts"] = [["finetuned", "base"]]
    experiment.save()
    experiment.first_run = experiment.compare()
    return experiment


def test_an_adapter_is_trained_with_each_seed(seeded: SmallExperiment) -> None:
    metrics, run = read(seeded.first_run / "metrics.json"), seeded.first_run
    assert {name: row["seed"] for name, row in metrics["adapters"].items()} == {
        "closed_book-seed1": 1,
        "closed_book-seed2": 2,
    }
    weights = [(run / "adapter" / name / "adapter_model.safetensors").read_bytes() for name in metrics["adapters"]]
    assert weights[0] != weights[1]
    assert read(run / "manifest.json")["seeds"] == {
        "experiment": 17,
        "closed_book-seed1": 1,
        "closed_book-seed2": 2,
    }


def test_every_seed_answers_every_question(seeded: SmallExperiment) -> None:
    rows = [row for _, row in jsonl.read_rows(seeded.first_run / "answers" / "finetuned.jsonl")]
    assert sorted((row["example_id"], row["seed"]) for row in rows) == sorted(
        (f"e{n:02}", seed) for n in range(12) for seed in (1, 2)
    )


def test_the_mean_is_over_seeds_and_the_interval_holds_their_chance(seeded: SmallExperiment) -> None:
    estimates = {(e["arm"], e["metric"]): e for e in read(seeded.first_run / "comparison.json")["estimates"]}
    tuned = estimates["finetuned", "token_f1"]
    assert len(tuned["seed_means"]) == 2
    assert tuned["mean"] == pytest.approx(sum(tuned["seed_means"]) / 2)
    assert tuned["interval"]["method"].startswith("hierarchical")
    assert estimates["base", "token_f1"]["seed_means"] == []


def test_the_same_file_again_asks_and_trains_nothing(seeded: SmallExperiment) -> None:
    metrics = read(seeded.compare() / "metrics.json")
    assert "adapter closed_book-seed1: trained before" in metrics["reused"]
    assert "arm finetuned: 24 of 24 answers" in metrics["reused"]


def test_one_more_seed_trains_that_one_only(seeded: SmallExperiment) -> None:
    metrics = read(seeded.compare("adapters.closed_book.seeds=[1, 2, 3]") / "metrics.json")
    assert [row["reused"] for row in metrics["adapters"].values()] == [True, True, False]
    assert "arm finetuned: 24 of 36 answers" in metrics["reused"]


def test_a_plan_counts_every_seed(seeded: SmallExperiment) -> None:
    plan = json.loads(seeded.run("compare", "--dry-run", "--json").stdout)
    assert [item["name"] for item in plan["adapters"]] == ["closed_book-seed1", "closed_book-seed2"]
    assert {arm["name"]: arm["prompts"] for arm in plan["arms"]} == {"base": 12, "finetuned": 24}


def test_a_seed_named_twice_is_a_fault(experiment: SmallExperiment) -> None:
    result = experiment.run("validate", "--set", "adapters.closed_book.seeds=[1, 1]")
    assert result.exit_code == 1
    assert "adapters.closed_book.seeds: a seed is named twice" in result.stderr
