"""The command `compare`: build what is missing, ask every arm every question, score, compare, decide, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ragft.arms.asking import Arm
from ragft.arms.bench import Bench
from ragft.arms.judging import check_judge
from ragft.arms.measures import task_metrics, text_metric
from ragft.arms.retrieval_quality import write_trec
from ragft.arms.round import Round
from ragft.compare.case import blending, case_of
from ragft.compare.checking import Checking
from ragft.compare.gathering import check_measurable, gathered, passages_of
from ragft.compare.judgement import judgement
from ragft.compare.made import Made
from ragft.compare.rows import metrics_rows
from ragft.compare.scoring import compared, measured_metrics, retrieval_quality
from ragft.compare.unaided import unaided
from ragft.config import AnyProbe
from ragft.errors import NotComparableError, RagftError
from ragft.evaluation.comparison import Comparison
from ragft.evaluation.metrics import check_primary
from ragft.evaluation.probing import ProbeResult
from ragft.gates import Baseline, Evidence, GateReport, gates_json, judge, needs_baseline, read_evidence, render_junit
from ragft.probes import Kit, Pace, caveats, chosen_probes, pace_of, plan_probes, run_probes
from ragft.records import Score
from ragft.report import load_report, render_html, render_markdown
from ragft.runs import Run
from ragft.sweep import sweep_settings
from ragft.verdict import Verdict, cost_rows, decide, sensitivity


@dataclass(frozen=True, slots=True)
class CompareResult:
    """A comparison with its verdict; everything in it also stands in the run folder."""

    comparison: Comparison
    verdict: Verdict
    metrics: dict[str, Any]
    evidence: Evidence
    gates: GateReport | None
    probes: tuple[ProbeResult, ...] = ()

    def error(self) -> RagftError | None:
        """Return why the command ends badly although a comparison was made: a gate, or arms that were not comparable.

        A gate that failed is the worse news (exit code 3); what could not be compared never passes (exit code 4).
        """
        if self.gates is not None and (error := self.gates.error()) is not None:
            return error
        if self.verdict.decision == "not_comparable":
            return NotComparableError(self.verdict.headline, self.verdict.next_steps[0])
        return None


@dataclass(frozen=True, slots=True)
class Probing:
    """Which probes follow the comparison: those of the file or those named, within `budget_s` seconds if it is set.

    With `off` none of them is run.
    """

    names: tuple[str, ...] = ()
    budget_s: float | None = None
    off: bool = False

    def configs(self, bench: Bench) -> tuple[AnyProbe, ...]:
        """Return the settings of the probes to run; raises RagftError for a name that no probe has."""
        return () if self.off else chosen_probes(bench.experiment.compare.probes, self.names)


def compare(
    bench: Bench,
    run: Run,
    baseline: Baseline | None = None,
    *,
    becomes_baseline: bool = False,
    probing: Probing = Probing(),
) -> CompareResult:
    """Run the whole experiment and write its run folder; what is built or answered already is reused.

    Raises DataError or NotComparableError, before anything expensive, for data that cannot be compared.
    """
    settings, checking = bench.experiment.compare, Checking(bench, run)
    probes = probing.configs(bench)
    checking.data()
    run.inputs(bench.input_files())
    one = Round(bench, run)
    _check(bench, one.arms(list(settings.arms)))
    if probes:
        bench.listener.probes(plan_probes(bench, probes), probing.budget_s)
    sweep = None
    if settings.sweep is not None:
        sweep, bench = sweep_settings(bench, run, settings.sweep.metric or text_metric(bench))
        one = Round(bench, run)
    arms = one.arms(list(settings.arms))
    state = one.index(arms)
    checking.lengths(one, arms)
    bare = one.ask([arm for arm in arms if arm.is_bare], bench.splits.eval, measured=True)
    checking.known(bare, text_metric(bench))
    trained = one.train(arms)
    others = one.ask([arm for arm in arms if not arm.is_bare], bench.splits.eval, measured=True)
    asked = {arm.name: (bare | others)[arm.name] for arm in arms}
    made = Made(checking.checked, sweep, one, arms, state, trained, asked)
    _note(run, made)
    pace = pace_of(bench, one, asked, trained) if probes and probing.budget_s is not None else Pace()
    kit = Kit(bench, run, one, asked, state, pace=pace)
    found = run_probes(kit, probes, probing.budget_s)
    return _conclude(bench, run, made, found, baseline, becomes_baseline=becomes_baseline)


def _check(bench: Bench, arms: Sequence[Arm]) -> None:
    """Raise, before anything is built, for what would otherwise show only when every question has been asked."""
    sweep = bench.experiment.compare.sweep
    primary, metrics = task_metrics(bench)
    check_judge(bench)
    check_measurable(bench, (*metrics, *([sweep.metric] if sweep and sweep.metric else ())))
    if len(arms) < 2:
        raise NotComparableError(
            f"there is only one arm ({arms[0].name}), and so nothing to compare", "add another arm"
        )
    if all(arm.is_control for arm in arms):
        raise NotComparableError("every arm is a control (oracle or random passages)", "add an arm that could ship")
    check_primary(primary, [arm.name for arm in arms if arm.retrieval == "none"])


def _note(run: Run, made: Made) -> None:
    """Write into the run what it was made of: adapters, answers, prompts, fingerprints."""
    adapters, asking = made.round.adapters, made.round.asking
    if made.index is not None:
        run.note(fingerprints={"index": made.index.fingerprint})
    for item in made.trained:
        run.link_folder(adapters.folder(item.name, item.seed), f"adapter/{item.title}")
        run.note(fingerprints={f"adapter:{item.title}": adapters.fingerprint(item.name, item.seed)})
    seeds = {item.title: item.seed for item in made.trained}
    run.note(seeds=seeds, prompts=list(dict.fromkeys(name for arm in made.arms for name in arm.prompts)))
    for arm in made.arms:
        run.write_rows(f"answers/{arm.name}.jsonl", made.asked[arm.name].answers)
        run.note(fingerprints={f"arm:{arm.name}": asking.fingerprint(arm)})


def _conclude(
    bench: Bench,
    run: Run,
    made: Made,
    probes: tuple[ProbeResult, ...],
    baseline: Baseline | None,
    *,
    becomes_baseline: bool,
) -> CompareResult:
    """Score, compare, decide and report; only metrics that a model measures, and a judge, ask anything here."""
    with run.stage("compare"):
        primary, metrics = task_metrics(bench)
        scores, judge = gathered(bench, made, metrics), judgement(bench, made)
        if judge is not None:
            scores += judge.scores
            primary = judge.deciding(primary)
        measured = measured_metrics(scores, primary, metrics)
        scores = [score for score in scores if score.metric in measured]
        comparison = compared(bench, made, scores, primary, measured)
        quality = retrieval_quality(bench, made)
        beside = unaided(bench, made, scores, primary)
        rows = metrics_rows(bench, made, scores, comparison, quality, beside)
        if judge is not None:
            judge.note(rows)
            run.write_rows("judgements.jsonl", judge.report.judgements)
            run.note(prompts=judge.report.prompts)
        verdict = _with_caveats(bench, _verdict(bench, made, scores, comparison, rows), comparison, probes)
    _write(run, bench, made, scores, comparison, verdict, rows)
    if quality is not None:
        write_trec(run, quality)
    evidence = read_evidence(run.path)
    gates = _gates(bench, run, evidence, baseline, becomes_baseline=becomes_baseline)
    _report(run)
    return CompareResult(comparison, verdict, rows, evidence, gates, probes)


def _verdict(
    bench: Bench, made: Made, scores: Sequence[Score], comparison: Comparison, rows: dict[str, Any]
) -> Verdict:
    """Return the verdict with its sensitivity, and put what each arm costs into its row."""
    case = case_of(bench, made, comparison, rows)
    for name, cost in cost_rows(case).items():
        rows["arms"][name]["cost"] = None if cost is None else asdict(cost)

    def again(blended: Sequence[Score], resamples: int) -> Comparison:
        primary = comparison.primary_metric
        return compared(bench, made, blended, primary, (primary,), resamples)

    comparison_at = blending(scores, comparison.primary_metric, again)
    return replace(decide(case), sensitivity=sensitivity(case, comparison_at))


def _with_caveats(bench: Bench, verdict: Verdict, comparison: Comparison, probes: Sequence[ProbeResult]) -> Verdict:
    """Return the verdict with what the probes say against the arm that it ships."""
    arms = bench.experiment.compare.arms
    if verdict.arm is None or not probes:
        return verdict
    shippable = [name for name, arm in arms.items() if arm.retrieval in ("none", "index")]
    found = caveats(verdict.arm, arms[verdict.arm].adapter, shippable, comparison, probes)
    return replace(verdict, caveats=(*verdict.caveats, *found))


def _gates(
    bench: Bench, run: Run, evidence: Evidence, baseline: Baseline | None, *, becomes_baseline: bool
) -> GateReport | None:
    """Return what the gates found and write it; whether the command then fails is for its caller to say.

    A run that is to be the first baseline is not asked what only a baseline could answer.
    """
    settings = bench.experiment.compare
    first = becomes_baseline and baseline is None
    found = judge(
        [gate for gate in settings.gates if not (first and needs_baseline(gate))],
        evidence,
        baseline,
        min_examples=settings.min_examples,
        failed_share=settings.limits.failed_share,
    )
    if found is None:
        return None
    started = datetime.fromisoformat(evidence.created_at)
    run.write_json("gates.json", gates_json(found))
    run.write_text(
        "junit.xml",
        render_junit(
            found,
            name=evidence.name,
            created_at=evidence.created_at,
            seconds=(datetime.now(UTC) - started).total_seconds(),
            properties={"run": run.path.name},
        ),
    )
    return found


def _write(
    run: Run,
    bench: Bench,
    made: Made,
    scores: Sequence[Score],
    comparison: Comparison,
    verdict: Verdict,
    rows: Mapping[str, Any],
) -> None:
    """Write the records of the run."""
    run.write_rows("examples.jsonl", bench.splits.eval)
    run.write_rows("passages.jsonl", passages_of(made.asked).values())
    run.write_rows("scores.jsonl", scores)
    run.write_json("metrics.json", rows)
    run.write_json("comparison.json", asdict(comparison))
    run.write_json("verdict.json", asdict(verdict))


def _report(run: Run) -> None:
    """Write the reports, which are made from the records alone."""
    report = load_report(run.path)
    run.write_text("report.html", render_html(report))
    run.write_text("report.md", render_markdown(report))
