"""What the judge did, as text: whom it agrees with, what it prefers, how many verdicts could not be read.

Both reports use it, so that they cannot differ. Must not know how a table looks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragft.records import Interval
from ragft.report import formatting
from ragft.report.arm_rows import Cell
from ragft.report.judge_contents import JudgeFacts, PreferenceFacts, QuestionFacts


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table of text: each of `rows` is a title with a cell for each of `columns` but the first."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def question_table(judge: JudgeFacts) -> PlainTable | None:
    """Return a row for each question to the judge, None where it was asked none."""
    columns = ("Question", "kappa with people", "same verdict", "may decide", "verdicts", "unreadable", "no reply")
    rows = tuple((one.question, _question(one)) for one in judge.questions)
    return PlainTable(columns, rows) if rows else None


def _question(one: QuestionFacts) -> tuple[Cell, ...]:
    return (
        *_agreement(one),
        _may_decide(one),
        Cell(formatting.count(one.n_verdicts), f"{one.n_settled:,} more without asking" if one.n_settled else ""),
        Cell(formatting.count(one.n_unreadable)),
        Cell(formatting.count(one.n_failed)),
    )


def _agreement(one: QuestionFacts) -> tuple[Cell, Cell]:
    found = one.agreement
    if found is None:
        why = "no answer has both a verdict and a label" if one.n_labels else "nobody has labelled any answer"
        return Cell(formatting.NA, why), Cell(formatting.NA)
    kappa = Cell(formatting.NA, "undefined") if found.kappa is None else _number(found.kappa, found.interval)
    return kappa, Cell(formatting.score(found.agreement), f"n = {formatting.count(found.n)}")


def _number(value: float, interval: Interval | None) -> Cell:
    return Cell(formatting.score(value), formatting.span(interval))


def _may_decide(one: QuestionFacts) -> Cell:
    if one.why_not is not None:
        return Cell("no")
    return Cell("yes") if one.n_labels else Cell("yes", "unchecked")


def preference_table(judge: JudgeFacts) -> PlainTable | None:
    """Return a row for each pair of arms that the judge compared, None where it compared none."""
    columns = ("Pair", "wins", "ties", "losses", "share of wins", "position-bound", "no verdict")
    rows = tuple((f"{one.first} over {one.second}", _preference(one)) for one in judge.preferences)
    return PlainTable(columns, rows) if rows else None


def _preference(one: PreferenceFacts) -> tuple[Cell, ...]:
    share = Cell(formatting.NA) if one.win_share is None else _number(one.win_share, one.interval)
    return (
        Cell(formatting.count(one.wins)),
        Cell(formatting.count(one.ties)),
        Cell(formatting.count(one.losses)),
        share,
        Cell(formatting.score(one.position_bound), formatting.count(one.n_position_bound)),
        Cell(formatting.count(one.n_unreadable + one.n_missing)),
    )


def judge_sentence(judge: JudgeFacts) -> str:
    """Return who judged, with which prompts, and how many verdicts were asked for now."""
    asked = "" if judge.asked is None else f"; {judge.asked:,} prompts asked now"
    reused = f", {judge.reused:,} answered before" if judge.reused else ""
    least = "" if judge.min_kappa is None else f" It must reach a kappa of {judge.min_kappa:g} to decide."
    prompts = f" ({', '.join(judge.prompts)})" if judge.prompts else ""
    return f"{judge.model} judged{prompts}{asked}{reused}.{least}"
