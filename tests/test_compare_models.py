"""Arms on other models: a server that misbehaves, a script, several prompt templates, and what the run says of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Json, SmallExperiment, eval_rows, news, read
from openai_server import ChatServer, breaks_off, chat_server, completion, event, hangs, says, send, streams

from ragft.jsonl import read_rows

COLOURS = {row["question"]: (row["references"] or ["I don't know"])[0] for row in eval_rows()}


def knows(handler: Any, request: Json) -> None:
    """Answer with the right colour, and with what that took."""
    usage = {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43}
    send(handler, 200, completion(COLOURS[question_of(request)]) | {"usage": usage})


def question_of(request: Json) -> str:
    """Return what was asked, without the passages before it."""
    return str(request["messages"][-1]["content"].rpartition("Question: ")[2])


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(knows) as found:
        yield found


@pytest.fixture
def hosted(experiment: SmallExperiment, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> SmallExperiment:
    """The small experiment with a local arm and two on the server."""
    monkeypatch.setenv("KEY", "secret-key-1")
    prices = {"million_prompt_tokens": 10.0, "million_output_tokens": 100.0}
    model = {
        "kind": "openai",
        "endpoint": server.address,
        "source": "big",
        "api_key": "${KEY}",
        "retries": 1,
        "timeout_s": 2,
    }
    experiment.config["models"] = {"hosted": {**model, "prices": prices}}
    arms = {"base": {}, "hosted": {"model": "hosted"}, "hosted_rag": {"model": "hosted", "retrieval": "index"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [["hosted", "base"]], "latency_questions": 0}
    experiment.config["adapters"] = {}
    return experiment.save()


def answers(experiment: SmallExperiment, arm: str) -> list[Json]:
    return [row for _, row in read_rows(experiment.latest_run() / "answers" / f"{arm}.jsonl")]


def test_a_hosted_model_is_an_arm_beside_a_local_one(hosted: SmallExperiment, server: ChatServer) -> None:
    run = hosted.compare()
    rows = read(run / "metrics.json")
    means = {(row["arm"], row["metric"]): row["value"] for row in rows["metrics"]}
    assert (means["hosted", "token_f1"], means["hosted_rag", "token_f1"]) == (1.0, 1.0)
    assert read(run / "verdict.json")["arm"] == "hosted"
    arm, base = rows["arms"]["hosted"], rows["arms"]["base"]
    assert (arm["model"], arm["in_process"], arm["leaves_machine"], arm["memory_gb"]) == ("hosted", False, False, None)
    assert (arm["prompt_tokens_mean"], arm["output_tokens_mean"]) == (40.0, 3.0)  # what the server counted
    # 40 prompt tokens at 10 and 3 output tokens at 100 a million: 0.0007 a question; the local arm has no price.
    assert arm["cost"]["running_per_1000"] == pytest.approx(0.7)
    assert base["cost"] is None
    assert len(server.requests) == 24
    assert {request["model"] for request in server.requests} == {"big"}
    system, user = server.requests[0]["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    written = [path.read_bytes() for path in hosted.folder.rglob("*") if path.is_file()]
    assert not [text for text in written if b"secret-key-1" in text]
    assert all(headers["Authorization"] == "Bearer secret-key-1" for headers in server.headers)


def test_what_a_server_refuses_is_counted_and_asked_again_by_the_next_run(
    hosted: SmallExperiment, server: ChatServer
) -> None:
    """429, 500, half a response, nonsense and nothing, twice each: those answers fail, and no other."""
    slow = says("slow down", 429, **{"Retry-After": "0"})
    faults = itertools.cycle([slow, says("oops", 500), breaks_off, says("hm"), hangs(server)])

    def flaky(handler: Any, request: Json) -> None:
        (next(faults) if "Aldmoor" in question_of(request) else knows)(handler, request)

    server.usual = flaky
    first = hosted.run("compare", "--set", "compare.limits.failed_share=0.5")
    assert first.exit_code == 0, first.output
    rows = read(hosted.latest_run() / "metrics.json")["arms"]["hosted"]
    failed = [row for row in answers(hosted, "hosted") if row["finish_reason"] == "error"]
    assert failed
    assert all(row["text"] == "" and row["error"] for row in failed)
    assert rows["failed_share"] == pytest.approx(len(failed) / 12)
    assert sum(rows["errors"].values()) == len(failed)
    assert "could not be scored on token_f1" in (hosted.latest_run() / "report.md").read_text()
    before = len(server.requests)
    server.usual = knows
    assert hosted.run("compare").exit_code == 0
    again = server.asked[before:]
    assert len(again) == len(failed) * 2  # the arm with passages failed on the same questions
    assert all("Aldmoor" in question for question in again)
    assert not [row for row in answers(hosted, "hosted") if row["error"]]


def test_a_wrong_key_ends_the_command_at_once_and_is_not_repeated(hosted: SmallExperiment, server: ChatServer) -> None:
    server.usual = says({"error": {"message": "Incorrect API key provided: secret-key-1"}}, 401)
    result = hosted.run("compare")
    assert result.exit_code == 1
    assert "secret-key-1" not in result.output
    assert "api_key" in news(result.stderr)
    assert len(server.requests) < 12  # those that were under way together, and not one more arm


def test_too_many_failures_leave_an_arm_out(hosted: SmallExperiment, server: ChatServer) -> None:
    def flaky(handler: Any, request: Json) -> None:
        (says("no", 500) if "Aldmoor" in question_of(request) else knows)(handler, request)

    server.usual = flaky
    hosted.run("compare")
    verdict = read(hosted.latest_run() / "verdict.json")
    assert "hosted" in dict(verdict["not_comparable"])


def test_an_experiment_may_have_no_local_model_at_all(hosted: SmallExperiment, server: ChatServer) -> None:
    """Its standard arms need no training, and no model is loaded, not even a tokenizer."""
    hosted.config["model"] = hosted.config.pop("models")["hosted"]
    del hosted.config["adapters"]
    del hosted.config["compare"]["arms"]
    hosted.config["compare"]["contrasts"] = []
    run = hosted.save().compare()
    arms = read(run / "metrics.json")["arms"]
    assert list(arms) == ["base", "few_shot", "rag", "oracle", "random_context"]
    assert not any(arm["in_process"] for arm in arms.values())
    result = hosted.run("finetune")
    assert result.exit_code == 1
    assert "defines no adapters" in result.output


def test_a_hosted_arm_answers_questions_word_by_word(hosted: SmallExperiment, server: ChatServer) -> None:
    server.usual = streams(
        [event("The answer "), event("is gre"), event("en."), event(finish="stop"), b"data: [DONE]\n\n"]
    )
    result = hosted.run("rag-query", "Which colour has the harbour?", "--arm", "hosted_rag", "--answer-anyway")
    assert result.exit_code == 0, result.output
    assert result.stdout == "green.\n"
    assert server.requests[-1]["stream"] is True
    assert "[1]" in server.asked[-1]


def test_a_script_stands_for_a_model(closed_book: SmallExperiment) -> None:
    script = [{"contains": question, "answer": colour} for question, colour in COLOURS.items()]
    lines = "\n".join(json.dumps(row) for row in [*script, {"answer": "I don't know"}])
    (closed_book.folder / "script.jsonl").write_text(lines, encoding="utf-8")
    closed_book.config["models"] = {"oracle": {"kind": "scripted", "path": "script.jsonl"}}
    arms = {"base": {}, "scripted": {"model": "oracle"}}
    closed_book.config["compare"] |= {"arms": arms, "contrasts": [["scripted", "base"]], "latency_questions": 0}
    run = closed_book.save().compare("compare.metrics=[gold_loglik]")
    rows = read(run / "metrics.json")
    values = {(row["arm"], row["metric"]): row for row in rows["metrics"]}
    assert values["scripted", "exact_match"]["value"] == 1.0
    assert values["base", "gold_loglik"]["value"] < 0
    assert values["scripted", "gold_loglik"]["value"] is None  # a server does not tell, and says so
    reasons = {row["reason"] for _, row in read_rows(run / "scores.jsonl") if row["metric"] == "gold_loglik"}
    assert any(reason and "does not tell how likely" in reason for reason in reasons)


def test_an_arm_with_several_prompts_is_their_average_and_shows_the_spread(closed_book: SmallExperiment) -> None:
    arms = {"base": {}, "two": {"prompt": ["qa-short-1", "qa-short-2"]}}
    closed_book.config["compare"] |= {"arms": arms, "contrasts": [["two", "base"]], "latency_questions": 0}
    run = closed_book.save().compare()
    rows = read(run / "metrics.json")
    two = next(row for row in rows["metrics"] if (row["arm"], row["metric"]) == ("two", "token_f1"))
    by_prompt = dict(two["prompt_means"])
    assert list(by_prompt) == ["qa-short-1", "qa-short-2"]
    assert two["value"] == pytest.approx(sum(by_prompt.values()) / 2)
    assert two["n"] == 12
    said = answers(closed_book, "two")
    assert [row["prompt"] for row in said] == ["qa-short-1"] * 12 + ["qa-short-2"] * 12
    base = {row["example_id"]: row["text"] for row in answers(closed_book, "base")}
    assert {row["example_id"]: row["text"] for row in said[:12]} == base  # the same prompt is the same question
    assert set(read(run / "manifest.json")["prompts"]) == {"qa-short-1", "qa-short-2"}


def test_examples_may_be_shown_by_similarity(experiment: SmallExperiment) -> None:
    arms = {"seed": {"shots": 2}, "similar": {"shots": 2, "shots_by": "similarity"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [], "latency_questions": 0}
    experiment.config["adapters"] = {}
    run = experiment.save().compare()
    rows = read(run / "metrics.json")["arms"]
    assert (rows["seed"]["shots_by"], rows["similar"]["shots_by"]) == ("seed", "similarity")
    assert rows["similar"]["prompt_tokens_mean"] != rows["seed"]["prompt_tokens_mean"]


def judged(closed_book: SmallExperiment) -> SmallExperiment:
    """Give the experiment an arm that knows, and a judge who says that every answer about a colour is right."""
    script = [{"contains": question, "answer": colour} for question, colour in COLOURS.items()]
    verdicts = [{"contains": "colour", "answer": "It fits.\nVERDICT: yes"}, {"answer": "Not so.\nVERDICT: no"}]
    for name, rows in (("knows", script), ("judge", verdicts)):
        closed_book.rows(name, rows)
    models = {name: {"kind": "scripted", "path": f"{name}.jsonl"} for name in ("knows", "judge")}
    closed_book.config["models"] = models
    judge = {"model": "judge", "preferences": [["knows", "base"]]}
    arms = {"base": {}, "knows": {"model": "knows"}}
    closed_book.config["compare"] |= {
        "arms": arms,
        "contrasts": [["knows", "base"]],
        "latency_questions": 0,
        "judge": judge,
        "primary_metric": "judge_correctness",
    }
    return closed_book.save()


def test_a_judge_decides_unless_people_disagree_with_it(closed_book: SmallExperiment) -> None:
    run = judged(closed_book).compare()
    rows = read(run / "metrics.json")
    assert rows["primary_metric"] == "judge_correctness"
    findings = [item["message"] for item in rows["data"]["findings"] if item["check"] == "judge"]
    assert any("nobody" in message or "no human labels" in message for message in findings), findings
    assert rows["judge"]["asked"] > 0
    labels = [
        {
            "arm": row["arm"],
            "example_id": row["example_id"],
            "question": "correctness",
            "label": row["value"] == 0.0,
        }
        for _, row in read_rows(run / "judgements.jsonl")
        if row["value"] is not None
    ]
    closed_book.rows("people", labels)
    closed_book.config["compare"]["judge"]["human_labels"] = "people.jsonl"
    again = read(closed_book.save().compare() / "metrics.json")
    assert again["judge"]["asked"] == 0  # every verdict was kept
    assert again["primary_metric"] == "token_f1"
    report = (closed_book.latest_run() / "report.md").read_text()
    assert "Judge: " in report
    assert str(closed_book.folder / "people.jsonl") in read(closed_book.latest_run() / "manifest.json")["inputs"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            "compare.arms={a: {}, b: {model: nobody}}",
            "compare.arms.b.model: there is no model 'nobody' (models: hosted)",
        ),
        (
            "compare.arms={a: {}, b: {model: hosted, adapter: x}}",
            "compare.arms.b.adapter: an adapter belongs to the experiment's own model, in this process; name no other",
        ),
        ("compare.arms={a: {}, b: {prompt: [qa-short-1, qa-short-1]}}", "a prompt template is named twice"),
        ("compare.judge={model: nobody}", "compare.judge.model: there is no model 'nobody' (models: hosted)"),
    ],
)
def test_a_model_that_is_not_there(hosted: SmallExperiment, change: str, fault: str) -> None:
    result = hosted.run("validate", "--set", change, "--set", "compare.contrasts=[]", "--set", "adapters={x: {}}")
    assert result.exit_code == 1
    assert fault in " ".join(result.output.split())
