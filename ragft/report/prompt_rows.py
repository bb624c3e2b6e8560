"""How far the prompts of an arm lie apart: a dot for each template on an axis that all arms share, and the means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ragft.report import formatting
from ragft.report.arm_rows import arm_kind, arm_rows
from ragft.report.bars import score_axis
from ragft.report.contents import ReportData
from ragft.report.svg import Axis, drawing, tag


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One arm that was asked with several prompts; `spread` is the highest of their means less the lowest."""

    arm: str
    kind: str
    dots: Markup
    mean: str
    spread: str
    means: tuple[tuple[str, str], ...]


def prompt_rows(data: ReportData) -> list[PromptRow]:
    """Return a row for each arm with several prompts, in the order of the first table."""
    by_name = {arm.name: arm for arm in data.arms}
    found = [(by_name[row.name], means) for row in arm_rows(data) if (means := data.prompt_means(row.name))]
    inner = score_axis(mean for _, means in found for _, mean in means)
    axis = Axis(inner.low, inner.high, 3, 97)
    return [_row(arm.name, arm_kind(data, arm), means, axis) for arm, means in found]


def _row(arm: str, kind: str, means: Sequence[tuple[str, float]], axis: Axis) -> PromptRow:
    values = [value for _, value in means]
    mean = sum(values) / len(values)
    return PromptRow(
        arm=arm,
        kind=kind,
        dots=prompt_dots(arm, kind, means, mean, axis),
        mean=formatting.score(mean),
        spread=formatting.score(max(values) - min(values)),
        means=tuple((name, formatting.score(value)) for name, value in means),
    )


def prompt_dots(arm: str, kind: str, means: Sequence[tuple[str, float]], mean: float, axis: Axis) -> Markup:
    """Return a dot at the mean of each prompt, and an upright line at their average."""
    here = axis.percent(mean)
    parts = [
        tag("line", class_="rail", x1="0", x2="100%", y1="50%", y2="50%"),
        tag("line", class_="whisker", x1=here, x2=here, y1="14%", y2="86%"),
    ]
    parts += [
        tag("circle", tag("title", f"{name}: {formatting.score(value)}"), class_=f"dot {kind}", cx=axis.percent(value),
            cy="50%", r=4.5)
        for name, value in means
    ]  # fmt: skip
    said = ", ".join(f"{name} {formatting.score(value)}" for name, value in means)
    return drawing(f"{arm} by prompt: {said}; their average {formatting.score(mean)}", *parts, class_="bar")
