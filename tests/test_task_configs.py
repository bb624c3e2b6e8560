"""Checks of the configs under configs/tasks/ and of the data that they come with, read as plain JSON and CSV."""

import csv
import json
import math
import re
import shlex
from collections import Counter
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from ragft.config import ExamplesFile, Experiment, OpenAiModel, load_experiment

Row = dict[str, Any]

TASKS = Path(__file__).parent.parent / "configs" / "tasks"
QUICKSTART_DOCUMENTS = TASKS.parent / "quickstart" / "documents"
SIZES = {
    "summarization": (40, 8, 30),
    "topic-summaries": (24, 0, 22),
    "translation": (60, 10, 30),
    "fact-checking": (60, 0, 40),
    "labels": (80, 0, 40),
    "chat": (40, 10, 30),
    "custom": (40, 0, 30),
    "long-answers": (40, 0, 20),
}
WITH_GOLD = ("summarization", "topic-summaries", "translation", "fact-checking", "chat", "long-answers")
STANDARD = {"base", "few_shot", "rag", "finetuned", "finetuned_rag"}
ARMS = dict.fromkeys(WITH_GOLD, STANDARD | {"oracle"}) | {
    "summarization": STANDARD,
    "labels": {"base", "few_shot", "few_shot_similar", "finetuned"},
    "custom": {"base", "few_shot", "finetuned"},
    "hosted": {"base", "rag", "finetuned_rag", "hosted", "hosted_rag"},
}
NUMBERS = {
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "forty",
}


@cache
def read_rows(path: Path) -> list[Row]:
    """Return the rows of a JSON Lines or CSV file; a file that is not there has none."""
    if not path.exists():
        return []
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@cache
def split_of(name: str, split: str) -> list[Row]:
    """Return the examples of a split of a task."""
    return read_rows(TASKS / name / f"{split}.{'csv' if name == 'custom' else 'jsonl'}")


def all_rows(name: str) -> list[Row]:
    """Return the examples of all splits of a task."""
    return [row for split in ("train", "dev", "eval") for row in split_of(name, split)]


@cache
def documents_of(name: str) -> dict[str, Row]:
    """Return the documents that a task's gold ids point at, by id."""
    if name == "long-answers":
        return {path.stem: {"text": path.read_text(encoding="utf-8")} for path in QUICKSTART_DOCUMENTS.glob("*.md")}
    files = {"topic-summaries": "summarization/documents.jsonl", "translation": "translation/glossary.jsonl"}
    return {row["id"]: row for row in read_rows(TASKS / files.get(name, f"{name}/documents.jsonl"))}


def input_of(name: str, row: Row) -> str:
    """Return the text that is asked: of a conversation its last question, of an article its text."""
    if name == "summarization":
        return str(documents_of(name)[row["input_document_id"]]["text"])
    if name == "chat":
        return str(row["messages"][-2]["content"])
    column = {"topic-summaries": "topic", "translation": "input", "fact-checking": "claim", "labels": "message"}
    return str(row[column.get(name, "note" if name == "custom" else "question")])


def references_of(name: str, row: Row) -> list[str]:
    """Return the acceptable answers of an example."""
    if name == "chat":
        return [row["messages"][-1]["content"]]
    if name == "custom":
        return list(json.loads(row["value"])) if row["value"].startswith("[") else [row["value"]]
    return [row["label"]] if name == "labels" else list(row["references"])


def words(text: str) -> list[str]:
    """Return the words and numbers of a text in small letters, without punctuation."""
    return re.findall(r"\w+", text.lower())


def contains(text: str, term: str) -> bool:
    """Tell whether a term stands in a text as whole words, in any case."""
    return re.search(rf"(?<!\w){re.escape(term)}(?!\w)", text, re.I) is not None


def loaded(name: str, overrides: list[str] | None = None, environment: dict[str, str] | None = None) -> Experiment:
    """Return the experiment of a config."""
    return load_experiment(TASKS / f"{name}.yaml", overrides or (), environment or {}).experiment


