"""Crossings and saturating curves, by hand and against curves that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ragft.evaluation.curves import Draws, Saturating, draw_curves, falls_under, fit_saturating, gain_interval
from ragft.records import Score


def scores(name: str, values: dict[str, float]) -> list[Score]:
    return [Score(name, id_, "token_f1", value) for id_, value in values.items()]


def draws(first: list[list[float]], second: list[list[float]]) -> Draws:
    """Return draws of two curves; the first row of each is its measured means."""
    drawn = np.stack([np.array(first), np.array(second)], axis=1)
    return Draws(("rag", "tuned"), drawn[0], drawn, 10)


def test_a_crossing_lies_on_the_line_between_two_levels() -> None:
    # rag - tuned is 0.3 at 0 and -0.1 at 0.4: zero three quarters of the way, at 0.3.
    found = falls_under(draws([[0.6, 0.2]], [[0.3, 0.3]]), "rag", "tuned", [0.0, 0.4], 0.95)
    assert found.x == pytest.approx(0.3)
    assert (found.low, found.high, found.share) == (pytest.approx(0.3), pytest.approx(0.3), 1.0)


def test_a_dip_that_recovers_is_no_fall_and_the_last_stretch_counts() -> None:
    both = draws([[0.5, 0.1, 0.5, 0.1]], [[0.3, 0.3, 0.3, 0.3]])
    assert falls_under(both, "rag", "tuned", [0, 1, 2, 3], 0.95).x == pytest.approx(2.5)
    recovered = draws([[0.5, 0.1, 0.5]], [[0.3, 0.3, 0.3]])
    assert falls_under(recovered, "rag", "tuned", [0, 1, 2], 0.95).x is None


def test_under_from_the_start_is_the_first_level() -> None:
    assert falls_under(draws([[0.1, 0.0]], [[0.3, 0.3]]), "rag", "tuned", [0.0, 1.0], 0.95).x == 0.0


def test_an_interval_reaches_beyond_the_levels_where_some_draws_never_cross() -> None:
    rows = [[0.6, 0.2]] * 6 + [[0.6, 0.5]] * 4
    found = falls_under(draws(rows, [[0.3, 0.3]] * 10), "rag", "tuned", [0.0, 0.4], 0.95)
    assert (found.low, found.high) == (pytest.approx(0.3), None)
    assert found.share == pytest.approx(0.6)


def test_curves_are_drawn_on_the_examples_that_all_of_them_have() -> None:
    found = draw_curves(
        {
            "rag": [scores("a", {"e1": 1.0, "e2": 0.0, "e3": 1.0}), scores("a", {"e1": 0.0, "e2": 0.0})],
            "tuned": [scores("b", {"e1": 0.5, "e2": 0.5}), scores("b", {"e1": 0.5, "e2": 0.5})],
        },
        clusters={"e1": "d1", "e2": "d2", "e3": "d3"},
        metric="token_f1",
        resamples=500,
        seed=3,
    )
    assert found is not None
    assert (found.names, found.n) == (("rag", "tuned"), 2)
    assert found.means.tolist() == [[0.5, 0.0], [0.5, 0.5]]
    assert found.drawn.shape[1:] == (2, 2)
    # Every draw is of whole clusters, the same ones for both curves: e1 twice, e2 twice, or one of each.
    assert {round(row[0, 0], 6) for row in found.drawn} == {0.0, 0.5, 1.0}
    assert (found.drawn[:, 1] == 0.5).all()


def test_one_cluster_gives_no_draws() -> None:
    levels = [scores("a", {"e1": 1.0, "e2": 0.0})]
    assert draw_curves({"a": levels}, clusters={"e1": "d", "e2": "d"}, metric="token_f1", resamples=9, seed=1) is None


def test_training_seeds_are_averaged() -> None:
    seeded = [Score("a", id_, "token_f1", v, seed=s) for id_, s, v in (("e1", 1, 0.0), ("e1", 2, 1.0), ("e2", 1, 0.2))]
    seeded.append(Score("a", "e2", "token_f1", 0.4, seed=2))
    found = draw_curves({"a": [seeded]}, clusters={"e1": "x", "e2": "y"}, metric="token_f1", resamples=10, seed=1)
    assert found is not None
    assert found.means.tolist() == [[pytest.approx((0.5 + 0.3) / 2)]]


def test_a_saturating_curve_is_found_again() -> None:
    true = Saturating(base=0.1, top=0.6, scale=50.0, x_last=200.0)
    xs = [0.0, 20.0, 50.0, 100.0, 200.0]
    (found,) = fit_saturating(xs, np.array([[true.at(x) for x in xs]]))
    assert found.scale == pytest.approx(50, rel=0.08)  # one step of the grid
    assert (found.base, found.top) == (pytest.approx(0.1, abs=0.01), pytest.approx(0.6, abs=0.01))
    # By hand: 0.5 (exp(-200/50) - exp(-300/50)) = 0.5 (0.018316 - 0.002479) = 0.00792.
    assert true.gain(100) == pytest.approx(0.5 * (math.exp(-4) - math.exp(-6)))
    assert found.gain(100) == pytest.approx(true.gain(100), abs=0.004)


def test_a_flat_curve_gains_nothing_and_a_line_goes_on() -> None:
    xs = [0.0, 10.0, 40.0, 100.0]
    flat, line = fit_saturating(xs, np.array([[0.4] * 4, [0.1 + 0.002 * x for x in xs]]))
    assert flat.gain(100) == pytest.approx(0.0, abs=1e-9)
    assert (flat.bends, line.bends) == (True, False)
    assert line.gain(100) == pytest.approx(0.2, rel=0.1)


def test_the_interval_of_a_gain_is_that_of_the_fits() -> None:
    fits = [Saturating(0.0, top, 100.0, 0.0) for top in np.linspace(0, 1, 101)]
    found = gain_interval(fits, 100.0, 0.9)
    reach = 1 - math.exp(-1)
    assert (found.low, found.high) == (pytest.approx(0.05 * reach), pytest.approx(0.95 * reach))


def test_two_points_are_too_few_for_a_fit() -> None:
    with pytest.raises(ValueError, match="three"):
        fit_saturating([0.0, 1.0], np.zeros((1, 2)))
