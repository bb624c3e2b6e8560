"""The command `compare`: build what is missing, ask every arm every question, score, compare, decide, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Alone, Arm, Asking, Question
from ragft.arms.bench import Bench
from ragft.arms.knowledge import IndexState, Knowledge, passages_in
from ragft.arms.measuring import arm_row, clusters, metric_rows, retrieval_estimates, task_row
from ragft.arms.planning import needs_index
from ragft.data.checks import DataFinding
from ragft.errors import NotComparableError
from ragft.evaluation.answers import answer_metric, score_answers
from ragft.evaluation.comparison import Comparison, compare_arms
from ragft.records import Answer, Estimate, Score
from ragft.report import load_report, render_html, render_markdown
from ragft.runs import SCHEMA_VERSION, Run
from ragft.verdict import Requirements, Verdict, decide


@dataclass(frozen=True, slots=True)
class CompareResult:
    """A comparison with its verdict; everything in it also stands in the run folder."""

    comparison: Comparison
    verdict: Verdict
    metrics: dict[str, Any]


def compare(bench: Bench, run: Run) -> CompareResult:
    """Run the whole experiment and write its run folder; what is built or answered already is reused.

    Raises DataError or NotComparableError, before anything expensive, for data that cannot be compared.
    """
    findings = bench.check(min_examples=bench.experiment.compare.min_examples)
    run.inputs(bench.input_files())
    knowledge = Knowledge(bench) if bench.documents else None
    adapters = Adapters(bench, knowledge)
    asking = Asking(bench, knowledge, adapters)
    arms = [asking.arm(name) for name in bench.experiment.compare.arms]
    _check(bench, arms)
    state = _index(knowledge, run, arms, adapters)
    trained = _train(run, arms, adapters)
    asked = _ask(bench, run, asking, arms)
    return _conclude(bench, run, _Made(findings, knowledge, state, adapters, trained, arms, asked))


def _check(bench: Bench, arms: Sequence[Arm]) -> None:
    """Raise, before anything is built, for what would otherwise show only when every question has been asked."""
    for metric in _metrics(bench)[1]:
        answer_metric(metric)
    if len(arms) < 2:
        raise NotComparableError(
            f"there is only one arm ({arms[0].name}), and so nothing to compare", "add another arm"
        )
    if all(arm.is_control for arm in arms):
        raise NotComparableError("every arm is a control (oracle or random passages)", "add an arm that could ship")


@dataclass(frozen=True, slots=True)
class _Made:
    """What the stages of one comparison made, for the numbers at its end."""

    findings: Sequence[DataFinding]
    knowledge: Knowledge | None
    index: IndexState | None
    adapters: Adapters
    trained: Mapping[str, bool]
    arms: Sequence[Arm]
    asked: Mapping[str, _Asked]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one arm was asked and said, and how long single questions took."""

    questions: Sequence[Question]
    answers: Sequence[Answer]
    alone: Sequence[Alone]
    reused: int


def _index(knowledge: Knowledge | None, run: Run, arms: Sequence[Arm], adapters: Adapters) -> IndexState | None:
    """Bring the index in step, where an arm or an adapter reads it."""
    trained = [adapters.config(arm.adapter) for arm in arms if arm.adapter]
    if knowledge is None or not needs_index(arms, trained):
        return None
    with run.stage("index"):
        state = knowledge.sync()
    run.note(fingerprints={"index": state.fingerprint})
    return state


def _train(run: Run, arms: Sequence[Arm], adapters: Adapters) -> dict[str, bool]:
    """Return, for every adapter that an arm uses, whether it had to be trained."""
    trained: dict[str, bool] = {}
    for name in dict.fromkeys(arm.adapter for arm in arms if arm.adapter is not None):
        with run.stage(f"train {name}"):
            trained[name] = adapters.build(name)
        run.link_folder(adapters.folder(name), f"adapter/{name}")
        run.note(fingerprints={f"adapter:{name}": adapters.fingerprint(name)})
    return trained


def _ask(bench: Bench, run: Run, asking: Asking, arms: Sequence[Arm]) -> dict[str, _Asked]:
    """Return what every arm said; what was answered before this run is counted before any arm is asked."""
    prepared = {arm.name: asking.questions(arm, bench.splits.eval) for arm in arms}
    before = {arm.name: len(bench.splits.eval) - len(asking.missing(arm, prepared[arm.name])) for arm in arms}
    asked: dict[str, _Asked] = {}
    for arm in arms:
        questions = prepared[arm.name]
        with run.stage(f"ask {arm.name}"):
            answers = asking.answers(arm, questions)
            alone = asking.alone(arm, questions)
        run.write_rows(f"answers/{arm.name}.jsonl", answers)
        run.note(prompts=[arm.prompt], fingerprints={f"arm:{arm.name}": asking.fingerprint(arm)})
        asked[arm.name] = _Asked(questions, answers, alone, before[arm.name])
    return asked


def _conclude(bench: Bench, run: Run, made: _Made) -> CompareResult:
    """Score, compare, decide and report; nothing here asks a model anything."""
    with run.stage("compare"):
        primary, metrics = _metrics(bench)
        examples = {example.id: example for example in bench.splits.eval}
        answers = [answer for asked in made.asked.values() for answer in asked.answers]
        scores = score_answers(answers, examples, metrics)
        comparison = _comparison(bench, made, scores, primary, metrics)
        rows = _metrics_json(bench, made, scores, comparison, _retrieval(bench, made))
        verdict = _verdict(bench, made, comparison, rows["arms"])
    _write(run, bench, made, scores, comparison, verdict, rows)
    return CompareResult(comparison, verdict, rows)


