"""The checks on real data: as many near-duplicates as counting every pair finds, in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragft.data.checks import CheckScope, DataCheck, examine
from ragft.data.checks.inputs import normalised
from ragft.data.checks.near import by_minhash, grams, jaccard
from ragft.data.examples import Splits
from ragft.records import Document, Example
from ragft.tasks.qa import Qa

DATA = Path(__file__).parents[2] / "shared" / "data"

pytestmark = [pytest.mark.data, pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there")]


def rows(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def examples(name: str, field: str) -> tuple[Example, ...]:
    return tuple(
        Example(str(row["id"]), str(row[field]), tuple(row["answers"]), tuple(row["gold_doc_ids"]))  # type: ignore[arg-type]
        for row in rows(name)
    )


def found(folder: str, field: str, scope: CheckScope) -> dict[str, DataCheck]:
    documents = [Document(str(r["id"]), str(r["title"]), str(r["text"])) for r in rows(f"{folder}/documents.jsonl")]
    splits = Splits(examples(f"{folder}/train.jsonl", field), (), examples(f"{folder}/eval.jsonl", field))
    return {check.name: check for check in examine(documents, splits, scope)}


def test_natural_questions_have_eight_near_duplicates_two_of_them_with_their_answer() -> None:
    checks = found("qa-nq", "question", CheckScope(supports=Qa().supports))
    assert (checks["leak_exact"].found, checks["leakage"].found) == (0, 0)
    near = checks["leak_near"]
    assert (near.looked_at, near.found, near.severity) == (1023, 8, "note")
    assert "2 of them with the same answer" in near.message
    lacking = checks["gold_lacks_answer"]
    assert (lacking.looked_at, lacking.found, lacking.severity) == (1023, 0, "note")
    assert "of train and dev it is 2 of 4500" in lacking.message


def test_every_natural_question_that_counting_finds_is_found() -> None:
    asked, taught = (
        [normalised(example.input) for example in examples(f"qa-nq/{split}.jsonl", "question")[:500]]
        for split in ("eval", "train")
    )
    taught_grams = [grams(text) for text in taught]
    best = [max(jaccard(grams(text), other) for other in taught_grams) for text in asked]
    near = by_minhash(0.6)(asked, taught)
    assert {one.text: one.likeness for one in near} == {n: value for n, value in enumerate(best) if value >= 0.6}


def test_claims_do_not_leak_and_are_balanced() -> None:
    checks = found("fact-fm2", "claim", CheckScope(labels=("SUPPORTS", "REFUTES")))
    assert {checks[name].found for name in ("leak_exact", "leakage", "leak_near", "labels_unknown")} == {0}
    assert "SUPPORTS would be right in 51% (SUPPORTS 596, REFUTES 573)" in checks["label_balance"].message
