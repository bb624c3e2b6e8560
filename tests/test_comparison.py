"""The comparison of arms: pairing, order, which tests, what is refused, what is said."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import DataError, NotComparableError, RagftError
from ragft.evaluation.comparison import Comparison, compare_arms, comparison_from_dict, estimate_metric
from ragft.evaluation.significance import holm, mcnemar
from ragft.records import ContrastResult, Score

N = 40
IDS = [f"q{i:03d}" for i in range(N)]
OWN = {id: id for id in IDS}
DOCUMENTS = {id: f"d{i // 4}" for i, id in enumerate(IDS)}


def scores_of(arm: str, values: Sequence[float | None], metric: str = "exact_match") -> list[Score]:
    return [
        Score(arm, id, metric, value, None if value is not None else "no reference")
        for id, value in zip(IDS, values, strict=False)
    ]


def bits(seed: int, share: float) -> list[float | None]:
    return [float(bit) for bit in np.random.default_rng(seed).random(N) < share]


SCORES = [*scores_of("base", bits(1, 0.3)), *scores_of("rag", bits(2, 0.7)), *scores_of("tuned", bits(3, 0.5))]


def compare(scores: Sequence[Score], arms: Sequence[str] = ("base", "rag", "tuned"), **changes: object) -> Comparison:
    request: dict[str, Any] = {
        "clusters": OWN,
        "metrics": ["exact_match"],
        "primary_metric": "exact_match",
        "declared": [("rag", "base")],
        "resamples": 300,
        "level": 0.95,
        "seed": 1,
    }
    return compare_arms(scores, arms=arms, **{**request, **changes})


def found(comparison: Comparison, first: str, second: str, metric: str = "exact_match") -> ContrastResult:
    (contrast,) = [c for c in comparison.contrasts if (c.first, c.second, c.metric) == (first, second, metric)]
    return contrast


def test_means_and_contrasts_by_hand() -> None:
    right = [1.0] * 30 + [0.0] * 10
    other = [1.0] * 20 + [0.0] * 18 + [1.0] * 2
    comparison = compare([*scores_of("a", right), *scores_of("b", other)], ["a", "b"], declared=[("a", "b")])
    assert [(e.arm, e.mean, e.n, e.n_unscored) for e in comparison.estimates] == [
        ("a", 0.75, 40, 0),
        ("b", 0.55, 40, 0),
    ]
    (contrast,) = comparison.contrasts
    # a alone right on 10, b alone on 2.
    assert contrast.difference == pytest.approx((10 - 2) / 40)
    assert contrast.test == "mcnemar_exact"
    assert contrast.p_value == contrast.p_adjusted == mcnemar(10, 2)
    assert contrast.interval is not None
    assert contrast.interval.method == "tango"
    assert (comparison.n_examples, comparison.n_clusters) == (40, 40)


def test_pairs_are_made_by_id_and_the_order_of_scores_moves_nothing() -> None:
    # Values whose sum depends on the order in its last bits, so that equal means to the last bit.
    draw = np.random.default_rng(9)
    graded = [s for arm in ("base", "rag", "tuned") for s in scores_of(arm, draw.random(N).tolist(), "token_f1")]
    request: dict[str, Any] = {"clusters": DOCUMENTS, "metrics": ["token_f1"], "primary_metric": "token_f1"}
    expected = compare(graded, **request)
    for seed in range(5):
        random.Random(seed).shuffle(graded)
        assert compare(graded, **request) == expected


def test_another_arm_changes_no_number_of_the_others() -> None:
    small = compare(SCORES, ["base", "rag"], clusters=DOCUMENTS)
    large = compare(SCORES, clusters=DOCUMENTS)
    assert small.estimates == large.estimates[:2]
    assert found(small, "rag", "base") == found(large, "rag", "base")


def test_the_seed_moves_the_bootstrap_and_nothing_else() -> None:
    one, two = compare(SCORES, clusters=DOCUMENTS, seed=1), compare(SCORES, clusters=DOCUMENTS, seed=2)
    assert [e.mean for e in one.estimates] == [e.mean for e in two.estimates]
    assert [e.interval for e in one.estimates] != [e.interval for e in two.estimates]


def test_a_contrast_the_other_way_round_mirrors() -> None:
    one = found(compare(SCORES, clusters=DOCUMENTS), "rag", "base")
    two = found(compare(SCORES, clusters=DOCUMENTS, declared=[("base", "rag")]), "base", "rag")
    assert one.difference == pytest.approx(-(two.difference or 0))
    assert one.p_value == two.p_value
    assert one.interval is not None
    assert two.interval is not None
    assert (one.interval.low, one.interval.high) == pytest.approx((-two.interval.high, -two.interval.low))


def test_all_other_pairs_are_exploratory_and_holm_covers_the_declared_alone() -> None:
    comparison = compare(SCORES, declared=[("rag", "base"), ("tuned", "base")])
    declared, exploratory = comparison.contrasts[:2], comparison.contrasts[2:]
    assert [(c.first, c.second, c.declared) for c in declared] == [("rag", "base", True), ("tuned", "base", True)]
    assert [c.p_adjusted for c in declared] == holm([c.p_value or 0.0 for c in declared])
    assert [(c.first, c.second, c.declared, c.p_adjusted) for c in exploratory] == [("rag", "tuned", False, None)]
    assert any("1 of 3 contrasts were not declared" in note for note in comparison.notes)


def test_other_metrics_get_the_declared_pairs_as_secondary() -> None:
    graded = [*scores_of("base", bits(4, 0.5), "token_f1"), *scores_of("rag", bits(5, 0.5), "token_f1")]
    comparison = compare([*SCORES, *graded], metrics=["exact_match", "token_f1"])
    secondary = [c for c in comparison.contrasts if c.metric == "token_f1"]
    assert [(c.first, c.second, c.declared, c.p_adjusted) for c in secondary] == [("rag", "base", True, None)]
    # The arm without that metric is shown, with nothing in it.
    (missing,) = [e for e in comparison.estimates if (e.arm, e.metric) == ("tuned", "token_f1")]
    assert (missing.mean, missing.n, missing.n_unscored, missing.interval) == (None, 0, 0, None)


def test_a_secondary_contrast_without_pairs_is_left_out() -> None:
    only_one = scores_of("rag", bits(5, 0.5), "token_f1")
    comparison = compare([*SCORES, *only_one], metrics=["exact_match", "token_f1"])
    assert [c for c in comparison.contrasts if c.metric == "token_f1"] == []


@pytest.mark.parametrize(
    ("metric", "clusters", "test"),
    [
        ("exact_match", OWN, "mcnemar_exact"),
        ("exact_match", DOCUMENTS, "sign_flip"),
        ("token_f1", OWN, "sign_flip"),
        ("recall@5", OWN, "sign_flip"),
    ],
)
def test_the_test_suits_metric_and_clusters(metric: str, clusters: Mapping[str, str], test: str) -> None:
    scores = [*scores_of("a", bits(1, 0.3), metric), *scores_of("b", bits(2, 0.7), metric)]
    comparison = compare(
        scores, ["a", "b"], clusters=clusters, metrics=[metric], primary_metric=metric, declared=[("a", "b")]
    )
    assert comparison.contrasts[0].test == test


def test_a_binary_metric_with_fractions_is_not_forced_into_mcnemar() -> None:
    halves = [0.5 if i % 2 else 1.0 for i in range(N)]
    comparison = compare([*scores_of("a", halves), *scores_of("b", bits(2, 0.5))], ["a", "b"], declared=[])
    assert comparison.contrasts[0].test == "sign_flip"


@settings(max_examples=15, deadline=None)
@given(values=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=N, max_size=N))
def test_identical_arms_differ_by_exactly_nothing(values: list[float]) -> None:
    for clusters in (OWN, DOCUMENTS):
        comparison = compare(
            [*scores_of("a", values), *scores_of("a2", values)], ["a", "a2"], clusters=clusters, declared=[("a", "a2")]
        )
        (contrast,) = comparison.contrasts
        assert (contrast.difference, contrast.p_value, contrast.p_adjusted) == (0.0, 1.0, 1.0)
        assert contrast.n_needed is None
        assert contrast.interval is not None
        assert contrast.interval.low <= 0.0 <= contrast.interval.high


def test_only_examples_scored_for_both_are_paired() -> None:
    half: list[float | None] = [1.0] * 20 + [None] * 20
    comparison = compare([*scores_of("a", half), *scores_of("b", [1.0] * 20 + [0.0] * 20)], ["a", "b"], declared=[])
    (contrast,) = comparison.contrasts
    # The means are 1.0 and 0.5, but on the twenty shared examples the arms agree.
    assert (contrast.n, contrast.difference) == (20, 0.0)
    assert comparison.estimates[0].n_unscored == 20
    assert "Answers that could not be scored on exact_match: a 20 of 40." in comparison.notes
    assert any("Not every arm" in note and "(a)" in note for note in comparison.notes)


def test_an_arm_without_primary_scores_is_named() -> None:
    with pytest.raises(NotComparableError, match="'tuned' has no score") as caught:
        compare([s for s in SCORES if s.arm != "tuned"])
    assert caught.value.exit_code == 4
    with pytest.raises(NotComparableError, match=r"'a' has no score .*\(40 unscored\)"):
        compare(scores_of("a", [None] * N), ["a"], declared=[])


def test_too_few_examples_are_refused() -> None:
    few = [*scores_of("a", [1.0] * 9), *scores_of("b", [1.0] * N)]
    with pytest.raises(NotComparableError, match="'a' has 9 examples"):
        compare(few, ["a", "b"], declared=[])
    assert compare(few, ["a", "b"], declared=[], min_examples=9).contrasts[0].n == 9
    apart = [*scores_of("a", [1.0] * 20 + [None] * 20), *scores_of("b", [None] * 15 + [1.0] * 25)]
    with pytest.raises(NotComparableError, match="'a' and 'b' share 5 examples"):
        compare(apart, ["a", "b"], declared=[])
    with pytest.raises(NotComparableError, match="no arms"):
        compare([], [], declared=[])


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (Score("rag", "q000", "exact_match", 1.0), "scored twice"),
        (Score("rag", "q999", "exact_match", 1.0), "no cluster"),
        (Score("rag", "q999", "exact_match", float("nan")), "the value is nan"),
    ],
)
def test_bad_scores_are_refused_and_named(score: Score, message: str) -> None:
    with pytest.raises(DataError, match=f"'rag', example '{score.example_id}'.*{message}"):
        compare([*SCORES, score])


@pytest.mark.parametrize(
    "changes",
    [
        {"declared": [("rag", "nobody")]},
        {"declared": [("rag", "rag")]},
        {"declared": [("rag", "base"), ("base", "rag")]},
        {"primary_metric": "token_f1"},
        {"arms": ["base", "base"]},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RagftError):
        compare(SCORES, **changes)


def test_notes_say_what_the_intervals_do_not_cover() -> None:
    once = " ".join(compare(SCORES, clusters=DOCUMENTS).notes)
    assert "not the chance of training" in once
    assert "40 examples stand in 10 clusters" in once
    assert "too narrow" in once
    never = compare(SCORES, ["base", "rag"], training_seeds=0)
    assert never.notes == ()


def noisy(seed: int, mean: float, spread: float = 0.1) -> list[float | None]:
    return (mean + spread * np.random.default_rng(seed).normal(size=N)).tolist()


F1: dict[str, Any] = {"metrics": ["token_f1"], "primary_metric": "token_f1", "declared": [("tuned", "base")]}


def test_mcnemar_comes_with_its_mid_p() -> None:
    contrast = found(compare(SCORES), "rag", "base")
    first, second = (np.array(bits(seed, share)) for seed, share in ((2, 0.7), (1, 0.3)))
    split = (int((first > second).sum()), int((first < second).sum()))
    assert (contrast.p_value, contrast.p_mid) == (mcnemar(*split), mcnemar(*split, mid_p=True))
    assert contrast.p_mid is not None
    assert contrast.p_value is not None
    assert contrast.p_mid < contrast.p_value
    assert found(compare(SCORES, clusters=DOCUMENTS), "rag", "base").p_mid is None


def test_how_many_more_examples_each_contrast_needs() -> None:
    assert found(compare(SCORES), "rag", "base").n_more == 0
    close = [*scores_of("a", bits(1, 0.4)), *scores_of("b", bits(2, 0.5))]
    (open_,) = compare(close, ["a", "b"], declared=[]).contrasts
    assert open_.interval is not None
    assert open_.interval.low < 0 < open_.interval.high
    assert open_.n_needed is not None
    assert open_.n_more == open_.n_needed - N
    # A margin wider than the interval decides it.
    (wide,) = compare(close, ["a", "b"], declared=[], margin=0.9).contrasts
    assert (wide.n_more, wide.interval) == (0, open_.interval)


def test_clusters_without_scores_belong_to_the_draw() -> None:
    # A metric that only half of the documents have: its interval comes from those, whatever else is resampled.
    half = scores_of("base", noisy(1, 0.5)[:20], "token_f1")
    (estimate,) = compare(half, ["base"], clusters=DOCUMENTS, **{**F1, "declared": []}).estimates
    assert estimate.n == 20
    assert estimate.interval is not None
    assert estimate.interval.low < (estimate.mean or 0.0) < estimate.interval.high


def test_nothing_at_all_has_no_mean() -> None:
    estimate = estimate_metric([], arm="a", metric="mrr", clusters={}, resamples=10, level=0.95, seed=1)
    assert (estimate.mean, estimate.n, estimate.interval) == (None, 0, None)


def test_a_comparison_takes_little_time() -> None:
    # 6 arms, 1,000 questions, 10,000 resamples: about 0.2 s of one core (tests/benchmarks/statistics_speed.py).
    ids, draw = [f"q{i:04d}" for i in range(1000)], np.random.default_rng(1)
    arms = [f"arm{i}" for i in range(6)]
    scores = [Score(arm, id, "token_f1", float(draw.random())) for arm in arms for id in ids]
    started = time.process_time()
    comparison = compare(scores, arms, clusters={id: id for id in ids}, resamples=10_000, **{**F1, "declared": []})
    assert time.process_time() - started < 1.0
    assert len(comparison.contrasts) == 15


def test_a_comparison_of_an_older_run_is_read() -> None:
    comparison = compare(SCORES, clusters=DOCUMENTS)
    data = json.loads(json.dumps(dataclasses.asdict(comparison)))
    for estimate in data["estimates"]:
        del estimate["seed_means"]
    for contrast in data["contrasts"]:
        del contrast["p_mid"], contrast["n_more"]
    read = comparison_from_dict(data)
    assert read.estimates == comparison.estimates
    assert [dataclasses.replace(c, n_more=None) for c in comparison.contrasts] == list(read.contrasts)


def test_a_comparison_survives_json() -> None:
    comparison = compare([*SCORES, *scores_of("rag", bits(5, 0.5), "token_f1")], metrics=["exact_match", "token_f1"])
    data = json.loads(json.dumps(dataclasses.asdict(comparison)))
    assert comparison_from_dict(data) == comparison
