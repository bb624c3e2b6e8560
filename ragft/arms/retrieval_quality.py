"""How well each retriever finds what the eval examples need, with intervals, and as files for other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.measuring import metric_rows
from ragft.arms.retrievers import KINDS, SideBySide
from ragft.evaluation.clustering import clusters
from ragft.evaluation.comparison import Comparison
from ragft.evaluation.retrieval import (
    ANSWER_HITS,
    DEPTH,
    DOCUMENT_METRICS,
    NOT_HELD,
    PASSAGE_METRICS,
    Holds,
    answer_scores,
    gold_passages_of,
    passage_scores,
    retrieval_scores,
)
from ragft.evaluation.retriever_comparison import PREFIX, compare_retrievers, finding
from ragft.evaluation.trec import qrels_text, run_text
from ragft.records import Example, Passage, Ranking, Score
from ragft.runs import Run

Gold = Mapping[str, frozenset[str] | str]
"""Example id -> ids of what is right, or the reason why there is nothing to find."""


@dataclass(frozen=True, slots=True)
class RetrievalQuality:
    """Every retriever on the eval examples, the configured one among them.

    `rankings` has the names "dense", "bm25", "hybrid", and that of the configured retriever where it is another.
    `notes` say what could not be measured, and why. `gold_documents` and `gold_passages` have the examples that are
    scored at that level.
    """

    configured: str
    rankings: Mapping[str, Sequence[Ranking]]
    comparison: Comparison
    finding: str
    notes: tuple[str, ...]
    gold_documents: Mapping[str, frozenset[str]]
    gold_passages: Mapping[str, frozenset[str]]


def has_gold(bench: Bench) -> bool:
    """Return whether any eval example says what is to be found: a gold document, or an answer that can stand in one."""
    return any(example.gold_document_ids or _answers(bench, example) for example in bench.splits.eval)


def _answers(bench: Bench, example: Example) -> tuple[str, ...]:
    return example.references if bench.task.answers_stand_in_text else ()


def evaluate_retrieval(bench: Bench, knowledge: Knowledge) -> RetrievalQuality | None:
    """Return the retrievers side by side on the eval examples; None where these do not say what is to be found."""
    if not has_gold(bench):
        return None
    examples = bench.splits.eval
    side = SideBySide(bench, knowledge)
    rankings = side.rankings(examples)
    documents = {example.id: frozenset(example.gold_document_ids) for example in examples if example.gold_document_ids}
    passages = _gold_passages(bench, knowledge)
    scores = _scores(bench, rankings, passages)
    metrics = _measured(scores)
    leading = [metric for metric in ("recall@5", "mrr", "answer_hit@5") if metric in metrics]
    kinds = [f"{PREFIX}{kind}" for kind in KINDS]
    compare = bench.experiment.compare
    comparison = compare_retrievers(
        scores,
        clusters=clusters(examples),
        kinds=kinds,
        others={f"{PREFIX}{name}": f"{PREFIX}{side.kind}" for name in rankings if name not in KINDS},
        metrics=metrics,
        primary_metric=leading[0],
        resamples=compare.resamples,
        level=compare.confidence,
        seed=bench.experiment.seed,
    )
    return RetrievalQuality(
        configured=side.configured,
        rankings=rankings,
        comparison=comparison,
        finding=finding(comparison, kinds, leading[:2]),
        notes=_notes(bench, metrics, passages),
        gold_documents=documents,
        gold_passages={id_: ids for id_, ids in passages.items() if not isinstance(ids, str)},
    )


def _holds(bench: Bench) -> Holds:
    """Return whether a reference stands in a passage, asked once for each pair: retrievers find the same passages."""
    task, known = bench.task, dict[tuple[str, str], bool]()

    def holds(passage: Passage, example: Example) -> bool:
        key = (passage.id, example.id)
        if key not in known:
            known[key] = task.supports(passage.text, example)
        return known[key]

    return holds


def _gold_passages(bench: Bench, knowledge: Knowledge) -> Gold:
    """Return the gold passages of each example; nothing for a task whose references do not stand in texts."""
    if not bench.task.answers_stand_in_text:
        return {}
    holds = _holds(bench)
    return {
        example.id: gold_passages_of(example, knowledge.passages_of(example.gold_document_ids), holds)
        for example in bench.splits.eval
    }


def _scores(bench: Bench, rankings: Mapping[str, Sequence[Ranking]], passages: Gold) -> list[Score]:
    examples, holds = {example.id: example for example in bench.splits.eval}, _holds(bench)
    scores: list[Score] = []
    for name, ranked in rankings.items():
        arm = f"{PREFIX}{name}"
        scores += retrieval_scores(ranked, examples, arm=arm)
        if passages:
            scores += passage_scores(ranked, passages, arm=arm)
            scores += answer_scores(ranked, examples, holds, arm=arm)
    return scores


def _measured(scores: Sequence[Score]) -> tuple[str, ...]:
    """Return the metrics to report: a level for which no example could be scored is left out."""
    found = {score.metric for score in scores if score.value is not None}
    return tuple(metric for metric in (*DOCUMENT_METRICS, *PASSAGE_METRICS, *ANSWER_HITS) if metric in found)


def _notes(bench: Bench, metrics: Sequence[str], passages: Gold) -> tuple[str, ...]:
    """Return a sentence on each level that was not measured, or not for every example, and why."""
    if not bench.task.answers_stand_in_text:
        return (f"Documents only: the references of a {bench.task.kind} task do not stand in the passages.",)
    torn = sum(reason == NOT_HELD for reason in passages.values())
    notes = []
    if DOCUMENT_METRICS[0] not in metrics:
        notes.append("Answers only: no eval example names a gold document.")
    elif PASSAGE_METRICS[0] not in metrics:
        notes.append("No passage level: no reference stands in a passage of its gold document.")
    elif torn:
        notes.append(
            f"Not scored at passage level: {torn} of {len(passages)} examples, "
            "because no passage of their gold documents holds a reference."
        )
    return tuple(notes)


def quality_rows(quality: RetrievalQuality) -> list[dict[str, Any]]:
    """Return every metric of every retriever as rows of metrics.json."""
    return metric_rows(quality.comparison.estimates)


def quality_facts(quality: RetrievalQuality) -> dict[str, Any]:
    """Return what else metrics.json says of the retrievers: differences, the finding, what was not measured."""
    return {
        "configured": quality.configured,
        "retrievers": list(quality.rankings),
        "primary_metric": quality.comparison.primary_metric,
        "finding": quality.finding,
        "notes": list(quality.notes),
        "contrasts": [asdict(item) for item in quality.comparison.contrasts],
    }


def write_trec(run: Run, quality: RetrievalQuality) -> None:
    """Write the rankings and the gold ids for other tools, at document level and, where it was measured, passages."""
    if quality.gold_documents:
        run.folder("rankings")
        run.write_text("qrels.trec", qrels_text(quality.gold_documents))
        for name, rankings in quality.rankings.items():
            run.write_text(f"rankings/{name}.trec", run_text(_by_document(rankings), name))
    if quality.gold_passages:
        run.folder("rankings")
        run.write_text("qrels.passages.trec", qrels_text(quality.gold_passages))
        for name, rankings in quality.rankings.items():
            run.write_text(f"rankings/{name}.passages.trec", run_text(_by_passage(rankings), name))


def _by_document(rankings: Sequence[Ranking]) -> dict[str, list[tuple[str, float]]]:
    """Return the first documents of each ranking, each with the rank and the score of its best-ranked passage."""
    found: dict[str, list[tuple[str, float]]] = {}
    for ranking in rankings:
        best: dict[str, float] = {}
        for item in ranking.passages:
            best.setdefault(item.passage.document_id, item.score)
        found[ranking.example_id] = list(best.items())[:DEPTH]
    return found


def _by_passage(rankings: Sequence[Ranking]) -> dict[str, list[tuple[str, float]]]:
    return {r.example_id: [(item.passage.id, item.score) for item in r.passages[:DEPTH]] for r in rankings}
