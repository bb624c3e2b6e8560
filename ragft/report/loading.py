"""From a run folder to what a report shows. Reads JSON, JSON Lines and the configuration text, and computes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

from ragft.errors import DataError
from ragft.evaluation.comparison import Comparison, comparison_from_dict
from ragft.jsonl import read_rows
from ragft.records import Answer, Example, Interval, Passage, Score
from ragft.report.contents import (
    AdapterFacts,
    ArmFacts,
    Demands,
    Finding,
    LossPoint,
    MetricValue,
    Provenance,
    ReportData,
    RetrievalFacts,
    ShareOf,
    VerdictFacts,
)
from ragft.report.reading import HINT, Node, read_object, read_text

RETRIEVAL_PREFIX = "retrieval:"
"""What the arm of a retrieval metric begins with in metrics.json."""


def load_report(run_dir: Path) -> ReportData:
    """Return what the reports of the run folder show.

    DataError, naming the file and the key or line, if a file is missing, unreadable, or lacks what no report can do
    without. A number that is null stays None: nothing is filled in.
    """
    metrics = read_object(run_dir / "metrics.json")
    arms = tuple(_arm(name, node) for name, node in metrics.named("arms"))
    if not arms:
        raise DataError(f"{metrics.where}: arms: the run has no arms", HINT)
    examples = tuple(_example(row) for row in _rows(run_dir / "examples.jsonl"))
    task = metrics.present("task") or Node({}, f"{metrics.where}: task")
    data = metrics.present("data") or Node({}, f"{metrics.where}: data")
    return ReportData(
        provenance=_provenance(read_object(run_dir / "manifest.json")),
        comparison=_comparison(read_object(run_dir / "comparison.json")),
        verdict=_verdict(read_object(run_dir / "verdict.json")),
        metrics=tuple(_metric(node) for node in metrics.items("metrics")),
        arms=arms,
        task_kind=task.optional_text("kind") or "qa",
        labels=task.texts("labels"),
        majority_share=task.number("majority_share"),
        retrieval=_retrieval(metrics.present("retrieval")),
        adapters=tuple(_adapter(name, node) for name, node in metrics.named("adapters")),
        counts=_counts(data),
        findings=tuple(_finding(node) for node in data.items("findings")),
        reused=metrics.texts("reused"),
        demands=_demands(metrics),
        examples=examples,
        answers={arm.name: _answers(run_dir, arm.name, {example.id for example in examples}) for arm in arms},
        scores=tuple(_score(row) for row in _rows(run_dir / "scores.jsonl")),
        passages=tuple(_passage(row) for row in _rows(run_dir / "passages.jsonl")),
        config_yaml=read_text(run_dir / "config.yaml"),
    )


def _rows(path: Path) -> Iterator[Node]:
    for number, row in read_rows(path):
        yield Node(row, f"{path}:{number}")


def _provenance(node: Node) -> Provenance:
    git = node.present("git") or Node({}, f"{node.where}: git")
    return Provenance(
        id=node.text("id"),
        command=node.text("command"),
        experiment=node.text("experiment"),
        status=node.text("status"),
        started_at=node.text("started_at"),
        finished_at=node.optional_text("finished_at"),
        commit=git.optional_text("commit"),
        dirty=git.flag("dirty"),
        argv=node.texts("argv"),
        packages=node.pairs("packages"),
        hardware=node.pairs("hardware"),
        seeds=node.pairs("seeds"),
        prompts=node.pairs("prompts"),
        fingerprints=node.pairs("fingerprints"),
        inputs=node.pairs("inputs"),
    )


def _comparison(node: Node) -> Comparison:
    if not isinstance(node.value, dict):
        raise node.fault("an object")
    try:
        return comparison_from_dict(node.value)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{node.where}: not a comparison: {type(error).__name__}: {error}", HINT) from None


def _verdict(node: Node) -> VerdictFacts:
    return VerdictFacts(
        decision=node.text("decision"),
        arm=node.optional_text("arm"),
        confidence=node.text("confidence"),
        headline=node.text("headline"),
        reasons=node.texts("reasons"),
        excluded=tuple(_excluded(item) for item in node.items("excluded")),
        caveats=node.texts("caveats"),
        next_steps=node.texts("next_steps"),
        candidates=node.texts("candidates"),
    )


def _excluded(node: Node) -> tuple[str, str]:
    if not isinstance(node.value, list) or len(node.value) != 2:
        raise node.fault("a pair of arm and reason")
    return str(node.value[0]), str(node.value[1])


def _interval(node: Node | None) -> Interval | None:
    if node is None:
        return None
    return Interval(node.required("low"), node.required("high"), node.required("level"), node.text("method"))


def _metric(node: Node) -> MetricValue:
    return MetricValue(
        arm=node.text("arm"),
        metric=node.text("metric"),
        version=node.optional_text("version"),
        value=node.number("value"),
        n=node.required_count("n"),
        n_unscored=node.required_count("n_unscored"),
        interval=_interval(node.present("interval")),
    )


def _arm(name: str, node: Node) -> ArmFacts:
    abstention = node.present("abstention")
    return ArmFacts(
        name=name,
        adapter=node.optional_text("adapter"),
        retrieval=node.optional_text("retrieval") or "none",
        shots=node.count("shots") or 0,
        prompt=node.optional_text("prompt"),
        control=node.flag("control"),
        prompt_tokens_mean=node.number("prompt_tokens_mean"),
        output_tokens_mean=node.number("output_tokens_mean"),
        truncated_share=node.number("truncated_share"),
        latency_s_p50=node.number("latency_s_p50"),
        latency_n=node.count("latency_n"),
        seconds_per_question=node.number("seconds_per_question"),
        retrieval_seconds_p50=node.number("retrieval_seconds_p50"),
        macro_f1=node.number("macro_f1"),
        abstention=None if abstention is None else _abstention(abstention),
    )


ABSTENTION_SHARES = ("coverage", "accuracy_on_answered", "answered_though_unanswerable", "abstained_though_answerable")
"""The shares of an arm's abstention, in the order in which they are shown."""


