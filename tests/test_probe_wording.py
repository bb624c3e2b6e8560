"""Numbers in the sentences of probes."""

from __future__ import annotations

from typing import Any

import pytest

from ragft.probes.wording import change, doubt, listed, scored, within
from ragft.records import ContrastResult, Interval


def interval(low: float, high: float) -> Interval:
    return Interval(low, high, 0.95, "drawn")


def contrast(difference: float | None, low: float, high: float) -> ContrastResult:
    rest: dict[str, Any] = {"p_value": None, "p_adjusted": None, "minimum_detectable_effect": None, "n_needed": None}
    return ContrastResult("a", "b", "f1", difference, interval(low, high), 9, "sign flip", declared=False, **rest)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-0.0004, 0.0461, "0.000 to 0.046"), (-0.0006, -0.0, "-0.001 to 0.000"), (0.5, 1.0, "0.500 to 1.000")],
)
def test_what_rounds_to_zero_has_no_minus(low: float, high: float, said: str) -> None:
    assert within(interval(low, high)) == f" (95 % interval {said})"
    assert scored(low) == said.split()[0]


def test_a_difference_has_its_sign() -> None:
    assert change(contrast(-0.0002, -0.1, 0.1)) == "+0.000 (95 % interval -0.100 to 0.100)"
    assert change(contrast(-0.25, -0.4, -0.1)) == "-0.250 (95 % interval -0.400 to -0.100)"
    assert change(contrast(None, 0.0, 0.0)) == "n/a"


def test_a_difference_is_in_doubt_while_its_interval_holds_zero() -> None:
    assert [doubt(contrast(0.1, low, 0.2)) for low in (0.01, -0.01)] == ["", ", not a clear difference"]


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
