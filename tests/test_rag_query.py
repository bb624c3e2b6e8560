"""Questions to an arm: prompts with history, what is searched for, what is refused without asking, what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SmallExperiment

from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.listening import Silence
from ragft.arms.relevance import LEAST, Floor, Relevance
from ragft.config import load_experiment
from ragft.errors import ConfigError, RagftError
from ragft.generation.local import LocalGenerator
from ragft.prompts import TEMPLATES, Shot, render
from ragft.query import QueryResult, Session
from ragft.records import Example, Passage, RankedPassage, Turn
from ragft.workspace import Workspace

CORVEL, HOLLIN = "When was Corvel built?", "Who owns Hollin?"


def bench_of(experiment: SmallExperiment, *overrides: str) -> Bench:
    return Bench(load_experiment(experiment.file, overrides).experiment, Workspace(experiment.workspace), Silence())


def session_of(experiment: SmallExperiment, *overrides: str, arm: str | None = None, **options: bool | int) -> Session:
    session = Session(bench_of(experiment, *overrides), arm, **{"answer_anyway": True, **options})  # type: ignore[arg-type]
    session.prepare()
    return session


@pytest.fixture(scope="module")
def plain(built: SmallExperiment) -> Session:
    """A session without history that asks whatever is found."""
    return session_of(built)


# ------------------------------------------------------------------------------------------------------ one answer


def test_the_pieces_that_are_told_are_the_answer(plain: Session) -> None:
    told: list[str] = []
    result = plain.ask(CORVEL, told.append)
    assert "".join(told) == result.text
    assert result.text == result.answer != ""
    seconds = result.seconds
    assert seconds.first_word is not None
    assert 0 < seconds.retrieval < seconds.first_word <= seconds.total
    assert seconds.total == pytest.approx(seconds.retrieval + seconds.generation, abs=0.05)


def test_an_answer_is_that_of_the_same_arm_in_compare(plain: Session, built: SmallExperiment) -> None:
    from ragft import jsonl

    rows = [row for _, row in jsonl.read_rows(built.first_run / "answers" / "rag.jsonl")]
    compared = {row["example_id"]: row for row in rows}["e02"]
    result = plain.ask(CORVEL)
    assert (result.answer, result.prompt_tokens) == (compared["text"], compared["prompt_tokens"])
    assert [source.passage.id for source in result.sources] == compared["passage_ids"]


def test_sources_say_how_they_were_found(built: SmallExperiment, plain: Session) -> None:
    result = plain.ask(CORVEL)
    assert [(source.number, source.scale) for source in result.sources] == [(1, "cosine"), (2, "cosine")]
    assert all(source.score is not None and -1 <= source.score <= 1 for source in result.sources)
    for kind, scale in (("bm25", "BM25"), ("hybrid", "fusion")):
        found = session_of(built, f"retrieval.kind={kind}").ask(CORVEL)
        assert {source.scale for source in found.sources} == {scale}
        assert "Corvel" in found.sources[0].passage.text


def test_an_arm_without_retrieval_has_no_sources_and_refuses_nothing(built: SmallExperiment) -> None:
    session = session_of(built, arm="base", answer_anyway=False)
    result = session.ask("What is the price of gold?")
    assert (result.sources, result.relevant, result.nearest, result.reason) == ((), None, None, None)
    assert result.prompt is not None
    assert "index" not in session.fingerprints()


def test_more_passages_are_a_variant_of_the_experiment(built: SmallExperiment) -> None:
    result = session_of(built, top_k=3).ask(CORVEL)
    assert (len(result.sources), result.top_k) == (3, 3)
    with pytest.raises(ConfigError) as caught:
        Session(bench_of(built), top_k=0)
    assert caught.value.message == "retrieval.top_k: input should be greater than or equal to 1"


def test_an_adapter_stays_the_one_that_was_trained_whatever_top_k_is(built: SmallExperiment) -> None:
    """A context recipe depends on retrieval.top_k: with the variant's, the adapter would count as not trained."""
    assert len(session_of(built, arm="raft_rag", top_k=1).ask(CORVEL).sources) == 1


def test_a_control_is_refused_with_its_reason(built: SmallExperiment) -> None:
    with pytest.raises(RagftError) as caught:
        session_of(built, "compare.arms.noise={retrieval: random}", arm="noise")
    assert caught.value.message == "the arm 'noise' is a control: it lays passages drawn at random before a question"
    assert caught.value.hint == "arms: base, few_shot, rag, finetuned, raft_rag"


def test_a_question_in_broken_bytes_is_asked_and_can_be_written(plain: Session) -> None:
    result = plain.ask(" When was \udce9 built? ")
    assert result.question == "When was ? built?"
    with pytest.raises(RagftError, match="the question is empty"):
        plain.ask(" \n ")


