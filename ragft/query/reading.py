"""What of a model's words is the answer, also while it is still being said; citation marks stay where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable

from ragft.tasks import Task

_MARK = re.compile(r"\[(\d{1,3})\]")
_HIDDEN = re.compile("\ue000(\\d{1,3})\ue001")


def answer_text(task: Task, said: str) -> str:
    """Return the answer as the task reads it, with its citation marks.

    The task drops marks such as [2], for they are no part of what is scored. Here they go through it in disguise, as
    numbers between two characters of Unicode's private use area, which no tokenizer makes of ordinary text.
    """
    hidden = _MARK.sub("\ue000\\1\ue001", said)
    return _HIDDEN.sub(r"[\1]", task.parse(hidden))


def answer_so_far(task: Task, said: str) -> str:
    """Return the part of an answer that nothing said later can take back; `said` ends at the end of a word."""
    settled = task.settled(said)
    return answer_text(task, settled) if settled else ""


class Telling:
    """Passes the growing answer on in pieces that, joined, are the answer; each piece is told once."""

    def __init__(self, task: Task, on_text: Callable[[str], None]) -> None:
        self._task, self._on_text = task, on_text
        self.told = ""

    def so_far(self, said: str) -> None:
        """Take all that was said so far, in whole words."""
        self._tell(answer_so_far(self._task, said))

    def end(self, said: str) -> str:
        """Take all that was said, and return the answer; one that is not what was told so far is told anew."""
        text = answer_text(self._task, said)
        if not text.startswith(self.told):
            self._on_text("\n")
            self.told = ""
        self._tell(text)
        return text

    def _tell(self, text: str) -> None:
        if len(text) > len(self.told) and text.startswith(self.told):
            piece, self.told = text[len(self.told) :], text
            self._on_text(piece)
