"""Checks of the quick-start and smoke data sets under configs/."""

import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

Example = dict[str, Any]

CONFIGS = Path(__file__).parent.parent / "configs"
QUICKSTART = CONFIGS / "quickstart"
SMOKE = CONFIGS / "smoke"
QUICKSTART_SPLITS = ("train", "dev", "eval", "changed", "unchanged")
SMOKE_SPLITS = ("train", "dev", "eval")
FIELDS = {"id", "question", "references", "gold_document_ids", "fact_id", "variant", "answerable"}
EVAL_VARIANTS = {"paraphrase", "unseen_fact", "reversed", "unanswerable"}
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def read_jsonl(path: Path) -> list[Example]:
    """Read one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_documents(folder: Path) -> dict[str, str]:
    """Read the Markdown documents of a folder by slug."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}


def normalise(text: str) -> str:
    """Lower-case, strip punctuation and collapse spaces."""
    return " ".join(re.sub(r"[^\w\s]", "", text.lower()).split())


def jaccard(left: str, right: str) -> float:
    """Return the token overlap of two questions."""
    a, b = set(normalise(left).split()), set(normalise(right).split())
    return len(a & b) / len(a | b)


def body_words(text: str) -> int:
    """Count the words below the title line."""
    return len(text.split("\n", 1)[1].split())


def contains(text: str, answer: str) -> bool:
    """Tell whether an answer stands in a text as whole words, case-insensitively."""
    return re.search(rf"(?<!\w){re.escape(answer.lower())}(?!\w)", text.lower()) is not None


def fact_ids(examples: list[Example]) -> set[str]:
    """Return the fact ids of the answerable examples."""
    return {example["fact_id"] for example in examples if example["answerable"]}


def of_variant(examples: list[Example], variant: str) -> list[Example]:
    """Return the examples of one variant."""
    return [example for example in examples if example["variant"] == variant]


def questions(splits: dict[str, list[Example]]) -> list[str]:
    """Return all normalised questions of a data set."""
    return [normalise(example["question"]) for example in chain(*splits.values())]


V1 = read_documents(QUICKSTART / "documents")
V2 = read_documents(QUICKSTART / "documents-v2")
SMOKE_ROWS = read_jsonl(SMOKE / "documents.jsonl")
SMOKE_DOCS = {row["id"]: row["text"] for row in SMOKE_ROWS}
QUICK = {name: read_jsonl(QUICKSTART / f"{name}.jsonl") for name in QUICKSTART_SPLITS}
SMALL = {name: read_jsonl(SMOKE / f"{name}.jsonl") for name in SMOKE_SPLITS}
both_sets = pytest.mark.parametrize(
    ("splits", "documents"), [(QUICK, V1), (SMALL, SMOKE_DOCS)], ids=["quickstart", "smoke"]
)


def test_document_count_and_slugs() -> None:
    """There are at least 64 documents with clean slugs and unique titles."""
    assert len(V1) >= 64
    assert all(SLUG.fullmatch(slug) for slug in V1)
    titles = [text.split("\n", 1)[0] for text in V1.values()]
    assert all(title.startswith("# ") for title in titles)
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("documents", [V1, V2], ids=["v1", "v2"])
def test_document_lengths(documents: dict[str, str]) -> None:
    """Every body has 80 to 250 words."""
    lengths = {slug: body_words(text) for slug, text in documents.items()}
    assert {slug: n for slug, n in lengths.items() if not 80 <= n <= 250} == {}


def test_document_length_mix() -> None:
    """Most documents are short, and about ten are long."""
    lengths = [body_words(text) for text in V1.values()]
    assert sum(85 <= n <= 130 for n in lengths) > len(lengths) / 2
    assert 8 <= sum(150 <= n <= 230 for n in lengths) <= 14


def test_no_tables() -> None:
    """No document has a Markdown table."""
    assert not [slug for slug, text in (V1 | V2).items() if re.search(r"^\s*\|", text, re.MULTILINE)]


def test_second_version() -> None:
    """Version 2 replaces at least 14 documents, keeps their titles and changes their text."""
    assert len(V2) >= 14
    assert set(V2) <= set(V1)
    assert all(V2[slug] != V1[slug] for slug in V2)
    assert all(V2[slug].split("\n", 1)[0] == V1[slug].split("\n", 1)[0] for slug in V2)