# ------------------------------------------------------------------------------------------------------ follow-ups


class PlainTokenizer:
    """A tokenizer without a chat template."""

    chat_template = None
    all_special_tokens = ("</s>",)

    def apply_chat_template(self, conversation: object, *, tokenize: bool, add_generation_prompt: bool) -> str:
        raise AssertionError("there is no chat template")


def test_turns_stand_between_the_shots_and_the_question_without_their_passages() -> None:
    passage = Passage("d#0-4", "d", "", "Ada.", 0, 4)
    shots = [Shot(Example("t1", "Where?", ("Here",)), "Here")]
    example = Example("e1", "When?", (), history=(Turn("Who?", "Ada</s>"), Turn("Why?", "So")))
    form = TEMPLATES["qa-short-1"]
    assert render(PlainTokenizer(), form, example, passages=[passage], shots=shots) == (
        f"{form.system}\n\nQuestion: Where?\n\nAnswer: Here\n\nQuestion: Who?\n\nAnswer: Ada< /s>\n\n"
        "Question: Why?\n\nAnswer: So\n\n[1] Ada.\n\nAnswer from the passages above.\nQuestion: When?\n\nAnswer:"
    )


def test_a_follow_up_is_asked_with_the_turns_before_it(built: SmallExperiment) -> None:
    session = session_of(built, follow_ups=True)
    first = session.ask(CORVEL)
    second = session.ask("And its colour?")
    assert (first.history, second.history) == ((), (Turn(CORVEL, first.answer),))
    assert second.prompt is not None
    assert second.prompt.count(f"Question: {CORVEL}") == 1
    assert second.prompt.index(CORVEL) < second.prompt.index("[1] The harbour of")
    assert session.clear() == 2
    assert session.ask(CORVEL).prompt == first.prompt


def test_without_follow_ups_no_answer_depends_on_the_one_before(plain: Session) -> None:
    assert plain.ask(CORVEL).prompt == plain.ask(CORVEL).prompt
    assert plain.ask(HOLLIN).history == ()


def test_a_follow_up_searches_for_both_questions_by_reciprocal_rank(built: SmallExperiment) -> None:
    session = session_of(built, "retrieval.kind=bm25", follow_ups=True)
    session.ask(CORVEL)
    follow_up = session.ask("What lives there?")
    # Alone it shares "live" or "there" with nothing or everything; with the question before it, Corvel comes first.
    assert follow_up.sources[0].passage.document_id == "corvel"
    assert {source.scale for source in follow_up.sources} == {"fusion"}
    alone, both = Knowledge(session._bench), session._bench.experiment.retrieval.rrf_k
    from ragft.records import Example

    rankings = alone.rankings([Example("a", "What lives there?", ()), Example("b", f"{CORVEL}\nWhat lives there?", ())])
    ranks = [[item.passage.document_id for item in ranking.passages].index("corvel") for ranking in rankings[1:]]
    of_alone = [item.passage.document_id for item in rankings[0].passages]
    expected = 1 / (both + 1 + ranks[0]) + (1 / (both + 1 + of_alone.index("corvel")) if "corvel" in of_alone else 0)
    assert follow_up.sources[0].score == pytest.approx(expected)


