"""The probe `explainability`, with a script that cites well, badly and not at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from conftest import SmallExperiment
from probe_kits import asked_kit

from ragft.config import ExplainabilityProbe
from ragft.evaluation.probing import ProbeResult, Table, probe_from_dict
from ragft.jsonl import plain
from ragft.probes import Kit
from ragft.probes.explainability import Explainability

SAID = {
    "Aldmoor": "1911 [1]",  # right, cites the gold passage
    "Brinbay": "1923",  # right, cites nothing
    "Corvel": "1777 [1]",  # wrong, cites the gold passage, in which that number does not stand
    "Dunwick": "1945 [2]",  # right, cites a passage that is not there
}


@pytest.fixture
def citing(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment with a script that answers four questions over gold passages, one to a question."""
    rows = [{"contains": f"When was {name} built?", "answer": said} for name, said in SAID.items()]
    experiment.rows("script", [*rows, {"answer": "I don't know"}])
    experiment.config["model"] = {"kind": "scripted", "path": "script.jsonl"}
    experiment.config["adapters"] = {}
    experiment.config["retrieval"] = {"top_k": 1, "kind": "bm25"}
    arms = {"base": {}, "rag": {"retrieval": "index"}, "oracle": {"retrieval": "oracle"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [["rag", "base"]], "latency_questions": 0}
    return experiment.save()


def measured(kit: Kit, **settings: Any) -> ProbeResult:
    return Explainability(ExplainabilityProbe(kind="explainability", **settings)).measure(kit)


def cells(found: ProbeResult, key: str, arm: str) -> dict[str, float | str | None]:
    (one,) = [one for one in found.tables if one.key == key]
    assert isinstance(one, Table)
    (row,) = [row for row in one.rows if row.name == arm]
    return {column.title: item.value for column, item in zip(one.columns, row.cells, strict=True)}


def test_citations_and_support_by_hand(citing: SmallExperiment) -> None:
    with asked_kit(citing) as kit:
        found = measured(kit)
    assert found.arms == ("rag", "oracle")
    # Four answers say something. Three cite: two the gold passage, one a number that is not there.
    assert cells(found, "citations", "oracle") == {
        "answers that cite": pytest.approx(3 / 4),
        "citation precision": pytest.approx(2 / 3),
        "citation recall": pytest.approx(2 / 4),
        "wasted, per answer": 0.0,
        "invented, per answer": pytest.approx(1 / 4),
    }
    assert cells(found, "support", "oracle") == {
        "answers with a supporting span": pytest.approx(3 / 4),
        "of the right ones": 1.0,
        "of the wrong ones": 0.0,
        "words of the answer in the passages": pytest.approx(3 / 4),
        "answers that say something": 4.0,
    }
    told = "0.750 of the answers of oracle have a supporting span"
    assert any(sentence.startswith(told) for sentence in found.findings)
    assert any("1.000 of the 3 that score above 0 and 0.000 of the 1 others" in sentence for sentence in found.findings)
    assert any(sentence.startswith("oracle cites in 0.750") for sentence in found.findings)
    assert probe_from_dict(json.loads(json.dumps(plain(asdict(found))))) == found


def test_the_spans_themselves(citing: SmallExperiment) -> None:
    with asked_kit(citing) as kit:
        found = measured(kit, arms=("oracle",), excerpts=2)
        all_of_them = measured(kit, arms=("oracle",), excerpts=9)
        none = measured(kit, excerpts=0)
    right, wrong = found.excerpts  # one of each
    assert (right.score, wrong.score) == (1.0, 0.0) or (right.score or 0) > 0 == wrong.score
    (passage,) = right.passages
    ((start, end),) = passage.spans
    assert passage.text[start:end] in right.answer
    assert wrong.question == "When was Corvel built?"
    assert wrong.passages[0].spans == ()
    assert wrong.passages[0].cited
    assert len(all_of_them.excerpts) == 4  # those that abstain have nothing to show
    assert none.excerpts == ()
    assert not [note for note in none.notes if "could be shown" in note]


def test_an_arm_that_never_cites_has_no_precision_and_that_is_said(citing: SmallExperiment) -> None:
    rows = [{"contains": f"When was {name} built?", "answer": said.split()[0]} for name, said in SAID.items()]
    citing.rows("script", [*rows, {"answer": "I don't know"}])
    with asked_kit(citing) as kit:
        found = measured(kit)
    assert cells(found, "citations", "oracle")["citation precision"] is None
    told = "rag and oracle never cite a passage: their citation precision is undefined, and recall is 0."
    assert found.findings[-1] == told


def test_an_arm_that_only_abstains_has_nothing_to_support(citing: SmallExperiment) -> None:
    citing.rows("script", [{"answer": "I don't know"}])
    with asked_kit(citing) as kit:
        found = measured(kit)
    assert found.findings == ()
    assert found.excerpts == ()
    assert cells(found, "support", "rag")["answers with a supporting span"] is None
    assert any(note.startswith("rag says nothing but") for note in found.notes)


def test_only_the_examples_that_are_asked_for_are_looked_at(citing: SmallExperiment) -> None:
    with asked_kit(citing) as kit:
        found = measured(kit, examples=5)
        assert (found.n_examples, found.n_available) == (5, 12)
        kept = {example.id for example in kit.examples(ExplainabilityProbe(kind="explainability", examples=5))}
        assert {excerpt.example_id for excerpt in found.excerpts} <= kept
        assert Explainability(ExplainabilityProbe(kind="explainability")).load(kit).seconds == 0


def test_arms_without_passages_are_refused(citing: SmallExperiment) -> None:
    citing.config["compare"] |= {"arms": {"base": {}, "few_shot": {"shots": 1}}, "contrasts": []}
    with asked_kit(citing) as kit:
        refusal = Explainability(ExplainabilityProbe(kind="explainability")).refusal(kit)
    assert refusal is not None
    assert refusal.hint == "add an arm with retrieval: index"
