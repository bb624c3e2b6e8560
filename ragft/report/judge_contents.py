"""What a language model as a judge did, as frozen records: how far it agrees with people, and what it prefers."""

from __future__ import annotations

from dataclasses import dataclass

from ragft.records import Interval


@dataclass(frozen=True, slots=True)
class AgreementFacts:
    """How far judge and people agree on `n` answers; `kappa` is None where it is undefined."""

    n: int
    agreement: float
    kappa: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class QuestionFacts:
    """What became of one question to the judge; `why_not` says why it may not decide, None where it may."""

    question: str
    n_verdicts: int
    n_settled: int
    n_unreadable: int
    n_failed: int
    n_unscored: int
    n_labels: int
    n_outdated: int
    agreement: AgreementFacts | None
    why_not: str | None


@dataclass(frozen=True, slots=True)
class PreferenceFacts:
    """How often the judge prefers the answers of `first` to those of `second`, asked in both orders.

    `ties` include the position-bound examples and the answers that are the same; `position_bound` is a share.
    """

    first: str
    second: str
    n: int
    wins: int
    ties: int
    losses: int
    win_share: float | None
    interval: Interval | None
    n_position_bound: int
    position_bound: float | None
    n_unreadable: int
    n_missing: int


@dataclass(frozen=True, slots=True)
class JudgeFacts:
    """The judge: its model, what it was asked, how far it may be trusted; `caveats` have no full stop."""

    model: str
    prompts: tuple[str, ...]
    min_kappa: float | None
    asked: int | None
    reused: int | None
    questions: tuple[QuestionFacts, ...]
    preferences: tuple[PreferenceFacts, ...]
    caveats: tuple[str, ...]
