"""Signs of trouble in the history of a training, in words. Standard library only, so that reports may ask too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median, variance

WINDOW = 5
"""Losses that are averaged on either side of a comparison: single steps are noise."""

OVERFITTED = 0.5
"""Train loss below this share of the dev loss, while the dev loss is past its best, is learning by heart."""

RISEN = 1.1
"""A loss of this many times its lowest window has risen."""

CERTAIN = 3.0
"""Standard errors of two windows by which a loss must have risen: single batches differ by more than a trend."""

EXPLODED = 10.0
"""A gradient norm of this many times the median of those before it has exploded."""

Row = Mapping[str, float]


def signs_of_trouble(history: Sequence[Row]) -> tuple[str, ...]:
    """Return a sentence for each sign of trouble in a training history, none where all looks well.

    `history` holds the Trainer's rows: `step` with `loss` and `grad_norm`, or with `eval_loss`. Losses are in nats per
    token. The thresholds are rules of thumb, stated above; a history shorter than two windows shows no trend.
    """
    losses = [(int(row["step"]), row["loss"]) for row in history if "loss" in row]
    dev = [(int(row["step"]), row["eval_loss"]) for row in history if "eval_loss" in row]
    norms = [(int(row["step"]), row["grad_norm"]) for row in history if "grad_norm" in row]
    return (*_overfitting(losses, dev), *_no_gain(dev), *_rising(losses, dev), *_exploding(norms))


def _overfitting(losses: Sequence[tuple[int, float]], dev: Sequence[tuple[int, float]]) -> Iterator[str]:
    """Yield that the train loss lies far under a dev loss that has got worse."""
    if not losses or len(dev) < 2:
        return
    train, (best_step, best), (_, last) = fmean(loss for _, loss in losses[-WINDOW:]), _lowest(dev), dev[-1]
    if train < OVERFITTED * last and last > best:
        yield (
            f"The train loss ended at {train:.3f}, far under the dev loss of {last:.3f}, which was best at step "
            f"{best_step} ({best:.3f}): the training examples are learnt by heart. Train for fewer epochs, with a "
            "lower learning rate, or on more varied examples."
        )


def _no_gain(dev: Sequence[tuple[int, float]]) -> Iterator[str]:
    """Yield that no measurement of the dev loss was better than the first."""
    if len(dev) >= 3 and _lowest(dev) == dev[0]:
        yield (
            f"The dev loss never got better than at its first measurement (step {dev[0][0]}: {dev[0][1]:.3f}). Either "
            "the learning rate is too high, or the training examples teach nothing that the dev examples ask."
        )


def _rising(losses: Sequence[tuple[int, float]], dev: Sequence[tuple[int, float]]) -> Iterator[str]:
    """Yield that the train loss ended well above its lowest window, by more than chance, where dev does not say no.

    Batches differ, so the loss of single steps does: a rise counts from three standard errors of the two windows. A dev
    loss that is best at the end, over the same examples every time, outweighs it.
    """
    if len(losses) < 2 * WINDOW or (len(dev) > 1 and _lowest(dev) == dev[-1]):
        return
    windows = [losses[at : at + WINDOW] for at in range(0, len(losses) - WINDOW + 1)]
    means = [fmean(loss for _, loss in window) for window in windows]
    lowest = min(range(len(means)), key=means.__getitem__)
    spread = sum(variance([loss for _, loss in windows[place]]) for place in (lowest, -1))
    if lowest + WINDOW <= len(means) - 1 and means[-1] > max(
        RISEN * means[lowest], means[lowest] + CERTAIN * math.sqrt(spread / WINDOW)
    ):
        first, last = windows[lowest][0][0], windows[lowest][-1][0]
        yield (
            f"The train loss rose from {means[lowest]:.3f} (steps {first} to {last}) to {means[-1]:.3f} at the end: "
            "lower the learning rate, or give it a longer warm-up."
        )


def _exploding(norms: Sequence[tuple[int, float]]) -> Iterator[str]:
    """Yield the first step whose gradient norm is far above the median of those before it."""
    for place in range(WINDOW, len(norms)):
        step, norm = norms[place]
        usual = median(value for _, value in norms[:place])
        if not math.isfinite(norm) or norm > EXPLODED * usual > 0:
            yield (
                f"The gradient norm jumped to {norm:.3g} at step {step}, where {usual:.3g} was usual: lower the "
                "learning rate or training.max_grad_norm."
            )
            return


def _lowest(dev: Sequence[tuple[int, float]]) -> tuple[int, float]:
    return min(dev, key=lambda item: item[1])
