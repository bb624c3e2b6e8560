"""The reports' small parts: numbers, escaping, axes, fronts, what an interval says."""

from __future__ import annotations

import re

import pytest

from ragft.records import ContrastResult, Interval
from ragft.report.bars import score_axis, score_bar
from ragft.report.contents import SweepFacts, Trial
from ragft.report.contrast_rows import finding
from ragft.report.escaping import escape_markdown, script_json
from ragft.report.formatting import amount, duration, moment, p_value, score, seconds, signed
from ragft.report.svg import Axis, tag
from ragft.report.sweep_plot import sorted_trials, sweep_curve
from ragft.report.tradeoff import Effort, Point, pareto_front, tradeoff_plot


def test_numbers_are_written_in_one_way() -> None:
    assert [score(v) for v in (0.61249, -0.0001, -0.25, None)] == ["0.612", "0.000", "\u22120.250", "n/a"]
    assert [signed(v) for v in (0.0414, 0.0, -0.02)] == ["+0.041", "0.000", "\u22120.020"]
    assert [seconds(v) for v in (1.2149, 0.0123, 0.0001, None)] == ["1.21 s", "0.012 s", "< 0.001 s", "n/a"]
    assert [duration(v) for v in (12.0, 194.2, 7260.0)] == ["12.00 s", "3 min 14 s", "2 h 1 min"]
    assert [p_value(v) for v in (0.0004, 0.03, None)] == ["< 0.001", "0.030", "n/a"]


def test_escaping_for_each_place() -> None:
    assert escape_markdown("a|b\n`c` <d> token_f1 _e_") == r"a\|b \`c\` \<d\> token_f1 \_e\_"
    assert script_json("</script>&\u2028\ud800") == r'"\u003c/script\u003e\u0026\u2028\ud800"'
    assert (
        tag("text", "<b>", class_="a", x=1.5, aria_label='"')
        == '<text class="a" x="1.5" aria-label="&#34;">&lt;b&gt;</text>'
    )


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    kinds = {"slow": (2.0, 0.9), "fast": (0.5, 0.4), "beaten": (1.0, 0.3), "oracle": (0.1, 1.0)}
    points = [Point(name, *place, None, "control" if name == "oracle" else "arm") for name, place in kinds.items()]
    assert [point.name for point in pareto_front(points)] == ["fast", "slow"]


def test_axes_place_and_part_values() -> None:
    assert Axis(0.0, 2.0, 10.0, 110.0).at(0.5) == 35.0
    assert Axis(0.1, 10.0, 0.0, 100.0, log=True).at(1.0) == pytest.approx(50.0)
    assert Axis(0.0, 1.0, 0.0, 1.0).ticks(5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Axis(3.0, 3.0, 0.0, 10.0).at(3.0) == 5.0


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.05, 0.2, "a is higher"),
        (-0.2, -0.05, "b is higher"),
        (-0.1, 0.1, "not distinguished"),
        (0.001, 0.015, "equal within the margin"),
    ],
)
def test_what_an_interval_says(low: float, high: float, words: str) -> None:
    interval = Interval(low, high, 0.95, "percentile")
    contrast = ContrastResult(
        "a", "b", "token_f1", (low + high) / 2, interval, 60, "sign_flip", 0.1, 0.1, 0.1, 10, True
    )
    assert finding(contrast, 0.02) == words


def test_amounts_have_three_figures_and_times_are_utc() -> None:
    assert [amount(v) for v in (0.04123, 1.5, 26.4, 412.0, 12_345.6, 0.0, None)] == [
        "0.0412", "1.50", "26.4", "412", "12,346", "0", "n/a",
    ]  # fmt: skip
    assert moment("2026-11-23T14:12:59+02:00") == "2026-11-23 12:12 UTC"
    assert moment("yesterday") == "yesterday"


def test_a_bar_draws_each_training_seed_where_its_mean_lies() -> None:
    drawn = score_bar("raft", 0.5, None, score_axis([0.5]), "arm", (0.25, 0.75))
    assert 'cx="25.50%"' in drawn and 'cx="74.50%"' in drawn  # 1 % + 98 % of the value
    assert "<title>raft: 0.500, no interval; by training seed 0.250, 0.750</title>" in drawn


def test_labels_of_a_crowded_plot_do_not_cover_each_other() -> None:
    points = [Point(f"arm_{i}", 1.0 + i / 50, 0.5 + i / 100, None, "arm") for i in range(6)]
    effort = Effort("latency", "latency", "latency p50 in seconds")
    drawn = tradeoff_plot(points, "token_f1", effort, width=520, height=400)
    places = label_places(drawn)
    assert len(places) == 6
    for i, (x, y) in enumerate(places):
        for other_x, other_y in places[i + 1 :]:
            assert abs(y - other_y) >= 12 or abs(x - other_x) >= 5 * 6.9


def label_places(drawn: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<text class="label arm" x="([\d.]+)" y="([\d.]+)"', drawn)]


def trial(number: int, value: str, mean: float | None) -> Trial:
    return Trial(number, (("training.r", value),), mean, None, 40, None, False)


def test_a_sweep_of_one_parameter_has_a_curve_in_the_order_of_the_file() -> None:
    trials = (trial(1, "64", 0.2), trial(2, "8", 0.4), trial(3, "16", None))
    sweep = SweepFacts("raft", "token_f1", "grid", (("training.r", ("8", "16", "64")),), trials, 2)
    drawn = sweep_curve(sweep)
    assert drawn is not None and "<desc>8: 0.400; 64: 0.200</desc>" in drawn
    assert [t.number for t in sorted_trials(sweep)] == [2, 1, 3]


def test_a_sweep_of_several_parameters_has_no_curve() -> None:
    both = (("training.r", ("8", "16")), ("retrieval.top_k", ("1", "3")))
    trials = (trial(1, "8", 0.2), trial(2, "16", 0.4))
    assert sweep_curve(SweepFacts("raft", "token_f1", "grid", both, trials, 2)) is None
