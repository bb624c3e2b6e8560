"""Where a text that is still growing can be cut so that no half word is shown. Knows nothing of tokens or models."""

from __future__ import annotations

import re
from collections.abc import Callable

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff00-\uff65\U00020000-\U000323af"
)
"""Scripts that put no spaces between words, with their punctuation: each character stands for itself."""

_WHOLE = re.compile(rf"(?s).*(?:\S(?=\s)|[{_UNSPACED}])")


def whole_words(text: str) -> str:
    """Return the text up to its last word that is surely whole: white space follows it, or its script has none.

    A character of which bytes are still missing decodes to U+FFFD at the end, which is no whole word either.
    """
    found = _WHOLE.match(text)
    return found[0] if found else ""


class Told:
    """Tells a growing text to somebody who has to be told only what stands fast."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self.text = ""

    def tell(self, text: str) -> None:
        """Tell a text that goes on where the last one ended; one that takes something back waits until it does not."""
        if len(text) > len(self.text) and text.startswith(self.text):
            self.text = text
            self._on_text(text)
