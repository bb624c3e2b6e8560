"""What answers prompts: the protocol that every generator keeps, and the journal that remembers its answers.

The journal is keyed by what was asked, under a fingerprint of who was asked and how; so an interrupted command asks
nothing twice, and an edited document re-asks only the prompts that changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Yields
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ragft import jsonl
from ragft.provenance import sha256_text
from ragft.records import FinishReason


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model said to one prompt; `seconds` is the batch's wall time divided by its size.

    Behind a server `seconds` is what the request took that was answered, without those before it that were not, and
    the tokens are those that the server counts; where it counts none they are estimated, a token for 4 bytes of text.
    `logprob` is the mean log-probability (nats) of the tokens said, without the one that ends the answer; None where
    the model does not tell, or said nothing. A prompt that could not be answered has finish reason "error", an empty
    text, and the reason as `error`.
    """

    text: str
    prompt_tokens: int
    output_tokens: int
    seconds: float
    finish_reason: FinishReason
    logprob: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a model finds one text behind one prompt: the sum of the log-probabilities (nats) of its tokens.

    The token that would end the turn is not among them.
    """

    logprob: float
    tokens: int


class Generator(Protocol):
    """Something that answers prompts greedily."""

    def count_tokens(self, prompt: str) -> int:
        """Return the tokens of one prompt."""
        ...

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the answers to one batch, in order."""
        ...


@runtime_checkable
class AnswersSingly(Generator, Protocol):
    """A generator whose answers come one by one, in the order in which they are ready: it sees to its own batches."""

    def answers(self, prompts: Sequence[str]) -> Yields[tuple[int, Generation], None, None]:
        """Yield (place in `prompts`, answer) as each is ready; closing the iterator ends what is under way."""
        ...


class Weighs(Protocol):
    """Something that tells how likely it finds given answers."""

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[Likelihood]:
        """Return how likely each (prompt, answer) is, in order; the answer as it stands behind the prompt."""
        ...


class Streams(Generator, Protocol):
    """A generator that also tells what it says while it says it."""

    @property
    def context_tokens(self) -> int | None:
        """Tokens that a prompt and its answer may have together; None where no limit is known."""
        ...

    def stream(self, prompt: str, on_text: Callable[[str], None]) -> Generation:
        """Return the answer to one prompt; `on_text` is given all of it that stands fast, each time that grows."""
        ...


class Answers(Streams, Protocol):
    """A generator as an arm uses it."""

    def adapter(self, folder: Path | None) -> AbstractContextManager[None]:
        """Answer with what was trained into `folder` inside this block, or as the bare model for None."""
        ...

    def cap(self, max_new_tokens: int) -> None:
        """Set the longest answer, in tokens."""
        ...


class Remote(Answers, AnswersSingly, Protocol):
    """A model that is not in this process, and is given messages as JSON."""

    @property
    def identity(self) -> dict[str, Any]:
        """What an answer depends on beside its prompt and its longest length; no secret is in it."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Journal:
    """Answers by the SHA-256 of their prompt, appended batch by batch; a batch is on the disk whole or not at all.

    A prompt that could not be answered is not remembered, so the next command asks it again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Generation] = {}
        for row in jsonl.read_journal(path):
            for item in row["batch"]:
                key = item.pop("prompt_sha256")
                self._known[key] = Generation(**item)

    def get(self, prompt: str) -> Generation | None:
        """Return what was answered to this prompt, or None."""
        return self._known.get(sha256_text(prompt))

    def add(self, prompts: Sequence[str], answers: Sequence[Generation]) -> None:
        """Remember one batch, without the prompts in it that could not be answered."""
        pairs = zip(prompts, answers, strict=True)
        batch = {sha256_text(prompt): answer for prompt, answer in pairs if answer.finish_reason != "error"}
        if batch:
            rows = [{"prompt_sha256": key, **jsonl.plain(answer)} for key, answer in batch.items()]
            jsonl.append_row(self._path, {"batch": rows})
            self._known.update(batch)


def ask(
    generator: Generator,
    prompts: Sequence[str],
    journal: Journal,
    *,
    batch_size: int,
    on_batch: Callable[[int], None] = lambda _: None,
) -> list[Generation]:
    """Return the answer to every prompt, in order, asking only what the journal lacks.

    Batches are cut from the prompts sorted by length, before looking at the journal: an interrupted command resumes
    with the batches that an uninterrupted one would have made, because the batch that a prompt is answered in can
    change its answer in low precision. A generator that answers singly is given all that is missing at once, and each
    answer is journaled as it comes. Those with an error are returned, and asked again by the next command. `on_batch`
    is told how many prompts are done, each time that some are.
    """
    if isinstance(generator, AnswersSingly):
        asked = _singly(generator, prompts, journal, on_batch)
    else:
        asked = _batched(generator, prompts, journal, batch_size, on_batch)
    return [journal.get(prompt) or asked[prompt] for prompt in prompts]


def _batched(
    generator: Generator, prompts: Sequence[str], journal: Journal, batch_size: int, on_batch: Callable[[int], None]
) -> dict[str, Generation]:
    asked: dict[str, Generation] = {}
    for batch in batches(generator, prompts, batch_size):
        missing = [prompt for prompt in batch if journal.get(prompt) is None]
        if missing:
            answers = generator.generate(missing)
            journal.add(missing, answers)
            asked.update(zip(missing, answers, strict=True))
        on_batch(len(batch))
    return asked


def _singly(
    generator: AnswersSingly, prompts: Sequence[str], journal: Journal, on_batch: Callable[[int], None]
) -> dict[str, Generation]:
    distinct = list(dict.fromkeys(prompts))
    missing = [prompt for prompt in distinct if journal.get(prompt) is None]
    if len(missing) < len(distinct):
        on_batch(len(distinct) - len(missing))
    asked: dict[str, Generation] = {}
    answers = generator.answers(missing)
    with closing(answers):  # an interrupted command ends the requests that are under way
        for place, answer in answers:
            journal.add([missing[place]], [answer])
            asked[missing[place]] = answer
            on_batch(1)
    return asked


def batches(generator: Generator, prompts: Sequence[str], batch_size: int) -> Iterator[list[str]]:
    """Yield batches of distinct prompts of similar length, longest first; ties are in the order of the text."""
    lengths = {prompt: generator.count_tokens(prompt) for prompt in prompts}
    order = sorted(lengths, key=lambda prompt: (-lengths[prompt], prompt))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
