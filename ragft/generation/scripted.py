"""Answers from a file, for trying out an experiment: the same texts every time, at no cost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragft import jsonl
from ragft.errors import DataError, RagftError
from ragft.generation.generator import Generation
from ragft.generation.words import Told
from ragft.provenance import sha256_file

_COLUMNS = ("contains", "answer", "logprob")


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of the script; without `contains` it answers what no other row does."""

    contains: str | None
    answer: str
    logprob: float | None


class ScriptedGenerator:
    """Answers a prompt with the first row of a file whose text stands in the last thing that the user says.

    A prompt that no row answers, in a script without a default row, has finish reason "error". Tokens are words.
    """

    context_tokens = None
    """A script reads prompts of any length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sha256, self._lines = _read(path)

    @property
    def identity(self) -> dict[str, Any]:
        """What an answer depends on beside its prompt: the file, by its content."""
        return {"kind": "scripted", "sha256": self._sha256}

    def cap(self, max_new_tokens: int) -> None:
        """Do nothing: an answer is as long as it stands in the file."""

    def count_tokens(self, prompt: str) -> int:
        """Return the words of a prompt."""
        return sum(len(message["content"].split()) for message in _messages(prompt))

    @contextmanager
    def adapter(self, folder: Path | None) -> Iterator[None]:
        """Answer as the script; RagftError for an adapter, which changes nothing in it."""
        if folder is not None:
            raise RagftError(f"the adapter in {folder} cannot be put into a script of answers ({self._path})")
        yield

    def close(self) -> None:
        """Do nothing: the file is read already."""

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        """Return the answers to some prompts, in order."""
        return [self._answer(prompt) for prompt in prompts]

    def answers(self, prompts: Sequence[str]) -> Generator[tuple[int, Generation], None, None]:
        """Yield (place in `prompts`, answer), in order."""
        yield from enumerate(self.generate(prompts))

    def stream(self, prompt: str, on_text: Callable[[str], None]) -> Generation:
        """Return the answer to one prompt, telling `on_text` all that was said so far, word by word."""
        generation = self._answer(prompt)
        told = Told(on_text)
        for place, character in enumerate(generation.text):
            if character.isspace():
                told.tell(generation.text[:place].rstrip())
        told.tell(generation.text)
        return generation

    def _answer(self, prompt: str) -> Generation:
        said = next((m["content"] for m in reversed(_messages(prompt)) if m["role"] == "user"), "")
        found = next((line for line in self._lines if line.contains is None or line.contains in said), None)
        words = self.count_tokens(prompt)
        if found is None:
            return Generation("", words, 0, 0.0, "error", error=f"no row of {self._path} answers this prompt")
        return Generation(found.answer.strip(), words, len(found.answer.split()), 0.0, "stop", found.logprob)


def _messages(prompt: str) -> list[dict[str, str]]:
    """Return the messages of a prompt; a text that is no JSON list is all said by the user."""
    try:
        found = json.loads(prompt)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, list) else [{"role": "user", "content": prompt}]


def _read(path: Path) -> tuple[str, list[_Line]]:
    """Return the file's SHA-256 and its rows, the default row last; DataError as `file:line: what is wrong`."""
    lines: list[_Line] = []
    default: tuple[int, _Line] | None = None
    for number, row in jsonl.read_rows(path):
        line = _line(row, f"{path}:{number}")
        if line.contains is not None:
            lines.append(line)
        elif default is None:
            default = number, line
        else:
            raise DataError(
                f"{path}:{number}: a second row without `contains`; the first one is in line {default[0]}",
                "a script has one default answer",
            )
    if not lines and default is None:
        raise DataError(f"{path}: holds no answers", 'write rows such as {"contains": "Aldmoor", "answer": "green"}')
    return sha256_file(path), [*lines, *([default[1]] if default else [])]


def _line(row: Mapping[str, Any], where: str) -> _Line:
    unknown = [key for key in row if key not in _COLUMNS]
    if unknown:
        raise DataError(f"{where}: unknown column {unknown[0]!r}", f"columns: {', '.join(_COLUMNS)}")
    contains, answer, logprob = (row.get(key) for key in _COLUMNS)
    if not isinstance(answer, str):
        raise DataError(f"{where}: `answer` must be a text, found {json.dumps(answer)}")
    if "contains" in row and not (isinstance(contains, str) and contains):
        raise DataError(
            f"{where}: `contains` must be a text that is not empty, found {json.dumps(contains)}",
            "leave it out in the row that answers everything else",
        )
    if "logprob" in row and not _is_logprob(logprob):
        raise DataError(f"{where}: `logprob` must be a number of at most 0, found {json.dumps(logprob)}")
    return _Line(contains, answer, None if logprob is None else float(logprob))


def _is_logprob(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value <= 0
