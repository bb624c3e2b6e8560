"""From metrics.json to what only newer runs have: labels, sureness, what needs no model, the checks of the data.

Fills nothing in.
"""

from __future__ import annotations

from ragft.evaluation.classification import ClassificationSummary, LabelScores
from ragft.evaluation.selective import SelectiveCurve, SelectiveGain, SelectivePoint
from ragft.records import ContrastResult
from ragft.report.contents import CheckFacts, Sureness, Unaided
from ragft.report.reading import Node, read_interval


def read_labels_said(node: Node | None) -> ClassificationSummary | None:
    """Return how an arm did on each label, None for a task without labels."""
    if node is None:
        return None
    return ClassificationSummary(
        node.number("macro_f1"),
        tuple(
            LabelScores(
                one.text("label"),
                one.required("precision"),
                one.required("recall"),
                one.required("f1"),
                one.required_count("support"),
            )
            for one in node.items("labels")
        ),
        node.required_count("n"),
        node.required_count("n_unparsed"),
    )


def read_sureness(node: Node | None) -> Sureness | None:
    """Return the selective curve of an arm and what it gains, None where no curve could be made."""
    if node is None:
        return None
    points = (
        SelectivePoint(
            one.required("target"), one.required("coverage"), one.required("mean"), one.required("threshold")
        )
        for one in node.items("points")
    )
    curve = SelectiveCurve(
        arm=node.text("arm"),
        metric=node.text("metric"),
        points=tuple(points),
        aurc=node.required("aurc"),
        aurc_best=node.required("aurc_best"),
        n=node.required_count("n"),
        n_left_out=node.required_count("n_left_out"),
    )
    gain = node.present("gain")
    return Sureness(curve, None if gain is None else _gain(gain))


def _gain(node: Node) -> SelectiveGain:
    interval = read_interval(node.present("interval"))
    return SelectiveGain(
        node.text("arm"), node.text("metric"), node.required("difference"), interval, node.required_count("n")
    )


def read_errors(node: Node | None) -> tuple[tuple[str, int], ...]:
    """Return how many answers could not be got, by reason, the commonest first."""
    if node is None or not isinstance(node.value, dict):
        return ()
    found = [(str(reason), node.required_count(reason)) for reason in node.value]
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def read_unaided(node: Node | None) -> Unaided | None:
    """Return what needs no model and how the arms stand against it, None for a task that has no such thing."""
    if node is None:
        return None
    contrasts = tuple(_contrast(one) for one in node.items("contrasts"))
    return Unaided(node.text("what"), node.text("metric"), node.number("mean"), contrasts)


def _contrast(node: Node) -> ContrastResult:
    return ContrastResult(
        first=node.text("first"),
        second=node.text("second"),
        metric=node.text("metric"),
        difference=node.number("difference"),
        interval=read_interval(node.present("interval")),
        n=node.required_count("n"),
        test=node.text("test"),
        p_value=node.number("p_value"),
        p_adjusted=node.number("p_adjusted"),
        minimum_detectable_effect=node.number("minimum_detectable_effect"),
        n_needed=node.count("n_needed"),
        declared=node.flag("declared"),
    )


def read_check(node: Node) -> CheckFacts:
    """Return one check of the data, also one that found nothing."""
    return CheckFacts(
        name=node.text("name"),
        title=node.text("title"),
        looked_at=node.required_count("looked_at"),
        found=node.required_count("found"),
        severity=node.text("severity"),
        message=node.text("message"),
        example_ids=node.texts("example_ids"),
        hint=node.optional_text("hint") or "",
    )
