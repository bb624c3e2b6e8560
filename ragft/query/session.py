"""One arm of an experiment, asked question after question; models and index are loaded once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Arm, Asking, Question, cited
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.listening import Listener, Silence, Work
from ragft.arms.relevance import Floor, Relevance
from ragft.arms.support import Support, content_words
from ragft.config.variants import with_values
from ragft.data.checks import DataCheck
from ragft.errors import RagftError
from ragft.evaluation.answers import is_abstention
from ragft.generation.generator import Answers, Generation
from ragft.prompts import ABSTENTION
from ragft.query.reading import Telling
from ragft.query.results import Nearest, QueryResult, Scale, Seconds, Source
from ragft.records import Example, Passage, RankedPassage, Turn
from ragft.retrieval.fusion import fused

if TYPE_CHECKING:
    from ragft.arms.planning import PlannedProbe

OWN_WORDS = 3
"""Words with a meaning that a follow-up question has if it can be judged without the question before it."""

Tell = Callable[[str], None]
"""Is given the answer piece by piece."""


def silent(_: str) -> None:
    """Return nothing, for a caller who waits for the whole answer."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found for one question, and why the model is not to be asked, where that is so."""

    ranked: tuple[RankedPassage, ...] = ()
    scale: Scale | None = None
    nearest: Nearest | None = None
    relevant: bool | None = None
    reason: str | None = None

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The passages, best first."""
        return tuple(item.passage for item in self.ranked)


class Session:
    """Asks one arm of an experiment; with `follow_ups`, the turns before stand in the prompt and in the search."""

    def __init__(
        self,
        bench: Bench,
        arm: str | None = None,
        *,
        top_k: int | None = None,
        follow_ups: bool = False,
        answer_anyway: bool = False,
    ) -> None:
        bench.listener = _LongWork(bench.listener)
        self._bench = bench if top_k is None else bench.variant(with_values(bench.experiment, {_TOP_K: top_k}))
        self._knowledge = Knowledge(self._bench) if bench.documents else None
        # An adapter was trained with the passages of the experiment as it is, however many are laid before it now.
        trained_on = self._knowledge if top_k is None or self._knowledge is None else Knowledge(bench)
        self._adapters = Adapters(bench, trained_on)
        self._asking = Asking(self._bench, self._knowledge, self._adapters)
        self._relevance = None if self._knowledge is None else Relevance(self._bench, self._knowledge)
        self._floor: Floor | None = None
        self._follow_ups, self._answer_anyway = follow_ups, answer_anyway
        self._turns: list[Turn] = []
        self.arm: Arm = self._asking.arm(arm or self._default())

    def _default(self) -> str:
        """Return the arm `rag`, else the first arm that reads the index."""
        arms = self._bench.experiment.compare.arms
        reading = [name for name, arm in arms.items() if arm.retrieval == "index"]
        if not reading:
            raise RagftError("no arm of the experiment retrieves", "name an arm with --arm, or add one to compare.arms")
        return "rag" if "rag" in reading else reading[0]

    @property
    def _generator(self) -> Answers:
        return self._bench.model(self.arm.model).generator

    @property
    def _searches(self) -> bool:
        return self.arm.retrieval == "index" and self._knowledge is not None

    def prepare(self) -> None:
        """Bring the index in step and see to the arm's adapter, so that the next question is answered at once."""
        if self.arm.is_control:
            raise RagftError(*self._control())
        if self._knowledge is not None and self._searches:
            self._knowledge.sync()
            if self._relevance is not None and not self._answer_anyway:
                self._floor = self._relevance.floor()
        if self.arm.adapter is not None and not self._adapters.is_trained(self.arm.adapter):
            raise RagftError(
                f"the adapter {self.arm.adapter!r} of arm {self.arm.name!r} is not trained for the experiment as it is",
                f"run: ragft finetune FILE --adapter {self.arm.adapter}",
            )

    def _control(self) -> tuple[str, str]:
        lacking = {
            "oracle": "a new question has no gold documents",
            "random": "it lays passages drawn at random before a question",
        }
        arms = [name for name in self._bench.experiment.compare.arms if not self._asking.arm(name).is_control]
        return f"the arm {self.arm.name!r} is a control: {lacking[self.arm.retrieval]}", f"arms: {', '.join(arms)}"

    def fingerprints(self) -> dict[str, str]:
        """Return what the answers depend on, by what it is: the arm, and the index where it searches."""
        found = {f"arm:{self.arm.name}": self._asking.fingerprint(self.arm)}
        if self._knowledge is not None and self._searches:
            found["index"] = self._knowledge.fingerprint
        return found

    def clear(self) -> int:
        """Forget the turns so far, and return how many there were."""
        count = len(self._turns)
        self._turns.clear()
        return count

    def ask(self, text: str, on_text: Tell = silent, *, stoppable: bool = False) -> QueryResult:
        """Return the answer to one question, after telling `on_text` each piece of it as soon as it is said.

        `stoppable`: Ctrl-C while the model speaks ends the answer there instead of the command. RagftError for an
        empty question.
        """
        clock = _Clock()
        question = text.encode("utf-8", "replace").decode().strip()  # no half characters from a terminal's bytes
        if not question:
            raise RagftError("the question is empty")
        example = Example("query", question, (), answerable=False)
        found = self._found(question)
        clock.found()

        def tell(piece: str) -> None:
            clock.said()
            on_text(piece)

        telling = Telling(self._bench.task, tell)
        if found.reason is not None and not self._answer_anyway:
            tell(ABSTENTION)
            return self._result(question, found, clock, ABSTENTION)
        asked, history = self._fitted(example, found.passages)
        said = self._said(asked, telling, stoppable=stoppable)
        text = telling.told if said is None else telling.end(said.text)
        result = self._answered(self._result(question, found, clock, text), found, asked, history, said)
        if self._follow_ups and result.answer:
            self._turns.append(Turn(question, result.answer))
        return result

    def _found(self, question: str) -> _Found:
        """Search for the question alone and, after another question, for both together."""
        if self._knowledge is None or not self._searches:
            return _Found()
        retrieval = self._bench.experiment.retrieval
        queries = [question, *(f"{turn.input}\n{question}" for turn in self._turns[-1:])]
        rankings = self._knowledge.rankings([Example("query", query, (), answerable=False) for query in queries])
        ranked, scale = rankings[0].passages, self._scale
        if len(queries) > 1:
            both = [ranking.passages for ranking in rankings]
            ranked, scale = tuple(fused(both, (1.0, 1.0), retrieval.rrf_k, retrieval.top_k)), "fusion"
        # A question of some words of its own is judged by them, or one about anything would pass as a follow-up.
        nearest = self._nearest(queries[: 1 if len(content_words(question)) >= OWN_WORDS else 2])
        reason = self._why_not(ranked, nearest)
        relevant = None if nearest is None and reason is None else reason is None
        return _Found(tuple(ranked[: retrieval.top_k]), scale, nearest, relevant, reason)

    @property
    def _scale(self) -> Scale:
        retrieval = self._bench.experiment.retrieval
        scales: dict[str, Scale] = {"dense": "cosine", "bm25": "BM25", "hybrid": "fusion"}
        return scales[retrieval.kind] if retrieval.reranker is None else "reranker"

    def _nearest(self, queries: list[str]) -> Nearest | None:
        """Return the nearest passage where there is a floor to hold it against."""
        if self._relevance is None or self._floor is None:
            return None
        item = self._relevance.nearest(queries)
        if item is None:
            return None
        passage = item.passage
        return Nearest(passage.id, passage.document_id, passage.title, item.score, self._floor.cosine)

    def _why_not(self, ranked: tuple[RankedPassage, ...], nearest: Nearest | None) -> str | None:
        """Return why no passage is related to the question, None where one is."""
        if not ranked:
            return self._nothing()
        if nearest is None or nearest.floor is None or self._floor is None or nearest.cosine >= nearest.floor:
            return None
        return (
            f"the nearest passage, of {nearest.title or nearest.document_id}, has a cosine of {nearest.cosine:.3f} to "
            f"the question; {self._floor.questions} questions of the experiment reach {nearest.floor:.3f}"
        )

    def _nothing(self) -> str:
        retrieval = self._bench.experiment.retrieval
        if retrieval.min_score is not None:
            return f"no passage scores retrieval.min_score ({retrieval.min_score:g}) or more"
        if retrieval.filter:
            return "no passage that retrieval.filter lets through was found"
        return "no passage shares a word with the question"

    def _fitted(self, example: Example, passages: tuple[Passage, ...]) -> tuple[Question, list[Turn]]:
        """Return the prompt with as many of the latest turns as the model's context has room for."""
        history = list(self._turns)
        while True:
            asked = self._asking.question(self.arm, replace(example, history=tuple(history)), passages)
            if not history or self._fits(asked.prompt):
                return asked, history
            del history[0]

    def _fits(self, prompt: str) -> bool:
        generator = self._generator
        limit, longest = generator.context_tokens, self._bench.experiment.generation.max_new_tokens
        return limit is None or generator.count_tokens(prompt) + longest <= limit

    def _said(self, asked: Question, telling: Telling, *, stoppable: bool) -> Generation | None:
        """Return what the model says, None where it was stopped."""
        folder = self._adapters.folder(self.arm.adapter) if self.arm.adapter else None
        generator = self._generator
        with generator.adapter(folder):
            try:
                return generator.stream(asked.prompt, telling.so_far)
            except KeyboardInterrupt as stop:
                if not stoppable or type(stop) is not KeyboardInterrupt:  # a kind of its own ends the command
                    raise
                return None

    def _answered(
        self, result: QueryResult, found: _Found, asked: Question, history: list[Turn], said: Generation | None
    ) -> QueryResult:
        """Return the result with all that belongs to a question that the model was asked."""
        count = self._generator.count_tokens
        whole = result.text if said is None else said.text
        return replace(
            result,
            sources=self._sources(asked, found, whole, result.answer),
            history=tuple(history),
            dropped_turns=len(self._turns) - len(history),
            prompt=asked.prompt,
            prompt_tokens=count(asked.prompt) if said is None else said.prompt_tokens,
            output_tokens=count(whole) if said is None else said.output_tokens,
            finish_reason="interrupted" if said is None else said.finish_reason,
        )

    def _sources(self, asked: Question, found: _Found, said: str, answer: str) -> tuple[Source, ...]:
        marked = set(cited(said, asked.passages))
        scores = {item.passage.id: item.score for item in found.ranked}
        silent_answer = not answer or is_abstention(answer)
        support = None if silent_answer else Support(asked.example.input, answer, asked.passages)
        return tuple(
            Source(
                number=number,
                passage=passage,
                score=scores.get(passage.id),
                scale=found.scale if passage.id in scores else None,
                cited=passage.id in marked,
                spans=() if support is None else support.spans(passage),
            )
            for number, passage in enumerate(asked.passages, start=1)
        )

    def _result(self, question: str, found: _Found, clock: _Clock, text: str) -> QueryResult:
        """Return the result of a question that the model was not asked."""
        answer = self._bench.task.parse(text) if found.reason is None or self._answer_anyway else text
        return QueryResult(
            question=question,
            arm=self.arm.name,
            answer=answer,
            text=text,
            abstained=is_abstention(answer),
            relevant=found.relevant,
            reason=found.reason,
            nearest=found.nearest,
            top_k=self._bench.experiment.retrieval.top_k,
            seconds=clock.seconds(),
        )


