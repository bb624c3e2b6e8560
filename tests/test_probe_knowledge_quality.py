"""The probe `knowledge_quality`: worse documents by hand, who says what then, and where retrieval falls under."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from conftest import HARBOURS, Json, SmallExperiment, documents, question
from probe_kits import asked_kit, bench_of

from ragft import jsonl
from ragft.config import KnowledgeQualityProbe
from ragft.evaluation.curves import METHOD
from ragft.evaluation.probing import Mark, ProbeResult
from ragft.probes import Kit
from ragft.probes.contradicting import contradictions, with_contradictions
from ragft.probes.falling import falls, percent
from ragft.probes.knowledge_quality import KnowledgeQuality
from ragft.probes.spoiling import distractors, gold_of, half_updated, misread, sentences_without, without_gold
from ragft.records import Document, Example, Interval, Score

ALDMOOR = Document("a", "Aldmoor", "The lighthouse of Aldmoor is green. It was built in 1911. Many otters live there.")
BRINBAY = Document("b", "Brinbay", "The lighthouse of Brinbay is red. It was built in 1923. Many herons live there.")
CORVEL = Document("c", "Corvel", "The lighthouse of Corvel is white. Only gulls rest on it.")
BASE = (ALDMOOR, BRINBAY, CORVEL)
BUILT_A = Example("a1", "When was Aldmoor built?", ("1911", "in 1911"), ("a",))
BUILT_B = Example("b1", "When was Brinbay built?", ("1923",), ("b",))
COLOUR_C = Example("c1", "Which colour has Corvel?", ("white",), ("c",))
NOWHERE = Example("n1", "Who owns Corvel?", (), (), answerable=False)
ASKED = (BUILT_A, BUILT_B, COLOUR_C, NOWHERE)


def probe(**settings: object) -> KnowledgeQuality:
    """Return the probe with these faults only."""
    none: Json = dict.fromkeys(("missing", "distractors", "contradictions", "noise", "stale"), ())
    return KnowledgeQuality(KnowledgeQualityProbe(kind="knowledge_quality", **{**none, **settings}))


def test_missing_documents_are_gold_and_nested() -> None:
    kept = [{d.id for d in without_gold(BASE, ASKED, share, 3)} for share in (0.0, 1 / 3, 2 / 3, 1.0)]
    assert [len(ids) for ids in kept] == [3, 2, 1, 0]
    assert kept[3] < kept[2] < kept[1] < kept[0]
    assert gold_of(BASE, (BUILT_B, BUILT_A, BUILT_B)) == ("b", "a")
    assert without_gold(BASE, (COLOUR_C,), 1.0, 3) == (ALDMOOR, BRINBAY)


def test_a_distractor_has_the_subject_and_not_the_answers() -> None:
    taught = Example("t", "Which colour has Aldmoor?", ("green",), ("a",))
    made = distractors(BASE, (BUILT_A,), (taught,), 2, 3)
    first, second = made.by_gold["a"]
    assert (first.id, first.title, second.id) == ("a-note-2", "Aldmoor, note 2", "a-note-3")
    assert first.text.startswith("Many otters live there.")
    for note in (first, second):
        assert sentences_without(note.text, ("green", "1911")) == sentences_without(note.text, ())
    assert made.left == {"a": 1}
    assert [d.id for d in made.beside(BASE)] == ["a", "a-note-2", "a-note-3", "b", "c"]
    assert distractors(BASE, (BUILT_A,), (taught,), 1, 3).by_gold["a"] == (first,)


def test_a_document_of_answers_alone_has_no_distractor() -> None:
    only = Document("o", "Only", "It is green. It was built in 1911.")
    asked = (Example("1", "?", ("green",), ("o",)), Example("2", "?", ("1911",), ("o",)))
    made = distractors((only, CORVEL), asked, (), 3, 3)
    assert (made.by_gold, made.left) == ({}, {"o": 0})


def test_an_answer_is_no_part_of_a_longer_word_or_number() -> None:
    assert sentences_without("It took 140 days. It took 14 days.", ("14",)) == ["It took 140 days."]
    price = Document("p", "P", "It costs 14.50 euros for 14 days.")
    fourteen, thirty = (Example(n, "How many days?", (n,), ("p",)) for n in ("14", "30"))
    (one,) = contradictions((price,), (fourteen,), (thirty,), 3)
    assert with_contradictions((price,), [one])[1].text == "It costs 14.50 euros for 30 days."


def test_a_contradiction_says_another_value_of_the_same_form() -> None:
    made = {one.document_id: one for one in contradictions(BASE, (BUILT_A, BUILT_B), ASKED, 3)}
    assert made["a"].said == "in 1911", "the longest reference that stands there"
    assert made["b"].instead == ("1911", "in 1911")
    version = with_contradictions(BASE, [made["b"]])[2]
    assert (version.id, version.title) == ("b-version-2", "Brinbay")
    assert version.text == BRINBAY.text.replace("1923", "1911")


def test_a_number_without_its_like_becomes_one_near_by() -> None:
    (one,) = contradictions((ALDMOOR,), (BUILT_A,), (BUILT_A,), 3)
    assert one.said == "in 1911"
    other = int(one.instead[0].removeprefix("in "))
    assert other != 1911
    assert 0.75 * 1911 <= other <= 1.25 * 1911
    assert one.instead == (f"in {other}", str(other))


def test_what_does_not_stand_in_the_document_cannot_be_contradicted() -> None:
    elsewhere = Example("x", "Which colour has Corvel?", ("ivory",), ("c",))
    assert contradictions(BASE, (elsewhere, NOWHERE), ASKED, 3) == ()


def test_several_contradictions_of_one_document_make_one_version() -> None:
    colour = Example("a2", "Which colour has Aldmoor?", ("green",), ("a",))
    made = contradictions(BASE, (BUILT_A, colour), (*ASKED, colour), 3)
    found = with_contradictions(BASE, made)
    assert [d.id for d in found] == ["a", "a-version-2", "b", "c"]
    assert "green" not in found[1].text
    assert "1911" not in found[1].text


def test_misread_letters_are_nested_and_counted() -> None:
    text = "seven hundred lanterns hang over the harbour of Aldmoor " * 40
    document = Document("d", "T", text)
    (little,), (more,) = misread([document], 0.05, 3), misread([document], 0.3, 3)
    letters = sum(character.isalnum() for character in text)
    same = sum(one == other for one, other in zip(text.split(), little.text.split(), strict=False))
    assert little.title == "T"
    assert little.text not in (text, more.text)
    assert same < len(text.split())
    assert misread([document], 0.0, 3) == (document,)
    (all_of_it,) = misread([Document("d", "T", "l" * 4000)], 0.1, 3)
    hit = 4000 - all_of_it.text.count("l")
    assert 0.06 * 4000 < hit < 0.11 * 4000, "about a tenth is hit, of which 70 % become another letter"
    assert letters > 0


def test_a_larger_share_misreads_the_same_letters_and_more() -> None:
    document = Document("d", "T", "x" * 500)  # x looks like nothing else: it is lost, doubled, or followed by a gap
    lengths = [misread([document], share, 5)[0].text for share in (0.1, 0.2)]
    assert lengths[0].count(" ") <= lengths[1].count(" ")
    assert lengths[0] != lengths[1]


def test_half_updated_documents_are_old_and_new_ones_are_absent() -> None:
    second = Document("a", "Aldmoor", "The lighthouse of Aldmoor is blue.")
    added = Document("z", "Zeal", "A new harbour.")
    updated = (second, BRINBAY, CORVEL, added)
    assert half_updated(BASE, updated, 0.0, 3) == updated
    assert half_updated(BASE, updated, 1.0, 3) == BASE
    half = half_updated(BASE, updated, 0.5, 3)
    assert (second in half) != (added in half)


def scored(arm: str, values: Sequence[float]) -> list[Score]:
    """Return the scores of an arm on examples e00, e01, ..."""
    return [Score(arm, f"e{n:02}", "token_f1", value) for n, value in enumerate(values)]


def test_the_place_where_retrieval_falls_under_by_hand(experiment: SmallExperiment) -> None:
    kit = Kit(bench_of(experiment))
    examples = kit.bench.splits.eval[:10]
    scores = {
        "rag": [scored("rag", [1.0] * 10), scored("rag", [0.0] * 10)],
        "raft_rag": [scored("raft_rag", [1.0] * 10), scored("raft_rag", [0.5] * 10)],
        "finetuned": [scored("finetuned", [0.25] * 10)] * 2,
        "base": [scored("base", [0.75] * 10)] * 2,
    }
    rag, raft = falls(kit, scores, ("rag", "raft_rag"), examples, (0.0, 1.0), percent)
    # From 1.0 at level 0 down to 0.0 at level 1, a straight line is at 0.25 at level 0.75.
    assert (rag.reference, rag.crossing.x, rag.crossing.share) == ("finetuned", 0.75, 1.0)
    assert rag.told("of the gold documents missing") == (
        "rag falls under finetuned at 75 % of the gold documents missing (95 % interval 75 % to 75 %)"
    )
    assert rag.mark == Mark(0.75, "rag under finetuned", Interval(0.75, 0.75, 0.95, METHOD))
    assert raft.crossing.x is None
    assert raft.mark is None
    assert raft.told("missing") == (
        "raft_rag does not fall under finetuned up to 100 % missing (it does in 0 % of resamples)"
    )
    assert [cell.value for cell in raft.row.cells] == ["finetuned", "never", "beyond 100 %", 0.0]
    low = {**scores, "rag": [scored("rag", [0.0] * 10)] * 2}
    (start,) = falls(kit, low, ("rag",), examples, (0.0, 1.0), percent)
    assert start.told("missing") == (
        "rag lies under finetuned from the start and up to 100 % missing (in the end in 100 % of resamples)"
    )
    assert falls(kit, {"rag": scores["rag"]}, ("rag",), examples, (0.0, 1.0), percent) == ()


def knowing(experiment: SmallExperiment) -> SmallExperiment:
    """Make the model a script: it says the year that a passage names, and otherwise that it does not know."""
    script = [
        *(
            {"contains": f"The lighthouse of {h[1]} is {h[2]}. It was built in {h[4]}", "answer": h[4]}
            for h in HARBOURS
        ),
        {"answer": "I don't know"},
    ]
    jsonl.write_rows(experiment.folder / "script.jsonl", script)
    experiment.config["model"] = {"kind": "scripted", "path": "script.jsonl"}
    experiment.config["adapters"] = {}
    experiment.config["data"].pop("dev")
    experiment.config["retrieval"] = {"top_k": 1, "kind": "bm25"}
    experiment.config["compare"] |= {
        "arms": {"base": {}, "rag": {"retrieval": "index"}},
        "contrasts": [["rag", "base"]],
        "primary_metric": "exact_match",
    }
    return experiment


def measured(kit: Kit, **settings: object) -> ProbeResult:
    return probe(**settings).measure(kit)


def test_the_curve_of_missing_documents_is_what_is_left(experiment: SmallExperiment) -> None:
    with asked_kit(knowing(experiment)) as kit:
        result = measured(kit, missing=(0.5, 1.0))
    (chart,) = result.charts
    curves = {curve.name: [point.value for point in curve.points] for curve in chart.curves}
    # Ten of twelve questions name a harbour: all of their documents, then five, then none. The two that no document
    # answers are right with "I don't know" where no passage is read that the script knows.
    assert [point.x for point in chart.curves[0].points] == [0.0, 0.5, 1.0]
    assert curves["base"] == pytest.approx([2 / 12] * 3)
    first, half, last = curves["rag"]
    assert first is not None
    assert half is not None
    assert first - half == pytest.approx(5 / 12)
    assert last == pytest.approx(2 / 12)
    read = {row.name: row.cells[0].value for row in result.tables[0].rows}
    assert list(read.values()) == [1.0, 0.5, 0.0]
    assert any("No arm is fine-tuned" in note for note in result.notes)
    assert result.values["missing"]["gold_documents_read"] == [1.0, 0.5, 0.0]


def test_how_often_the_contradicting_value_is_said(experiment: SmallExperiment) -> None:
    knowing(experiment)
    jsonl.write_rows(experiment.folder / "script.jsonl", [{"answer": "It was 1923."}])
    with asked_kit(experiment) as kit:
        result = measured(kit, contradictions=(1.0,))
        splits = kit.bench.splits
        known = (*splits.train, *splits.dev, *splits.eval)
        made = contradictions(kit.bench.documents, splits.eval, known, kit.bench.experiment.seed)
    assert len(made) == 10
    expected = sum("1923" in one.instead for one in made) / 10
    (said,) = [table for table in result.tables if table.key == "contradictions_said"]
    assert [row.name for row in said.rows] == ["(stands in the passages read)", "base", "rag"]
    assert [cell.value for row in said.rows[1:] for cell in row.cells] == [pytest.approx(expected)] * 4
    assert "Of 10 answerable examples 10 can be contradicted" in result.notes[0]


def test_distractors_say_how_hard_they_are(experiment: SmallExperiment) -> None:
    with asked_kit(knowing(experiment)) as kit:
        result = measured(kit, distractors=(1,))
    (table,) = [table for table in result.tables if table.key == "hardness"]
    (row,) = table.rows
    gold, near, other, nearer, above = row.cells
    assert row.name == "1"
    assert all(cell.n == 10 for cell in (gold, near, nearer, above))
    for cosine in (gold, near, other):
        assert isinstance(cosine.value, float)
        assert -1.0 <= cosine.value <= 1.0
    assert any(sentence.startswith("The distractors come as near") for sentence in result.findings)
    assert set(result.values["distractors"]) >= {"hardness", "levels", "means", "gold_documents_read"}


def with_update(experiment: SmallExperiment) -> SmallExperiment:
    """Give the experiment a second version of two documents, and the questions that tell."""
    second = [{**d, "text": d["text"].replace("19", "18")} for d in documents()[:2]]
    experiment.rows("documents-2", second)
    changed = [
        {**question(f"c{n}", f"When was {h[1]} built?", h[4].replace("19", "18"), h[0]), "old_references": [h[4]]}
        for n, h in enumerate(HARBOURS[:2])
    ]
    experiment.rows("changed", changed)
    experiment.config["data"]["update"] = {"documents": "documents-2.jsonl", "changed": "changed.jsonl"}
    return experiment


def test_every_fault_end_to_end(experiment: SmallExperiment) -> None:
    probe_of_all = KnowledgeQuality(KnowledgeQualityProbe(kind="knowledge_quality"))
    with asked_kit(with_update(experiment)) as kit:
        before = probe_of_all.load(kit)
        result = probe_of_all.measure(kit)
        after = probe_of_all.load(kit)
    assert [chart.key for chart in result.charts] == ["missing", "distractors", "contradictions", "noise", "stale"]
    assert result.arms == ("base", "few_shot", "rag", "finetuned", "raft_rag")
    for chart in result.charts:
        for curve in chart.curves:
            assert len(curve.points) == len(chart.curves[0].points)
            flat = len({point.value for point in curve.points}) == 1
            assert flat or curve.name in ("rag", "raft_rag"), "without passages nothing changes"
    keys = [table.key for table in result.tables]
    assert keys == ["retrieval", "falls", "hardness", "contradictions_said", "stale_said"]
    assert len(result.tables[1].rows) == 10, "two arms that retrieve, five faults"
    assert before.prompts == after.prompts == after.answered
    assert before.answered < before.prompts
    assert after.asking_s == 0
    assert (result.n_examples, result.n_available) == (12, 12)


def test_a_part_that_the_data_do_not_allow_is_left_out_with_a_note(experiment: SmallExperiment) -> None:
    with asked_kit(knowing(experiment), cap=4) as kit:
        result = measured(kit, missing=(1.0,), stale=(1.0,))
    assert [chart.key for chart in result.charts] == ["missing"]
    assert any("Add data.update" in note for note in result.notes)
    assert any("For want of time 4 of 12" in note for note in result.notes)


def test_without_a_fault_that_the_data_allow_it_is_refused(experiment: SmallExperiment) -> None:
    refusal = probe(stale=(1.0,)).refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert "no second version of any document is named" in refusal.reason
    assert refusal.hint == "name gold_document_ids in data.eval, or second versions in data.update"


def test_without_retrieval_it_is_refused(closed_book: SmallExperiment) -> None:
    refusal = probe(missing=(1.0,)).refusal(Kit(bench_of(closed_book)))
    assert refusal is not None
    assert refusal.hint == "add an arm with retrieval: index"
