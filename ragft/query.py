"""The command `rag-query`: one question to one arm that retrieves, answered with numbered sources."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Arm, Asking, Question, cited
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.errors import RagftError
from ragft.records import Example, Passage


@dataclass(frozen=True, slots=True)
class Source:
    """One passage that stood in the prompt: its number there, its score, and whether the answer stands in it."""

    number: int
    passage: Passage
    score: float | None
    cited: bool
    holds_answer: bool


@dataclass(frozen=True, slots=True)
class QueryResult:
    """An answer with its sources and the seconds that retrieval and generation took."""

    question: str
    arm: str
    answer: str
    sources: tuple[Source, ...]
    prompt: str
    prompt_tokens: int
    output_tokens: int
    retrieval_seconds: float
    generation_seconds: float


class Session:
    """Asks one arm of an experiment, question after question; models and index are loaded once."""

    def __init__(self, bench: Bench, arm: str | None = None) -> None:
        self._bench = bench
        self._knowledge = Knowledge(bench) if bench.documents else None
        self._adapters = Adapters(bench, self._knowledge)
        self._asking = Asking(bench, self._knowledge, self._adapters)
        self.arm: Arm = self._asking.arm(arm or self._default())

    def _default(self) -> str:
        """Return the arm `rag`, else the first arm that reads the index."""
        arms = self._bench.experiment.compare.arms
        reading = [name for name, arm in arms.items() if arm.retrieval == "index"]
        if not reading:
            raise RagftError("no arm of the experiment retrieves", "name an arm with --arm, or add one to compare.arms")
        return "rag" if "rag" in reading else reading[0]

    def prepare(self) -> None:
        """Bring the index in step and see to the arm's adapter, so that the next question is answered at once."""
        if self.arm.is_control:
            raise RagftError(f"the arm {self.arm.name!r} is a control: a new question has no gold documents")
        if self._knowledge is not None and self.arm.retrieval == "index":
            self._knowledge.sync()
        if self.arm.adapter is not None and not self._adapters.is_trained(self.arm.adapter):
            raise RagftError(
                f"the adapter {self.arm.adapter!r} of arm {self.arm.name!r} is not trained for the experiment as it is",
                f"run: ragft finetune FILE --adapter {self.arm.adapter}",
            )

    def fingerprints(self) -> dict[str, str]:
        """Return what the answers depend on, by what it is: the arm, and the index where it searches."""
        found = {f"arm:{self.arm.name}": self._asking.fingerprint(self.arm)}
        if self._knowledge is not None and self.arm.retrieval == "index":
            found["index"] = self._knowledge.fingerprint
        return found

    def ask(self, text: str) -> QueryResult:
        """Return the answer to one question; raises RagftError for an empty one."""
        if not text.strip():
            raise RagftError("the question is empty")
        example = Example("query", text.strip(), (), answerable=False)
        started = time.perf_counter()
        scores = self._scores(example)
        question = self._asking.questions(self.arm, [example])[0]
        found = time.perf_counter()
        folder = self._adapters.folder(self.arm.adapter) if self.arm.adapter else None
        generator = self._bench.generator
        with generator.adapter(folder):
            generation = generator.generate([question.prompt])[0]
        answer = self._bench.task.parse(generation.text)
        return QueryResult(
            question=example.input,
            arm=self.arm.name,
            answer=answer,
            sources=_sources(question, scores, generation.text, answer),
            prompt=question.prompt,
            prompt_tokens=generation.prompt_tokens,
            output_tokens=generation.output_tokens,
            retrieval_seconds=found - started,
            generation_seconds=time.perf_counter() - found,
        )

    def _scores(self, example: Example) -> dict[str, float]:
        if self._knowledge is None or self.arm.retrieval != "index":
            return {}
        return {item.passage.id: item.score for item in self._knowledge.rankings([example])[0].passages}


def _sources(question: Question, scores: dict[str, float], said: str, answer: str) -> tuple[Source, ...]:
    marked = set(cited(said, question.passages))
    return tuple(
        Source(
            number=number,
            passage=passage,
            score=scores.get(passage.id),
            cited=passage.id in marked,
            holds_answer=bool(answer) and answer.lower().strip(" .") in passage.text.lower(),
        )
        for number, passage in enumerate(question.passages, start=1)
    )


def query(bench: Bench, text: str, *, arm: str | None = None) -> QueryResult:
    """Return the answer of one arm to one question, with its sources."""
    session = Session(bench, arm)
    session.prepare()
    return session.ask(text)


__all__ = ["QueryResult", "Session", "Source", "query"]
