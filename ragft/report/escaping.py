"""Hostile text made harmless for each place where it may stand: Markdown, JSON inside a script element, UTF-8."""

from __future__ import annotations

import json
import re
from typing import Any

from markupsafe import Markup

_MARKDOWN = re.compile(r"([\\`*\[\]<>|~&#$]|(?<![^\W_])_|_(?![^\W_]))")
_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def escape_markdown(text: object) -> Markup:
    """Return `text` on one line with everything escaped that Markdown, its tables or HTML would take for markup.

    An underscore inside a word stays as it is, for Markdown leaves it alone: `token_f1` reads as it should.
    """
    line = " ".join(str(text).split())
    return Markup(_MARKDOWN.sub(r"\\\1", line))


def script_json(value: Any) -> Markup:  # noqa: ANN401 - any JSON value
    """Return `value` as JSON that may stand inside a script element: nothing in it can end the element or a line."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(_SCRIPT.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def encodable(text: str) -> str:
    """Return `text` with half characters (lone surrogates, which UTF-8 cannot hold) replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)
