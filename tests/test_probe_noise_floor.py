"""The probe `noise_floor`: an arm that does not move has none, and one that flips a coin has one."""

from __future__ import annotations

import pytest
from conftest import HARBOURS, SmallExperiment
from probe_kits import asked_kit, bench_of

from ragft.config import NoiseFloorProbe
from ragft.probes import Kit
from ragft.probes.noise_floor import NoiseFloor
from ragft.prompts import TEMPLATES


def floor(**settings: object) -> NoiseFloor:
    return NoiseFloor(NoiseFloorProbe(kind="noise_floor", **settings))  # type: ignore[arg-type]


@pytest.fixture
def scripted(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment with a script that knows every year, but reads only the words of the first template."""
    first = TEMPLATES["qa-short-1"].bare
    rows = [
        {"contains": first.format(input=f"When was {name} built?"), "answer": year}
        for _, name, _, _, year in HARBOURS[:5]
    ]
    rows += [{"contains": f"When was {name} built?", "answer": year} for _, name, _, _, year in HARBOURS[5:]]
    experiment.rows("script", [*rows, {"answer": "nothing"}])
    experiment.config["model"] = {"kind": "scripted", "path": "script.jsonl"}
    experiment.config["adapters"] = {}
    experiment.config["compare"] |= {"arms": {"base": {}, "few_shot": {"shots": 2}}, "contrasts": []}
    return experiment.save()


def test_every_way_that_can_change_an_arm_is_tried_and_no_other(experiment: SmallExperiment) -> None:
    conditions = floor()._conditions(Kit(bench_of(experiment)))
    assert {how: one.arms for how, one in conditions.items()} == {
        "batch": ("base", "few_shot", "rag", "finetuned", "raft_rag"),
        "template": ("base", "few_shot", "rag"),
        "seed": ("few_shot", "finetuned", "raft_rag"),
    }
    assert "finetuned" not in floor(retrain=False)._conditions(Kit(bench_of(experiment)))["seed"].arms


def test_another_seed_trains_other_adapters_on_the_same_examples(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment, "adapters.raft.seeds=[3, 9]")
    other = floor()._conditions(Kit(bench))["seed"].bench
    assert other.experiment.seed == 18
    assert other.experiment.adapters["raft"].seeds == (10,)
    assert other.splits == bench.splits


def test_a_template_moves_what_the_script_reads_by_it(scripted: SmallExperiment) -> None:
    with asked_kit(scripted) as kit:
        found = floor().measure(kit)
    (row,) = [row for row in found.tables[0].rows if row.name == "base"]
    titles = [column.title for column in found.tables[0].columns]
    cells = dict(zip(titles, row.cells, strict=False))
    # Of twelve questions the script loses five: those that it reads by the words of the first template.
    assert cells["another template"].value == pytest.approx(-5 / 12)
    assert cells["another batch"].value == 0.0
    assert cells["apart, template"].value == pytest.approx(5 / 12)
    assert cells["answers changed, template"].value == pytest.approx(5 / 12)
    assert row.cells[-1].value == pytest.approx(5 / 12)  # its floor


def test_the_same_answers_have_no_floor(experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragft.generation.generator import Generation
    from ragft.generation.local import LocalGenerator

    def one_answer(self: LocalGenerator, prompts: list[str]) -> list[Generation]:
        return [Generation("1911", 5, 1, 0.1, "stop", -0.1) for _ in prompts]

    monkeypatch.setattr(LocalGenerator, "generate", one_answer)
    with asked_kit(experiment) as kit:
        found = floor(retrain=False).measure(kit)
    assert found.values["floor"] == 0.0
    assert found.findings[-1].endswith("0.000, lies within the floor of the two, 0.000.")
    assert any("the chance of training is not seen" in note for note in found.notes)
