"""The knowledge base from end to end: sources, documents that are set aside, retrieval kinds, filters, reuse."""

from __future__ import annotations

import json

import pytest
from conftest import SmallExperiment, documents, read

from ragft.retrieval.embedder import Embedder

SMALL = ["compare.arms={base: {}, rag: {retrieval: index}}", "compare.contrasts=[]", "compare.latency_questions=0"]


def small(*overrides: str) -> list[str]:
    return [part for item in (*SMALL, *overrides) for part in ("--set", item)]


@pytest.mark.parametrize("kind", ["bm25", "hybrid"])
def test_whatever_kind_is_configured_all_three_are_measured(experiment: SmallExperiment, kind: str) -> None:
    found = experiment.json("index", "--set", f"retrieval.kind={kind}")
    assert found["retrievers"]["configured"] == kind
    assert {row["arm"] for row in found["retrieval"]} == {"retrieval:dense", "retrieval:bm25", "retrieval:hybrid"}
    values = {(row["arm"], row["metric"]): row["value"] for row in found["retrieval"]}
    assert values["retrieval:dense", "recall@10"] == 1.0  # ten documents, ten ranked
    # The lighthouse is named in the question: words find it, random vectors do not.
    assert values["retrieval:bm25", "recall@1"] > 0.8 > values["retrieval:dense", "recall@1"]


def test_the_configured_kind_moves_no_number(experiment: SmallExperiment) -> None:
    dense = experiment.json("index")
    words = experiment.json("index", "--set", "retrieval.kind=bm25")
    assert words["retrieval"] == dense["retrieval"]
    assert words["retrievers"]["contrasts"] == dense["retrievers"]["contrasts"]


def test_a_filter_leaves_only_passages_that_have_the_value(experiment: SmallExperiment) -> None:
    rows = [{**row, "shore": "north" if n < 3 else "south"} for n, row in enumerate(documents())]
    experiment.rows("documents", rows)
    experiment.config["data"]["documents"] = {"path": "documents.jsonl", "metadata": ["shore"]}
    experiment.config["retrieval"] |= {"filter": {"shore": "north"}, "top_k": 5}
    experiment.save().json("index")
    run = experiment.latest_run()
    north = {str(row["id"]) for row in rows[:3]}
    rankings = [json.loads(line) for line in (run / "rankings.jsonl").read_text().splitlines()]
    assert rankings
    for ranking in rankings:
        assert {item["passage"]["document_id"] for item in ranking["passages"]} == north
        assert all(item["passage"]["metadata"] == {"shore": "north"} for item in ranking["passages"])


def test_a_document_that_cannot_be_read_is_set_aside_and_named(experiment: SmallExperiment) -> None:
    folder = experiment.folder / "more"
    folder.mkdir()
    (folder / "good.md").write_text("# Good\n\nThis one can be read.")
    (folder / "broken.md").write_bytes(b"# Broken \xff\n")
    experiment.config["data"]["documents"] = ["documents.jsonl", "more"]
    experiment.save()
    result = experiment.run("index", "--no-evaluate")
    assert result.exit_code == 0, result.output
    assert "11 documents, 11 passages" in result.stdout
    assert "set aside: 1 documents could not be read" in result.stdout
    assert "broken.md: not UTF-8 text" in result.stdout
    aside = (experiment.latest_run() / "set_aside.jsonl").read_text().splitlines()
    assert [json.loads(line)["where"].endswith("broken.md") for line in aside] == [True]
    compared = experiment.run("compare", *small())
    assert compared.exit_code == 0, compared.output
    metrics = read(experiment.latest_run() / "metrics.json")
    assert (metrics["data"]["set_aside"], metrics["data"]["findings"][0]["check"]) == (1, "set_aside")


def test_more_failures_than_allowed_are_an_error(experiment: SmallExperiment) -> None:
    (experiment.folder / "bad.md").write_bytes(b"\xff")
    experiment.config["data"]["documents"] = ["documents.jsonl", "bad.md"]
    assert experiment.save().run("index", "--set", "index.max_failures=1").exit_code == 0
    result = experiment.run("index", "--set", "index.max_failures=0")
    assert result.exit_code == 1
    assert "bad.md" in result.stderr


def test_a_text_that_was_embedded_before_is_not_embedded_again(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment.run("index", "--no-evaluate")

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("every text was embedded before")

    monkeypatch.setattr(Embedder, "documents", forbidden)
    result = experiment.run("index", "--no-evaluate", "--rebuild")
    assert result.exit_code == 0, result.output
    assert "10 added, 0 changed, 0 removed, 0 unchanged" in result.stdout


def test_an_edited_document_is_said_to_have_changed(experiment: SmallExperiment) -> None:
    rows = documents()
    experiment.rows("documents", [*rows, {"id": "extra", "title": "Extra", "text": "It will be taken away."}])
    experiment.run("index", "--no-evaluate")
    rows[0]["text"] = f"{rows[0]['text']} It was repainted."
    experiment.rows("documents", rows)
    result = experiment.run("index", "--no-evaluate")
    assert "0 added, 1 changed, 1 removed, 9 unchanged" in result.stdout


def test_a_source_without_a_kind_is_files_and_others_are_named_by_kind(experiment: SmallExperiment) -> None:
    database = {"kind": "database", "url": "sqlite:///x.db", "query": "SELECT 1"}
    experiment.config["data"]["documents"] = ["documents.jsonl", {"path": "documents.jsonl"}, database]
    resolved = experiment.save().json("validate")["data"]["documents"]
    assert [source["kind"] for source in resolved] == ["files", "files", "database"]
