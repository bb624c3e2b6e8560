"""The probe `phrasing`: memorised, paraphrased and reversed questions of the same facts."""

from __future__ import annotations

import pytest
from conftest import HARBOURS, Json, SmallExperiment, question
from probe_kits import asked_kit, bench_of

from ragft.config import PhrasingProbe
from ragft.evaluation.probing import ProbeResult
from ragft.probes import Kit
from ragft.probes.facts import by_fact, in_turns
from ragft.probes.phrasing import Phrasing
from ragft.records import Example, Score


def probe(**settings: object) -> Phrasing:
    return Phrasing(PhrasingProbe(kind="phrasing", **settings))  # type: ignore[arg-type]


def asked_as(variant: str, row: Json, fact: str | None) -> Json:
    return {**row, "variant": variant, "fact_id": fact}


def phrased(experiment: SmallExperiment) -> SmallExperiment:
    """Give the experiment three kinds of phrasing of four facts, and one unanswerable question."""
    four = HARBOURS[:4]
    train = [
        asked_as("train", question(f"t{n}", f"Which colour has {h[1]}?", h[2], h[0]), h[0])
        for n, h in enumerate(HARBOURS)
    ]
    paraphrases = [
        asked_as("paraphrase", question(f"p{n}", f"Say the colour of {h[1]}.", h[2], h[0]), h[0])
        for n, h in enumerate(four)
    ]
    backwards = [
        asked_as("reversed", question(f"r{n}", f"What is {h[2]}?", h[1], h[0]), h[0]) for n, h in enumerate(four)
    ]
    experiment.rows("train", train)
    experiment.rows("eval", [*paraphrases, *backwards, asked_as("none", question("n", "Who rules?", None, None), None)])
    return experiment


@pytest.fixture
def scripted(experiment: SmallExperiment) -> SmallExperiment:
    """Three kinds of phrasing, and a script that knows four facts as trained, two in other words, none backwards."""
    rows = [{"contains": f"Which colour has {h[1]}?", "answer": h[2]} for h in HARBOURS]
    rows += [{"contains": f"Say the colour of {h[1]}.", "answer": h[2]} for h in HARBOURS[:2]]
    phrased(experiment).rows("script", [*rows, {"answer": "I don't know"}])
    experiment.config["model"] = {"kind": "scripted", "path": "script.jsonl"}
    experiment.config["adapters"] = {}
    arms = {"base": {}, "oracle": {"retrieval": "oracle"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [], "latency_questions": 0, "min_examples": 2}
    return experiment


def measured(experiment: SmallExperiment, **settings: object) -> ProbeResult:
    with asked_kit(experiment) as kit:
        assert probe(**settings).refusal(kit) is None
        return probe(**settings).measure(kit)


def test_each_kind_of_phrasing_has_its_mean_and_the_same_facts_are_paired(scripted: SmallExperiment) -> None:
    found = measured(scripted)
    assert found.arms == ("base",)
    # All four as trained, two of four in other words, none backwards.
    assert found.values["means"]["base"] == {"memorised": 1.0, "paraphrase": 0.5, "reversed": 0.0}
    assert found.values["differences"]["base"] == pytest.approx(
        {"memorised - paraphrase": 0.5, "memorised - reversed": 1.0, "paraphrase - reversed": 0.5}
    )
    assert found.values["abstained"]["base"] == 1.0
    means, differences = found.tables
    assert [column.title for column in means.columns][-1] == "no answer: abstained"
    assert [one.n for one in means.rows[0].cells] == [4, 4, 4, 1]
    assert [one.value for one in differences.rows[0].cells][1::2] == [4, 4, 4]
    assert [point.label for point in found.charts[0].curves[0].points] == ["memorised", "paraphrase", "reversed"]
    assert found.findings[0] == "base: memorised 1.000, paraphrase 0.500, reversed 0.000."
    assert (found.n_examples, found.n_available) == (9 + 4, 9 + 4)


def test_training_questions_of_other_facts_are_not_asked(scripted: SmallExperiment) -> None:
    with asked_kit(scripted) as kit:
        load = probe(memorised=3).load(kit)
    assert (load.examples, load.prompts, load.answered) == (9 + 3, 12, 9)  # of ten facts in train, four are in eval


def test_without_facts_there_are_means_and_no_pairs(scripted: SmallExperiment) -> None:
    for name in ("train", "eval"):
        path = scripted.folder / f"{name}.jsonl"
        path.write_text(path.read_text(encoding="utf-8").replace('"fact_id"', '"other"'), encoding="utf-8")
    found = measured(scripted, memorised=6)
    assert found.values["means"]["base"]["memorised"] == 1.0
    assert [table.key for table in found.tables] == ["variants"]
    assert any("no paired differences" in note for note in found.notes)


def test_it_is_refused_without_variants(experiment: SmallExperiment) -> None:
    refusal = probe().refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert "kind of phrasing" in refusal.reason
    assert "`variant`" in refusal.hint


def test_one_kind_alone_is_refused(experiment: SmallExperiment) -> None:
    rows = [
        asked_as("plain", question(f"e{n}", f"When was {h[1]} built?", h[4], h[0]), None)
        for n, h in enumerate(HARBOURS)
    ]
    experiment.rows("eval", rows)
    for key in ("train", "dev"):
        experiment.config["data"].pop(key)
    experiment.config["adapters"] = {}
    experiment.config["compare"] |= {"arms": {"base": {}, "rag": {"retrieval": "index"}}, "contrasts": []}
    refusal = probe().refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert "same kind of phrasing, 'plain'" in refusal.reason


def test_only_what_every_adapter_was_trained_on_is_asked_again(experiment: SmallExperiment) -> None:
    phrased(experiment).config["adapters"]["closed_book"]["limit"] = 3
    from ragft.probes.phrasing import _Setting

    setting = _Setting(Kit(bench_of(experiment)), PhrasingProbe(kind="phrasing"))
    assert len(setting.taught) == 3
    assert {example.group for example in setting.memorised} <= {example.group for example in setting.taught}


def test_with_little_time_all_kinds_shrink_alike(scripted: SmallExperiment) -> None:
    with asked_kit(scripted) as kit:
        found = probe(memorised=9).measure(kit.capped(9))  # half of 9 + 9
    assert found.n_examples <= 9
    assert any("For want of time" in note for note in found.notes)


def test_scores_of_one_fact_are_averaged_by_seed() -> None:
    examples = {id_: Example(id_, "?", ("x",), group=group) for id_, group in [("a", "f"), ("b", "f"), ("c", None)]}
    scores = [
        Score("arm", id_, "m", value, seed=seed)
        for id_, seed, value in [("a", 1, 1.0), ("b", 1, 0.0), ("a", 2, 1.0), ("b", 2, None), ("c", 1, 1.0)]
    ]
    found = {(one.example_id, one.seed): one.value for one in by_fact(scores, examples)}
    assert found == {("f", 1): 0.5, ("f", 2): 1.0}


def test_lists_take_turns() -> None:
    assert in_turns([["a", "b", "c"], ["d"], ["b", "e"]]) == ["a", "d", "b", "e", "c"]


def test_adapters_are_told_first(experiment: SmallExperiment) -> None:
    found = measured(phrased(experiment))
    assert found.arms == ("base", "few_shot", "rag", "finetuned", "raft_rag")
    assert {found.findings[0].split(":")[0], found.findings[1].split(":")[0]} == {"finetuned", "raft_rag"}
    assert found.findings[-1].startswith("base: memorised")
