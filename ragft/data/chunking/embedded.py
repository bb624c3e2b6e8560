"""What is embedded of a passage, and which passages are gold.

Knows nothing of how documents are cut, so retrieval can import it without the splitters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ragft.records import Passage


def embedded_text(title: str, text: str) -> str:
    """Return what is embedded of a passage: its title, then its text."""
    return f"{title}\n{text}" if title else text


def gold_passages(
    passages: Iterable[Passage], gold_ids: Iterable[str], contains: Callable[[str], bool]
) -> list[Passage]:
    """Return the passages of the gold documents, those that hold an answer first, in document order otherwise."""
    wanted = set(gold_ids)
    gold = [passage for passage in passages if passage.document_id in wanted]
    return sorted(gold, key=lambda passage: not contains(passage.text))
