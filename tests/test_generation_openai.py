"""Answers from an OpenAI-compatible server, a real one on this machine that is slow, broken, rude or gone on demand."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai_server import (
    ChatServer,
    Json,
    Step,
    breaks_off,
    chat_server,
    completion,
    drips,
    echoes_key,
    event,
    hangs,
    says,
    send,
    shouts,
    streams,
)
from pydantic import ValidationError

from ragft.config.models import OpenAiModel
from ragft.endpoints import LONGEST_PAUSE_S, Pace, pause_before
from ragft.errors import RagftError
from ragft.generation.generator import Generation, Journal, ask
from ragft.generation.openai import OpenAiGenerator

KEY = "sk-very-secret-key"
BUSY = says({"error": {"message": "slow down"}}, 429, Retry_After="7")
BROKEN = says({"error": "no"}, 500)
HTML = says("<html>Welcome to the portal</html>")
NO_CHOICES = says({"object": "chat.completion", "id": "x"})


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def model(server: ChatServer, **changes: Any) -> OpenAiModel:
    given = {"kind": "openai", "endpoint": server.address, "source": "chat-model", "api_key": KEY, **changes}
    return OpenAiModel.model_validate(given)


def generator(server: ChatServer, pauses: list[float] | None = None, **changes: Any) -> OpenAiGenerator:
    return OpenAiGenerator(model(server, **changes), 16, sleep=(pauses if pauses is not None else []).append)


def prompt(text: str, system: str = "") -> str:
    messages = [{"role": "system", "content": system}] if system else []
    return json.dumps([*messages, {"role": "user", "content": text}], ensure_ascii=False)


def one(server: ChatServer, **changes: Any) -> Generation:
    """Return the answer to one prompt of a fresh generator that never waits between attempts."""
    return generator(server, **changes).generate([prompt("who?")])[0]


# ------------------------------------------------------------------------------------------------------ what is asked


def test_a_request_carries_messages_model_and_limits_and_the_answer_is_the_servers(server: ChatServer) -> None:
    answer = generator(server).generate([prompt("who is ünï?", "Be brief.")])[0]
    assert server.requests == [
        {
            "path": "/v1/chat/completions",
            "model": "chat-model",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "who is ünï?"}],
            "temperature": 0,
            "max_tokens": 16,
        }
    ]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert (answer.text, answer.prompt_tokens, answer.output_tokens) == ("WHO IS ÜNÏ?", 7, 3)
    assert (answer.finish_reason, answer.logprob, answer.error) == ("stop", None, None)
    assert 0 < answer.seconds < 5


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"temperature": 0.5, "seed": 3}, {"temperature": 0.5, "max_tokens": 9, "seed": 3}),
        ({"temperature": None}, {"max_tokens": 9}),
        ({"max_completion_tokens": 400}, {"temperature": 0, "max_completion_tokens": 400}),
    ],
)
def test_parameters_go_before_ours_and_a_null_leaves_one_out(
    server: ChatServer, parameters: Json, expected: Any
) -> None:
    asking = generator(server, parameters=parameters)
    asking.cap(9)
    asking.generate([prompt("who?")])
    sent = {key: value for key, value in server.requests[0].items() if key not in ("path", "model", "messages")}
    assert sent == expected


def test_parameters_cannot_change_who_is_asked_what(server: ChatServer) -> None:
    """Answers are kept under the prompt and the model: another prompt under the same name would be a wrong answer."""
    for key in ("model", "messages", "stream", "n", "logprobs"):
        with pytest.raises(ValidationError, match=f"'{key}' cannot stand among the parameters"):
            model(server, parameters={key: 1})


def test_an_address_may_hold_a_query_and_a_password_which_stand_in_no_text(
    server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    host = server.address.removeprefix("http://")
    asking = generator(server, endpoint=f"http://me:pass-word@{host}/?api-version=3", api_key=None)
    with caplog.at_level(logging.INFO):
        asking.generate([prompt("who?")])
    assert server.requests[0]["path"] == "/v1/chat/completions?api-version=3"
    assert server.headers[0]["Authorization"] == "Basic bWU6cGFzcy13b3Jk"
    assert "pass-word" not in f"{asking.identity} {caplog.text}"


def test_the_identity_is_what_an_answer_depends_on(server: ChatServer) -> None:
    first = generator(server).identity
    assert generator(server, api_key="other", concurrency=1, timeout_s=3.0).identity == first
    for changes in ({"source": "b"}, {"parameters": {"seed": 1}}, {"logprobs": True}, {"endpoint": "http://b/v1"}):
        assert generator(server, **changes).identity != first


@pytest.mark.parametrize("endpoint", ["localhost:8000/v1", "ftp://host/v1", "http://", "http://host:port/v1"])
def test_an_endpoint_that_is_no_address_is_told_before_anything_is_asked(server: ChatServer, endpoint: str) -> None:
    with pytest.raises(RagftError, match="the endpoint"):
        generator(server, endpoint=endpoint)


# --------------------------------------------------------------------------------------------------- what is answered


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (completion(" Green. \n"), Generation("Green.", 7, 1, 0, "stop")),
        (completion("a b c", "length"), Generation("a b c", 7, 3, 0, "length")),
        (completion(None, "length"), Generation("", 7, 0, 0, "length")),  # all tokens went into thinking
        (completion("bad", "content_filter"), Generation("", 1, 0, 0, "error", error="content_filter")),
        ({"choices": [{"message": {"content": None, "refusal": "I will not."}, "finish_reason": "stop"}]},
         Generation("I will not.", 1, 3, 0, "stop")),  # 4 bytes asked, 11 said: a token for each 4 of them
        ({"choices": [{"message": {"content": "ja"}}], "usage": {"prompt_tokens": "7", "completion_tokens": None}},
         Generation("ja", 1, 1, 0, "stop")),
        (completion("\ud83d\ude00 \ud800"), Generation("\U0001f600 \ufffd", 7, 2, 0, "stop")),
    ],
)  # fmt: skip
def test_an_answer_is_read_as_it_is_meant(server: ChatServer, answer: Json, expected: Generation) -> None:
    server.script = [says(answer)]
    found = one(server)
    assert Generation(**{**{name: getattr(found, name) for name in found.__slots__}, "seconds": 0}) == expected


def logprobs(*rows: tuple[str, float]) -> Json:
    return {"logprobs": {"content": [{"token": token, "logprob": value} for token, value in rows]}}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (logprobs(("a", -0.5), (" b", -1.5)), -1.0),
        (logprobs(("a", -0.5), (" b", -1.5), ("<end>", -40.0)), -1.0),  # vLLM counts the end of the turn
        (logprobs(("a", -0.5), (" b", float("nan"))), None),
        ({"logprobs": None}, None),
        ({}, None),
    ],
)
def test_the_mean_log_probability_is_of_the_tokens_of_the_text(server: ChatServer, more: Json, expected: Any) -> None:
    server.script = [says(completion("a b", "stop", **more))]
    assert one(server, logprobs=True).logprob == expected
    assert server.requests[0]["logprobs"] is True


@pytest.mark.parametrize("step", [BUSY, BROKEN, says("", 503), breaks_off, HTML, NO_CHOICES])
def test_what_may_pass_is_asked_again(server: ChatServer, step: Step) -> None:
    server.script = [step, step]
    pauses: list[float] = []
    assert generator(server, pauses).generate([prompt("who?")])[0].text == "WHO?"
    assert len(server.requests) == 3
    if step is BUSY:
        assert pauses == [7.0, 7.0]  # the server says how long
    else:
        assert 0.5 <= pauses[0] <= 0.625
        assert 1.0 <= pauses[1] <= 1.25


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (BUSY, 'HTTP 429: {"error": {"message": "slow down"}} (3 attempts)'),
        (BROKEN, 'HTTP 500: {"error": "no"} (3 attempts)'),
        (breaks_off, "the answer broke off: peer closed connection without sending complete message body"),
        (HTML, "the response is no answer, it is not valid JSON: <html>Welcome to the portal</html> (3 attempts)"),
        (NO_CHOICES, "the response is no answer, it has no choices: "),
        (says([1]), "the response is no answer, it is not a JSON object: [1]"),
        (says({"choices": ["x"]}), "the response is no answer, its first choice has no message"),
        (says("[" * 100_000), "the response is no answer, it is not valid JSON"),
        (says({"choices": [{"message": {"content": 5}}]}), "the response is no answer, its content is not a text"),
    ],
)
def test_a_prompt_that_never_gets_an_answer_is_reported_and_the_others_go_on(
    server: ChatServer, step: Step, problem: str
) -> None:
    def unless_bad(handler: BaseHTTPRequestHandler, request: Json) -> None:
        (step if request["messages"][-1]["content"] == "bad" else shouts)(handler, request)

    server.usual = unless_bad
    bad, good = generator(server, retries=2).generate([prompt("bad"), prompt("good")])
    assert (good.text, good.finish_reason) == ("GOOD", "stop")
    assert (bad.text, bad.finish_reason, bad.output_tokens, bad.logprob) == ("", "error", 0, None)
    assert bad.error is not None
    assert bad.error.startswith(problem)
    assert server.asked.count("bad") == 3


@pytest.mark.parametrize("where", ["nothing", "headers", "body", "body without a length"])
def test_a_server_that_hangs_or_drips_is_not_waited_for(server: ChatServer, where: str) -> None:
    """A time-out between two bytes, as HTTP clients have it, would wait for a byte a minute for ever."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    server.usual = {
        "nothing": hangs(server),
        "headers": drips(server, b"HTTP/1.1 200 OK\r\nX-Slow: "),
        "body": drips(server, head + b"Content-Length: 100000\r\n\r\n"),
        "body without a length": drips(server, head + b"\r\n" + json.dumps(completion("whole?")).encode()),
    }[where]
    started = time.perf_counter()
    answer = one(server, timeout_s=0.2, retries=1)
    assert answer.error == "no answer within 0.2 s (2 attempts)"
    assert 0.4 <= time.perf_counter() - started < 3
    server.usual = shouts
    assert one(server).text == "WHO?"


