"""The probe `label_budget`: nested subsets, what every arm has, and what more labels would bring."""

from __future__ import annotations

import pytest
from conftest import SmallExperiment
from probe_kits import asked_kit, bench_of

from ragft.config import LabelBudgetProbe
from ragft.probes import Kit
from ragft.probes.label_budget import LabelBudget


def budget(**settings: object) -> LabelBudget:
    return LabelBudget(LabelBudgetProbe(kind="label_budget", **settings))  # type: ignore[arg-type]


@pytest.fixture
def labelled(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment with 24 training examples, of which one adapter may use 16."""
    from conftest import train_rows

    more = [{**row, "id": f"{row['id']}b", "question": f"Say: {row['question']}"} for row in train_rows()]
    experiment.rows("train", [*train_rows(), *more])
    experiment.config["adapters"]["raft"]["limit"] = 16
    return experiment.save()


def test_subsets_are_nested_and_end_with_the_experiments_own_adapter(labelled: SmallExperiment) -> None:
    with asked_kit(labelled) as kit:
        probe = budget(shares=[0.5, 1.0])
        half = next(c for c in probe._conditions(kit, 0.5) if c.retrained)
        from ragft.arms.adapters import Adapters

        fewer, whole = Adapters(half.bench, kit.round.knowledge), kit.round.adapters
        assert {name: fewer.recipe(name).labels for name in ("closed_book", "raft")} == {"closed_book": 12, "raft": 8}
        some, every = ({text.id for text in one.recipe("closed_book").train} for one in (fewer, whole))
        assert some < every
        last = Adapters(probe._conditions(kit, 1.0)[0].bench, kit.round.knowledge)
        assert last.fingerprint("closed_book") == whole.fingerprint("closed_book")


def test_the_curve_begins_without_labels_and_ends_with_the_comparison(labelled: SmallExperiment) -> None:
    with asked_kit(labelled) as kit:
        found = budget(shares=[0.5, 1.0]).measure(kit)
        expected = kit.estimates({"raft_rag": kit.scores(kit.asked["raft_rag"], "raft_rag")}, kit.bench.splits.eval)
        bare = kit.estimates({"rag": kit.scores(kit.asked["rag"], "rag")}, kit.bench.splits.eval)
    curves = {curve.name: curve for curve in found.charts[0].curves}
    assert [point.x for point in curves["raft_rag"].points] == [0, 8, 16]
    assert [point.x for point in curves["finetuned"].points] == [0, 12, 24]
    assert curves["raft_rag"].points[-1].value == expected["raft_rag"].mean
    assert curves["raft_rag"].points[0].value == bare["rag"].mean
    assert {name for name, curve in curves.items() if curve.kind == "fit"} == {
        "few_shot (fitted)",
        "finetuned (fitted)",
        "raft_rag (fitted)",
    }
    assert found.values["finetuned"]["labels"] == [0, 12, 24]
    assert found.findings[0].startswith("few_shot goes from token_f1 ")


def test_labels_have_a_price_where_the_user_names_one(labelled: SmallExperiment) -> None:
    with asked_kit(labelled, "compare.prices.label=0.5", "compare.prices.currency=EUR") as kit:
        found = budget(shares=[0.5, 1.0]).measure(kit)
    assert found.tables[0].columns[-1].title == "their price, EUR"
    assert [row.cells[-1].value for row in found.tables[0].rows] == [50.0, 50.0, 50.0]
    assert "at 50 EUR" in found.findings[0]


def test_budgets_of_the_same_labels_are_one(experiment: SmallExperiment) -> None:
    # With 12 labels a tenth, a quarter and a half are all cut to the eight that can be trained on.
    kit = Kit(bench_of(experiment))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragft.probes.label_budget.FEWEST", 8)
        assert budget()._shares(kit) == (0.5, 1.0)


def test_too_few_labels_are_refused_with_how_many_are_missing(experiment: SmallExperiment) -> None:
    refusal = budget().refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert (refusal.reason, refusal.hint) == ("there are 12 labelled examples to part", "add 4 to data.train")


def test_without_an_arm_that_uses_labels_it_is_refused(experiment: SmallExperiment) -> None:
    experiment.config["compare"] |= {"arms": {"base": {}, "rag": {"retrieval": "index"}}, "contrasts": []}
    refusal = budget().refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert refusal.reason == "no arm uses labels"