def commands_of(name: str) -> list[list[str]]:
    """Return the commands that the comment at the head of a config shows, split as a shell would."""
    lines = (TASKS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    head = "\n".join(line[1:].strip() for line in lines[: next(n for n, line in enumerate(lines) if line[:1] != "#")])
    return [shlex.split(line) for line in head.replace("\\\n", " ").splitlines() if "ragft compare" in line]


def overrides_of(command: list[str]) -> list[str]:
    """Return what follows each `--set` of a command."""
    return [command[n + 1] for n, word in enumerate(command) if word == "--set"]


def example_paths(experiment: Experiment) -> list[Path]:
    """Return the files of train, dev and eval, as far as there are any."""
    data = experiment.data
    return [one.path for one in (data.train, data.dev, data.eval) if isinstance(one, ExamplesFile)]


def test_every_config_is_known_here() -> None:
    """A config without data checks would be shipped unread."""
    assert {path.stem for path in TASKS.glob("*.yaml")} == set(ARMS) == {*SIZES, "hosted"}


@pytest.mark.parametrize("name", sorted(ARMS))
def test_config_loads_with_its_arms_and_existing_files(name: str) -> None:
    experiment = loaded(name)
    assert experiment.name == name
    assert set(experiment.compare.arms) == ARMS[name]
    paths = [source.path for source in experiment.data.documents if source.kind == "files"]
    paths += example_paths(experiment)
    assert len(paths) >= 2
    assert [path for path in paths if not path.exists()] == []


@pytest.mark.parametrize("name", sorted(ARMS))
def test_commands_in_the_head_comment_are_valid(name: str) -> None:
    """What a reader copies must load: a key that was renamed would make the comment lie."""
    commands = commands_of(name)
    assert all(f"configs/tasks/{name}.yaml" in command for command in commands)
    overrides = [overrides_of(command) for command in commands]
    experiments = [loaded(name, one) for one in overrides]
    assert any(one.startswith("data.eval.path=path/to/eval.") for one in overrides[-1])
    assert example_paths(experiments[-1])[-1].parent == TASKS / "path" / "to"


def test_the_filter_of_summarization_is_taken_off_for_foreign_documents() -> None:
    """Documents without the field `kind` would all be filtered away, and rag would silently be base."""
    assert loaded("summarization").retrieval.filter == {"kind": "background"}
    assert loaded("summarization", overrides_of(commands_of("summarization")[-1])).retrieval.filter == {}


def test_hosted_takes_server_model_and_key_from_the_environment() -> None:
    given = {"RAGFT_ENDPOINT": "https://models.test/v1", "RAGFT_MODEL": "large", "RAGFT_API_KEY": "k-123456"}
    bare, set_ = (loaded("hosted", environment=one).models["hosted"] for one in ({}, given))
    assert isinstance(bare, OpenAiModel)
    assert isinstance(set_, OpenAiModel)
    assert (bare.endpoint, bare.source, bare.api_key) == ("http://localhost:8000/v1", "qwen2.5-7b-instruct", None)
    assert (set_.endpoint, set_.source, set_.api_key) == ("https://models.test/v1", "large", "k-123456")


def test_the_judge_of_hosted_loads_when_it_is_commented_in() -> None:
    """Commented lines are not checked by loading the file, so they rot first."""
    text = (TASKS / "hosted.yaml").read_text(encoding="utf-8")
    lines = [line.split("#", 1)[1].split("  #")[0].strip() for line in text.splitlines() if line.startswith("  #")]
    judge = dict(line.split(": ", 1) for line in lines[lines.index("judge:") + 1 :][:4])
    assert list(judge) == ["model", "asks", "human_labels", "min_kappa"]
    config = loaded("hosted", [f"compare.judge.{key}={value}" for key, value in judge.items()]).compare.judge
    assert config is not None
    assert (config.model, config.asks, config.min_kappa) == ("hosted", ("correctness", "faithfulness"), 0.6)


@pytest.mark.parametrize(("name", "sizes"), sorted(SIZES.items()))
def test_sizes_are_those_of_the_readme(name: str, sizes: tuple[int, int, int]) -> None:
    assert tuple(len(split_of(name, split)) for split in ("train", "dev", "eval")) == sizes
    train, dev, eval_ = sizes
    row = next(line for line in (TASKS / "README.md").read_text().splitlines() if line.startswith(f"| `{name}.yaml`"))
    assert row.endswith(f"| {train} / {dev or '-'} / {eval_} |")


@pytest.mark.parametrize("name", sorted(SIZES))
def test_ids_are_unique(name: str) -> None:
    ids = [row["id"] for row in all_rows(name)]
    assert len(ids) == len(set(ids))


def test_documents_have_an_id_and_a_text_of_their_own() -> None:
    """Reading by id, as the other tests do, would hide a document that another one of the same id replaces."""
    for path in (*TASKS.glob("*/documents.jsonl"), TASKS / "translation" / "glossary.jsonl"):
        rows = read_rows(path)
        assert len({row["id"] for row in rows}) == len({row["text"].strip() for row in rows} - {""}) == len(rows), path
    assert [len(documents_of(name)) for name in ("translation", "fact-checking", "chat")] == [40, 30, 25]


@pytest.mark.parametrize("name", WITH_GOLD)
def test_gold_ids_exist(name: str) -> None:
    known = set(documents_of(name))
    for row in all_rows(name):
        gold = row["gold_document_ids"]
        assert set(gold) <= known, row["id"]
        assert len(gold) == len(set(gold)), row["id"]
        assert gold or name == "translation" or not row.get("answerable", True), row["id"]


@pytest.mark.parametrize("name", sorted(SIZES))
def test_references_are_there_and_not_blank(name: str) -> None:
    for row in all_rows(name):
        references = references_of(name, row)
        assert all(text.strip() == text != "" for text in references), row["id"]
        assert bool(references) == row.get("answerable", True), row["id"]
        assert len(references) == len(set(references)), row["id"]


@pytest.mark.parametrize("name", sorted(SIZES))
def test_no_input_stands_twice_nor_an_eval_input_in_train(name: str) -> None:
    """Case and punctuation aside, for so does the check that makes leakage an error."""
    inputs = [" ".join(words(input_of(name, row))) for row in all_rows(name)]
    assert [text for text, count in Counter(inputs).items() if count > 1] == []


@pytest.mark.parametrize("name", sorted(set(SIZES) - {"summarization"}))
def test_eval_inputs_are_not_train_inputs_with_a_word_changed(name: str) -> None:
    """Seven tenths of the words in common is what the shipped check calls nearly the same."""
    taught = [set(words(input_of(name, row))) for split in ("train", "dev") for row in split_of(name, split)]
    for row in split_of(name, "eval"):
        asked = set(words(input_of(name, row)))
        assert max(len(asked & other) / len(asked | other) for other in taught) < 0.7, row["id"]


def test_articles_are_80_to_150_words_and_each_is_asked_once() -> None:
    documents = documents_of("summarization")
    assert Counter(row["kind"] for row in documents.values()) == {"article": 78, "background": 13}
    articles = {id_ for id_, row in documents.items() if row["kind"] == "article"}
    assert sorted(row["input_document_id"] for row in all_rows("summarization")) == sorted(articles)
    assert {id_: n for id_ in articles if not 80 <= (n := len(documents[id_]["text"].split())) <= 150} == {}
    for row in all_rows("summarization"):
        assert 1 <= len(row["references"]) <= 2, row["id"]
        assert [documents[id_]["kind"] for id_ in row["gold_document_ids"]] == ["background"], row["id"]


@pytest.mark.parametrize("name", ["summarization", "topic-summaries"])
def test_names_and_numbers_of_a_summary_stand_in_what_it_summarises(name: str) -> None:
    """A summary that needs knowledge from elsewhere rewards models for making things up."""
    documents = documents_of("summarization")
    for row in all_rows(name):
        ids = [row["input_document_id"]] if name == "summarization" else row["gold_document_ids"]
        known = set(words(" ".join(f"{documents[id_]['title']} {documents[id_]['text']}" for id_ in ids)))
        for summary in row["references"]:
            assert summary.endswith("."), row["id"]
            assert len(re.findall(r"[.!?](?=\s|$)", summary)) == 1, row["id"]
            named = {word.lower() for word in re.findall(r"(?<!^)\b[A-Z]\w+|^\w+(?= [A-Z])|\b\d+", summary)}
            counted = NUMBERS & set(words(summary))
            assert (named | counted) - known == set(), row["id"]


def test_a_summary_does_not_stand_in_its_article() -> None:
    """Copying a sentence would win."""
    documents = documents_of("summarization")
    for row in all_rows("summarization"):
        text = " ".join(words(documents[row["input_document_id"]]["text"]))
        assert not any(" ".join(words(summary)) in text for summary in row["references"]), row["id"]


def test_terms_of_the_glossary_stand_in_the_sentences_whose_gold_they_are() -> None:
    """The pattern of the config finds each term, and the term hit rate of a perfect translation is 1."""
    task = loaded("translation").task
    assert task.kind == "translation"
    assert task.term_pattern is not None
    for row in all_rows("translation"):
        for id_ in row["gold_document_ids"]:
            entry = documents_of("translation")[id_]
            found = re.findall(task.term_pattern, entry["text"])
            assert len(found) == 1, id_
            assert contains(row["references"][0], found[0]), (row["id"], found)
            assert contains(row["input"], entry["title"]), (row["id"], entry["title"])
            assert entry["text"] == f"English: {entry['title']}\nSpanish: {found[0]}"


def test_no_term_of_a_sentence_is_missing_from_its_gold() -> None:
    entries = {id_: row["text"].split("Spanish: ")[1] for id_, row in documents_of("translation").items()}
    for row in all_rows("translation"):
        used = {id_ for id_, term in entries.items() if contains(row["references"][0], term)}
        assert used == set(row["gold_document_ids"]), row["id"]
    for split in ("train", "eval"):
        gold = chain.from_iterable(row["gold_document_ids"] for row in split_of("translation", split))
        assert set(gold) == set(entries), split
    assert all(1 <= len(row["gold_document_ids"]) <= 3 for row in split_of("translation", "eval"))


def test_claims_are_balanced() -> None:
    """One label more often than the other would be worth more than reading the evidence."""
    for split, count in (("train", 30), ("eval", 20)):
        labels = Counter(row["references"][0] for row in split_of("fact-checking", split))
        assert labels == {"SUPPORTS": count, "REFUTES": count}
    pairs = Counter((row["gold_document_ids"][0], row["references"][0]) for row in split_of("fact-checking", "train"))
    assert set(pairs.values()) == {1}
    asked = {row["gold_document_ids"][0] for row in split_of("fact-checking", "eval")}
    assert asked == set(documents_of("fact-checking"))


def test_support_messages_are_balanced() -> None:
    for split, count in (("train", 20), ("eval", 10)):
        labels = Counter(row["label"] for row in split_of("labels", split))
        assert labels == dict.fromkeys(("billing", "technical", "account", "delivery"), count)
    task = loaded("labels").task
    assert task.kind == "classification"
    assert (task.labels, task.answer_by) == ((), "likelihood")


def test_conversations_take_turns_and_end_with_an_answer() -> None:
    for row in all_rows("chat"):
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2), row["id"]
        assert len(roles) in (4, 6), row["id"]
    assert {len(row["messages"]) for row in split_of("chat", "eval")} == {4, 6}