def _metrics(bench: Bench) -> tuple[str, tuple[str, ...]]:
    """Return (primary metric, all metrics of the task)."""
    metrics = bench.task.metrics
    primary = bench.experiment.compare.primary_metric or metrics[0]
    return primary, metrics if primary in metrics else (primary, *metrics)


def _comparison(bench: Bench, made: _Made, scores: Sequence[Score], primary: str, metrics: Sequence[str]) -> Comparison:
    settings = bench.experiment.compare
    return compare_arms(
        scores,
        clusters=clusters(bench.splits.eval),
        arms=[arm.name for arm in made.arms],
        metrics=metrics,
        primary_metric=primary,
        declared=settings.contrasts,
        resamples=settings.resamples,
        level=settings.confidence,
        seed=bench.experiment.seed,
        training_seeds=1 if made.trained else 0,
        min_examples=settings.min_examples,
    )


def _retrieval(bench: Bench, made: _Made) -> tuple[Estimate, ...]:
    """Return the retrieval metrics, where an arm retrieves and eval examples name gold documents."""
    reads = any(arm.retrieval == "index" for arm in made.arms)
    if made.knowledge is None or not reads or not any(example.gold_document_ids for example in bench.splits.eval):
        return ()
    return retrieval_estimates(bench, made.knowledge.rankings(bench.splits.eval))


def _verdict(bench: Bench, made: _Made, comparison: Comparison, rows: Mapping[str, Any]) -> Verdict:
    candidates = [arm for arm in made.arms if not arm.is_control]
    waits = {arm.name: rows[arm.name]["latency_s_p50"] for arm in candidates}
    requirements = bench.experiment.compare.requirements
    return decide(
        comparison,
        candidates=[arm.name for arm in candidates],
        latency_s={name: seconds for name, seconds in waits.items() if seconds is not None},
        complexity={arm.name: arm.complexity for arm in candidates},
        requirements=Requirements(**requirements.model_dump()),
    )


def _metrics_json(
    bench: Bench,
    made: _Made,
    scores: Sequence[Score],
    comparison: Comparison,
    retrieval: Sequence[Estimate],
) -> dict[str, Any]:
    by_name = {arm.name: arm for arm in made.arms}
    primary = comparison.primary_metric
    return {
        "schema_version": SCHEMA_VERSION,
        "primary_metric": primary,
        "metrics": metric_rows([*comparison.estimates, *retrieval]),
        "arms": {
            name: arm_row(bench, by_name[name], asked.answers, asked.alone, scores, primary)
            for name, asked in made.asked.items()
        },
        "task": task_row(bench),
        "retrieval": _retrieval_row(bench, made),
        "adapters": {name: _adapter_row(made.adapters, name, trained) for name, trained in made.trained.items()},
        "data": _data_row(bench, made),
        "reused": _reused(made),
        "requirements": bench.experiment.compare.requirements.model_dump(),
    }


def _retrieval_row(bench: Bench, made: _Made) -> dict[str, Any] | None:
    if made.index is None:
        return None
    settings = bench.experiment.retrieval
    return {
        "kind": settings.kind,
        "top_k": settings.top_k,
        "documents": made.index.documents,
        "passages": made.index.passages,
    }


def _adapter_row(adapters: Adapters, name: str, trained: bool) -> dict[str, Any]:
    record = adapters.record(name)
    return {"recipe": record["recipe"], **record["training"], "reused": not trained}


def _data_row(bench: Bench, made: _Made) -> dict[str, Any]:
    splits = bench.splits
    return {
        "documents": len(bench.documents),
        "passages": made.index.passages if made.index else 0,
        "train": len(splits.train),
        "dev": len(splits.dev),
        "eval": len(splits.eval),
        "unanswerable": sum(not example.answerable for example in splits.eval),
        "findings": [asdict(finding) for finding in made.findings],
    }


def _reused(made: _Made) -> list[str]:
    """Return one line for each thing that did not have to be made again."""
    lines = []
    if made.index is not None and made.index.report is None:
        lines.append(f"index: {made.index.passages} passages unchanged")
    elif made.index is not None and made.index.report is not None and made.index.report.unchanged:
        report = made.index.report
        lines.append(f"index: {report.unchanged} passages unchanged, {report.added} embedded, {report.removed} removed")
    lines += [f"adapter {name}: trained before" for name, trained in made.trained.items() if not trained]
    for name, asked in made.asked.items():
        if asked.reused:
            lines.append(f"arm {name}: {asked.reused} of {len(asked.questions)} answers")
    return lines


def _write(
    run: Run,
    bench: Bench,
    made: _Made,
    scores: Sequence[Score],
    comparison: Comparison,
    verdict: Verdict,
    rows: Mapping[str, Any],
) -> None:
    """Write the records of the run, then the reports, which are made from the records alone."""
    run.write_rows("examples.jsonl", bench.splits.eval)
    run.write_rows("passages.jsonl", passages_in(q.passages for asked in made.asked.values() for q in asked.questions))
    run.write_rows("scores.jsonl", scores)
    run.write_json("metrics.json", rows)
    run.write_json("comparison.json", asdict(comparison))
    run.write_json("verdict.json", asdict(verdict))
    report = load_report(run.path)
    run.write_text("report.html", render_html(report))
    run.write_text("report.md", render_markdown(report))
