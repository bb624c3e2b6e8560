"""General text as windows of tokens: what ragft ships, the user's files, or what the base model writes by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ragft import jsonl, provenance
from ragft.arms.bench import Bench
from ragft.arms.knowledge import drawn
from ragft.data.general import general_texts
from ragft.errors import DataError
from ragft.generation.drift import Window
from ragft.training.examples import windows

SHIPPED = Path(__file__).parent / "general"
"""Folder of the text and the questions that come with ragft, all of them written for it."""

BLOCK = 256
"""Most tokens of one window: about two paragraphs."""

OWN_BLOCK = 128
"""Tokens of each text that the base writes: shorter, so that there are more of them to draw from."""

PLENTY = 4
"""Times the tokens that are read: so many are cut up before windows are drawn, in texts that are drawn themselves."""


def general_windows(bench: Bench, paths: Sequence[Path], tokens: int) -> list[Window]:
    """Return windows of the files' texts (those shipped when there are none), drawn by the seed, `tokens` at most.

    The text stands in no chat template and nothing is before it but what the tokenizer itself puts before any text.
    Raises DataError for files without text.
    """
    tokenizer, seed = bench.local.tokenizer, bench.experiment.seed
    found_texts = general_texts(paths or [SHIPPED / "text.jsonl"], "`text` of the probe forgetting")
    texts = sorted(found_texts, key=lambda item: drawn(seed, *item))
    front, end = _front(tokenizer), int(tokenizer.eos_token_id)
    found: list[Window] = []
    room = PLENTY * tokens
    for id_, text in texts:
        if room <= 0:
            break
        blocks = [window.ids for window in windows(id_, "", text, tokenizer, BLOCK, "replay")]
        cut = [ids[:-1] if ids[-1] == end else ids for ids in blocks]  # where a text ends is not a matter of the text
        found += [_window(f"{id_}#{number}", front, ids) for number, ids in enumerate(cut, start=1) if len(ids) > 1]
        room -= sum(len(ids) for ids in cut)
    if not found:
        raise DataError(
            f"{', '.join(path.name for path in paths)}: there is no text in it",
            "name another file in `text` of the probe forgetting, or leave it out: ragft ships some text",
        )
    return list(_limited(sorted(found, key=lambda one: drawn(seed, one.id)), tokens))


def _window(id_: str, front: tuple[int, ...], ids: tuple[int, ...]) -> Window:
    return Window(id_, (*front, *ids), max(1, len(front)))


def _front(tokenizer: Any) -> tuple[int, ...]:  # noqa: ANN401 - a transformers tokenizer
    """Return the token that the tokenizer puts before any text, none where it puts none."""
    put = tokenizer("")["input_ids"]
    return (int(put[0]),) if put and put[0] == tokenizer.bos_token_id else ()


def _limited(found: Sequence[Window], tokens: int) -> Iterator[Window]:
    """Yield windows until they hold so many tokens; the last one is cut."""
    left = tokens
    for window in found:
        kept = Window(window.id, window.ids[: window.given + left], window.given)
        if kept.tokens < 1:
            return
        yield kept
        left -= kept.tokens


class OwnText:
    """What the base model writes by itself, token by token as it finds likely; written once for a workspace."""

    def __init__(self, bench: Bench, tokens: int) -> None:
        self._bench = bench
        self._tokens = tokens
        settings = [tokens, OWN_BLOCK, bench.experiment.seed, provenance.code_fingerprint("training/replay.py")]
        self._path = bench.workspace.drift_path(provenance.fingerprint([bench.local.weights_identity, *settings]))

    @property
    def is_written(self) -> bool:
        """Whether nothing has to be written."""
        return self._path.exists()

    def windows(self) -> list[Window]:
        """Return the texts, `tokens` at most in all; each is read behind the token that it was begun with."""
        if not self.is_written:
            self._write()
        tokenizer = self._bench.local.tokenizer
        begins = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        found = [_window(f"own-{n}", (int(begins),), tuple(row["ids"])) for n, row in jsonl.read_rows(self._path)]
        return list(_limited(found, self._tokens))

    def _write(self) -> None:
        from ragft.training.replay import from_model

        with self._bench.listener.work("Writing text with the base model", self._tokens, "tokens") as work:
            found = from_model(
                self._bench.local.bare, OWN_BLOCK, self._tokens, self._bench.experiment.seed, work.advance
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.write_rows(self._path, [{"ids": text.ids} for text in found])