def found_by_words(query: str, texts: dict[str, set[str]]) -> str:
    """Return the id of the text that shares most of the query's words, a rare word counting for more."""
    rarity = {
        word: math.log(len(texts) / sum(word in text for text in texts.values())) for word in chain(*texts.values())
    }

    def score(id_: str) -> float:
        shared = set(words(query)) & texts[id_]
        return sum(rarity[word] for word in shared) / math.sqrt(len(texts[id_]))

    return max(sorted(texts), key=score)


def test_last_questions_of_conversations_lean_on_what_was_said_before() -> None:
    """Last questions that name their subject would find their section without the history, and show nothing of it."""
    texts = {id_: set(words(f"{row['title']} {row['text']}")) for id_, row in documents_of("chat").items()}
    alone, with_history = 0, 0
    for row in split_of("chat", "eval"):
        asked = [message["content"] for message in row["messages"] if message["role"] == "user"]
        alone += [found_by_words(asked[-1], texts)] == row["gold_document_ids"]
        with_history += [found_by_words(" ".join(asked), texts)] == row["gold_document_ids"]
    assert (alone, with_history) == (6, 18)


def test_numbers_of_a_conversation_s_last_answer_stand_in_the_manual() -> None:
    for row in all_rows("chat"):
        known = set(words(" ".join(documents_of("chat")[id_]["text"] for id_ in row["gold_document_ids"])))
        said = {word for word in words(references_of("chat", row)[0]) if word.isdigit() or word in NUMBERS}
        assert said <= known, row["id"]


