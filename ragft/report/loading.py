"""From a run folder to what a report shows. Reads JSON, JSON Lines and the configuration text, and computes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from ragft.errors import DataError
from ragft.evaluation.comparison import Comparison, comparison_from_dict
from ragft.jsonl import read_rows
from ragft.records import Answer, Example, FinishReason, Passage, Score, Turn
from ragft.report.arm_details import read_check, read_unaided
from ragft.report.contents import Provenance, ReportData
from ragft.report.judge_reading import read_judge
from ragft.report.measurements import (
    read_adapter,
    read_arm,
    read_counts,
    read_demands,
    read_finding,
    read_metric,
    read_retrieval,
    read_retrievers,
)
from ragft.report.outcomes import read_gates, read_sweep, read_verdict
from ragft.report.probe_reading import read_probes
from ragft.report.reading import HINT, Node, read_object, read_text


def load_report(run_dir: Path) -> ReportData:
    """Return what the reports of the run folder show.

    DataError, naming the file and the key or line, if a file is missing, unreadable, or lacks what no report can do
    without. A number that is null stays None: nothing is filled in.
    """
    metrics = read_object(run_dir / "metrics.json")
    arms = tuple(read_arm(name, node) for name, node in metrics.named("arms"))
    if not arms:
        raise DataError(f"{metrics.where}: arms: the run has no arms", HINT)
    examples = tuple(_example(row) for row in _rows(run_dir / "examples.jsonl"))
    task = metrics.present("task") or Node({}, f"{metrics.where}: task")
    data = metrics.present("data") or Node({}, f"{metrics.where}: data")
    return ReportData(
        provenance=_provenance(read_object(run_dir / "manifest.json")),
        comparison=_comparison(read_object(run_dir / "comparison.json")),
        verdict=read_verdict(run_dir / "verdict.json"),
        metrics=tuple(read_metric(node) for node in metrics.items("metrics")),
        arms=arms,
        task_kind=task.optional_text("kind") or "qa",
        labels=task.texts("labels"),
        majority_share=task.number("majority_share"),
        unaided=read_unaided(task.present("unaided")),
        retrieval=read_retrieval(metrics.present("retrieval")),
        retrievers=read_retrievers(metrics.present("retrievers")),
        adapters=tuple(read_adapter(name, node) for name, node in metrics.named("adapters")),
        counts=read_counts(data),
        findings=tuple(read_finding(node) for node in data.items("findings")),
        checks=tuple(read_check(node) for node in data.items("checks")),
        signatures=metrics.pairs("signatures"),
        judge=read_judge(metrics.present("judge")),
        reused=metrics.texts("reused"),
        demands=read_demands(metrics),
        examples=examples,
        answers={arm.name: _answers(run_dir, arm.name, {example.id for example in examples}) for arm in arms},
        scores=tuple(_score(row) for row in _rows(run_dir / "scores.jsonl")),
        passages=tuple(_passage(row) for row in _rows(run_dir / "passages.jsonl")),
        config_yaml=read_text(run_dir / "config.yaml"),
        prices=metrics.pairs("prices"),
        limits=metrics.pairs("limits"),
        gates=read_gates(run_dir / "gates.json"),
        sweep=read_sweep(run_dir / "sweep.json"),
        probes=read_probes(run_dir / "probes"),
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


def _example(row: Node) -> Example:
    return Example(
        id=row.text("id"),
        input=row.text("input"),
        references=row.texts("references"),
        gold_document_ids=row.texts("gold_document_ids"),
        answerable=row.flag("answerable", otherwise=True),
        group=row.optional_text("group"),
        variant=row.optional_text("variant"),
        history=tuple(Turn(turn.text("input"), turn.text("output")) for turn in row.items("history")),
        instructions=row.optional_text("instructions") or "",
        terms=row.texts("terms"),
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
        finish_reason=cast("FinishReason", row.text("finish_reason")),
        passage_ids=row.texts("passage_ids"),
        citations=row.texts("citations"),
        retrieval_seconds=row.required("retrieval_seconds"),
        seed=row.count("seed"),
        prompt=row.optional_text("prompt"),
        invented_citations=row.count("invented_citations") or 0,
        logprob=row.number("logprob"),
        error=row.optional_text("error"),
    )


def _score(row: Node) -> Score:
    value, reason, prompt = row.number("value"), row.optional_text("reason"), row.optional_text("prompt")
    return Score(row.text("arm"), row.text("example_id"), row.text("metric"), value, reason, row.count("seed"), prompt)


def _passage(row: Node) -> Passage:
    return Passage(
        id=row.text("id"),
        document_id=row.text("document_id"),
        title=row.optional_text("title") or "",
        text=row.text("text"),
        start=row.required_count("start"),
        end=row.required_count("end"),
    )
