"""`ragft index FILE --prune`: what an experiment no longer uses of its index goes, and the screen says what."""

from __future__ import annotations

from conftest import SmallExperiment, read


def test_another_chunking_leaves_an_index_that_pruning_drops(experiment: SmallExperiment) -> None:
    experiment.json("index")
    experiment.config["index"]["chunking"]["chunk_tokens"] = 64
    experiment.save().json("index")
    shown = experiment.run("index", "--prune", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "prune: would remove" in shown.stdout
    assert experiment.run("index", "--prune", "--dry-run").stdout == shown.stdout
    found = experiment.json("index", "--prune")
    kinds = [item["kind"] for item in found["pruned"]["items"]]
    assert kinds.count("collection") == 1  # the one of 128 tokens
    assert "vectors" not in kinds  # of the same embedder
    assert found["pruned"]["freed_bytes"] > 0
    assert read(experiment.latest_run() / "metrics.json")["pruned"] == found["pruned"]
    again = experiment.run("index", "--prune")
    assert "index: 10 documents, 10 passages; nothing changed" in again.stdout
    assert "prune: nothing to remove" in again.stdout


def test_a_dry_run_without_pruning_is_a_usage_error(experiment: SmallExperiment) -> None:
    assert experiment.run("index", "--dry-run").exit_code == 2
