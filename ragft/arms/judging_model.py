"""One of the experiment's models in the chair of a judge: rendered, capped and asked apart from the arms.

Replies are kept on disk, so a second run asks nothing. Knows neither what is judged nor what a verdict looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ragft import provenance
from ragft.arms.models import LocalModel
from ragft.config.judging import JudgeConfig
from ragft.generation.generator import Generation, Journal, ask
from ragft.prompts import Message

if TYPE_CHECKING:
    from ragft.arms.bench import Bench


class Asks(Protocol):
    """A model as a judge: what is asked of it is text, and what it has answered once it is not asked again."""

    def prompt(self, messages: Sequence[Message]) -> str:
        """Return a conversation as the text that is asked."""
        ...

    def known(self, prompts: Sequence[str]) -> int:
        """Return how many of the prompts are answered already."""
        ...

    def ask(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the reply to each prompt, in order; one that could not be got has finish reason "error"."""
        ...


class JudgingModel:
    """One of the experiment's models as a judge, without any adapter; an instance of Asks.

    Its replies are kept in a journal of their own, by their prompts: they depend on the model and on the longest reply.
    """

    def __init__(self, bench: Bench, settings: JudgeConfig) -> None:
        self._bench, self._settings = bench, settings
        self._model = bench.model(settings.model)
        identity = {"judge": self._model.identity, "max_new_tokens": settings.max_new_tokens}
        self._path = bench.workspace.answers_path(provenance.fingerprint(identity))

    def prompt(self, messages: Sequence[Message]) -> str:
        """Return a conversation as the model's chat template or its server has it."""
        return self._model.render(messages)

    def known(self, prompts: Sequence[str]) -> int:
        """Return how many of the prompts stand in the journal."""
        journal = Journal(self._path)
        return sum(journal.get(prompt) is not None for prompt in prompts)

    def ask(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the reply to each prompt, asking only for those that the journal lacks; no model is loaded for none.

        A prompt that leaves a model in this process no room for its reply is not put to it, and has an error.
        """
        journal = Journal(self._path)
        missing = [prompt for prompt in prompts if journal.get(prompt) is None]
        replies = self._too_long(missing)
        if len(set(missing)) > len(replies):
            askable = [prompt for prompt in prompts if prompt not in replies]
            replies |= zip(askable, self._replies(askable, journal), strict=True)
        return [journal.get(prompt) or replies[prompt] for prompt in prompts]

    def _replies(self, prompts: Sequence[str], journal: Journal) -> list[Generation]:
        size, title = self._bench.experiment.generation.batch_size, f"Judging by {self._settings.model}"
        with self._bench.listener.work(title, len(set(prompts)), "verdicts") as work:
            # Held, not asked for again: each use of model.generator sets the cap of the arms.
            generator = self._model.generator
            generator.cap(self._settings.max_new_tokens)
            with generator.adapter(None):
                return ask(generator, prompts, journal, batch_size=size, on_batch=work.advance)

    def _too_long(self, prompts: Sequence[str]) -> dict[str, Generation]:
        """Return what stands for a reply to each prompt that a model in this process cannot read."""
        model, longest = self._model, self._settings.max_new_tokens
        limit = model.context_tokens if isinstance(model, LocalModel) and prompts else None
        if not isinstance(model, LocalModel) or limit is None:
            return {}
        why = f"what it would have to read and {longest} new tokens exceed its context of {limit} tokens"
        lengths = {prompt: model.count(prompt) for prompt in prompts}
        return {
            prompt: Generation("", length, 0, 0.0, "error", error=why)
            for prompt, length in lengths.items()
            if length + longest > limit
        }
