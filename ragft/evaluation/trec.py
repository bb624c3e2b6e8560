"""Rankings and gold ids as text in the formats of trec_eval, which other tools of information retrieval read.

Must not know where the text goes, nor what was ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

import numpy as np

Scored = Sequence[tuple[str, float]]
"""Ids with their scores, best first, each id once."""


def run_text(rankings: Mapping[str, Scored], tag: str) -> str:
    """Return a run: a line `qid Q0 id rank score tag` for each ranked id, ranks from 1, queries in their order.

    Tools order by the score, which they keep in 32 bits, and break ties in ways of their own. Where the scores of a
    query do not fall from each rank to the next in that precision, 1 / rank stands in their place for that query. A
    query without any id has no line, as the format wants it.
    """
    return "".join(
        f"{escaped(query)} Q0 {escaped(id_)} {rank} {score} {escaped(tag)}\n"
        for query, ranked in rankings.items()
        for rank, (id_, score) in enumerate(_falling(ranked), start=1)
    )


def qrels_text(gold: Mapping[str, Iterable[str]]) -> str:
    """Return the gold ids: a line `qid 0 id 1` for each, ids in order."""
    return "".join(f"{escaped(query)} 0 {escaped(id_)} 1\n" for query, ids in gold.items() for id_ in sorted(ids))


def escaped(id_: str) -> str:
    """Return an id without white space: `%`, white space and control characters as `%` and their UTF-8 bytes in hex.

    The columns of both formats are separated by white space. `unescaped`, or any percent-decoding, undoes it.
    """
    return "".join(character if _stays(character) else _encoded(character) for character in id_)


def unescaped(id_: str) -> str:
    """Return the id that `escaped` was given."""
    return unquote(id_, errors="surrogatepass")


def _stays(character: str) -> bool:
    return character != "%" and character.isprintable() and not character.isspace()


def _encoded(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", errors="surrogatepass"))


def _falling(ranked: Scored) -> list[tuple[str, str]]:
    """Return ids with scores as text that fall from each to the next, for a reader who keeps them in 32 bits."""
    scores = np.array([score for _, score in ranked], dtype=np.float32)
    falls = bool(np.all(scores[1:] < scores[:-1]))
    numbers = scores.tolist() if falls else [1 / rank for rank in range(1, len(ranked) + 1)]
    return [(id_, f"{number:.9g}") for (id_, _), number in zip(ranked, numbers, strict=True)]
