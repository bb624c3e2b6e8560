"""From verdict.json, gates.json and sweep.json to records; the last two are there only where a run has them."""

from __future__ import annotations

from pathlib import Path

from ragft.report.contents import Gate, GateFacts, Pairs, SweepFacts, Trial, VerdictFacts
from ragft.report.reading import Node, read_interval, read_object


def read_verdict(path: Path) -> VerdictFacts:
    """Return the verdict; runs of older versions name no arm that is not comparable and no sensitivity."""
    node = read_object(path)
    return VerdictFacts(
        decision=node.text("decision"),
        arm=node.optional_text("arm"),
        confidence=node.text("confidence"),
        headline=node.text("headline"),
        reasons=node.texts("reasons"),
        excluded=_arms_with_reasons(node, "excluded"),
        caveats=node.texts("caveats"),
        next_steps=node.texts("next_steps"),
        candidates=node.texts("candidates"),
        not_comparable=_arms_with_reasons(node, "not_comparable"),
        sensitivity=tuple(item.text("sentence") for item in node.items("sensitivity")),
    )


def _arms_with_reasons(node: Node, key: str) -> Pairs:
    return tuple(_pair(item) for item in node.items(key))


def _pair(node: Node) -> tuple[str, str]:
    if not isinstance(node.value, list) or len(node.value) != 2:
        raise node.fault("a pair of arm and reason")
    return str(node.value[0]), str(node.value[1])


def read_gates(path: Path) -> GateFacts | None:
    """Return the gates and how they ended, None for a run without gates."""
    if not path.exists():
        return None
    node = read_object(path)
    gates = tuple(
        Gate(
            number=gate.required_count("number"),
            kind=gate.text("kind"),
            title=gate.text("title"),
            status=gate.text("status"),
            message=gate.optional_text("message") or "",
        )
        for gate in node.items("gates")
    )
    return GateFacts(node.text("status"), gates, _baseline(node.present("baseline"))) if gates else None


def _baseline(node: Node | None) -> str | None:
    if node is None:
        return None
    name = node.optional_text("name") or node.optional_text("source") or "unnamed"
    made = node.optional_text("created_at")
    return name if made is None else f"{name}, made {made[:10]}"


def read_sweep(path: Path) -> SweepFacts | None:
    """Return the trials of the sweep, None for a run without one."""
    if not path.exists():
        return None
    node = read_object(path)
    return SweepFacts(
        arm=node.text("arm"),
        metric=node.text("metric"),
        kind=node.text("kind"),
        parameters=_parameters(node),
        trials=tuple(_trial(item) for item in node.items("trials")),
        chosen=node.count("chosen"),
    )


def _parameters(node: Node) -> tuple[tuple[str, tuple[str, ...]], ...]:
    tried = node.child("parameters")
    return tuple((key, tried.words(key)) for key, _ in node.named("parameters"))


def _trial(node: Node) -> Trial:
    return Trial(
        number=node.required_count("number"),
        values=node.pairs("values"),
        mean=node.number("mean"),
        interval=read_interval(node.present("interval")),
        n=node.count("n"),
        seconds=node.number("seconds"),
        reused=node.flag("reused"),
    )
