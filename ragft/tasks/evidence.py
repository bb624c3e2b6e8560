"""Which passages of a gold document hold what a free answer says, where it is no string that stands in one of them."""

from __future__ import annotations

from collections.abc import Sequence

from ragft.evaluation.answers import normalise

_ENOUGH = 0.5
"""Share of a reference's words; lower, and any passage of its document would do."""


def shares_words(text: str, references: Sequence[str]) -> bool:
    """Return whether half of the words of a reference, each counted once, stand in a passage's text.

    It only decides which passages of the gold documents come first; scores do not depend on it. Words are found by
    spaces: in a language without them no passage comes before another.
    """
    words = set(normalise(text).split())
    return any(_share(set(normalise(reference).split()), words) >= _ENOUGH for reference in references)


def _share(wanted: set[str], words: set[str]) -> float:
    return len(wanted & words) / len(wanted) if wanted else 0.0