def test_quickstart_counts() -> None:
    """The splits have the promised sizes."""
    assert 260 <= len(QUICK["train"]) <= 280
    assert len(QUICK["dev"]) == 40
    assert len(QUICK["eval"]) == 100
    assert len(QUICK["changed"]) >= 24
    assert len(QUICK["unchanged"]) >= 12


@pytest.mark.parametrize(
    ("split", "low", "high"),
    [("train", 26, 30), ("dev", 6, 6), ("eval", 15, 15), ("changed", 0, 0), ("unchanged", 0, 0)],
)
def test_quickstart_unanswerable_counts(split: str, low: int, high: int) -> None:
    """Each split has the promised number of unanswerable questions."""
    assert low <= sum(not example["answerable"] for example in QUICK[split]) <= high


def test_quickstart_variants() -> None:
    """The variants of each split are as defined and in the promised proportions."""
    assert {example["variant"] for example in QUICK["train"]} == {"train", "unanswerable"}
    assert {example["variant"] for example in QUICK["dev"]} <= EVAL_VARIANTS
    assert {example["variant"] for example in QUICK["eval"]} == EVAL_VARIANTS
    assert {example["variant"] for example in QUICK["changed"]} == {"changed"}
    assert {example["variant"] for example in QUICK["unchanged"]} == {"unchanged"}
    counts = {variant: len(of_variant(QUICK["eval"], variant)) for variant in EVAL_VARIANTS}
    assert 50 <= counts["paraphrase"] <= 60
    assert 17 <= counts["unseen_fact"] <= 23
    assert 8 <= counts["reversed"] <= 12


def test_trained_facts() -> None:
    """Training asks 110 to 120 facts, most of them in two phrasings."""
    asked = [example["fact_id"] for example in QUICK["train"] if example["answerable"]]
    twice = [fact for fact in set(asked) if asked.count(fact) == 2]
    assert 110 <= len(set(asked)) <= 120
    assert len(twice) > 0.8 * len(set(asked))
    assert all(asked.count(fact) <= 2 for fact in asked)


def test_eval_spread() -> None:
    """The answerable eval questions cover at least 50 documents."""
    assert len({slug for example in QUICK["eval"] for slug in example["gold_document_ids"]}) >= 50


def test_smoke_documents() -> None:
    """The smoke set has 12 documents of 40 to 80 words."""
    assert len(SMOKE_ROWS) == len(SMOKE_DOCS) == 12
    assert all(set(row) == {"id", "title", "text"} and row["title"] for row in SMOKE_ROWS)
    assert all(SLUG.fullmatch(slug) for slug in SMOKE_DOCS)
    assert all(40 <= len(text.split()) <= 80 for text in SMOKE_DOCS.values())


@pytest.mark.parametrize(("split", "total", "unanswerable"), [("train", 24, 3), ("dev", 6, 1), ("eval", 12, 2)])
def test_smoke_counts(split: str, total: int, unanswerable: int) -> None:
    """The smoke splits have the promised sizes."""
    assert len(SMALL[split]) == total
    assert sum(not example["answerable"] for example in SMALL[split]) == unanswerable


def test_ids_are_unique() -> None:
    """No example id is used twice in the two sets."""
    ids = [example["id"] for example in chain(*QUICK.values(), *SMALL.values())]
    assert len(set(ids)) == len(ids)