_TOP_K = "retrieval.top_k"


class _LongWork:
    """A Listener that leaves out work of one or two units: no progress bar for the retrieval of a single question."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def work(self, title: str, total: int, unit: str) -> AbstractContextManager[Work]:
        """Open one piece of work, unseen where it is short."""
        return (Silence() if total in (1, 2) else self._listener).work(title, total, unit)

    def say(self, text: str) -> None:
        """Pass on one line of news."""
        self._listener.say(text)

    def checks(self, checks: Sequence[DataCheck]) -> None:
        """Pass on what checks of the data found."""
        self._listener.checks(checks)

    def probes(self, planned: Sequence[PlannedProbe], budget_s: float | None) -> None:
        """Pass on a plan."""
        self._listener.probes(planned, budget_s)


class _Clock:
    """Times one question."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._found = self._began
        self._first: float | None = None

    def found(self) -> None:
        """Note that retrieval is done."""
        self._found = time.perf_counter()

    def said(self) -> None:
        """Note that something was said."""
        self._first = time.perf_counter() if self._first is None else self._first

    def seconds(self) -> Seconds:
        """Return the times so far."""
        now, first = time.perf_counter(), self._first
        return Seconds(
            retrieval=self._found - self._began,
            first_word=None if first is None else first - self._began,
            generation=now - self._found,
            total=now - self._began,
        )
