"""Student's t distribution, with numpy alone: its distribution function and the quantiles that invert it.

Sees two numbers; must not know what they are used for.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ragft.evaluation.resampling import Floats


def t_cdf(t: float, degrees: float) -> float:
    """Return the probability that Student's t with `degrees` >= 1 degrees of freedom, whole or not, is at most `t`.

    With t = sqrt(v) / tan(w) it is 1 - A(w) / (2 A(pi / 2)), where A(w) is the integral of sin(x)^(v - 1) from 0 to w
    (Abramowitz and Stegun 1964, 26.7). Exactly 1/2 at 0. It agrees with SciPy's to nine digits, small
    probabilities at negative `t` included, so a two-sided p-value is 2 t_cdf(-|t|). ValueError for fewer than one
    degree of freedom.
    """
    if degrees < 1:
        raise ValueError(f"degrees {degrees} must be at least 1")
    if t > 0:
        return 1 - t_cdf(-t, degrees)
    return _area(math.atan2(math.sqrt(degrees), -t), degrees) / (2 * _area(math.pi / 2, degrees))


@lru_cache(maxsize=1024)
def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t at `probability` with `degrees` >= 1 degrees of freedom, whole or not.

    `t_cdf` inverted by halving. ValueError for a probability outside (0, 1) or fewer than one degree of freedom.
    """
    if not 0 < probability < 1 or degrees < 1:
        raise ValueError(f"probability {probability} must be within (0, 1) and degrees {degrees} at least 1")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    beyond = (1 - probability) * 2 * _area(math.pi / 2, degrees)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _area(middle, degrees) < beyond else (low, middle)
    return math.sqrt(degrees) / math.tan((low + high) / 2)


def _area(angle: float, degrees: float) -> float:
    """Return the integral of sin(x)^(degrees - 1) from 0 to `angle`, by Gauss and Legendre's rule.

    In the fourth root of x the integrand is smooth at 0, also for a power between 0 and 1. With many degrees nearly all
    of it lies just below `angle`; so the rule starts where the integrand is e^-40 of what it is there.
    """
    power = degrees - 1
    start = math.asin(math.sin(angle) * math.exp(-40 / power)) if power > 0 else 0.0
    low, high = start**0.25, angle**0.25
    nodes, weights = _rule()
    root = low + (high - low) / 2 * (nodes + 1)
    heights: Floats = 4 * root**3 * np.sin(root**4) ** power
    area: float = (high - low) / 2 * float(weights @ heights)
    return area


@lru_cache(maxsize=1)
def _rule() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(80)
    return nodes, weights