def test_the_oldest_turns_are_dropped_where_the_context_has_no_room(
    built: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(built, follow_ups=True, arm="base")
    results = [session.ask(f"When was {name} built?") for name in ("Corvel", "Garness", "Jorvik")]
    room = results[2].prompt_tokens + 6  # max_new_tokens: exactly two turns fit
    monkeypatch.setattr(LocalGenerator, "context_tokens", room)
    fourth = session.ask("When was Iverly built?")
    assert fourth.dropped_turns >= 1
    assert len(fourth.history) + fourth.dropped_turns == 3
    assert fourth.history == tuple(Turn(result.question, result.answer) for result in results)[fourth.dropped_turns :]
    assert fourth.prompt_tokens + 6 <= room


# -------------------------------------------------------------------------------------------------- "I don't know"


def refused(result: QueryResult) -> bool:
    assert (result.prompt is None) == (result.relevant is False)
    return result.prompt is None and result.text == result.answer == "I don't know" and result.abstained


@pytest.mark.parametrize(
    ("overrides", "question", "reason"),
    [
        (("retrieval.min_score=1.5",), CORVEL, "no passage scores retrieval.min_score (1.5) or more"),
        (("retrieval.kind=bm25",), "Quis custodiet?", "no passage shares a word with the question"),
        (("retrieval.filter={region: north}",), CORVEL, "no passage that retrieval.filter lets through was found"),
    ],
)
def test_where_nothing_is_found_the_model_is_not_asked(
    built: SmallExperiment, overrides: tuple[str, ...], question: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(built, *overrides, answer_anyway=False)
    with monkeypatch.context() as patched:
        patched.setattr(LocalGenerator, "stream", lambda *_: pytest.fail("the model was asked"))
        told: list[str] = []
        result = session.ask(question, told.append)
    assert refused(result)
    assert (result.reason, told, result.sources) == (reason, ["I don't know"], ())


@pytest.mark.parametrize("kind", ["dense", "hybrid"])
def test_a_question_less_related_than_those_of_the_experiment_is_not_asked(
    built: SmallExperiment, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Relevance, "floor", lambda self: Floor(0.999, 24))
    result = session_of(built, f"retrieval.kind={kind}", answer_anyway=False).ask(CORVEL)
    assert refused(result)
    assert result.nearest is not None
    assert result.nearest.floor == 0.999
    assert result.reason == (
        f"the nearest passage, of {result.nearest.title}, has a cosine of {result.nearest.cosine:.3f} to the question; "
        "24 questions of the experiment reach 0.999"
    )


def test_it_is_asked_all_the_same_where_the_user_wants_it(
    built: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = session_of(built, "retrieval.min_score=1.5").ask(CORVEL)
    assert (result.relevant, result.reason) == (False, "no passage scores retrieval.min_score (1.5) or more")
    assert result.prompt is not None
    assert "[1]" not in result.prompt


def test_a_related_question_is_asked(built: SmallExperiment) -> None:
    session = session_of(built, answer_anyway=False)
    asked = [session.ask(f"When was {name} built?").relevant for name in ("Aldmoor", "Corvel", "Garness", "Jorvik")]
    assert asked == [True] * 4  # the floor is the least of 24 questions, so none of them lies below it


class Scored(Relevance):
    """Relevance over a list of cosines instead of an index."""

    cosines: list[float] = []

    def nearest_to_each(self, queries: object) -> list[RankedPassage | None]:
        return [RankedPassage(Passage("p", "d", "", "x", 0, 1), cosine) for cosine in self.cosines]


@pytest.fixture
def scored(built: SmallExperiment, tmp_path: Path) -> Iterator[Scored]:
    bench = bench_of(built)
    there = Knowledge(bench)
    bench.workspace = Workspace(tmp_path)
    yield Scored(bench, there)


def test_the_floor_is_the_first_percentile_taken_downwards(scored: Scored) -> None:
    scored.cosines = [n / 1000 for n in range(900, 700, -1)]  # 0.701 ... 0.900: the second of 200 from below
    assert scored.floor() == Floor(0.702, 200)
    scored.cosines = []
    assert scored.floor() == Floor(0.702, 200)  # from the workspace


def test_of_twenty_questions_the_floor_is_the_least(scored: Scored) -> None:
    scored.cosines = [0.5 + n / 100 for n in range(LEAST)]
    assert scored.floor() == Floor(0.5, 20)


def test_few_questions_make_no_floor(scored: Scored) -> None:
    scored.cosines = [0.5] * (LEAST - 1)
    assert scored.floor() is None


def test_other_questions_make_another_floor(built: SmallExperiment) -> None:
    fewer, all_of_them = bench_of(built, "data.dev=null"), bench_of(built)
    paths = {Relevance(b, Knowledge(b))._path(Relevance(b, Knowledge(b))._drawn) for b in (fewer, all_of_them)}
    assert len(paths) == 2
    assert len(Relevance(all_of_them, Knowledge(all_of_them))._drawn) == 24  # answerable, with gold documents


def test_words_have_no_floor(built: SmallExperiment) -> None:
    bench = bench_of(built, "retrieval.kind=bm25")
    assert Relevance(bench, Knowledge(bench)).floor() is None


@pytest.mark.parametrize("overrides", [(), ("retrieval.kind=hybrid",), ("retrieval.min_score=1.5",)])
def test_the_floor_is_of_cosines_whatever_the_retriever_is(built: SmallExperiment, overrides: tuple[str, ...]) -> None:
    benches = [bench_of(built, *overrides), bench_of(built)]
    found, plain = (Relevance(bench, Knowledge(bench)).floor() for bench in benches)
    assert found == plain is not None


# ---------------------------------------------------------------------------------------------------------- Ctrl-C


def test_ctrl_c_ends_an_answer_with_what_was_said(built: SmallExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(built)

    def interrupted(self: LocalGenerator, prompt: str, on_text: object) -> None:
        on_text("The white")  # type: ignore[operator]
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalGenerator, "stream", interrupted)
    result = session.ask(CORVEL, stoppable=True)
    assert (result.text, result.finish_reason) == ("The white", "interrupted")
    with pytest.raises(KeyboardInterrupt):
        session.ask(CORVEL)
