"""Which probes are run, and how many examples fit a time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

import pytest
from conftest import SmallExperiment, read
from probe_kits import asked_kit, bench_of

from ragft.arms.planning import Load, PlannedProbe, Refusal
from ragft.arms.round import Round
from ragft.config import ContextProbe, KnowledgeQualityProbe, LabelBudgetProbe, NoiseFloorProbe
from ragft.errors import RagftError
from ragft.evaluation.probing import ProbeResult
from ragft.probes import Kit, Pace, chosen_probes, pace_of, plan_probes, run_probes
from ragft.probes.budget import Budget, share_of
from ragft.probes.choosing import probe_of
from ragft.probes.kit import OutOfTimeError
from ragft.probes.probe import Condition
from ragft.runs import Run


def planned(kind: str, *, examples: int = 100, asking: float = 100.0, fixed: float = 0.0) -> PlannedProbe:
    return PlannedProbe(kind, kind, Load(examples=examples, asking_s=asking, fixed_s=fixed, prompts=1))


def test_the_probes_of_the_file_are_run_in_the_order_of_probes() -> None:
    listed: Any = [NoiseFloorProbe(kind="noise_floor"), ContextProbe(kind="context", examples=30)]
    assert [one.kind for one in chosen_probes(listed, [])] == ["context", "noise_floor"]


def test_a_named_probe_has_the_settings_of_the_file_or_the_defaults() -> None:
    listed: Any = [ContextProbe(kind="context", examples=30)]
    found = chosen_probes(listed, ["cost", "context"])
    assert [(one.kind, one.examples) for one in found] == [("context", 30), ("cost", None)]
    assert len(chosen_probes(listed, ["all"])) == 9


def test_an_unknown_probe_is_an_error_that_lists_them() -> None:
    with pytest.raises(RagftError, match="no probe 'contxt'") as caught:
        chosen_probes([], ["contxt"])
    assert "knowledge_quality" in str(caught.value.hint)


def test_time_is_shared_by_all_examples_alike() -> None:
    plans = [planned("context"), planned("noise_floor", examples=40)]
    assert share_of(plans, 200) == (None, None)
    assert share_of(plans, 100) == (50, None)  # half of the 200 s: half of the examples of each
    assert share_of(plans[1:], 50) == (20, None)


def test_what_does_not_depend_on_examples_is_paid_first() -> None:
    # 40 s of training in 120 s leave 80 s for 200 s of asking.
    assert share_of([planned("context", fixed=40), planned("noise_floor")], 120) == (40, None)


def test_a_probe_that_would_get_too_few_examples_makes_room_for_the_others() -> None:
    plans = [planned("label_budget", fixed=500), planned("context")]
    cap, refusal = share_of(plans, 60)
    assert (cap, refusal is not None) == (0, True)
    assert "510" not in str(refusal)
    assert refusal == Refusal(
        "it would take about 8 min with the fewest examples, and 60 s were left",
        "raise --budget, or run it alone: --probe label_budget",
    )
    assert share_of([plans[1], plans[0]], 60) == (60, None)
    _, refusal = share_of([planned("label_budget", fixed=40), planned("context")], 55)
    assert str(refusal).count("about 50 s with the fewest examples, and the probes that take less need the 55 s") == 1


def test_a_probe_that_asks_nothing_always_fits() -> None:
    free = PlannedProbe("explainability", "Explainability", Load())
    assert share_of([free, planned("context")], 0.0) == (None, None)


def test_results_are_written_and_a_refusal_does_not_make_the_others_fail(experiment: SmallExperiment) -> None:
    experiment.config["compare"]["arms"] = {"base": {}, "few_shot": {"shots": 2}}
    experiment.config["compare"]["contrasts"] = []
    with asked_kit(experiment) as kit:
        context, noise = run_probes(kit, (ContextProbe(kind="context"), NoiseFloorProbe(kind="noise_floor")))
        assert kit.run is not None
        folder = kit.run.path / "probes"
    assert (context.status, context.reason) == ("skipped", "no arm retrieves passages")
    assert (context.charts, context.tables) == ((), ())
    assert noise.status == "measured"
    assert read(folder / "context.json")["hint"] == "add an arm with retrieval: index"
    assert read(folder / "noise_floor.json")["tables"]


def test_a_plan_builds_and_asks_nothing(experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragft.generation.local import LocalGenerator

    monkeypatch.setattr(LocalGenerator, "generate", None)
    (plan,) = plan_probes(bench_of(experiment), (ContextProbe(kind="context", passages=(1, 2)),))
    # Two numbers of passages over 12 examples, gold passages alone and three places over the 10 with gold documents.
    assert (plan.load.arms, plan.load.conditions) == (2, 6)
    assert plan.load.prompts == 2 * (2 * 12 + 4 * 10)
    assert plan.load.seconds > 0


def test_what_the_comparison_will_have_asked_is_no_work_of_a_probe(experiment: SmallExperiment) -> None:
    configs = (NoiseFloorProbe(kind="noise_floor", retrain=False),)
    (other,) = plan_probes(bench_of(experiment), configs)
    assert other.load.answered == 0  # other batches and templates are asked anew
    bench = bench_of(experiment)
    same = Kit(bench).load_of([Condition("as it is", bench.stressed(eval=bench.splits.eval[:4]), ("base", "rag"))])
    assert (same.prompts, same.answered, same.asking_s) == (8, 8, 0.0)


def test_a_budget_asks_the_same_fewer_examples_of_all_arms(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = (NoiseFloorProbe(kind="noise_floor", retrain=False),)
    with asked_kit(experiment) as kit:
        (plan,) = plan_probes(kit.bench, configs, kit)
        # As on a machine so slow that nothing else but asking takes time.
        slow = replace(plan, load=plan.load.slowed(1000 / plan.load.seconds))
        monkeypatch.setattr("ragft.probes.running.plan_probes", lambda *_: (slow,))
        (found,) = run_probes(kit, configs, budget_s=900)
    assert (found.n_examples, found.n_available) == (10, 12)
    assert "For want of time 10 of 12 examples were asked, the same for all arms." in found.notes
    assert {cell.n for row in found.tables[0].rows for cell in row.cells if cell.n is not None} == {10}


def test_what_probes_took_corrects_what_is_planned_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("ragft.probes.budget.time.monotonic", lambda: now[0])
    budget = Budget([planned("context", asking=90), planned("noise_floor", asking=90), planned("phrasing")], 400)
    assert (budget.pace, budget.share()) == (1.0, (None, None))
    now[0] += 190  # 190 s where 90 were planned; for 10 s more the plan counts as right
    budget.took(190, None)
    assert budget.pace == 2.0
    assert budget.share() == (55, None)  # 210 s are left for what would take 380
    budget.passed_over()
    assert budget.share() == (None, None)


def test_what_asks_less_than_planned_leaves_time_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragft.probes.budget.time.monotonic", lambda: 1000.0)
    budget = Budget([planned("context", asking=180), planned("noise_floor")], 100)
    assert budget.share() == (35, None)
    budget.took(17, 25)  # 45 s were planned for 25 of 100
    assert budget.pace == pytest.approx(27 / 55)
    assert budget.share() == (None, None)


class Slow:
    """A probe whose conditions take half a second each, however few examples they ask."""

    kind, title, asks = "context", "Context", "Is it slow?"

    def __init__(self, conditions: int) -> None:
        self.conditions, self.asked = conditions, list[int]()

    def refusal(self, kit: Kit) -> None:
        return None

    def load(self, kit: Kit) -> Load:
        return Load(examples=12, asking_s=0.5, prompts=1)

    def measure(self, kit: Kit) -> ProbeResult:
        examples = kit.examples(ContextProbe(kind="context"))
        for _ in range(self.conditions):
            kit.ask(Condition("slow", kit.bench.stressed(eval=examples), ("base",)))
            self.asked.append(len(examples))
            time.sleep(0.5)
        return kit.result(cast("Any", self), arms=["base"], n_examples=len(examples), n_available=12)


@pytest.mark.parametrize(("conditions", "asked"), [(1, [12]), (4, [12, 12, 10, 10, 10, 10]), (40, None)])
def test_a_probe_whose_time_runs_out_is_measured_with_the_fewest_examples(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch, conditions: int, asked: list[int] | None
) -> None:
    slow = Slow(conditions)
    monkeypatch.setattr("ragft.probes.running.probe_of", lambda _: slow)
    monkeypatch.setattr("ragft.probes.budget.GRACE", 3.0)
    with asked_kit(experiment) as kit:
        kit.ask(Condition("slow", kit.bench, ("base",)))  # answered before: only the waiting takes time
        (found,) = run_probes(kit, [ContextProbe(kind="context")], budget_s=0.9)
    if asked is None:
        assert (found.status, found.hint) == (
            "skipped",
            "raise --budget, or run it again: what was asked and trained is kept",
        )
        assert "time ran out before it was done" in str(found.reason)
        assert 2 < slow.asked.count(10) < 10
    else:
        assert (found.status, found.n_examples, slow.asked) == ("measured", asked[-1], asked)
        assert any("10 of 12 examples" in note for note in found.notes) == (asked[-1] == 10)
        assert found.seconds > 0.5 * len(asked)


@pytest.mark.parametrize(
    "config",
    [
        ContextProbe(kind="context", passages=(1, 2)),
        KnowledgeQualityProbe(kind="knowledge_quality"),
        LabelBudgetProbe(kind="label_budget"),
        NoiseFloorProbe(kind="noise_floor"),
    ],
)
def test_no_probe_takes_a_passed_deadline_for_a_setting_that_failed(experiment: SmallExperiment, config: Any) -> None:
    with asked_kit(experiment) as kit, pytest.raises(OutOfTimeError):
        probe_of(config).measure(replace(kit, deadline=0.0))


def test_the_pace_is_that_of_what_this_command_asked_and_trained(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment)
    run = Run.start(experiment.folder / "runs", "compare", "small", argv=[], config_yaml="", seed=17)
    with run:
        one = Round(bench, run)
        arms = one.arms(["base", "finetuned"])
        trained = one.train(arms)
        asked = one.ask(arms, bench.splits.eval, measured=False)
        now = pace_of(bench, one, asked, trained)
        again = one.ask(arms, bench.splits.eval, measured=False)
        assert min(now.asking, now.training) > 0
        assert now.asking != 1.0 != now.training
        assert pace_of(bench, one, again, one.train(arms)) == Pace()
    bench.close()
