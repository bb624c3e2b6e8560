"""Which probes are run, and how many examples fit a time."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import SmallExperiment, read
from probe_kits import asked_kit, bench_of

from ragft.arms.planning import Load, PlannedProbe, Refusal
from ragft.config import ContextProbe, NoiseFloorProbe
from ragft.errors import RagftError
from ragft.probes import Kit, chosen_probes, plan_probes, run_probes
from ragft.probes.probe import Condition
from ragft.probes.running import share_of


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


def test_a_budget_asks_the_same_fewer_examples_of_all_arms(experiment: SmallExperiment) -> None:
    configs = (NoiseFloorProbe(kind="noise_floor", retrain=False),)
    with asked_kit(experiment) as kit:
        seconds = plan_probes(kit.bench, configs, kit)[0].load.seconds
        (found,) = run_probes(kit, configs, budget_s=0.9 * seconds)
    assert (found.n_examples, found.n_available) == (10, 12)
    assert "For want of time 10 of 12 examples were asked, the same for all arms." in found.notes
    assert {cell.n for row in found.tables[0].rows for cell in row.cells if cell.n is not None} == {10}
