"""How far each adapter has moved the model on text: measured once for each text, with means over tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ragft import jsonl, provenance
from ragft.arms.bench import Bench
from ragft.generation.drift import Drift, Window, drifts
from ragft.probes.kit import Kit
from ragft.probes.weights import Weights
from ragft.records import Estimate, Example, Score

CODE = ("generation/drift.py", "models/fused.py", "models/language_model.py")
"""The parts of ragft that a drift depends on."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What an adapter does to one text, each with its interval over windows.

    `kl` is KL(base || tuned) in nats a token; `ratio` the perplexity of the tuned model over that of the base; `agreed`
    the share of tokens before which both find the same one likeliest.
    """

    kl: Estimate
    ratio: Estimate
    agreed: Estimate


class DriftJournal:
    """What is known of the drift of weights on windows, by the content of both."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._paths: dict[Weights, Path] = {}
        self._known: dict[Path, dict[str, Drift]] = {}

    def missing(self, weights: Weights, windows: Sequence[Window]) -> list[Window]:
        """Return the windows that the weights have not read yet."""
        known = self._drifts(weights)
        return [window for window in windows if _key(window) not in known]

    def measured(self, every: Sequence[Weights], windows: Sequence[Window]) -> dict[str, list[Drift]]:
        """Return the drift on every window, by the title of the weights; only what is not known yet is read."""
        wanted = {one: missing for one in every if (missing := self.missing(one, windows))}
        if wanted:
            self._measure(wanted)
        return {one.title: [self._drifts(one)[_key(window)] for window in windows] for one in every}

    def _measure(self, wanted: Mapping[Weights, Sequence[Window]]) -> None:
        local = self._bench.local
        by_folder = {folder: one for one in wanted if (folder := one.folder) is not None}
        union = {window for windows in wanted.values() for window in windows}
        total = sum(one.tokens for windows in (union, *wanted.values()) for one in windows)
        # The plain weights first: PEFT puts what it loads into the model that is read here.
        language_model, generator = local.bare, local.generator
        with self._bench.listener.work("Reading general text", total, "tokens") as work:
            reads = {folder: wanted[one] for folder, one in by_folder.items()}
            for folder, window, found in drifts(language_model, generator, reads, work.advance):
                self._add(by_folder[folder], window, found)

    def _add(self, weights: Weights, window: Window, found: Drift) -> None:
        path = self._path(weights)
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.append_row(path, {"window": _key(window), **jsonl.plain(found)})
        self._drifts(weights)[_key(window)] = found

    def _drifts(self, weights: Weights) -> dict[str, Drift]:
        path = self._path(weights)
        if path not in self._known:
            rows = jsonl.read_journal(path)
            self._known[path] = {str(row.pop("window")): Drift(**row) for row in rows}
        return self._known[path]

    def _path(self, weights: Weights) -> Path:
        if weights not in self._paths:
            identity = [self._bench.local.weights_identity, weights.fingerprint, provenance.code_fingerprint(*CODE)]
            self._paths[weights] = self._bench.workspace.drift_path(provenance.fingerprint(identity))
        return self._paths[weights]


def _key(window: Window) -> str:
    return provenance.fingerprint([window.ids, window.given])


def moved(
    kit: Kit, every: Sequence[Weights], windows: Sequence[Window], found: Mapping[str, Sequence[Drift]]
) -> dict[str, Moved]:
    """Return what each adapter does to a text, by its name, over all of its training seeds.

    Means are over tokens; intervals draw windows, and training seeds where there are several.
    """
    kl = _estimates(kit, every, windows, {title: [one.kl for one in of] for title, of in found.items()}, "kl")
    nats = {title: [one.tuned_nats - one.base_nats for one in of] for title, of in found.items()}
    ratio = _estimates(kit, every, windows, nats, "log_perplexity_ratio")
    same = {title: [float(one.agreed) for one in of] for title, of in found.items()}
    agreed = _estimates(kit, every, windows, same, "top1_agreement")
    return {name: Moved(kl[name], _exponential(ratio[name]), agreed[name]) for name in kl}


def _estimates(
    kit: Kit, every: Sequence[Weights], windows: Sequence[Window], sums: Mapping[str, Sequence[float]], metric: str
) -> dict[str, Estimate]:
    tokens = [window.tokens for window in windows]
    named: dict[str, list[Score]] = {}
    for one in every:
        values = over_tokens(sums[one.title], tokens)
        scores = (
            Score(one.name, window.id, metric, value, seed=one.seed)
            for window, value in zip(windows, values, strict=True)
        )
        named.setdefault(one.name, []).extend(scores)
    return kit.estimates(named, [Example(window.id, "", ()) for window in windows], metric)


def over_tokens(sums: Sequence[float], tokens: Sequence[int]) -> list[float]:
    """Return one value for each window, whose plain mean is the mean over all tokens, and spreads as that does.

    The mean over tokens R is a ratio of two sums, of values and of tokens. Its linearisation (Cochran 1977, section
    6.4) is R + (sum of the window - R tokens of the window) / mean tokens.
    """
    values, sizes = np.asarray(sums, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    mean = values.sum() / sizes.sum()
    linear: list[float] = (mean + (values - mean * sizes) / sizes.mean()).tolist()
    return linear


def _exponential(estimate: Estimate) -> Estimate:
    """Return the estimate of e to the power of what was estimated."""
    if estimate.mean is None:
        return estimate
    interval = estimate.interval
    ends = None if interval is None else replace(interval, low=math.exp(interval.low), high=math.exp(interval.high))
    means = tuple(math.exp(mean) for mean in estimate.seed_means)
    return replace(estimate, metric="perplexity_ratio", mean=math.exp(estimate.mean), interval=ends, seed_means=means)