def test_a_server_that_is_not_there_is_reported(server: ChatServer) -> None:
    pauses: list[float] = []
    gone = generator(server, pauses, endpoint="http://127.0.0.1:9/v1", retries=2)
    answer = gone.generate([prompt("who?")])[0]
    assert answer.error is not None
    assert answer.error.startswith("cannot be reached: ")
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "api_key"), (403, "api_key"), (404, "http://localhost:8000/v1"), (400, "parameters")]
)
def test_a_refusal_ends_the_command_at_once_and_never_with_the_key(
    server: ChatServer, caplog: pytest.LogCaptureFixture, status: int, hint: str
) -> None:
    """Servers repeat a wrong key in what they say about it, and a wrong key must not be sent a thousand times."""
    server.usual = echoes_key(status)
    asking = generator(server, concurrency=2)
    with caplog.at_level(logging.DEBUG), pytest.raises(RagftError) as caught:
        asking.generate([prompt(f"{n}") for n in range(200)])
    assert caught.value.message.startswith(f"{server.address}/chat/completions: HTTP {status}: ")
    assert "provided: Bearer ***" in caught.value.message
    assert hint in (caught.value.hint or "")
    assert len(server.requests) < 10
    shown = f"{caught.value} {caught.value.hint} {caught.value.__cause__!r} {asking!r} {asking.identity} {caplog.text}"
    assert KEY not in f"{shown} {model(server)!r}"


