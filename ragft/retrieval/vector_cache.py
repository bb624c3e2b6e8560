"""Vectors of texts that were embedded before, kept in the workspace and shared by every experiment.

One SQLite file for each embedder identity (weights, precision, prompts), rows keyed by the SHA-256 of the text. SQLite
and not a packed file with an index of our own, because a page is then written whole or not at all wherever a process
is killed, one lookup reads only the rows that it asks for, and pruning leaves no holes to manage. A file for each
identity, so that vectors of an embedder that nothing uses any more are dropped by removing one file.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ragft.errors import RagftError
from ragft.retrieval.embedding import OnBatch, Vectors, in_blocks_by_length, silent, unit

BLOCK = 512
"""Texts embedded between two writes: the most that a kill makes a machine embed again."""

LOOKUP = 500
"""Keys asked for in one statement; SQLite takes 999 at least."""

SUFFIX = ".sqlite3"


class VectorCache:
    """The vectors that one embedder made."""

    def __init__(self, folder: Path, identity: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{identity[:32]}{SUFFIX}"
        with self._speaking():
            self._connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
            # With a write-ahead log a killed process loses nothing that was committed, and NORMAL does not wait for the
            # disk at each page: a power cut can lose the last pages, which are then embedded again, but tear none.
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")

    def documents(
        self,
        texts: Sequence[str],
        embed: Callable[[Sequence[str]], Vectors],
        on_batch: OnBatch = silent,
    ) -> Vectors:
        """Return unit vectors in the order of `texts`, embedding only texts that were never embedded, each once.

        `embed` gets blocks of texts of similar length; each is written before the next is embedded. `on_batch` is
        told how many texts are done, those found here first.
        """
        keys = [_key(text) for text in texts]
        known = self._found(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        on_batch(len(texts) - len(missing))
        new_keys, new_texts = list(missing), list(missing.values())

        def embedded(block: Sequence[str]) -> Vectors:
            vectors = unit(embed(block))
            self._write([_key(text) for text in block], vectors)
            return vectors

        for positions, vectors in in_blocks_by_length(new_texts, BLOCK, embedded, on_batch):
            known.update(zip([new_keys[position] for position in positions], vectors, strict=True))
        return self._stacked([known[key] for key in keys])

    def __len__(self) -> int:
        """Return how many vectors are kept."""
        with self._speaking():
            return int(self._connection.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _found(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray[tuple[int], np.dtype[np.float32]]]:
        found = {}
        for start in range(0, len(keys), LOOKUP):
            page = keys[start : start + LOOKUP]
            marks = ",".join("?" * len(page))
            with self._speaking():
                rows = self._connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", page)
                found.update({key: np.frombuffer(blob, dtype="<f4").astype(np.float32) for key, blob in rows})
        return found

    def _write(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        rows = [(key, row.astype("<f4").tobytes()) for key, row in zip(keys, vectors, strict=True)]
        with self._speaking():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _stacked(self, rows: Sequence[np.ndarray[tuple[int], np.dtype[np.float32]]]) -> Vectors:
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            raise RagftError(
                f"{self.path}: vectors of {' and '.join(map(str, sorted(widths)))} dimensions under one embedder",
                f"the embedder changed without a change of its name; remove {self.path} and run the command again",
            )
        return np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RagftError(
                f"{self.path}: the kept vectors cannot be used: {error}",
                "it only saves embedding a text twice: remove the file and run the command again",
            ) from error


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
