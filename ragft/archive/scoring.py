"""Two runs' scores, paired by example: how each arm's mean moved on each metric, and which examples moved the most."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragft.errors import DataError
from ragft.jsonl import read_rows

SAME = 1e-9
"""Scores closer than this are the same: the last digits of a mean of fractions may differ between machines."""

ASKED = ("input", "references", "gold_document_ids", "answerable")
"""What makes an example another question under the same id; scores on it are then not paired."""

Cell = tuple[str, str]
"""Arm and metric."""


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """One arm on one metric, over the `n` examples that both runs asked alike and could score.

    `old_mean`, `new_mean` and `difference` (new - old) are None when n is 0. `n_unscored` counts the examples that both
    asked alike and at least one could not score. `n_higher` and `n_lower` count the examples whose own score moved.
    """

    arm: str
    metric: str
    old_mean: float | None
    new_mean: float | None
    difference: float | None
    n: int
    n_unscored: int
    n_higher: int
    n_lower: int


@dataclass(frozen=True, slots=True)
class AnswerChange:
    """One arm's score on one example in both runs, with what it said; texts are None where no answer is kept."""

    arm: str
    old_score: float
    new_score: float
    old_text: str | None
    new_text: str | None


@dataclass(frozen=True, slots=True)
class ExampleChange:
    """An example on which arms moved: `moved` is the sum of their absolute differences on the primary metric."""

    example_id: str
    input: str
    references: tuple[str, ...]
    moved: float
    answers: tuple[AnswerChange, ...]


@dataclass(frozen=True, slots=True)
class ExamplesDiff:
    """Ids of examples that only one run asked, or that both asked in different words; `n_same` were asked alike."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    n_same: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What one run asked and how it was scored: examples by id, and by arm and metric the score of each example.

    An arm with several training seeds has the mean of its seeds as the score of an example.
    """

    folder: Path
    examples: Mapping[str, Mapping[str, Any]]
    scores: Mapping[Cell, Mapping[str, float | None]]


def read_asked(folder: Path) -> Asked | None:
    """Return what a run asked and how it was scored, None for one that scored nothing.

    DataError, with file and line, for rows that are not what a run writes.
    """
    if not (folder / "scores.jsonl").exists():
        return None
    examples = {_text(row, "id", where): row for row, where in _rows(folder / "examples.jsonl")}
    values: dict[Cell, dict[str, list[float | None]]] = {}
    for row, where in _rows(folder / "scores.jsonl"):
        arm, metric, example = (_text(row, key, where) for key in ("arm", "metric", "example_id"))
        value = row.get("value")
        if value is not None and not isinstance(value, int | float):
            raise DataError(f"{where}: value should be a number, found {value!r}")
        values.setdefault((arm, metric), {}).setdefault(example, []).append(value)
    scores = {cell: {example: _mean(found) for example, found in row.items()} for cell, row in values.items()}
    return Asked(folder, examples, scores)


def _rows(path: Path) -> Iterable[tuple[dict[str, Any], str]]:
    return ((row, f"{path}:{number}") for number, row in read_rows(path))


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise DataError(f"{where}: {key} should be text, found {value!r}")
    return value


def _mean(values: Iterable[float | None]) -> float | None:
    scored = [value for value in values if value is not None]
    return statistics.fmean(scored) if scored else None


def examples_diff(old: Asked, new: Asked) -> ExamplesDiff:
    """Return which examples were added, removed, or asked otherwise."""
    both = [id_ for id_ in new.examples if id_ in old.examples]
    changed = tuple(id_ for id_ in both if not _alike(old.examples[id_], new.examples[id_]))
    return ExamplesDiff(
        added=tuple(id_ for id_ in new.examples if id_ not in old.examples),
        removed=tuple(id_ for id_ in old.examples if id_ not in new.examples),
        changed=changed,
        n_same=len(both) - len(changed),
    )


def _alike(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return all(old.get(key) == new.get(key) for key in ASKED)


def _same_examples(old: Asked, new: Asked) -> set[str]:
    return {id_ for id_, row in new.examples.items() if id_ in old.examples and _alike(old.examples[id_], row)}


def score_changes(old: Asked, new: Asked) -> tuple[ScoreChange, ...]:
    """Return every arm and metric that both runs have, in the order of the new run."""
    same = _same_examples(old, new)
    return tuple(
        _score_change(cell, old.scores[cell], row, same) for cell, row in new.scores.items() if cell in old.scores
    )


def _score_change(
    cell: Cell, old: Mapping[str, float | None], new: Mapping[str, float | None], same: set[str]
) -> ScoreChange:
    ids = [id_ for id_ in new if id_ in old and id_ in same]
    pairs = [(a, b) for a, b in ((old[id_], new[id_]) for id_ in ids) if a is not None and b is not None]
    moves = [b - a for a, b in pairs]
    return ScoreChange(
        arm=cell[0],
        metric=cell[1],
        old_mean=_mean(a for a, _ in pairs),
        new_mean=_mean(b for _, b in pairs),
        difference=_mean(moves),
        n=len(pairs),
        n_unscored=len(ids) - len(pairs),
        n_higher=sum(move > SAME for move in moves),
        n_lower=sum(move < -SAME for move in moves),
    )


def example_changes(old: Asked, new: Asked, metric: str, n: int) -> tuple[ExampleChange, ...]:
    """Return the `n` examples on which the arms together moved the most on one metric; ties go by id."""
    same = _same_examples(old, new)
    moved: dict[str, dict[str, tuple[float, float]]] = {}
    for arm, name in new.scores:
        if name == metric and (arm, name) in old.scores:
            for id_, (a, b) in _moves(old.scores[arm, name], new.scores[arm, name], same).items():
                moved.setdefault(id_, {})[arm] = (a, b)
    sizes = {id_: sum(abs(b - a) for a, b in arms.values()) for id_, arms in moved.items()}
    chosen = sorted(sizes, key=lambda id_: (-round(sizes[id_], 9), id_))[:n]
    texts = [_texts(asked.folder, new.scores, chosen) for asked in (old, new)] if chosen else [{}, {}]
    return tuple(
        ExampleChange(
            example_id=id_,
            input=str(new.examples[id_].get("input", "")),
            references=tuple(map(str, new.examples[id_].get("references") or ())),
            moved=sizes[id_],
            answers=tuple(
                AnswerChange(arm, a, b, texts[0].get((arm, id_)), texts[1].get((arm, id_)))
                for arm, (a, b) in moved[id_].items()
            ),
        )
        for id_ in chosen
    )


def _moves(
    old: Mapping[str, float | None], new: Mapping[str, float | None], same: set[str]
) -> dict[str, tuple[float, float]]:
    pairs = {id_: (old.get(id_), value) for id_, value in new.items() if id_ in same}
    return {id_: (a, b) for id_, (a, b) in pairs.items() if a is not None and b is not None and abs(b - a) > SAME}


def _texts(folder: Path, cells: Iterable[Cell], ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return (arm, example id) -> what the arm said, of several seeds the first."""
    wanted = set(ids)
    texts: dict[tuple[str, str], str] = {}
    for arm in dict.fromkeys(arm for arm, _ in cells):
        path = folder / "answers" / f"{arm}.jsonl"
        if Path(arm).name != arm or not path.exists():
            continue
        for row, where in _rows(path):
            if row.get("example_id") in wanted:
                texts.setdefault((arm, str(row["example_id"])), _text(row, "text", where))
    return texts
