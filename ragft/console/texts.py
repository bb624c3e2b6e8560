"""Results that are text: the verdict, the index, the plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from ragft.console.numbers import duration

SHOWN = 10
"""Documents that were set aside and are named on the screen."""

DECISION_COLOURS = {"ship": "green", "not_decided": "yellow", "none_qualifies": "red", "not_comparable": "red"}
"""The colour of each decision of a verdict."""


def bullets(title: str, lines: Sequence[str]) -> Text:
    """Return a titled list of sentences, empty text for none."""
    text = Text()
    if lines:
        text.append(f"{title}\n", style="bold")
        for line in lines:
            text.append(f"  • {line}\n")
    return text


def verdict_text(verdict: Any) -> Text:  # noqa: ANN401 - verdict.Verdict, rendered by its fields
    """Return a verdict: the headline, then reasons, exclusions, caveats, what would change it, and next steps."""
    colour = DECISION_COLOURS[verdict.decision]
    text = Text()
    text.append("\nVerdict: ", style="bold").append(verdict.headline, style=f"bold {colour}")
    text.append(f"  (confidence: {verdict.confidence})\n", style="dim")
    excluded = [f"{arm}: {reason}" for arm, reason in verdict.excluded]
    for title, lines in (
        ("Why", verdict.reasons),
        ("Excluded by a requirement", excluded),
        ("Not comparable", [f"{arm}: {reason}" for arm, reason in verdict.not_comparable]),
        ("Read this with care", verdict.caveats),
        ("What would change the verdict", [flip.sentence for flip in verdict.sensitivity]),
        ("What would help", verdict.next_steps),
    ):
        text.append_text(bullets(title, lines))
    return text


def index_text(state: Any) -> str:  # noqa: ANN401 - arms.knowledge.IndexState
    """Return what the index holds and what changed, in one line."""
    held = f"{state.documents} documents, {state.passages} passages"
    if state.report is None:
        return f"index: {held}; nothing changed"
    report = state.report
    counts = f"{report.added} added, {report.changed} changed, {report.removed} removed, {report.unchanged} unchanged"
    return f"index: {held}; passages: {counts}"


def set_aside_lines(set_aside: Sequence[Any], path: Path) -> list[str]:
    """Return the documents that could not be read, the first ten with their reasons; empty where all could."""
    if not set_aside:
        return []
    lines = [f"set aside: {len(set_aside)} documents could not be read (all of them: {path})"]
    lines += [f"  {item.where}: {item.reason}" for item in set_aside[:SHOWN]]
    return lines if len(set_aside) <= SHOWN else [*lines, f"  and {len(set_aside) - SHOWN} more"]


def plan_text(plan: Any) -> Text:  # noqa: ANN401 - arms.planning.Plan
    """Return a plan: what is built or reused, prompts, tokens, time, and one training example with its loss marked."""
    from ragft.training.examples import loss_part

    text = Text("Plan\n", style="bold")
    if plan.index_reused is not None:
        state = "reused" if plan.index_reused else "built or brought in step"
        text.append(f"  index: {plan.documents} documents, {plan.passages} passages, {state}\n")
    for item in plan.adapters:
        size = f"{item.steps} steps, {item.tokens:,} tokens, about {duration(item.seconds)}"
        text.append(f"  adapter {item.name}: {item.examples} examples, {'reused' if item.reused else size}\n")
        for part in item.parts:
            counts = f"{part.texts} texts, {part.tokens:,} tokens, {part.label_tokens:,} of them with loss"
            text.append(f"    {part.kind}: {counts}\n", style="dim")
        if item.to_write:
            text.append(f"    replay: the base model writes {item.to_write:,} tokens first\n", style="dim")
    for item in plan.arms:
        left = item.prompts - item.answered
        state = f"{item.prompt_tokens:,} prompt tokens, about {duration(item.seconds)}" if left else "reused"
        text.append(f"  arm {item.name}: {left} of {item.prompts} questions to ask, {state}\n")
    if plan.sweep_settings:
        asked = f"{plan.sweep_prompts:,} questions to dev examples"
        text.append(f"  sweep before that: {plan.sweep_settings} settings, {asked} at most; its time is not counted\n")
    if plan.detectable is not None:
        found = f"a difference of about {plan.detectable:.3f} or more (80 % power; assumes a usual spread)"
        text.append(f"  so many eval examples should find {found}\n")
    text.append(f"  in all about {duration(plan.seconds)}, loading aside\n", style="bold")
    if plan.estimated_passages:
        text.append("  the index is not built yet: passages drawn at random stand in for retrieved ones\n", style="dim")
    for number, sample in enumerate(plan.samples):
        title = f"Training example {sample.id} ({sample.kind}); only the part in ⟦ ⟧ carries the loss\n"
        text.append("\n" if number == 0 else "\n\n").append(title, style="bold")
        text.append(sample.prompt, style="dim")
        text.append(loss_part(sample), style="bold black on green")
    return text
