"""The probe `freshness`: new answers, old answers, labels made again, and what each update took."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import SmallExperiment, read
from harbour_update import changed_rows, update
from probe_kits import asked_kit, bench_of

from ragft.arms.bench import Bench
from ragft.arms.listening import Silence
from ragft.config import FreshnessProbe, load_experiment
from ragft.evaluation.probing import ProbeResult, Table, probe_from_dict
from ragft.probes import Kit, run_probes
from ragft.probes.freshness import Freshness
from ragft.probes.freshness_stages import BEFORE, INDEXED, RETRAINED
from ragft.probes.noticing import given
from ragft.probes.updating import kept_facts, relabelled, touched_documents
from ragft.records import Example
from ragft.workspace import Workspace


def probe(**settings: object) -> Freshness:
    return Freshness(FreshnessProbe(kind="freshness", **settings))  # type: ignore[arg-type]


@pytest.fixture
def scripted(experiment: SmallExperiment) -> SmallExperiment:
    """The updated harbours with a script that reads two of the three new colours, one of them wrongly."""
    rows = [
        {"contains": "lighthouse of Aldmoor is pink", "answer": "pink"},
        {"contains": "lighthouse of Brinbay is gold", "answer": "red"},
        {"contains": "Which colour has Aldmoor?", "answer": "green"},
        {"contains": "Which colour has Brinbay?", "answer": "red"},
        {"contains": "Which colour has Corvel?", "answer": "white"},
        {"answer": "I don't know"},
    ]
    update(experiment).rows("script", rows)
    experiment.config["model"] = {"kind": "scripted", "path": "script.jsonl"}
    experiment.config["retrieval"] = {"kind": "bm25", "top_k": 1}
    experiment.config["adapters"] = {}
    arms = {"base": {}, "rag": {"retrieval": "index"}, "random": {"retrieval": "random"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [["rag", "base"]], "latency_questions": 0}
    return experiment


def table(found: ProbeResult, key: str) -> Table:
    return next(one for one in found.tables if one.key == key)


def test_the_shares_by_stage_are_those_of_the_script(scripted: SmallExperiment) -> None:
    with asked_kit(scripted) as kit:
        found = probe().measure(kit)
    shares = found.values["shares"]
    assert list(shares) == [BEFORE, INDEXED]
    # Old: green and red of three. After re-indexing Aldmoor is read as pink, Brinbay still as red, Dunwick as nothing.
    assert shares[BEFORE]["rag"] == pytest.approx({"new": 0, "old": 2 / 3, "kept": 1 / 2})
    assert shares[INDEXED]["rag"] == pytest.approx({"new": 1 / 3, "old": 1 / 3, "kept": 1 / 2})
    assert shares[INDEXED]["base"] == pytest.approx({"new": 0, "old": 2 / 3, "kept": 1 / 2})
    assert [chart.key for chart in found.charts] == ["new", "old", "kept"]
    rag = next(curve for curve in found.charts[0].curves if curve.name == "rag")
    assert [(one.x, one.label, one.n) for one in rag.points] == [(0, BEFORE, 3), (1, INDEXED, 3)]
    rows = {row.name: [one.value for one in row.cells] for row in table(found, "stages").rows}
    assert rows[f"rag, {INDEXED}"][:3] == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert f"base, {INDEXED}" not in rows  # its prompts are the same: it was not asked again
    assert found.arms == ("base", "rag")
    assert (found.n_examples, found.n_available) == (5, 5)
    assert found.findings[0] == "After re-indexing, rag gives 0.333 of the new answers and still 0.333 of the old ones."
    assert any("no arm has an adapter" in note for note in found.notes)


def test_the_first_update_of_the_index_is_the_one_that_is_told(scripted: SmallExperiment) -> None:
    with asked_kit(scripted) as kit:
        load = probe().load(kit)
        first = probe().measure(kit)
        again = probe().load(kit)
    assert first.values["passages_embedded"] == 3
    assert first.values["index_seconds"] > 0
    assert (load.conditions, load.prompts, load.answered) == (2, 15, 0)
    assert load.fixed_s > again.fixed_s == 0
    assert again.answered == again.prompts == 15
    with asked_kit(scripted) as kit:
        second = probe().measure(kit)
    assert second.values == first.values  # now every vector is known, and the time would mean nothing
    (row,) = table(second, "updates").rows
    assert row.cells[-1].value == "measured earlier"
    assert table(first, "updates").rows[0].cells[1].value == "3 of 10 passages embedded"


def test_vectors_that_another_probe_left_do_not_shorten_the_update(scripted: SmallExperiment) -> None:
    with asked_kit(scripted) as kit:
        bench = kit.bench
        other = bench.stressed(documents=bench.updated_documents, collection="another")
        from ragft.arms.knowledge import Knowledge

        Knowledge(other).sync()
        embedded: list[int] = []
        own = bench.embedder.documents

        class Counting:
            identity = bench.embedder.identity
            queries = staticmethod(bench.embedder.queries)

            @staticmethod
            def documents(texts: list[str], on_batch: object = None) -> object:
                embedded.append(len(texts))
                return own(texts)

        for key in [key for key in bench._shared if key.startswith("embedder ")]:
            bench._shared[key] = Counting()
        found = probe().measure(kit)
    assert embedded == [3]
    assert found.values["passages_embedded"] == 3


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([(1.0, 0.0), (0.2, 0.9)], "new"),  # the first measure decides
        ([(0.0, 1.0), (0.9, 0.2)], "old"),
        ([(1.0, 1.0), (0.5, 1.0)], "old"),  # both stand in it: the nearer one
        ([(1.0, 1.0), (0.5, 0.5)], "neither"),
        ([(0.0, 0.0), (0.9, 0.2)], "neither"),  # some shared words are no answer
        ([(None, None), (0.3, 0.2)], "new"),
        ([(None, None), (None, None)], None),
    ],
)
def test_an_answer_gives_the_new_the_old_or_neither(
    pairs: list[tuple[float | None, float | None]], told: str | None
) -> None:
    assert given(pairs) == told


def fact(id_: str, references: list[str], group: str | None = None, *, old: tuple[str, ...] = ()) -> Example:
    return Example(id_, f"Question {id_}?", tuple(references), ("doc",), group=group, old_references=old)


def test_labels_of_changed_facts_are_made_again() -> None:
    changed = [fact("c1", ["52 watts", "52 W"], "heater", old=("46 watts", "46 W")), fact("c2", ["pink"], old=("red",))]
    train = [
        fact("t1", ["46 Watts."], "heater"),  # compared as SQuAD does
        fact("t2", ["the Kestrane"], "heater"),  # asks the other way round
        fact("t3", ["46 watts"], "kettle"),  # another fact with the same answer
        fact("t4", ["red"]),  # without groups, by document and answer
        fact("t5", ["blue"]),
    ]
    found = relabelled(train, [fact("d1", ["46 W"], "heater")], changed)
    assert [example.references for example in found.train] == [
        ("52 watts", "52 W"),
        ("the Kestrane",),
        ("46 watts",),
        ("pink",),
        ("blue",),
    ]
    assert found.dev[0].references == ("52 watts", "52 W")
    assert (found.again, found.left, found.labels) == (3, 1, 6)


def test_the_update_of_the_quick_start_takes_sixty_one_labels(tmp_path: Path) -> None:
    file = Path(__file__).parents[1] / "configs" / "quickstart.yaml"
    bench = Bench(load_experiment(file).experiment, Workspace(tmp_path).prepare(), Silence())
    splits = bench.splits
    found = relabelled(splits.train, splits.dev, splits.changed)
    assert (found.again, found.left, found.labels) == (61, 0, 304)  # 30 facts in two phrasings each, and one of dev
    assert len(touched_documents(bench)) == len(kept_facts(bench)) == 29


def test_without_unchanged_examples_those_of_eval_stand_in(experiment: SmallExperiment) -> None:
    update(experiment)
    del experiment.config["data"]["update"]["unchanged"]
    found = kept_facts(bench_of(experiment))
    # Ten years, less those of the three documents that are updated; the two unanswerable ones are no facts.
    assert [example.id for example in found] == ["e02", "e04", "e05", "e06", "e07", "e08", "e09"]


def test_it_is_refused_without_a_second_version(experiment: SmallExperiment) -> None:
    refusal = probe().refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert "no second version" in refusal.reason
    assert "data.update" in refusal.hint


def test_it_is_refused_without_old_answers(experiment: SmallExperiment) -> None:
    rows = changed_rows()
    for row in rows[1:]:
        row.pop("old_references")
    update(experiment).rows("changed", rows)
    refusal = probe().refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert refusal.reason.startswith("1 of the 3 examples of data.update.changed has old_references")


def test_it_is_refused_where_no_update_reaches_an_arm(experiment: SmallExperiment) -> None:
    update(experiment)
    refusal = probe(arms=("base", "few_shot")).refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert "no update reaches any" in refusal.reason


def test_with_little_time_changed_facts_come_first(experiment: SmallExperiment) -> None:
    update(experiment)
    from ragft.probes.freshness_stages import Setting

    setting = Setting(Kit(bench_of(experiment)).capped(3), FreshnessProbe(kind="freshness"))
    assert (len(setting.changed), len(setting.kept)) == (2, 1)


def test_adapters_are_trained_again_on_the_new_labels(experiment: SmallExperiment) -> None:
    update(experiment)
    experiment.config["compare"]["prices"] = {"label": 0.5, "machine_hour": 3.6}
    with asked_kit(experiment) as kit:
        load = probe().load(kit)
        found = probe().measure(kit)
        again = probe().measure(kit)
    assert (load.conditions, load.trainings) == (3, 2)
    assert list(found.values["shares"]) == [BEFORE, INDEXED, RETRAINED]
    assert found.values["labels_again"] == 3
    assert set(found.values["training_seconds"]) == {"closed_book", "raft"}
    rows = {row.name: row.cells for row in table(found, "updates").rows}
    assert rows["labels"][1].value == "3 of 16 labels made again"
    assert rows["labels"][2].value == 1.5
    seconds, price = rows["adapter closed_book"][0].value, rows["adapter closed_book"][2].value
    assert isinstance(seconds, float)
    assert price == pytest.approx(seconds / 1000)  # 3.6 an hour is a thousandth a second
    assert rows["adapter raft"][3].value == "now"
    stages = {row.name for row in table(found, "stages").rows}
    assert {f"finetuned, {RETRAINED}", f"few_shot, {RETRAINED}", f"oracle, {INDEXED}"} <= stages
    assert not {f"finetuned, {INDEXED}", f"rag, {RETRAINED}"} & stages
    assert {curve.name: curve.kind for curve in found.charts[0].curves}["oracle"] == "control"
    assert again.values == found.values


def test_nothing_is_trained_where_that_is_switched_off(experiment: SmallExperiment) -> None:
    with asked_kit(update(experiment)) as kit:
        assert probe(retrain=False).load(kit).trainings == 0
        found = probe(retrain=False, arms=("finetuned", "rag")).measure(kit)
    assert RETRAINED not in found.values["shares"]
    assert any("retrain: false" in note for note in found.notes)


def test_what_was_found_stands_in_the_run_folder(scripted: SmallExperiment) -> None:
    with asked_kit(scripted) as kit:
        (found,) = run_probes(kit, [FreshnessProbe(kind="freshness")])
        assert kit.run is not None
        written = probe_from_dict(read(kit.run.path / "probes" / "freshness.json"))
    assert written == found
    assert found.status == "measured"
