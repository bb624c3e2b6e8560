"""Selective accuracy by hand and by property, and abstention with several prompts and failed answers."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import DataError
from ragft.evaluation.abstention import Share, summarise_abstention
from ragft.evaluation.selective import COVERAGES, SelectiveCurve, SelectiveGain, selective_curve, selective_gain
from ragft.records import Answer, Example, Score


class Arm:
    """Answers of the arm "rag", with their scores and examples, as the functions under test take them."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.scores: list[Score] = []
        self.examples: dict[str, Example] = {}

    def say(
        self,
        id_: str,
        value: float | None,
        logprob: float | None,
        *,
        text: str = "kite",
        answerable: bool = True,
        seed: int | None = None,
        prompt: str | None = None,
        error: str | None = None,
    ) -> Arm:
        self.examples[id_] = Example(id_, "?", ("kite",) if answerable else (), answerable=answerable)
        reason = "stop" if error is None else "error"
        self.answers.append(
            Answer(
                "rag",
                id_,
                text,
                1,
                1,
                0.0,
                reason,
                seed=seed,
                prompt=prompt,
                logprob=logprob,
                error=error,  # type: ignore[arg-type]
            )
        )
        self.scores.append(Score("rag", id_, "f1", value, None, seed, prompt))
        return self

    @property
    def curve(self) -> SelectiveCurve | None:
        return selective_curve("rag", self.answers, self.scores, self.examples, "f1")

    def gain(self, resamples: int = 500, clusters: dict[str, str] | None = None) -> SelectiveGain | None:
        return selective_gain(
            "rag",
            self.answers,
            self.scores,
            self.examples,
            "f1",
            clusters=clusters or {id_: id_ for id_ in self.examples},
            resamples=resamples,
            level=0.95,
            rng=np.random.default_rng(3),
        )


def arm_of(values: Sequence[float], logprobs: Sequence[float]) -> Arm:
    arm = Arm()
    for number, (value, logprob) in enumerate(zip(values, logprobs, strict=True)):
        arm.say(f"q{number:03}", value, logprob)
    return arm


def curve_of(values: Sequence[float], logprobs: Sequence[float]) -> SelectiveCurve:
    found = arm_of(values, logprobs).curve
    assert found is not None
    return found


FALLING = [-n / 10 for n in range(10)]


def test_the_curve_by_hand() -> None:
    # The surest seven are right but for the third; the last three are wrong.
    curve = curve_of([1, 1, 0, 1, 1, 1, 1, 0, 0, 0], FALLING)
    assert [point.target for point in curve.points] == list(COVERAGES)
    means = [6 / 10, 6 / 9, 6 / 8, 6 / 7, 5 / 6, 4 / 5, 3 / 4, 2 / 3, 2 / 2, 1 / 1]
    assert [point.mean for point in curve.points] == pytest.approx(means)
    assert [point.coverage for point in curve.points] == list(COVERAGES)
    assert curve.points[5].threshold == -0.4  # the fifth answer is the least sure of half of them
    assert curve.aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6 + 1 / 7 + 2 / 8 + 3 / 9 + 4 / 10) / 10)
    assert curve.aurc_best == pytest.approx((1 / 7 + 2 / 8 + 3 / 9 + 4 / 10) / 10)  # six right ones first
    assert (curve.n, curve.n_left_out) == (10, 0)


def test_equally_sure_answers_are_kept_together() -> None:
    # Two levels: six answers at -1 of which four are right, four at -2 of which one is.
    values, logprobs = [1, 0, 1, 0, 1, 1, 0, 0, 0, 1], [-1.0] * 6 + [-2.0] * 4
    curve = curve_of(values, logprobs)
    assert {(point.coverage, point.mean) for point in curve.points} == {(1.0, 0.5), (0.6, 4 / 6)}
    assert [point.coverage for point in curve.points] == [1.0] * 4 + [0.6] * 6
    assert curve.aurc == pytest.approx(0.6 * (1 - 4 / 6) + 0.4 * (1 - 0.5))
    both = list(zip(values, logprobs, strict=True))
    for seed in range(5):
        random.Random(seed).shuffle(both)
        assert curve_of(*map(list, zip(*both, strict=True))) == curve  # the order of the answers moves nothing


def test_log_probabilities_that_say_nothing_leave_the_mean_as_it_is() -> None:
    curve = curve_of([1, 0] * 10, [-0.5] * 20)
    assert {point.mean for point in curve.points} == {0.5}
    assert curve.aurc == 0.5


def test_abstentions_and_errors_are_not_answers_and_unscored_ones_are_left_out() -> None:
    arm = arm_of([1] * 5 + [0] * 5, FALLING)
    before = arm.curve
    assert before is not None
    arm.say("u1", 0.0, 0.0, text="I don't know")
    arm.say("u2", 1.0, 0.0, text="I don't know", answerable=False)
    arm.say("u3", None, None, text="", error="timed out")
    arm.say("u4", None, -0.1)
    arm.say("u5", 1.0, None)
    arm.say("u6", 1.0, float("nan"))
    after = arm.curve
    assert after is not None
    assert (after.points, after.aurc, after.n, after.n_left_out) == (before.points, before.aurc, 10, 6)
    # An answer to a question that has none is an answer, and it is wrong.
    arm.say("u7", 0.0, 0.0, answerable=False)
    assert arm.curve is not None
    assert arm.curve.points[-1].mean == 1 / 2


