"""The probe `context`, with a script that reads passages as a model would."""

from __future__ import annotations

import re

import pytest
from conftest import HARBOURS, SmallExperiment
from probe_kits import asked_kit, bench_of

from ragft.config import ContextProbe
from ragft.evaluation.probing import ProbeResult
from ragft.probes import Kit
from ragft.probes.context import Context


@pytest.fixture
def reading(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment with a script that says the first year, in the order of the harbours, that it reads."""
    rows = [{"contains": f"built in {year}", "answer": year} for *_, year in HARBOURS]
    experiment.rows("script", [*rows, {"answer": "I don't know"}])
    experiment.config["model"] = {"kind": "scripted", "path": "script.jsonl"}
    experiment.config["adapters"] = {}
    arms = {"base": {}, "rag": {"retrieval": "index"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [["rag", "base"]], "latency_questions": 0}
    return experiment.save()


def measured(kit: Kit, **settings: object) -> ProbeResult:
    return Context(ContextProbe(kind="context", **settings)).measure(kit)  # type: ignore[arg-type]


def test_all_passages_at_once_give_one_answer_to_everything(reading: SmallExperiment) -> None:
    with asked_kit(reading) as kit:
        found = measured(kit, passages=(1, 10))
    (curve,) = found.charts[0].curves
    # With all ten passages the script always says 1911: right for one question of twelve.
    assert [(point.x, point.n) for point in curve.points] == [(1, 12), (10, 12)]
    assert curve.points[1].value == pytest.approx(1 / 12)
    interval = curve.points[1].interval
    assert interval is not None
    assert interval.low <= 1 / 12 <= interval.high


def test_gold_passages_alone_are_read_without_fault(reading: SmallExperiment) -> None:
    with asked_kit(reading) as kit:
        found = measured(kit, passages=(1,))
        (own,) = [score.value for score in kit.scores(kit.asked["rag"], "rag") if score.example_id == "e00"]
    (row,) = found.tables[0].rows
    retrieved, hit, miss, oracle, by_retrieval, by_reading = row.cells
    assert (oracle.value, oracle.n, by_reading.value) == (1.0, 10, 0.0)
    assert isinstance(retrieved.value, float)
    assert by_retrieval.value == pytest.approx(1.0 - retrieved.value)
    assert (hit.n or 0) + (miss.n or 0) == 10
    assert miss.value in (None, 0.0)  # without its gold passage no question can be answered
    assert own == 1.0  # the year of the first harbour is said whatever stands beside it


def test_the_gold_passage_moves_through_the_prompt(reading: SmallExperiment) -> None:
    with asked_kit(reading) as kit:
        example = kit.bench.splits.eval[3]
        from ragft.probes.context import _placed

        texts = {
            where: [passage.document_id for passage in _placed(kit, [example], 4, where)[example.id]]
            for where in ("first", "middle", "last")
        }
    gold = example.gold_document_ids[0]
    assert [texts[where].index(gold) for where in ("first", "middle", "last")] == [0, 1, 3]
    assert len({frozenset(ids) for ids in texts.values()}) == 1


def test_a_difference_that_may_be_nothing_is_said_to_be_none_that_is_clear(reading: SmallExperiment) -> None:
    with asked_kit(reading) as kit:
        found = measured(kit, passages=(1, 10))
    differences = [re.search(r"interval (-?[\d.]+) to (-?[\d.]+)\)(.{0,24})", line) for line in found.findings]
    said = [
        (float(one[1]) <= 0 <= float(one[2]), one[3].startswith(", not a clear diff")) for one in differences if one
    ]
    assert len(said) == 3
    assert all(unclear == doubted for unclear, doubted in said)


def test_prompts_that_do_not_fit_are_left_out_and_said(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragft.errors import RagftError
    from ragft.generation.local import LocalGenerator

    def full(self: LocalGenerator, tokens: int) -> None:
        if tokens > 400:
            raise RagftError(f"a prompt of {tokens} tokens")

    with asked_kit(experiment) as kit:
        monkeypatch.setattr(LocalGenerator, "_check_room", full)
        found = measured(kit, passages=(1, 10), position_of=2)
    assert [point.x for point in found.charts[0].curves[0].points] == [1]
    assert any("10 passages could not be asked: a prompt of" in note for note in found.notes)


def test_without_a_retrieving_arm_it_is_refused(closed_book: SmallExperiment) -> None:
    refusal = Context(ContextProbe(kind="context")).refusal(Kit(bench_of(closed_book)))
    assert refusal is not None
    assert (refusal.reason, refusal.hint) == ("no arm retrieves passages", "add an arm with retrieval: index")


def test_the_same_again_asks_nothing(reading: SmallExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragft.generation.scripted import ScriptedGenerator

    with asked_kit(reading) as kit:
        first = measured(kit, passages=(1, 3))
        monkeypatch.setattr(ScriptedGenerator, "generate", None)
        monkeypatch.setattr(ScriptedGenerator, "answers", None)
        assert measured(kit, passages=(1, 3)) == first