@both_sets
def test_fields(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """Every example has the fields of the format, and gold ids name documents."""
    for name, examples in splits.items():
        expected = FIELDS | {"old_references"} if name == "changed" else FIELDS
        assert all(set(example) == expected for example in examples)
        assert all(example["question"].strip() and example["fact_id"] for example in examples)
        assert all(set(example["gold_document_ids"]) <= set(documents) for example in examples)


@both_sets
def test_answerable_shape(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """Answerable examples have gold documents and short answers; the others have neither."""
    for example in chain(*splits.values()):
        assert bool(example["gold_document_ids"]) is example["answerable"]
        assert bool(example["references"]) is example["answerable"]
        assert (example["variant"] != "unanswerable") is example["answerable"]
        assert example["fact_id"].startswith("none-") is not example["answerable"]
        answers = example["references"] + example.get("old_references", [])
        assert all(1 <= len(answer.split()) <= 6 for answer in answers)
        assert not {"yes", "no"} & {normalise(answer) for answer in answers}


@both_sets
def test_first_reference_in_gold_documents(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """The first reference stands in each gold document of version 1."""
    for example in chain(*(examples for name, examples in splits.items() if name != "changed")):
        for slug in example["gold_document_ids"]:
            assert contains(documents[slug], example["references"][0]), example["id"]


def test_changed_examples() -> None:
    """New answers stand in version 2, old answers in version 1, and they differ."""
    for example in QUICK["changed"]:
        for slug in example["gold_document_ids"]:
            assert contains(V2[slug], example["references"][0]), example["id"]
            assert contains(V1[slug], example["old_references"][0]), example["id"]
            assert not contains(V2[slug], example["old_references"][0]), example["id"]
        new, old = (set(map(normalise, example[key])) for key in ("references", "old_references"))
        assert not new & old, example["id"]


def test_changed_facts_were_trained() -> None:
    """At least 14 changed facts are trained, with the old answer, and each version 2 document is asked about."""
    trained = {example["fact_id"]: example["references"][0] for example in QUICK["train"] if example["answerable"]}
    known = [example for example in QUICK["changed"] if example["fact_id"] in trained]
    assert len({example["fact_id"] for example in known}) >= 14
    assert all(trained[example["fact_id"]] == example["old_references"][0] for example in known)
    assert {slug for example in QUICK["changed"] for slug in example["gold_document_ids"]} == set(V2)


def test_unchanged_examples() -> None:
    """The answer stands in both versions, and the fact is not one of the changed ones."""
    for example in QUICK["unchanged"]:
        for slug in example["gold_document_ids"]:
            assert contains(V2[slug], example["references"][0]), example["id"]
    assert not fact_ids(QUICK["unchanged"]) & fact_ids(QUICK["changed"])


@both_sets
def test_no_question_is_repeated(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """No question occurs twice in a data set after normalisation."""
    asked = questions(splits)
    assert sorted(q for q in set(asked) if asked.count(q) > 1) == []


@both_sets
def test_eval_differs_from_train(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """No eval question shares four fifths of its words with a train question."""
    close = [
        (example["question"], trained["question"])
        for example in splits["eval"]
        for trained in splits["train"]
        if jaccard(example["question"], trained["question"]) >= 0.8
    ]
    assert close == []


@both_sets
def test_fact_relations(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """Paraphrased and reversed facts are trained, unseen facts and unanswerable subjects are not."""
    trained = fact_ids(splits["train"])
    held_out = splits["dev"] + splits["eval"]
    assert fact_ids(of_variant(held_out, "paraphrase")) <= trained
    assert fact_ids(of_variant(held_out, "reversed")) <= trained
    assert not fact_ids(of_variant(held_out, "unseen_fact")) & trained
    unanswerable = [e["fact_id"] for e in chain(*splits.values()) if not e["answerable"]]
    assert len(set(unanswerable)) == len(unanswerable)


@both_sets
def test_reversed_asks_the_other_side(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """A reversed question names the trained answer, and a straight question never gives its own answer away."""
    trained = {e["fact_id"]: e["references"] for e in splits["train"] if e["answerable"]}
    for example in (e for e in chain(*splits.values()) if e["answerable"]):
        if example["variant"] == "reversed":
            assert any(contains(example["question"], answer) for answer in trained[example["fact_id"]])
        assert not contains(example["question"], example["references"][0]), example["id"]


@both_sets
def test_every_document_has_a_trained_fact(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """Training asks something of every document."""
    assert {slug for example in splits["train"] for slug in example["gold_document_ids"]} == set(documents)


@both_sets
def test_one_answer_per_fact(splits: dict[str, list[Example]], documents: dict[str, str]) -> None:
    """A fact has the same first reference and gold documents wherever it is asked forwards."""
    answers: dict[str, set[tuple[str, ...]]] = {}
    for example in chain(splits["train"], splits["dev"], splits["eval"], splits.get("unchanged", [])):
        if example["answerable"] and example["variant"] != "reversed":
            answer = (normalise(example["references"][0]), *sorted(example["gold_document_ids"]))
            answers.setdefault(example["fact_id"], set()).add(answer)
    assert {fact: found for fact, found in answers.items() if len(found) > 1} == {}
