"""Arms that were asked with several prompts: one value per example, the spread, and the comparison of such arms."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import pytest

from ragft.errors import DataError
from ragft.evaluation.comparison import Comparison, compare_arms, comparison_from_dict, estimate_metric
from ragft.evaluation.prompt_spread import over_prompts, prompt_means
from ragft.records import Score

IDS = [f"q{i:02}" for i in range(12)]


def score(
    id: str,
    value: float | None,
    prompt: str | None,
    *,
    arm: str = "base",
    metric: str = "exact_match",
    seed: int | None = None,
) -> Score:
    return Score(arm, id, metric, value, None if value is not None else "no reference", seed, prompt)


def column(
    values: Sequence[float | None], prompt: str | None, arm: str = "base", metric: str = "exact_match"
) -> list[Score]:
    return [score(id, value, prompt, arm=arm, metric=metric) for id, value in zip(IDS, values, strict=False)]


def compare(scores: Sequence[Score], metrics: Sequence[str] = ("exact_match",)) -> Comparison:
    return compare_arms(
        scores,
        clusters={id: id for id in IDS},
        arms=["base", "rag"],
        metrics=metrics,
        primary_metric="exact_match",
        declared=[("rag", "base")],
        resamples=200,
        level=0.95,
        seed=1,
    )


def test_one_value_per_example_is_the_mean_over_prompts() -> None:
    scores = [*column([1.0, 0.0], "plain"), *column([0.0, 0.0], "blunt"), *column([1.0], "terse")]
    assert over_prompts(scores) == [
        Score("base", "q00", "exact_match", 2 / 3),
        Score("base", "q01", "exact_match", None, "prompt 'terse': not answered"),
    ]


def test_one_unscored_prompt_leaves_the_example_unscored_and_is_named() -> None:
    (found,) = over_prompts([score("q00", 1.0, "plain"), score("q00", None, "blunt")])
    assert (found.value, found.reason) == (None, "prompt 'blunt': no reference")


def test_seeds_arms_and_metrics_stay_apart() -> None:
    scores = [
        score("q00", 1.0, "plain", seed=1),
        score("q00", 0.0, "plain", seed=2),
        score("q00", 0.0, "blunt", seed=1),
        score("q00", 0.0, "blunt", seed=2),
        score("q00", 0.25, "plain", metric="token_f1"),
        score("q00", 0.75, None, arm="rag"),
    ]
    assert [(s.arm, s.metric, s.seed, s.value, s.prompt) for s in over_prompts(scores)] == [
        ("base", "exact_match", 1, 0.5, None),
        ("base", "exact_match", 2, 0.0, None),
        ("base", "token_f1", None, 0.25, None),
        ("rag", "exact_match", None, 0.75, None),
    ]
    # (1 + 0) / 2 of the one prompt, 0 of the other; an arm with one prompt has no spread.
    assert prompt_means(scores, ["base", "rag"], ["exact_match", "token_f1"]) == {
        ("base", "exact_match"): (("plain", 0.5), ("blunt", 0.0))
    }


def test_means_by_prompt_are_over_the_same_examples_so_their_average_is_the_mean() -> None:
    """Over all that each has they would be 3/3 and 0/2, and average to what no arm scored."""
    scores = [*column([1.0, 1.0, 1.0], "plain"), *column([0.0, 0.0, None], "blunt")]
    means = prompt_means(scores, ["base"], ["exact_match"])
    assert means == {("base", "exact_match"): (("plain", 1.0), ("blunt", 0.0))}
    values = [s.value for s in over_prompts(scores) if s.value is not None]
    assert sum(values) / len(values) == 0.5
    assert prompt_means(scores[3:], ["base"], ["exact_match"]) == {}
    assert prompt_means([*scores[:1], *scores[-1:]], ["base"], ["exact_match"]) == {}


def test_an_example_that_one_seed_lacks_is_in_no_mean_by_prompt() -> None:
    scores = [score(id, 1.0, "plain", seed=seed) for id in ("q00", "q01") for seed in (1, 2)]
    scores += [
        score("q00", 0.0, "blunt", seed=1),
        score("q00", 1.0, "blunt", seed=2),
        score("q01", 1.0, "blunt", seed=1),
    ]
    # q01 has no answer of seed 2 to the second prompt.
    assert prompt_means(scores, ["base"], ["exact_match"])["base", "exact_match"] == (("plain", 1.0), ("blunt", 0.5))


def test_a_comparison_averages_prompts_and_shows_them() -> None:
    scores = [
        *column([1.0] * 9 + [0.0] * 3, "plain"),
        *column([1.0] * 3 + [0.0] * 9, "blunt"),
        *column([1.0] * 12, None, "rag"),
    ]
    comparison = compare(scores)
    base, rag = comparison.estimates
    assert (base.mean, base.n, base.prompt_means) == (0.5, 12, (("plain", 0.75), ("blunt", 0.25)))
    assert (rag.mean, rag.prompt_means) == (1.0, ())
    (contrast,) = comparison.contrasts
    # Values of 1/2 are none of McNemar's: three pairs agree, six differ by 1/2, three by 1.
    assert (contrast.difference, contrast.test, contrast.n) == (pytest.approx(0.5), "sign_flip", 12)
    assert any("Asked with several prompts: base (plain, blunt)." in note for note in comparison.notes)
    assert comparison_from_dict(json.loads(json.dumps(dataclasses.asdict(comparison)))) == comparison
    alone = estimate_metric(
        scores, arm="base", metric="exact_match", clusters={id: id for id in IDS}, resamples=200, level=0.95, seed=1
    )
    assert alone.mean == 0.5


def test_a_comparison_without_prompts_says_nothing_of_them() -> None:
    comparison = compare([*column([1.0] * 12, None), *column([0.0] * 12, "plain", "rag")])
    assert [estimate.prompt_means for estimate in comparison.estimates] == [(), ()]
    assert not any("prompt" in note for note in comparison.notes)


def test_runs_before_prompts_were_several_can_still_be_read() -> None:
    data = json.loads(
        json.dumps(dataclasses.asdict(compare([*column([1.0] * 12, None), *column([0.0] * 12, None, "rag")])))
    )
    for item in data["estimates"]:
        del item["prompt_means"]
    assert [estimate.prompt_means for estimate in comparison_from_dict(data).estimates] == [(), ()]


def test_contrasts_of_an_arm_that_a_metric_cannot_judge_are_left_out() -> None:
    """Groundedness without passages: the arm has its row, which says so, and no contrast that says nothing."""
    scores = [*column([1.0] * 12, None), *column([0.0] * 12, None, "rag")]
    scores += column([None] * 12, None, "base", "k_precision") + column([0.5] * 12, None, "rag", "k_precision")
    comparison = compare(scores, ("exact_match", "k_precision"))
    assert [(c.first, c.second, c.metric) for c in comparison.contrasts] == [("rag", "base", "exact_match")]
    found = {(e.arm, e.metric): (e.mean, e.n, e.n_unscored) for e in comparison.estimates}
    assert found["base", "k_precision"] == (None, 0, 12)
    assert found["rag", "k_precision"] == (0.5, 12, 0)


def test_one_answer_scored_twice_is_not_averaged_away() -> None:
    with pytest.raises(DataError, match="scored twice with prompt 'plain'"):
        over_prompts([score("q00", 1.0, "plain"), score("q00", 0.0, "plain")])


def test_some_scores_with_a_prompt_and_some_without_are_refused() -> None:
    with pytest.raises(DataError, match="some scores name a prompt"):
        over_prompts([score("q00", 1.0, "plain"), score("q01", 0.0, None)])