def test_a_key_from_a_file_with_a_line_break_is_sent_and_one_that_no_header_carries_is_refused(
    server: ChatServer,
) -> None:
    """The HTTP library would say `Illegal header value`, with the key in it."""
    one(server, api_key=f"{KEY}\n")
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    for key in ("sk-new\nline", "sk-ключ"):
        with pytest.raises(RagftError, match="a character that cannot be sent") as caught:
            one(server, api_key=key)
        assert key not in f"{caught.value} {caught.value.hint}"


def test_an_account_without_credit_ends_the_command(server: ChatServer) -> None:
    """OpenAI says so with a 429, and no pause ends it: a thousand prompts would each be asked six times."""
    server.usual = says({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, 429)
    with pytest.raises(RagftError, match="exceeded your quota"):
        one(server)
    assert len(server.requests) == 1


def test_a_filter_that_refuses_one_prompt_does_not_end_the_command(server: ChatServer) -> None:
    """Azure's says so with a 400, which is about this prompt alone."""
    server.script = [says({"error": {"message": "filtered", "code": "content_filter"}}, 400)]
    assert one(server).error == "content_filter"


def test_many_prompts_in_a_row_without_an_answer_end_the_command(server: ChatServer) -> None:
    server.script = [shouts, shouts]
    server.usual = BROKEN
    answers = generator(server, concurrency=1, retries=0).answers([prompt(f"{n}") for n in range(50)])
    with pytest.raises(RagftError, match=r"5 prompts in a row got no answer; the last: HTTP 500") as caught:
        for _ in answers:
            pass
    assert len(server.requests) <= 2 + 5 + 1
    assert "run the command again" in (caught.value.hint or "")


def test_failures_with_answers_between_them_do_not_end_it(server: ChatServer) -> None:
    server.script = [BROKEN, BROKEN, BROKEN, BROKEN, shouts] * 4
    found = generator(server, concurrency=1, retries=0).generate([prompt(f"{n}") for n in range(20)])
    assert [answer.finish_reason for answer in found] == ["error", "error", "error", "error", "stop"] * 4


# ---------------------------------------------------------------------------------------------- at once, and how often


def test_requests_go_at_once_but_no_more_than_allowed(server: ChatServer) -> None:
    together = threading.Barrier(3)  # three requests wait for each other: fewer at once would never be answered

    def waits(handler: BaseHTTPRequestHandler, request: Json) -> None:
        together.wait(timeout=30)
        shouts(handler, request)

    server.usual = waits
    found = generator(server, concurrency=3).generate([prompt(f"a{n}") for n in range(12)])
    assert [answer.text for answer in found] == [f"A{n}" for n in range(12)]
    assert server.most_at_once == 3


def test_answers_come_as_they_are_ready(server: ChatServer) -> None:
    """A slow first answer must not keep those behind it from being remembered."""
    last = threading.Event()

    def first_waits(handler: BaseHTTPRequestHandler, request: Json) -> None:
        if request["messages"][-1]["content"] == "0":
            last.wait(30)
        shouts(handler, request)

    server.usual = first_waits
    places = []
    for place, _ in generator(server, concurrency=2).answers([prompt(f"{n}") for n in range(4)]):
        places.append(place)
        if len(places) == 3:
            last.set()
    assert sorted(places[:3]) == [1, 2, 3]
    assert places[3] == 0


class Clock:
    """A clock that only goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_no_minute_holds_more_requests_than_allowed_retries_included(server: ChatServer) -> None:
    clock, begun = Clock(), list[float]()

    def notes(handler: BaseHTTPRequestHandler, request: Json) -> None:
        begun.append(clock.now)
        (BROKEN if len(begun) == 2 else shouts)(handler, request)

    server.usual = notes
    config = model(server, requests_per_minute=30.0, concurrency=1)
    asking = OpenAiGenerator(config, 16, sleep=clock.sleep, clock=clock)
    asking.generate([prompt("a"), prompt("b"), prompt("c")])
    assert begun == pytest.approx([100, 102, 104, 106])  # 0.5 s of back-off are over before the turn comes


def test_no_minute_holds_more_tokens_than_allowed(server: ChatServer) -> None:
    clock, begun = Clock(), list[float]()

    def notes(handler: BaseHTTPRequestHandler, request: Json) -> None:
        begun.append(clock.now)
        shouts(handler, request)

    server.usual = notes
    config = model(server, tokens_per_minute=600.0, concurrency=1)
    asking = OpenAiGenerator(config, 16, sleep=clock.sleep, clock=clock)
    prompts = [prompt("a"), prompt("and a longer one of several words " * 20), prompt("c")]
    asking.generate(prompts)
    first, second, _ = (asking.count_tokens(one) + 16 for one in prompts)
    assert begun == pytest.approx([100, 100 + first / 10, 100 + first / 10 + second / 10])
    assert second > 5 * first


def test_turns_are_dealt_out_to_threads_without_a_gap_or_a_double() -> None:
    pauses: list[float] = []
    pace = Pace(120.0, pauses.append, clock=lambda: 5.0)  # the clock stands: each waits for its own turn
    threads = [threading.Thread(target=pace.wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(pauses) == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
    Pace(None, pauses.append).wait()
    assert len(pauses) == 7


def test_pauses_grow_up_to_a_minute() -> None:
    for attempt, least in ((2, 0.5), (3, 1.0), (6, 8.0)):
        assert least <= pause_before(attempt, None) <= 1.25 * least
    assert pause_before(50, None) == LONGEST_PAUSE_S == pause_before(2, "86400")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text("abcé🙂 ", min_size=1, max_size=6), max_size=12), concurrency=st.integers(1, 5))
def test_every_answer_comes_back_at_its_prompt(server: ChatServer, texts: list[str], concurrency: int) -> None:
    asking = generator(server, concurrency=concurrency)
    assert [answer.text for answer in asking.generate([prompt(text) for text in texts])] == [
        text.upper().strip() for text in texts
    ]
    asking.close()


# ------------------------------------------------------------------------------------------------ a run, and the next


def test_the_next_command_asks_only_what_got_no_answer(server: ChatServer, tmp_path: Path) -> None:
    path, done = tmp_path / "answers.jsonl", list[int]()
    prompts = [prompt(text) for text in ("a", "b", "c", "d", "a")]
    server.script = [shouts, breaks_off, shouts, HTML]
    first = ask(generator(server, concurrency=1, retries=0), prompts, Journal(path), batch_size=2, on_batch=done.append)
    assert [answer.text for answer in first] == ["A", "", "C", "", "A"]
    assert [answer.finish_reason for answer in first] == ["stop", "error", "stop", "error", "stop"]
    assert done == [1, 1, 1, 1]
    assert KEY not in path.read_text()
    server.requests.clear()
    done.clear()
    again = ask(generator(server, concurrency=1), prompts, Journal(path), batch_size=2, on_batch=done.append)
    assert [answer.text for answer in again] == ["A", "B", "C", "D", "A"]
    assert server.asked == ["b", "d"]
    assert done == [2, 1, 1]


def test_an_interrupted_command_keeps_every_answer_that_came(server: ChatServer, tmp_path: Path) -> None:
    path, done = tmp_path / "answers.jsonl", list[int]()
    server.script = [shouts, shouts]
    server.usual = hangs(server)

    def press_ctrl_c(count: int) -> None:
        done.append(count)
        if len(done) == 2:
            raise KeyboardInterrupt

    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        ask(
            generator(server, concurrency=2),
            [prompt(f"{n}") for n in range(9)],
            Journal(path),
            batch_size=4,
            on_batch=press_ctrl_c,
        )
    assert time.perf_counter() - started < 5  # the requests under way are ended, not waited for
    assert len(server.requests) <= 4
    kept = Journal(path)
    assert sum(kept.get(prompt(f"{n}")) is not None for n in range(9)) == 2


# --------------------------------------------------------------------------------------------------------- one by one


def told(asking: OpenAiGenerator) -> tuple[Generation, list[str]]:
    texts: list[str] = []
    return asking.stream(prompt("who?"), texts.append), texts


def test_a_stream_is_told_word_by_word_wherever_it_is_cut(server: ChatServer) -> None:
    """Cut inside a character of three bytes; U+2028 is no end of a line, though Python splits texts there."""
    raw = event("") + event("Grü") + event("n i") + event("st 緑\u2028o") + event("k") + event(finish="stop")
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}\n\ndata: [DONE]\n\n'
    place = raw.index("緑".encode())
    whole = b": a comment\n\n" + raw.replace(b"\n", b"\r\n") + usage
    for cuts in ([place + 1], [place + 2], [1, 2, 30, place], list(range(0, len(whole), 7)), list(range(len(whole)))):
        edges = [0, *cuts, len(whole)]
        chunks = [whole[a:b] for a, b in zip(edges, edges[1:], strict=False) if a < b]
        server.script = [streams(chunks)]
        answer, texts = told(generator(server))
        assert (answer.text, answer.prompt_tokens, answer.output_tokens) == ("Grün ist 緑\u2028ok", 9, 4)
        assert texts == ["Grün", "Grün ist 緑", "Grün ist 緑\u2028ok"]
    assert server.requests[0]["stream"] is True
    assert server.requests[0]["stream_options"] == {"include_usage": True}


def test_a_stream_has_log_probabilities_and_a_reason(server: ChatServer) -> None:
    rows = [{"index": 0, "delta": {"content": t}, **logprobs((t, v))} for t, v in (("a", -1.0), (" b", -2.0))]
    events = [b"data: " + json.dumps({"choices": [row]}).encode() + b"\n\n" for row in rows]
    server.script = [streams([*events, event(finish="length")])]
    answer, _ = told(generator(server, logprobs=True))
    assert (answer.finish_reason, answer.logprob, answer.output_tokens) == ("length", -1.5, 1)  # 3 bytes


@pytest.mark.parametrize(
    "step",
    [BUSY, breaks_off, HTML, streams([event("")], whole=False), streams([b'data: {"error": "overloaded"}\n\n'])],
)
def test_a_stream_that_said_nothing_is_asked_for_again(server: ChatServer, step: Step) -> None:
    server.script = [step, streams([event("ok"), event(finish="stop")])]
    answer, texts = told(generator(server))
    assert (answer.text, texts) == ("ok", ["ok"])


@pytest.mark.parametrize("whole", [True, False])
def test_a_stream_that_breaks_off_after_it_was_told_is_an_error(server: ChatServer, whole: bool) -> None:
    server.script = [streams([event("one two ")], whole=whole)]
    answer, texts = told(generator(server))
    assert texts == ["one"]
    assert (answer.finish_reason, answer.text) == ("error", "")
    assert len(server.requests) == 1


def test_a_server_that_does_not_stream_is_read_whole(server: ChatServer) -> None:
    answer, texts = told(generator(server))
    assert (answer.text, answer.prompt_tokens, texts) == ("WHO?", 7, ["WHO?"])


# ------------------------------------------------------------------------------------------------------- what it lacks


def test_tokens_are_estimated_before_an_answer_and_adapters_are_refused(server: ChatServer, tmp_path: Path) -> None:
    asking = generator(server, context_tokens=4096)
    assert asking.count_tokens(prompt("緑" * 4, "12345678")) == 5  # (12 + 8) bytes / 4
    assert asking.context_tokens == 4096
    assert generator(server).context_tokens is None
    with asking.adapter(None):
        assert asking.generate([prompt("who?")])[0].text == "WHO?"
    with pytest.raises(RagftError, match="cannot be put into a model behind a server"), asking.adapter(tmp_path):
        pass


def test_it_is_said_once_that_tokens_are_estimated(server: ChatServer, caplog: pytest.LogCaptureFixture) -> None:
    def uncounted(handler: BaseHTTPRequestHandler, request: Json) -> None:
        send(handler, 200, {"choices": [{"message": {"content": "12345"}, "finish_reason": "stop"}]})

    server.usual = uncounted
    logging.getLogger("ragft").propagate = True
    found = generator(server).generate([prompt("12345678"), prompt("b")])
    assert [(answer.prompt_tokens, answer.output_tokens) for answer in found] == [(2, 2), (1, 2)]
    # One record may be kept twice, by two handlers that heard it.
    said = {id(record): record for record in caplog.records if record.name == "ragft.generation"}
    assert [record.getMessage() for record in said.values()] == [
        f"{server.address}/chat/completions does not count tokens: they are estimated, one for 4 bytes of text"
    ]
