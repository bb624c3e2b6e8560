"""Every task from its file to its report, on tiny models: what is asked, scored and shown."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import NO_LIMIT, Json, SmallExperiment, read

from ragft.jsonl import read_rows

TOWNS = [f"Town{letter}" for letter in "ABCDEFGHIJKLMN"]
ARMS = {"base": {}, "few_shot": {"shots": 2}, "rag": {"retrieval": "index"}}


def run_task(experiment: SmallExperiment, task: Any, rows: list[Json], **changes: Any) -> tuple[Json, SmallExperiment]:
    """Run `compare` with a task over examples of which the last four are trained on."""
    experiment.rows("eval", rows[:10])
    experiment.rows("train", rows[10:])
    config: Any = experiment.config
    config["task"] = task
    config["data"] = {"documents": "documents.jsonl", "train": "train.jsonl", "eval": "eval.jsonl"} | changes
    config["adapters"] = {}
    config["generation"] = {"max_new_tokens": 6, "batch_size": 4}
    config["compare"] = {"arms": ARMS, "resamples": 100, "latency_questions": 0, "limits": NO_LIMIT}
    return read(experiment.save().compare() / "metrics.json"), experiment


def metrics_of(rows: Json, arm: str) -> set[str]:
    return {row["metric"] for row in rows["metrics"] if row["arm"] == arm}


def test_summaries_of_documents_never_read_their_own_text_as_a_passage(experiment: SmallExperiment) -> None:
    texts = [f"{town} has a market. It opens at {n}. Sheep are sold there." for n, town in enumerate(TOWNS)]
    documents = [{"id": town, "title": "", "text": text} for town, text in zip(TOWNS, texts, strict=True)]
    experiment.rows("documents", documents)
    rows = [
        {"id": town, "input_document_id": town, "references": [f"A market in {town}."], "gold_document_ids": [town]}
        for town in TOWNS
    ]
    found, experiment = run_task(experiment, "summarization", rows)
    assert found["primary_metric"] == "rouge_l"
    assert {"rouge1", "rouge2", "chrf", "answer_words", "corpus_chrf"} <= metrics_of(found, "base")
    assert found["task"]["unaided"]["what"] == "the beginning of the input"
    # "TownA has a market." against "A market in TownA.": "a market" is common, two words of four and of four.
    assert found["task"]["unaided"]["mean"] == pytest.approx(0.5)
    run = experiment.latest_run()
    for _, row in read_rows(run / "answers" / "rag.jsonl"):
        assert len(row["passage_ids"]) == 2
        assert not [id_ for id_ in row["passage_ids"] if id_.startswith(f"{row['example_id']}#")]


def test_summaries_of_passages_are_asked_by_topic(experiment: SmallExperiment) -> None:
    documents = [{"id": town, "title": town, "text": f"{town} sells sheep at dawn."} for town in TOWNS]
    experiment.rows("documents", documents)
    rows = [
        {
            "id": town,
            "topic": f"sheep in {town}",
            "references": [f"Sheep at dawn in {town}."],
            "gold_document_ids": [town],
        }
        for town in TOWNS
    ]
    found, _ = run_task(experiment, {"kind": "summarization", "of": "passages"}, rows)
    assert {"rouge_l", "k_precision", "passage_support"} <= metrics_of(found, "rag")
    grounded = {row["arm"]: row["value"] for row in found["metrics"] if row["metric"] == "k_precision"}
    assert grounded["base"] is None  # it has no passages
    assert grounded["rag"] is not None


def test_translation_counts_the_terms_of_its_glossary(experiment: SmallExperiment) -> None:
    glossary = [{"id": town, "title": town, "text": f"English: {town}\nSpanish: Villa{town[-1]}"} for town in TOWNS]
    experiment.rows("documents", glossary)
    rows = [
        {
            "id": town,
            "input": f"{town} is far.",
            "references": [f"Villa{town[-1]} queda lejos."],
            "gold_document_ids": [town],
        }
        for town in TOWNS
    ]
    task = {"kind": "translation", "source": "English", "target": "Spanish", "term_pattern": "^Spanish: (.+)$"}
    found, experiment = run_task(experiment, task, rows)
    assert {"chrf", "bleu", "terms", "corpus_bleu", "corpus_chrf"} <= metrics_of(found, "base")
    assert found["task"]["unaided"]["what"] == "copying the input"
    examples = [row for _, row in read_rows(experiment.latest_run() / "examples.jsonl")]
    assert [row["terms"] for row in examples] == [[f"Villa{row['id'][-1]}"] for row in examples]
    assert found["signatures"]["corpus_chrf"].startswith("nrefs:1|")
    finding = next(item["message"] for item in found["data"]["findings"] if item["check"] == "unaided")
    assert finding.startswith("copying the input has chrf ")
    assert "worse: base" in finding  # random weights do not translate


def test_translation_reads_segments_that_were_translated_before(experiment: SmallExperiment) -> None:
    """A row of a translation memory is a document: its title is the source text, its text the translation."""
    memory = [{"english": f"{town} is near.", "spanish": f"Villa{town[-1]} queda cerca."} for town in TOWNS]
    experiment.rows("memory", [{"id": f"m{n}", **row} for n, row in enumerate(memory)])
    rows = [{"id": town, "input": f"{town} is far.", "references": [f"Villa{town[-1]} queda lejos."]} for town in TOWNS]
    task = {"kind": "translation", "source": "English", "target": "Spanish"}
    columns = {"document_title": "english", "document_text": "spanish"}
    experiment.config["retrieval"] = {"kind": "bm25", "top_k": 1}
    found, experiment = run_task(experiment, task, rows, documents="memory.jsonl", fields=columns)
    assert "chrf" in metrics_of(found, "rag")
    arms = {"memory": {"retrieval": "index", "prompt": ["translation-memory-1", "translation-memory-2"]}}
    experiment.config["compare"] |= {"arms": arms | {"base": {}}}
    found = read(experiment.save().compare() / "metrics.json")
    assert found["arms"]["memory"]["prompts"] == ["translation-memory-1", "translation-memory-2"]
    asked = experiment.run("rag-query", "TownB is far.", "--arm", "memory", "--show-prompt", "--answer-anyway")
    assert "Translated before:\n\n[1] TownB is near.: VillaB queda cerca." in asked.output


def test_labels_come_from_the_examples_and_may_be_answered_by_likelihood(experiment: SmallExperiment) -> None:
    rows = [
        {"id": town, "input": f"{town} sells.", "references": ["north" if n % 3 else "south"]}
        for n, town in enumerate(TOWNS)
    ]
    found, experiment = run_task(experiment, {"kind": "classification", "answer_by": "likelihood"}, rows)
    assert found["task"]["labels"] == ["north", "south"]
    for arm in ARMS:
        said = [row for _, row in read_rows(experiment.latest_run() / "answers" / f"{arm}.jsonl")]
        assert {row["text"] for row in said} <= {"north", "south"}
        assert all(row["finish_reason"] == "stop" and row["logprob"] < 0 for row in said)
        assert found["arms"][arm]["labels_said"]["n_unparsed"] == 0
    assert "macro_f1" in metrics_of(found, "base")
    assert found["task"]["unaided"]["what"] == "always saying north (6 of 10)"
    assert found["arms"]["base"]["selective"]["n"] == 10


def test_a_label_that_begins_another_is_no_choice_by_likelihood(experiment: SmallExperiment) -> None:
    """The shorter one would always win: no text is less likely than one that goes on from it."""
    rows = [
        {"id": town, "input": f"{town} sells.", "references": ["north" if n % 3 else "north-east"]}
        for n, town in enumerate(TOWNS)
    ]
    with pytest.raises(AssertionError, match="cannot choose between 'north' and 'north-east'"):
        run_task(experiment, {"kind": "classification", "answer_by": "likelihood"}, rows)
    assert not list(experiment.latest_run().glob("answers/*"))
    run_task(experiment, {"kind": "classification", "answer_by": "text"}, rows)


def test_a_conversation_is_searched_with_the_question_before(experiment: SmallExperiment) -> None:
    documents = [{"id": town, "title": town, "text": f"{town} sells sheep at dawn."} for town in TOWNS]
    experiment.rows("documents", documents)
    rows = [
        {
            "id": town,
            "messages": [
                {"role": "user", "content": f"Tell me of {town}."},
                {"role": "assistant", "content": "What do you want to know?"},
                {"role": "user", "content": "What is sold there?"},
                {"role": "assistant", "content": "Sheep."},
            ],
            "gold_document_ids": [town],
        }
        for town in TOWNS
    ]
    found, experiment = run_task(experiment, "chat", rows)
    run = experiment.latest_run()
    read_by = {row["example_id"]: row["passage_ids"] for _, row in read_rows(run / "answers" / "rag.jsonl")}
    assert len({tuple(ids) for ids in read_by.values()}) > 1  # the same last question, other passages
    examples = [row for _, row in read_rows(run / "examples.jsonl")]
    assert [turn["input"] for turn in examples[0]["history"]] == ["Tell me of TownA."]
    assert found["primary_metric"] == "rouge_l"


def test_a_custom_prompt_reads_columns_and_has_its_own_metrics(experiment: SmallExperiment) -> None:
    rows = [{"id": town, "input": f"{town} sells sheep.", "field": "goods", "references": ["sheep"]} for town in TOWNS]
    task = {
        "kind": "custom",
        "prompt": "{% for p in passages %}{{ p.text }}\n{% endfor %}Note: {{ input }} Which {{ field }}?",
        "metrics": ["contains", "chrf"],
    }
    found, experiment = run_task(experiment, task, rows)
    assert found["primary_metric"] == "contains"
    assert {"contains", "chrf"} <= metrics_of(found, "base")
    assert found["arms"]["base"]["prompt"].startswith("custom-")
    examples = [row for _, row in read_rows(experiment.latest_run() / "examples.jsonl")]
    assert examples[0]["columns"] == {"field": "goods"}
    experiment.rows("eval", [{key: value for key, value in row.items() if key != "field"} for row in rows[:10]])
    result = experiment.run("compare")
    assert result.exit_code == 1
    assert "eval.jsonl:1" in result.output
    assert "'field'" in result.output


def test_a_metric_of_passages_cannot_decide_where_an_arm_has_none(experiment: SmallExperiment) -> None:
    result = experiment.run("compare", "--set", "compare.primary_metric=k_precision")
    assert result.exit_code == 1
    assert "'k_precision' cannot be the primary metric: it is defined by the passages" in " ".join(
        result.output.split()
    )
