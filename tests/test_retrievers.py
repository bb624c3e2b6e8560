"""Dense, BM25 and hybrid side by side on one index: deep enough, at little cost, and in files that others can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import HARBOURS, Json, SmallExperiment, documents, question, read

from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.listening import Silence
from ragft.arms.retrievers import SideBySide, deepened, plain, title
from ragft.config import load_experiment
from ragft.config.knowledge import RetrievalConfig
from ragft.evaluation.trec import unescaped
from ragft.records import Passage, RankedPassage
from ragft.retrieval.embedder import Embedder
from ragft.workspace import Workspace


def ranked(*ids: str) -> list[RankedPassage]:
    """Return a ranking; the document of a passage is the letter of its id."""
    return [RankedPassage(Passage(id_, id_[0], "", "text", 0, 4), -float(n)) for n, id_ in enumerate(ids)]


def ids_of(found: list[RankedPassage]) -> list[str]:
    return [item.passage.id for item in found]


def test_a_ranking_with_too_few_documents_is_asked_for_again_twice_as_deep() -> None:
    every = ranked("a1", "a2", "a3", "b1", "a4", "a5", "c1", "d1")
    asked: list[int] = []

    def ask(count: int) -> list[RankedPassage]:
        asked.append(count)
        return every[:count]

    assert ids_of(deepened(every[:2], 2, 3, 8, ask)) == ids_of(every)
    assert asked == [4, 8]


def test_deepening_never_moves_what_was_there() -> None:
    """A deeper fusion may order the top anew; the arms read the order of the shallow one."""
    found = deepened(ranked("a1", "a2"), 2, 2, 8, lambda _: ranked("b1", "a2", "a1", "c1"))
    assert ids_of(found) == ["a1", "a2", "b1", "c1"]


@pytest.mark.parametrize(
    ("first", "wanted", "total"),
    [(ranked("a1"), 3, 8), (ranked("a1", "b1"), 2, 8), (ranked("a1", "a2"), 2, 2), ([], 2, 8)],
)
def test_nothing_more_is_asked_where_that_finds_nothing(first: list[RankedPassage], wanted: int, total: int) -> None:
    def ask(_: int) -> list[RankedPassage]:
        raise AssertionError("fewer came than were asked for, or there are documents enough, or all are there")

    assert deepened(first, 2, wanted, total, ask) == first


def test_a_retriever_is_named_by_what_is_behind_its_kind() -> None:
    config = RetrievalConfig(kind="hybrid", mmr=0.0, filter={"shore": "north"}, min_score=0.0, top_k=3, rrf_k=10)
    assert title(config) == "hybrid+mmr+filter+min_score"
    assert title(plain(config, "hybrid")) == "hybrid"
    assert plain(config, "dense").model_dump() == RetrievalConfig(kind="dense", top_k=3, rrf_k=10).model_dump()


def long_documents() -> list[Json]:
    """Return ten documents of many passages each: the best passages for a question are all of one of them."""
    more = " ".join(
        "Ships came in and ships went out again, year after year, in rain and in fair weather." for _ in "x" * 6
    )
    return [{**row, "text": "\n\n".join(f"{row['text']} Part {n}. {more}" for n in range(12))} for row in documents()]


def side(experiment: SmallExperiment, *overrides: str) -> tuple[Bench, SideBySide, Knowledge]:
    """Return the retrievers of the experiment over an index in step."""
    bench = Bench(load_experiment(experiment.file, overrides).experiment, Workspace(experiment.workspace), Silence())
    knowledge = Knowledge(bench)
    return bench, SideBySide(bench, knowledge), knowledge


@pytest.fixture
def long(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment over long documents, indexed."""
    experiment.rows("documents", long_documents())
    assert experiment.run("index", "--no-evaluate").exit_code == 0
    return experiment


def test_every_ranking_holds_ten_documents_where_documents_have_many_passages(long: SmallExperiment) -> None:
    """The trap: recall@10 of documents read off the first ten passages, which may all be of one document."""
    shallow = ["retrieval.candidates=10", "retrieval.top_k=2"]
    bench, retrievers, knowledge = side(long, *shallow)
    assert len(bench.passages) >= 100
    examples = bench.splits.eval
    first = [{item.passage.document_id for item in r.passages[:10]} for r in knowledge.rankings(examples)]
    assert any(len(found) < 10 for found in first)
    found = retrievers.rankings(examples)
    for ranking in [*found["dense"], *found["hybrid"]]:
        assert len({item.passage.document_id for item in ranking.passages}) == 10
    for ranking in (r for rankings in found.values() for r in rankings):
        passage_ids = [item.passage.id for item in ranking.passages]
        assert len(set(passage_ids)) == len(passage_ids)


