"""Scores of arms that were asked with several prompts: one value per example, and how far the prompts lie apart.

Sees scores. Must not know what a prompt says. Prompts are a factor of their own (Mizrahi et al. 2024, "State of what
art?"): an arm is its average over them, and the best of several prompts is no arm's score.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ragft.errors import DataError
from ragft.records import Score

_Key = tuple[str, str, str, int | None]  # arm, example, metric, training seed
PromptMeans = tuple[tuple[str, float], ...]


def over_prompts(scores: Sequence[Score]) -> list[Score]:
    """Return one score per arm, example, metric and training seed, without a prompt: the mean over the arm's prompts.

    In the order in which they first appear. Unscored where any prompt is, or where one that the arm was asked with is
    missing: a mean over the others would stand for another set of prompts; `reason` says which. DataError: an answer
    scored twice with one prompt, or an arm of which only some scores name a prompt.
    """
    if all(score.prompt is None for score in scores):
        return list(scores)
    prompts = _prompts(scores)
    return [_averaged(found, prompts[arm, metric]) for (arm, _, metric, _), found in _grouped(scores).items()]


def prompt_means(
    scores: Sequence[Score], arms: Sequence[str], metrics: Sequence[str]
) -> dict[tuple[str, str], PromptMeans]:
    """Return the mean by prompt as (prompt, mean), by (arm, metric), for those with two prompts or more.

    Prompts stand in the order in which they first appear. Each mean is over the same examples, those that every prompt
    and every training seed has a value for, so their average is the mean of the arm.
    """
    wanted = [score for score in scores if score.arm in set(arms) and score.metric in set(metrics)]
    values: dict[tuple[str, str], dict[str, dict[tuple[str, int | None], float]]] = {}
    seeds: dict[tuple[str, str], dict[int | None, None]] = {}
    for (arm, example_id, metric, seed), found in _grouped(wanted).items():
        seeds.setdefault((arm, metric), {})[seed] = None
        for prompt, score in found.items():
            if prompt is not None and score.value is not None:
                values.setdefault((arm, metric), {}).setdefault(prompt, {})[example_id, seed] = score.value
    named = {key: [one for one in prompts if one is not None] for key, prompts in _prompts(wanted).items()}
    return {
        key: means
        for key, prompts in named.items()
        if len(prompts) > 1 and (means := _means(values.get(key, {}), prompts, list(seeds[key])))
    }


def prompt_notes(means: Mapping[tuple[str, str], PromptMeans], metric: str) -> list[str]:
    """Return a sentence on the arms that were asked with several prompts, where there are any; `metric` is primary."""
    several = [f"{arm} ({', '.join(name for name, _ in of)})" for (arm, on), of in means.items() if on == metric]
    if not several:
        return []
    return [
        f"Asked with several prompts: {', '.join(several)}. Their values are averages over these prompts; intervals "
        "and p-values cover the choice of questions, not that of prompts."
    ]


def _grouped(scores: Iterable[Score]) -> dict[_Key, dict[str | None, Score]]:
    groups: dict[_Key, dict[str | None, Score]] = {}
    for score in scores:
        found = groups.setdefault((score.arm, score.example_id, score.metric, score.seed), {})
        if score.prompt in found:
            raise DataError(
                f"arm {score.arm!r}, example {score.example_id!r}, metric {score.metric!r}: scored twice"
                + ("" if score.prompt is None else f" with prompt {score.prompt!r}"),
                "one answer per arm, example, training seed and prompt: score the answers again",
            )
        found[score.prompt] = score
    return groups


def _prompts(scores: Iterable[Score]) -> dict[tuple[str, str], list[str | None]]:
    """Return the prompts of each arm on each metric, in order; DataError for some scores with and some without."""
    found: dict[tuple[str, str], dict[str | None, None]] = {}
    for score in scores:
        found.setdefault((score.arm, score.metric), {})[score.prompt] = None
    for (arm, metric), prompts in found.items():
        if None in prompts and len(prompts) > 1:
            raise DataError(
                f"arm {arm!r}, metric {metric!r}: some scores name a prompt and others none",
                "give every answer of an arm its prompt, or none of them",
            )
    return {key: list(prompts) for key, prompts in found.items()}


def _averaged(found: Mapping[str | None, Score], prompts: Sequence[str | None]) -> Score:
    whole = replace(next(iter(found.values())), prompt=None, value=None, reason=None)
    values = []
    for prompt in prompts:
        score = found.get(prompt)
        if score is None or score.value is None:
            reason = "not answered" if score is None else score.reason or "unscored"
            return replace(whole, reason=reason if prompt is None else f"prompt {prompt!r}: {reason}")
        values.append(score.value)
    return replace(whole, value=statistics.fmean(values))


def _means(
    values: Mapping[str, Mapping[tuple[str, int | None], float]],
    prompts: Sequence[str],
    seeds: Sequence[int | None],
) -> PromptMeans:
    columns = [values.get(prompt, {}) for prompt in prompts]
    ids = dict.fromkeys(id for id, _ in columns[0])
    whole = [(id, seed) for id in ids for seed in seeds if all((id, one) in c for one in seeds for c in columns)]
    if not whole:
        return ()
    return tuple(
        (prompt, statistics.fmean(column[cell] for cell in whole))
        for prompt, column in zip(prompts, columns, strict=True)
    )