def _abstention(node: Node) -> dict[str, ShareOf]:
    shares = {name: node.present(name) for name in ABSTENTION_SHARES}
    return {
        name: ShareOf(None, None) if share is None else ShareOf(share.number("value"), share.count("n"))
        for name, share in shares.items()
    }


def _retrieval(node: Node | None) -> RetrievalFacts | None:
    if node is None:
        return None
    return RetrievalFacts(node.text("kind"), node.count("top_k"), node.count("documents"), node.count("passages"))


def _adapter(name: str, node: Node) -> AdapterFacts:
    return AdapterFacts(
        name=name,
        recipe=node.optional_text("recipe"),
        steps=node.count("steps"),
        examples_seen=node.count("examples_seen"),
        tokens_seen=node.count("tokens_seen"),
        label_tokens=node.count("label_tokens"),
        seconds=node.number("seconds"),
        train_loss=node.number("train_loss"),
        dev_loss=node.number("dev_loss"),
        best_step=node.count("best_step"),
        reused=node.flag("reused"),
        history=tuple(_loss_points(node)),
    )


def _loss_points(node: Node) -> Iterator[LossPoint]:
    for row in node.items("history"):
        step = row.number("step")
        if step is not None:
            yield LossPoint(step, row.number("loss"), row.number("eval_loss"))


def _counts(data: Node) -> tuple[tuple[str, int], ...]:
    counted = ((name, data.count(name)) for name in ("documents", "passages", "train", "dev", "eval", "unanswerable"))
    return tuple((name, count) for name, count in counted if count is not None)


def _finding(node: Node) -> Finding:
    return Finding(node.text("check"), node.text("message"), node.texts("example_ids"))


def _demands(metrics: Node) -> Demands:
    node = metrics.present("requirements") or Node({}, f"{metrics.where}: requirements")
    return Demands(node.number("min_score"), node.number("max_latency_s"), node.number("margin"))


def _example(row: Node) -> Example:
    return Example(
        id=row.text("id"),
        input=row.text("input"),
        references=row.texts("references"),
        gold_document_ids=row.texts("gold_document_ids"),
        answerable=row.flag("answerable", otherwise=True),
        group=row.optional_text("group"),
        variant=row.optional_text("variant"),
    )


def _answers(run_dir: Path, arm: str, example_ids: set[str]) -> tuple[Answer, ...]:
    if Path(arm).name != arm:
        raise DataError(f"{run_dir / 'metrics.json'}: arms: {arm!r} cannot be the name of a file", HINT)
    return tuple(_answer(row, example_ids) for row in _rows(run_dir / "answers" / f"{arm}.jsonl"))


def _answer(row: Node, example_ids: set[str]) -> Answer:
    if row.text("example_id") not in example_ids:
        raise DataError(f"{row.where}: answers {row.text('example_id')!r}, which is not in examples.jsonl", HINT)
    return Answer(
        arm=row.text("arm"),
        example_id=row.text("example_id"),
        text=row.text("text"),
        prompt_tokens=row.required_count("prompt_tokens"),
        output_tokens=row.required_count("output_tokens"),
        seconds=row.required("seconds"),
        finish_reason=cast("Literal['stop', 'length']", row.text("finish_reason")),
        passage_ids=row.texts("passage_ids"),
        citations=row.texts("citations"),
        retrieval_seconds=row.required("retrieval_seconds"),
    )


def _score(row: Node) -> Score:
    value, reason = row.number("value"), row.optional_text("reason")
    return Score(row.text("arm"), row.text("example_id"), row.text("metric"), value, reason)


def _passage(row: Node) -> Passage:
    return Passage(
        id=row.text("id"),
        document_id=row.text("document_id"),
        title=row.optional_text("title") or "",
        text=row.text("text"),
        start=row.required_count("start"),
        end=row.required_count("end"),
    )
