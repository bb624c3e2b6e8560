"""An answer on the screen: its words as they come, its sources with what supports it, and how long it took.

What documents, models and users write is shown as it is: never as markup, and never as commands to the terminal.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ragft.console.terminal import Terminal

SHORT = 320
"""Characters of a passage that are shown; more are cut around what supports the answer."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Return a text in which nothing commands a terminal: control characters become the pictures of Unicode.

    Line ends of any system become `\n`. C1 controls, which can begin an escape sequence in one character, characters
    that reorder a line, and halves of surrogate pairs have no picture and become U+FFFD.
    """
    return _CONTROLS.sub(_picture, text.replace("\r\n", "\n").replace("\r", "\n"))


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


class Speaker:
    """Writes the pieces of one answer on stdout as they come; on a terminal, wrapped between words."""

    def __init__(self, terminal: Terminal) -> None:
        self._out: Console = terminal.out
        self._column = 0
        self._space = ""
        self._open = False

    def say(self, piece: str) -> None:
        """Write one piece at once."""
        self._open = True
        if not self._out.is_terminal:
            sys.stdout.write(visible(piece))
            sys.stdout.flush()
            return
        wrapped = "".join(self._wrapped(part) for part in re.findall(r"\n|[^\S\n]+|\S+", visible(piece)))
        self._out.print(Text(wrapped, style="bold"), end="", soft_wrap=True)

    def _wrapped(self, part: str) -> str:
        """Return a word with the space before it, or behind a line end where it would not fit; a space alone waits."""
        if part == "\n":
            self._column, self._space = 0, ""
            return part
        if part.isspace():
            self._space = part
            return ""
        space, self._space = self._space, ""
        if self._column and self._column + cell_len(space + part) > self._out.width:
            self._column = cell_len(part)
            return f"\n{part}"
        self._column += cell_len(space + part)
        return space + part

    def end(self) -> None:
        """End the line of the answer, if anything was written."""
        if self._open:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._open = False


def answer_notes(result: Any, *, marks: bool, show_prompt: bool = False) -> Text:  # noqa: ANN401 - query.QueryResult
    """Return what stands below an answer: the prompt if asked for, why nothing was asked, sources, and times.

    `marks` puts what supports the answer between ⟦ and ⟧, where colours cannot show it.
    """
    text = Text()
    if show_prompt:
        text.append(prompt_text(result)).append("\n")
    for line in _remarks(result):
        text.append(f"{line}\n", style="yellow")
    text.append_text(sources_text(result, marks=marks))
    return text.append(_times(result), style="dim")


def prompt_text(result: Any) -> str:  # noqa: ANN401 - query.QueryResult
    """Return the prompt as the model read it."""
    return visible(result.prompt) if result.prompt is not None else "(the model was not asked)"


def _remarks(result: Any) -> list[str]:  # noqa: ANN401 - query.QueryResult
    lines = []
    if result.reason is not None and result.prompt is None:
        lines.append(visible(f"not asked: {result.reason} (--answer-anyway asks the model all the same)"))
    elif result.reason is not None:
        lines.append(visible(f"asked all the same: {result.reason}"))
    if result.dropped_turns:
        kept = len(result.history)
        lines.append(f"{result.dropped_turns} of {result.dropped_turns + kept} earlier turns had no room in the prompt")
    if result.finish_reason == "length":
        lines.append("the answer was cut off at generation.max_new_tokens")
    if result.finish_reason == "interrupted":
        lines.append("stopped")
    return lines


def sources_text(result: Any, *, marks: bool, whole: bool = False) -> Text:  # noqa: ANN401 - query.QueryResult
    """Return the numbered sources with what supports the answer highlighted; long passages are shortened around it.

    `whole` leaves passages as long as they are.
    """
    text = Text()
    for source in result.sources:
        passage = source.passage
        text.append(f"\n[{source.number}] {visible(passage.title or passage.document_id)}", style="cyan")
        text.append(" ← cited\n" if source.cited else "\n", style="bold green")
        score = "" if source.score is None else f", {source.scale} {source.score:.3f}"
        place = f"characters {passage.start}-{passage.end}"
        text.append(f"    {visible(passage.document_id)}, {place}{score}\n", style="dim")
        text.append_text(_body(passage.text, source.spans, marks=marks, whole=whole)).append("\n")
    return text.append("\n") if result.sources else text


def _body(text: str, spans: Sequence[Any], *, marks: bool, whole: bool) -> Text:
    """Return a passage on one line, cut around its first span."""
    start, end = (0, len(text)) if whole else _window(text, spans)
    body = Text("    " + ("… " if start else ""))
    at = start
    for span in spans:
        first, last = max(span.start, at), min(span.end, end)
        if first >= last:
            continue
        body.append(_flat(text[at:first]))
        said = _flat(text[first:last])
        body.append(f"⟦{said}⟧" if marks else said, style="bold black on yellow")
        at = last
    return body.append(_flat(text[at:end])).append(" …" if end < len(text) else "")


def _flat(text: str) -> str:
    return visible(re.sub(r"\s+", " ", text))


def _window(text: str, spans: Sequence[Any]) -> tuple[int, int]:
    """Return (start, end) of at most about `SHORT` characters around the first span, cut between words."""
    if len(text) <= SHORT:
        return 0, len(text)
    first, last = (spans[0].start, spans[0].end) if spans else (0, 0)
    room = max(0, SHORT - (last - first))
    start = max(0, min(first - room // 3, len(text) - SHORT))
    end = min(len(text), max(last, start + SHORT))
    return _forward(text, start, first), _back(text, end, last)


def _forward(text: str, start: int, limit: int) -> int:
    """Return the next beginning of a word, `limit` at most; where no white space is near, `start` itself."""
    found = re.compile(r"\s+").search(text, max(0, start - 1), min(limit, start + 40))
    return start if start == 0 or found is None else found.end()


def _back(text: str, end: int, limit: int) -> int:
    """Return the last end of a word, `limit` at least; where no white space is near, `end` itself."""
    if end == len(text):
        return end
    found = re.search(r"\s+\S*$", text[max(limit, end - 40) : end + 1])
    return end if found is None else max(limit, end - 40) + found.start()


def _times(result: Any) -> str:  # noqa: ANN401 - query.QueryResult
    seconds = result.seconds
    parts = [f"retrieval {seconds.retrieval:.2f} s"] if result.sources or result.relevant is not None else []
    if result.prompt is not None:
        if seconds.first_word is not None:
            parts.append(f"first word {seconds.first_word:.2f} s")
        parts.append(f"whole {seconds.total:.2f} s")
        parts += [f"{result.prompt_tokens} prompt tokens", f"{result.output_tokens} output tokens"]
    return f"{result.arm}: {', '.join(parts)}"
