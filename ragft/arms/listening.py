"""How long work tells whoever watches how far it is, without knowing whether anybody does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ragft.arms.planning import PlannedProbe
    from ragft.data.checks import DataCheck


class Work(Protocol):
    """One piece of work in progress."""

    def advance(self, done: int = 1, note: str = "") -> None:
        """Count `done` more units as done; `note` is shown beside the count."""
        ...

    def total(self, units: int) -> None:
        """Say how many units there are, where that was not known at the start."""
        ...


class Listener(Protocol):
    """Whoever watches: the terminal, a log, or nobody."""

    def work(self, title: str, total: int, unit: str) -> AbstractContextManager[Work]:
        """Open one piece of work of `total` units."""
        ...

    def say(self, text: str) -> None:
        """Pass on one line of news: what was reused, what is waited for."""
        ...

    def checks(self, checks: Sequence[DataCheck]) -> None:
        """Pass on what checks of the data found, before anything expensive begins."""
        ...

    def probes(self, planned: Sequence[PlannedProbe], budget_s: float | None) -> None:
        """Pass on what the probes would take, before anything expensive begins, and the seconds that they may take."""
        ...


class _Unwatched:
    def advance(self, done: int = 1, note: str = "") -> None:
        """Do nothing."""

    def total(self, units: int) -> None:
        """Do nothing."""


class Silence:
    """A Listener that nobody hears."""

    @contextmanager
    def work(self, title: str, total: int, unit: str) -> Iterator[Work]:
        """Open one piece of work that nobody watches."""
        yield _Unwatched()

    def say(self, text: str) -> None:
        """Drop one line of news."""

    def checks(self, checks: Sequence[DataCheck]) -> None:
        """Drop the checks."""

    def probes(self, planned: Sequence[PlannedProbe], budget_s: float | None) -> None:
        """Drop the plan."""