@pytest.mark.parametrize("kind", ["dense", "bm25", "hybrid"])
def test_what_is_measured_begins_as_what_an_arm_reads(long: SmallExperiment, kind: str) -> None:
    """Hybrid is made of the two other lists here, and an arm asks the retriever for it: both must agree."""
    bench, retrievers, knowledge = side(long, f"retrieval.kind={kind}", "retrieval.weights={dense: 2, bm25: 0.5}")
    examples = bench.splits.eval
    measured = retrievers.rankings(examples)[kind]
    for reads, ranking in zip(knowledge.rankings(examples), measured, strict=True):
        n = min(len(reads.passages), len(ranking.passages))
        assert n >= 10
        assert [(i.passage.id, i.score) for i in reads.passages[:n]] == [
            (i.passage.id, i.score) for i in ranking.passages[:n]
        ]


def test_queries_are_embedded_once_for_all_and_never_again(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[str] = []
    real = Embedder.queries

    def counted(self: Embedder, texts: Any) -> Any:
        embedded.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(Embedder, "queries", counted)
    first = experiment.json("index", "--set", "retrieval.mmr=0.5")
    asked = [row["question"] for row in _eval_rows(experiment)]
    assert [embedded.count(question) for question in asked] == [1] * len(asked)
    assert len(set(embedded)) == len(embedded)  # the train and dev questions, for the floor of relevance, once too
    embedded.clear()
    assert experiment.json("index", "--set", "retrieval.mmr=0.5")["retrieval"] == first["retrieval"]
    assert embedded == []


def _eval_rows(experiment: SmallExperiment) -> list[Json]:
    from ragft import jsonl

    return [row for _, row in jsonl.read_rows(experiment.folder / "eval.jsonl")]


def test_the_configured_retriever_stands_beside_the_plain_three_when_it_is_another(experiment: SmallExperiment) -> None:
    rows = [{**row, "shore": "north" if n < 3 else "south"} for n, row in enumerate(documents())]
    experiment.rows("documents", rows)
    experiment.config["data"]["documents"] = {"path": "documents.jsonl", "metadata": ["shore"]}
    experiment.config["retrieval"] |= {"kind": "bm25", "filter": {"shore": "north"}}
    found = experiment.save().json("index")
    facts = found["retrievers"]
    assert (facts["configured"], facts["retrievers"]) == ("bm25+filter", ["dense", "bm25", "hybrid", "bm25+filter"])
    values = {(row["arm"], row["metric"]): row["value"] for row in found["retrieval"]}
    assert values["retrieval:bm25+filter", "recall@10"] == 0.3  # three of the ten lie on the northern shore
    assert values["retrieval:bm25", "recall@10"] == 1.0
    pairs = {(item["first"], item["second"]): item for item in facts["contrasts"] if item["metric"] == "recall@5"}
    assert pairs["retrieval:bm25+filter", "retrieval:bm25"]["difference"] == pytest.approx(-0.7)
    assert "bm25+filter − bm25" in experiment.run("index").stdout


def read_run(path: Path) -> dict[str, list[str]]:
    """Return what another tool makes of a run file: documents by query, ordered by the score alone."""
    scores: dict[str, list[tuple[float, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        query, q0, id_, _, score, tag = line.split()
        assert (q0, tag) == ("Q0", path.name.split(".")[0])
        scores.setdefault(unescaped(query), []).append((float(score), unescaped(id_)))
    return {query: [id_ for _, id_ in sorted(found, reverse=True)] for query, found in scores.items()}


def read_qrels(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, id_, relevance = line.split()
        assert relevance == "1"
        found.setdefault(unescaped(query), set()).add(unescaped(id_))
    return found


@pytest.mark.parametrize("options", [[], ["--set", "retrieval.mmr=0.3"]])
def test_the_exported_files_give_the_numbers_on_the_screen(experiment: SmallExperiment, options: list[str]) -> None:
    """Ids with white space, and an order that is not that of the scores: both must survive another tool's reading."""
    experiment.rows("documents", [{**row, "id": f"{row['id']} of the  north"} for row in documents()])
    rows = _eval_rows(experiment)
    for row in rows:
        row["gold_document_ids"] = [f"{id_} of the  north" for id_ in row["gold_document_ids"]]
    experiment.rows("eval", rows)
    experiment.rows("train", [question("t0", "Which?", "green", None)])
    experiment.rows("dev", [question("d0", "What?", "green", None)])
    found = experiment.json("index", *options)
    run = Path(found["run"])
    values = {(row["arm"], row["metric"]): row["value"] for row in found["retrieval"]}
    for level, prefix in (("", ""), (".passages", "passage_")):
        gold = read_qrels(run / f"qrels{level}.trec")
        assert len(gold) == 10
        for name in found["retrievers"]["retrievers"]:
            ranks = read_run(run / "rankings" / f"{name}{level}.trec")
            firsts = [next((n for n, id_ in enumerate(ranks[q], 1) if id_ in gold[q]), 0) for q in gold]
            reciprocal = sum(1 / n for n in firsts if n) / len(gold)
            assert values[f"retrieval:{name}", f"{prefix}mrr"] == pytest.approx(reciprocal), (level, name)
            recall = sum(0 < n <= 3 for n in firsts) / len(gold)
            assert values[f"retrieval:{name}", f"{prefix}recall@3"] == pytest.approx(recall), (level, name)


def test_without_gold_documents_answers_are_looked_for(experiment: SmallExperiment) -> None:
    experiment.rows("eval", [question(f"e{n}", f"When was {h[1]} built?", h[4], None) for n, h in enumerate(HARBOURS)])
    found = experiment.json("index")
    assert {row["metric"] for row in found["retrieval"]} == {f"answer_hit@{k}" for k in (1, 3, 5, 10)}
    assert found["retrievers"]["primary_metric"] == "answer_hit@5"
    assert found["retrievers"]["notes"] == ["Answers only: no eval example names a gold document."]
    values = {(row["arm"], row["metric"]): row["value"] for row in found["retrieval"]}
    assert values["retrieval:dense", "answer_hit@10"] == 1.0 == values["retrieval:bm25", "answer_hit@1"]
    assert not (Path(found["run"]) / "qrels.trec").exists()


def test_labels_are_not_looked_for_in_passages(experiment: SmallExperiment) -> None:
    """`supports` says yes for every passage of a gold document there, which would make them all gold."""
    rows = [
        {**row, "input": row["question"], "references": ["old"], "answerable": True} for row in _eval_rows(experiment)
    ]
    for name in ("train", "dev", "eval"):
        experiment.rows(name, [{**row, "id": f"{name}{n}"} for n, row in enumerate(rows)])
    experiment.config |= {"task": {"kind": "classification", "labels": ["old", "new"]}}
    experiment.config["data"]["allow_leakage"] = True
    found = experiment.save().json("index")
    assert not [row for row in found["retrieval"] if row["metric"].startswith(("passage_", "answer_"))]
    assert found["retrievers"]["notes"] == [
        "Documents only: the references of a classification task do not stand in the passages."
    ]
    experiment.rows("eval", [{**row, "id": f"e{n}", "gold_document_ids": []} for n, row in enumerate(rows)])
    assert experiment.json("index")["retrieval"] == []
    assert "retrieval was not measured: no eval example names a gold document" in experiment.run("index").stdout


def test_compare_writes_the_same_numbers_and_shows_them_in_its_report(built: SmallExperiment) -> None:
    metrics = read(built.first_run / "metrics.json")
    found = built.json("index")
    of_compare = [row for row in metrics["metrics"] if row["arm"].startswith("retrieval:")]
    assert of_compare == found["retrieval"]
    assert metrics["retrievers"] == found["retrievers"]
    for report in ("report.html", "report.md"):
        text = (built.first_run / report).read_text(encoding="utf-8")
        assert metrics["retrievers"]["finding"] in text
    assert "| recall@5 |" in (built.first_run / "report.md").read_text(encoding="utf-8")
    names = {path.name for path in (built.first_run / "rankings").iterdir()}
    assert names == {f"{kind}{level}.trec" for kind in ("dense", "bm25", "hybrid") for level in ("", ".passages")}
