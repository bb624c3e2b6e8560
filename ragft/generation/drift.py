"""How far tuned weights are from their base: the two next-token distributions on the same text, token by token.

Nothing is said. One copy of the weights serves the base and everything that was trained on it. Knows nothing of where
text comes from.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from ragft.generation.local import LocalGenerator
    from ragft.models.language_model import LanguageModel

HELD = 100_000_000
"""Most logits of the base that wait for tuned weights to read the same text, unless one window has more: 400 MB."""


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of text as tokens; the first `given` of them (1 at least) are read, and the others predicted as well."""

    id: str
    ids: tuple[int, ...]
    given: int = 1

    @property
    def tokens(self) -> int:
        """Tokens that are predicted."""
        return len(self.ids) - self.given


@dataclass(frozen=True, slots=True)
class Drift:
    """What tuned weights say of one window beside the base, as sums over its predicted tokens.

    `kl` is KL(base || tuned) over the whole vocabulary, in nats; `base_nats` and `tuned_nats` are the negative
    log-likelihoods of the text; `agreed` counts the tokens before which both find the same one likeliest.
    """

    tokens: int
    kl: float
    base_nats: float
    tuned_nats: float
    agreed: int


def drifts(
    language_model: LanguageModel,
    generator: LocalGenerator,
    wanted: Mapping[Path, Sequence[Window]],
    on_pass: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[Path, Window, Drift]]:
    """Yield (folder, window, drift) for what was trained into each folder and the windows wanted of it.

    `generator` answers with the weights of `language_model`, which is decoder-only. Some windows at a time are read by
    the base and then by all others, so that its distributions are computed once and full trainings, which take the
    place of the base's weights, are exchanged seldom. `on_pass` is told the tokens of each window that was read.
    """
    every = list(dict.fromkeys(window for windows in wanted.values() for window in windows))
    model: Any = language_model.model
    width = int(model.get_output_embeddings().weight.shape[0])
    for group in _grouped(every, width):
        with generator.adapter(None):
            base = {window: _read(language_model, window, on_pass) for window in group}
        for folder, windows in wanted.items():
            mine = [window for window in group if window in set(windows)]
            if not mine:
                continue
            with generator.adapter(folder):
                for window in mine:
                    yield folder, window, _drift(base[window], _read(language_model, window, on_pass), window)


def _grouped(windows: Sequence[Window], width: int) -> Iterator[list[Window]]:
    """Yield windows in order, in groups whose logits may wait together."""
    group: list[Window] = []
    held = 0
    for window in windows:
        size = window.tokens * width
        if group and held + size > HELD:
            yield group
            group, held = [], 0
        group.append(window)
        held += size
    if group:
        yield group


@torch.inference_mode()
def _read(language_model: LanguageModel, window: Window, on_pass: Callable[[int], None]) -> torch.Tensor:
    """Return the logits that predict the window's tokens, shape (tokens, vocabulary).

    Each window is read alone: padding could move a logit. PEFT puts its layers into the model itself, so the model is
    read as whoever is chosen.
    """
    model: Any = language_model.model
    ids = torch.tensor([window.ids[:-1]], device=language_model.device)
    takes = inspect.signature(model.forward).parameters
    last = {"logits_to_keep": window.tokens} if "logits_to_keep" in takes else {}
    logits: torch.Tensor = model(input_ids=ids, use_cache=False, **last).logits[0]
    on_pass(window.tokens)
    return logits[-window.tokens :]


@torch.inference_mode()
def _drift(base: torch.Tensor, tuned: torch.Tensor, window: Window) -> Drift:
    """Return the sums over a window from the logits of both, each of shape (tokens, vocabulary)."""
    first, second = (logits.float().log_softmax(dim=-1) for logits in (base, tuned))
    kl = torch.nn.functional.kl_div(second, first, reduction="none", log_target=True).sum(dim=-1)
    said = torch.tensor(window.ids[window.given :], device=base.device)[:, None]
    nats = [-float(logs.gather(1, said).double().sum()) for logs in (first, second)]
    agreed = int((first.argmax(dim=-1) == second.argmax(dim=-1)).sum())
    return Drift(window.tokens, max(0.0, float(kl.double().sum())), nats[0], nats[1], agreed)