def test_custom_values_stand_in_their_notes_and_fields_are_spread_evenly() -> None:
    for split in ("train", "eval"):
        rows = split_of("custom", split)
        assert set(Counter(row["field"] for row in rows).values()) == {len(rows) // 5}
        for row in rows:
            assert contains(row["note"], references_of("custom", row)[0]), row["id"]


def test_custom_prompt_names_only_columns_of_the_table() -> None:
    task = loaded("custom").task
    assert task.kind == "custom"
    assert set(re.findall(r"\{[{%] (?:if )?(\w+)", task.prompt)) - {"else", "endif"} == {"input", "field"}


def test_numbers_of_long_answers_stand_in_the_handbook() -> None:
    documents = documents_of("long-answers")
    for row in all_rows("long-answers"):
        known = " ".join(documents[id_]["text"] for id_ in row["gold_document_ids"])
        for answer in row["references"]:
            assert len(words(answer)) >= 7, row["id"]
            assert set(re.findall(r"\d+", answer)) <= set(re.findall(r"\d+", known)), row["id"]


def test_half_of_the_long_questions_ask_taught_facts_and_some_have_no_answer() -> None:
    taught = {row["fact_id"] for row in split_of("long-answers", "train")}
    asked = split_of("long-answers", "eval")
    assert sum(row["fact_id"] in taught for row in asked) == 10
    assert [sum(not row["answerable"] for row in split_of("long-answers", split)) for split in ("train", "eval")] == [
        3,
        2,
    ]
