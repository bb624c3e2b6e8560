"""Checks that need a model: whether prompts fit its context, and whether it knows the answers already.

They are given counts and scores. Nothing here loads or asks a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ragft.data.checks.check import DataCheck, some


def length_check(
    lengths: Mapping[str, Sequence[int]], limit: int | None, max_new_tokens: int, example_ids: Sequence[str] = ()
) -> DataCheck:
    """Return the check that every prompt and its answer fit the model's context of `limit` tokens (None: no limit).

    `lengths` are tokens of the prompts of each arm; with `example_ids`, in the order of these examples, those that are
    too long are named. A prompt without room for `max_new_tokens` is an error: it would be refused when it is asked.
    """
    n = sum(len(tokens) for tokens in lengths.values())
    spread = "; ".join(f"{arm} {_spread(tokens)}" for arm, tokens in lengths.items() if tokens)
    title = "tokens of the prompts (p50 / p95 / longest)"
    if limit is None:
        return DataCheck("lengths", title, n, 0, "ok", f"{spread}; the model names no limit")
    long = {arm: [at for at, count in enumerate(t) if count + max_new_tokens > limit] for arm, t in lengths.items()}
    found = sum(len(positions) for positions in long.values())
    room = f"the model's context of {limit} less {max_new_tokens} for the answer"
    if not found:
        return DataCheck("lengths", title, n, 0, "ok", f"{spread}; all fit {room}")
    arms = some([f"{arm} {len(positions)}" for arm, positions in long.items() if positions])
    ids = _named(long, example_ids)
    named = f" ({some(ids)})" if ids else ""
    message = f"{found} of {n} prompts do not fit {room}: {arms}{named}; {spread}"
    hint = "lower retrieval.top_k, index.chunking.chunk_tokens, the number of shots or generation.max_new_tokens"
    return DataCheck("lengths", title, n, found, "error", message, ids, hint)


def _named(long: Mapping[str, Sequence[int]], example_ids: Sequence[str]) -> tuple[str, ...]:
    positions = sorted({position for each in long.values() for position in each})
    return tuple(example_ids[position] for position in positions if position < len(example_ids))


def _spread(tokens: Sequence[int]) -> str:
    """Return the median, the 95th percentile (nearest rank: the smallest that covers the share) and the longest."""
    ranked = sorted(tokens)
    at = [ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.95, 1.0)]
    return " / ".join(str(count) for count in at)


def known_check(arm: str, metric: str, mean: float | None, n: int, threshold: float) -> DataCheck:
    """Return the check that the bare model does not know the answers: its mean score closed-book, over `n` answers.

    From `threshold` on (data.checks.known_score) the examples cannot show what retrieval or training brings: there is
    no room above what the model knows. `mean` is None where nothing could be scored.
    """
    title = "answers that the model knows already"
    if mean is None:
        return DataCheck("known", title, n, 0, "note", f"{arm} could not be scored by {metric}, so this is not known")
    if mean < threshold:
        message = f"{arm} scores {mean:.3f} {metric} closed-book, below {threshold:g}: there is room for knowledge"
        return DataCheck("known", title, n, 0, "ok", message)
    message = (
        f"{arm} scores {mean:.3f} {metric} closed-book ({threshold:g} or more): the model knows most of the answers, "
        "so that these examples cannot show what knowledge is worth"
    )
    hint = "ask about what the model cannot know: newer, private or rarer facts"
    return DataCheck("known", title, n, round(mean * n), "warning", message, (), hint)
