"""What must hold of every verdict, whatever was compared."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_cases import cases, contrast

from ragft.records import Estimate, Interval
from ragft.verdict import ArmFacts, Case, decide
from ragft.verdict.rules import judge

CALM = settings(deadline=None)  # a busy machine is no fault of the code


@CALM
@given(of=cases())
def test_what_holds_of_every_verdict(of: Case) -> None:
    found, judged = decide(of), judge(of)
    excluded, barred = dict(found.excluded), dict(found.not_comparable)
    assert (found.arm is not None) == (found.decision == "ship")
    assert len(found.candidates) == {"ship": 1, "not_decided": 2}.get(found.decision, 0)
    assert (found.decision == "not_comparable") == (len(of.arms) - len(barred) < 2)
    assert not (excluded.keys() | barred.keys()) & set(found.candidates)
    assert not excluded.keys() & barred.keys()
    assert found.decision != "none_qualifies" or excluded.keys() | barred.keys() == of.arms.keys()
    assert found.decision != "not_decided" or (found.confidence == "low" and found.next_steps)
    # What ships is the best itself, or equal to it within the margin.
    assert found.arm is None or judged.relations.get(found.arm, "equivalent") == "equivalent"
    sentences = (found.headline, *found.reasons, *found.caveats, *found.next_steps)
    assert all(one.endswith(".") and "None" not in one and "nan" not in one for one in sentences)
    assert found.decision in ("ship", "not_decided") or found.reasons


@CALM
@given(of=cases(), data=st.data())
def test_the_order_of_arms_and_contrasts_moves_nothing(of: Case, data: st.DataObject) -> None:
    arms = dict(data.draw(st.permutations(list(of.arms.items()))))
    contrasts = tuple(data.draw(st.permutations(of.comparison.contrasts)))
    one, two = judge(of), judge(replace(of, arms=arms, comparison=replace(of.comparison, contrasts=contrasts)))
    for name in ("decision", "arm", "candidates", "confidence", "best", "by_cost", "relations", "excluded", "doubts"):
        assert getattr(one, name) == getattr(two, name)
    assert set(one.open_points.left_out) == set(two.open_points.left_out)
    assert replace(one.open_points, left_out=()) == replace(two.open_points, left_out=())


@CALM
@given(of=cases())
def test_a_hopeless_arm_changes_neither_decision_nor_arm(of: Case) -> None:
    before = judge(of)
    if before.decision == "not_comparable":
        return  # a second comparable arm is what was missing
    worst = Estimate("hopeless", "exact_match", 1e-6, 100, 0, Interval(0.0, 1e-5, 0.95, "wilson"))
    lost = tuple(contrast(arm, "hopeless", (of.mean(arm) - 0.001, of.mean(arm) + 0.001)) for arm in of.arms)
    if any(0 < of.mean(arm) < 0.02 for arm in of.arms) or before.best is None:
        return
    compared = replace(
        of.comparison, estimates=(*of.comparison.estimates, worst), contrasts=(*of.comparison.contrasts, *lost)
    )
    # It costs nothing, takes no time, has no price: if it could be chosen for anything but its score, it would be.
    arms = {**of.arms, "hopeless": ArmFacts(retrieval="index", latency_s=0.0, citing_share=1.0)}
    after = judge(replace(of, comparison=compared, arms=arms))
    assert (after.decision, after.arm, after.candidates) == (before.decision, before.arm, before.candidates)


@CALM
@given(of=cases(), margins=st.lists(st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.3]), min_size=2, max_size=2, unique=True))
def test_a_wider_margin_only_adds_equals(of: Case, margins: list[float]) -> None:
    narrow, wide = (
        judge(replace(of, requirements=replace(of.requirements, margin=margin))) for margin in sorted(margins)
    )
    assert narrow.best == wide.best
    assert set(narrow.related("equivalent")) <= set(wide.related("equivalent"))
    # With more equals to choose from the choice is never a dearer or a more complex one.
    if narrow.chosen is not None and wide.chosen is not None and not narrow.by_cost and not wide.by_cost:
        assert of.arms[wide.chosen].complexity <= of.arms[narrow.chosen].complexity
    if narrow.chosen is not None and wide.chosen is not None and narrow.by_cost and wide.by_cost:
        dear, cheap = (of.cost(arm) for arm in (narrow.chosen, wide.chosen))
        assert dear is not None and cheap is not None and 0.9 * cheap.per_1000 <= dear.per_1000


@CALM
@given(of=cases(), least=st.sampled_from([0.0, 0.3, 0.6, 0.9]))
def test_a_stricter_requirement_never_lets_more_arms_in(of: Case, least: float) -> None:
    lenient = judge(replace(of, requirements=replace(of.requirements, min_score=None)))
    strict = judge(replace(of, requirements=replace(of.requirements, min_score=least)))
    assert lenient.excluded.keys() <= strict.excluded.keys()
