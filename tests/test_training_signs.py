"""Signs of trouble in hand-made histories, and when patience runs out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ragft.config import TrainingConfig
from ragft.training.signs import signs_of_trouble
from ragft.training.watching import is_out_of_patience

Row = dict[str, float]


def losses(*values: float) -> list[Row]:
    return [{"step": step, "loss": value} for step, value in enumerate(values, start=1)]


def dev(*values: float, every: int = 1, key: str = "eval_loss") -> list[Row]:
    return [{"step": step * every, key: value} for step, value in enumerate(values, start=1)]


def norms(*values: float) -> list[Row]:
    return [{"step": step, "grad_norm": value} for step, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    "history",
    [
        [],
        losses(3, 2, 1),
        losses(*[3, 2.5, 2, 1.6, 1.3, 1.2, 1.1, 1.05, 1.0, 0.98, 0.97]) + dev(2, 1.5, 1.2),
        losses(*[1.0] * 20),
        norms(*[1.0, 2.0, 1.5, 1.0, 2.0, 3.0, 9.9]),
    ],
    ids=["empty", "short", "good", "flat", "lively"],
)
def test_a_sound_training_has_no_signs(history: list[Row]) -> None:
    assert signs_of_trouble(history) == ()


def test_a_train_loss_far_under_a_dev_loss_that_got_worse_is_learning_by_heart() -> None:
    """The mean of the last five train losses, (0.4 + 0.3 + 0.2 + 0.1 + 0.0) / 5 = 0.2, is under half of 1.5."""
    history = losses(2.0, 1.0, 0.4, 0.3, 0.2, 0.1, 0.0) + dev(1.4, 1.2, 1.5)
    (sign,) = signs_of_trouble(history)
    assert sign.startswith(
        "The train loss ended at 0.200, far under the dev loss of 1.500, which was best at step 2 (1.200): the "
        "training examples are learnt by heart."
    )
    assert (
        signs_of_trouble(losses(2.0, 1.0, 0.4, 0.3, 0.2, 0.1, 0.0) + dev(1.6, 1.5, 1.4)) == ()
    )  # still getting better


def test_a_dev_loss_that_was_best_at_first_is_no_improvement() -> None:
    (sign,) = signs_of_trouble(dev(1.0, 1.1, 1.0, every=5))
    assert sign.startswith("The dev loss never got better than at its first measurement (step 5: 1.000).")
    assert signs_of_trouble(dev(1.0, 1.1)) == ()  # two measurements show nothing


def test_batches_that_differ_are_no_rising_loss() -> None:
    """One hard batch at the end of a real training: 1.21 (steps 16 to 20) to 2.25, 1.6 standard errors."""
    losses = [2.9, 3.5, 3.2, 1.6, 1.2, 1.5, 2.8, 1.9, 0.7, 2.1, 1.3, 2.9, 2.2, 1.3, 1.7, 0.8, 1.0, 1.6, 1.7, 0.95]
    rows = [{"step": float(step), "loss": loss} for step, loss in enumerate([*losses, 1.8, 1.3, 1.8, 1.6, 4.8], 1)]
    assert signs_of_trouble(rows) == ()


def test_a_dev_loss_that_still_falls_outweighs_a_rising_train_loss() -> None:
    rows = [{"step": float(step), "loss": 1.0 if step < 11 else 2.0} for step in range(1, 21)]
    assert len(signs_of_trouble(rows)) == 1
    assert signs_of_trouble([*rows, {"step": 10.0, "eval_loss": 1.5}, {"step": 20.0, "eval_loss": 1.4}]) == ()
    assert len(signs_of_trouble([*rows, {"step": 10.0, "eval_loss": 1.4}, {"step": 20.0, "eval_loss": 1.5}])) == 1


def test_a_rising_loss_is_told_with_the_steps_where_it_was_lowest() -> None:
    (sign,) = signs_of_trouble(losses(*[3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]))
    assert sign.startswith("The train loss rose from 1.000 (steps 6 to 10) to 2.000 at the end")
    assert signs_of_trouble(losses(*[3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1.1, 1.1, 1.1, 1.1, 1.1])) == ()


@pytest.mark.parametrize("norm", [10.1, float("inf"), float("nan")])
def test_an_exploding_gradient_is_told_once_with_its_step(norm: float) -> None:
    (sign,) = signs_of_trouble(norms(1, 1, 1, 1, 1, norm, norm))
    assert sign.startswith(f"The gradient norm jumped to {norm:.3g} at step 6, where 1 was usual")


def test_several_signs_come_together() -> None:
    history = losses(*[1.0] * 5, *[0.1] * 5) + dev(1.0, 1.2, 1.3) + norms(1, 1, 1, 1, 1, 100)
    assert [sign.split()[1] for sign in signs_of_trouble(history)] == ["train", "dev", "gradient"]


# ------------------------------------------------------------------------------------------------------- patience


@pytest.mark.parametrize(
    ("values", "patience", "threshold", "stops"),
    [
        ((3.0, 2.0, 2.1, 2.2), 2, 0.0, True),
        ((3.0, 2.0, 2.1), 2, 0.0, False),
        ((3.0, 2.0, 2.1, 1.9, 2.0), 2, 0.0, False),
        ((3.0, 2.0, 2.0), 1, 0.0, True),  # as good is not better
        ((3.0, 2.95, 2.94), 2, 0.1, True),
        ((3.0, 2.95, 2.89), 2, 0.1, False),  # 0.11 better than the last that counted, which is 3.0
        ((), 1, 0.0, False),
    ],
)
def test_patience_counts_measurements_since_the_last_that_was_better(
    values: Sequence[float], patience: int, threshold: float, stops: bool
) -> None:
    settings = TrainingConfig(early_stopping_patience=patience, early_stopping_threshold=threshold)
    assert is_out_of_patience(losses(9, 9, 9) + dev(*values), settings) is stops


def test_more_of_a_task_metric_is_better_and_less_of_the_loss() -> None:
    history = dev(0.1, 0.2, 0.3, key="eval_token_f1") + dev(3.0, 3.1, 3.2)
    by_metric = TrainingConfig(early_stopping_patience=2, metric_for_best_model="token_f1")
    assert not is_out_of_patience(history, by_metric)
    assert is_out_of_patience(history, by_metric.model_copy(update={"greater_is_better": False}))
    assert is_out_of_patience(history, TrainingConfig(early_stopping_patience=2))
    assert not is_out_of_patience(history, TrainingConfig())
