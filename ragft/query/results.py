"""What `rag-query` hands over: an answer, its sources, and what was measured. Every field stands in its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ragft.arms.support import Span
from ragft.records import Passage, Turn

Scale = Literal["cosine", "BM25", "fusion", "reranker"]
"""What a score means; `fusion` is a sum of 1 / (k + rank), of use only to compare passages of the same question."""


@dataclass(frozen=True, slots=True)
class Source:
    """One passage that stood in the prompt: its number there, its score, whether it is cited, what supports the answer.

    `score` is on the scale `scale`; both are None where the passage was not found by a score.
    """

    number: int
    passage: Passage
    score: float | None
    scale: Scale | None
    cited: bool
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The passage nearest to a question, and the cosine that the experiment's own questions reach (None: no floor)."""

    passage_id: str
    document_id: str
    title: str
    cosine: float
    floor: float | None


@dataclass(frozen=True, slots=True)
class Seconds:
    """What a question waited for; `first_word` and `total` count from the question on, `generation` from retrieval.

    `retrieval` and `generation` hold the loading of what they need, at the first question. `first_word` is None where
    no word was said.
    """

    retrieval: float
    first_word: float | None
    generation: float
    total: float


@dataclass(frozen=True, slots=True)
class QueryResult:
    """An answer with its sources and how long it took.

    `answer` is as the task reads it and `compare` scores it; `text` is the same with its citation marks, as it is
    shown. `abstained`: the answer is "I don't know", whoever said so. `relevant` is False where nothing related was
    found, and `reason` then says what; None where that is not measured. `history` are the turns that stood in the
    prompt, `dropped_turns` how many older ones had no room. `prompt` is None where the model was not asked.
    """

    question: str
    arm: str
    answer: str
    text: str
    abstained: bool
    relevant: bool | None
    reason: str | None
    nearest: Nearest | None
    top_k: int
    seconds: Seconds
    sources: tuple[Source, ...] = ()
    history: tuple[Turn, ...] = ()
    dropped_turns: int = 0
    prompt: str | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    finish_reason: Literal["stop", "length", "error", "interrupted"] | None = None
