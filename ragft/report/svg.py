"""SVG elements as escaped markup, and axes that turn values into positions. Must not know what is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

Attribute = str | float


def tag(name: str, *children: str, **attributes: Attribute) -> Markup:
    """Return one element, with every child and attribute escaped unless it is markup already.

    `class_` becomes `class` and other underscores become hyphens. Colours come from CSS classes: the page's security
    policy forbids style attributes.
    """
    written = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items())
    inside = "".join(str(escape(child)) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>")


def drawing(title: str, *parts: str, desc: str = "", **attributes: Attribute) -> Markup:
    """Return an SVG image whose title (and description, where there is one) say in words what it shows."""
    said = [tag("title", title), *([tag("desc", desc)] if desc else [])]
    return tag("svg", *said, *parts, role="img", **attributes)


def _name(key: str) -> str:
    return key if key == "viewBox" else key.rstrip("_").replace("_", "-")


def _value(value: Attribute) -> str:
    return str(escape(value)) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Axis:
    """A mapping of values from `low`..`high` to positions from `start` to `end`, linear or logarithmic (low > 0)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the position of `value`; beyond the ends it goes on."""
        low, high, here = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def percent(self, value: float) -> str:
        """Return the position of `value` as a percentage, held between the ends."""
        low, high = sorted((self.start, self.end))
        return f"{min(high, max(low, self.at(value))):.2f}%"

    def ticks(self, wanted: int = 5) -> list[float]:
        """Return round values between the ends, about `wanted` of them."""
        if self.log:
            return self._log_ticks()
        step = tick_step(self.high - self.low, wanted)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]

    def _log_ticks(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        every = [round(digit * 10.0**power, 10) for power in powers for digit in (1, 2, 5)]
        return [value for value in every if self.low <= value <= self.high]


def tick_step(width: float, wanted: int) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that parts `width` into at most about `wanted` steps."""
    if width <= 0:
        return 1.0
    raw = width / wanted
    power: float = 10.0 ** math.floor(math.log10(raw))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= raw * 0.999)


def tick_label(value: float, step: float) -> str:
    """Return `value` with as many decimals as `step` needs."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    text = f"{value:.{decimals}f}"
    return (text[1:] if text.strip("-0.") == "" and text.startswith("-") else text).replace("-", "\u2212")
