"""Titles of passages from the headings above them, such as `Handbook > Pumps > Limits`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_BETWEEN, _CUT = " > ", "…"


def path_title(title: str, path: Sequence[str], fits: Callable[[str], bool]) -> str:
    """Return the document's title and the headings of a section, outermost first, as one title.

    A first heading that repeats the document's title is left out. Where the whole does not fit it is shortened from
    the left, and `…` stands for what is gone: the headings next to the text say most about it. Where not even the last
    one fits, as many of its first characters stay as do, in steps of a quarter; none may.
    """
    names = list(path)
    if names and _plain(names[0]) == _plain(title):
        del names[0]
    names = [title, *names] if title else names
    whole = _BETWEEN.join(names)
    if fits(whole):
        return whole
    while len(names) > 1:
        del names[0]
        if fits(shortened := _BETWEEN.join([_CUT, *names])):
            return shortened
    return _shortened(names[0], fits)


def _shortened(name: str, fits: Callable[[str], bool]) -> str:
    while name:
        name = name[: len(name) * 3 // 4].rstrip()
        if name and fits(f"{name}{_CUT}"):
            return f"{name}{_CUT}"
    return ""


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