def test_fewer_than_ten_answers_make_no_curve() -> None:
    arm = arm_of([1] * 9, FALLING[:9])
    assert (arm.curve, arm.gain()) == (None, None)
    assert arm.say("q9", 1.0, None).curve is None
    assert arm.say("q10", 1.0, -1.0).curve is not None


def test_seeds_and_prompts_are_pooled_and_never_mixed_up() -> None:
    arm = Arm()
    for number in range(5):
        arm.say(f"q{number}", 1.0, -0.1, seed=1, prompt="a")
        arm.say(f"q{number}", 0.0, -0.9, seed=1, prompt="b")
        arm.say(f"q{number}", 0.5, -0.5, seed=2, prompt="a")
    curve = arm.curve
    assert curve is not None
    assert curve.n == 15
    assert (curve.points[0].mean, curve.points[-1].mean) == (0.5, 1.0)
    other = [Answer("base", "q0", "kite", 1, 1, 0.0, "stop", logprob=0.0)]
    arm.answers += other
    arm.scores += [Score("base", "q0", "f1", 0.0), Score("rag", "q0", "other", 0.0, None, 1, "a")]
    assert arm.curve == curve


def test_a_foreign_answer_is_refused() -> None:
    arm = arm_of([1] * 10, FALLING)
    arm.examples.pop("q003")
    with pytest.raises(DataError, match="q003"):
        _ = arm.curve


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0]), st.integers(-6, 0)), min_size=10, max_size=40))
def test_no_order_beats_the_best_one(pairs: list[tuple[float, int]]) -> None:
    curve = curve_of([value for value, _ in pairs], [float(logprob) for _, logprob in pairs])
    assert curve.aurc_best - 1e-12 <= curve.aurc <= 1 + 1e-12
    perfect = curve_of([value for value, _ in pairs], [value - n * 1e-6 for n, (value, _) in enumerate(pairs)])
    assert perfect.aurc == pytest.approx(perfect.aurc_best)


def test_the_gain_of_dropping_half_by_hand() -> None:
    gain = arm_of([1, 1, 0, 1, 1, 1, 1, 0, 0, 0], FALLING).gain()
    assert gain is not None
    assert gain.difference == pytest.approx(4 / 5 - 6 / 10)
    assert gain.interval is not None
    assert gain.interval.low < gain.difference < gain.interval.high


def test_the_interval_of_the_gain_follows_what_the_log_probabilities_know() -> None:
    values = [1.0] * 100 + [0.0] * 100
    knowing = arm_of(values, [-n / 100 for n in range(200)]).gain(2000)
    order = list(range(200))
    random.Random(5).shuffle(order)
    guessing = arm_of(values, [-n / 100 for n in order]).gain(2000)
    assert knowing is not None
    assert guessing is not None
    assert knowing.interval is not None
    assert guessing.interval is not None
    assert knowing.difference == 0.5
    # In a resample the half is found anew: it is all right unless the right ones are under a half, so 0.5 is near.
    assert 0.4 < knowing.interval.low <= 0.5 <= knowing.interval.high < 0.6
    assert guessing.interval.low < 0 < guessing.interval.high


def test_clusters_make_the_interval_of_the_gain_wider() -> None:
    rng = random.Random(8)
    arm, clusters = Arm(), {}
    for number in range(200):
        document = number // 20
        arm.say(f"q{number:03}", float(document % 2), -rng.random() - (document % 3))
        clusters[f"q{number:03}"] = f"d{document}"
    single, clustered = arm.gain(), arm.gain(clusters=clusters)
    assert single is not None
    assert clustered is not None
    assert single.interval is not None
    assert clustered.interval is not None
    widths = [found.high - found.low for found in (single.interval, clustered.interval)]
    assert widths[1] > 2 * widths[0]
    assert arm.gain() == single  # the same generator gives the same interval


def test_equal_values_and_a_single_cluster_have_no_interval() -> None:
    same = arm_of([1.0] * 12, [-n / 10 for n in range(12)]).gain()
    assert same is not None
    assert (same.difference, same.interval) == (0.0, None)
    arm = arm_of([1, 0] * 6, [-n / 10 for n in range(12)])
    alone = arm.gain(clusters=dict.fromkeys(arm.examples, "d"))
    assert alone is not None
    assert alone.interval is None


def test_abstentions_with_several_prompts_are_counted_one_by_one() -> None:
    # With (example, seed) as the key the last prompt would stand for all of them: coverage 1 of 2.
    arm = Arm()
    arm.say("a", 1.0, None, prompt="p1")
    arm.say("a", 0.0, None, prompt="p2", text="I don't know")
    arm.say("b", 0.0, None, prompt="p1")
    arm.say("b", 1.0, None, prompt="p2")
    found = summarise_abstention("rag", arm.answers, arm.scores, arm.examples, "f1")
    assert found.coverage == Share(3 / 4, 4)
    assert found.accuracy_on_answered == Share(2 / 3, 3)
    assert found.abstained_though_answerable == Share(1 / 4, 4)


def test_an_answer_that_was_not_got_is_neither_an_abstention_nor_an_answer() -> None:
    arm = Arm().say("a", 1.0, None).say("b", None, None, text="", error="timed out")
    arm.say("c", None, None, text="", error="timed out", answerable=False)
    found = summarise_abstention("rag", arm.answers, arm.scores, arm.examples, "f1")
    assert (found.coverage, found.accuracy_on_answered) == (Share(1.0, 1), Share(1.0, 1))
    assert found.answered_though_unanswerable == Share(None, 0)
    assert found.n_failed == 2
