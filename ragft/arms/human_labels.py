"""What people say of answers: a file of labels, against which a judge is checked."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragft import jsonl
from ragft.config.judging import JudgeQuestion
from ragft.errors import DataError
from ragft.evaluation.judging import QUESTIONS


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """What a person says of one arm's answer to one example; `text` is that answer, None where the row has none."""

    arm: str
    example_id: str
    question: JudgeQuestion
    label: bool
    text: str | None = None


def read_labels(path: Path, arms: Collection[str], examples: Collection[str]) -> list[HumanLabel]:
    """Return the labels that people gave; other columns of a row are passed over.

    Raises DataError as `file:line: what is wrong` for an arm or example that the experiment lacks, for a value that is
    none, for an answer that is labelled twice for one question, and for a file without labels.
    """
    labels: list[HumanLabel] = []
    lines: dict[tuple[str | None, ...], int] = {}
    for number, row in jsonl.read_rows(path):
        label = _label(row, f"{path}:{number}", arms, examples)
        key = (label.arm, label.example_id, label.question, label.text)
        if key in lines:
            raise DataError(
                f"{path}:{number}: the answer of {label.arm} to {label.example_id} is labelled for {label.question} "
                f"already, in line {lines[key]}",
                "leave one label for each answer: where people differ, the one that they settled on",
            )
        lines[key] = number
        labels.append(label)
    if not labels:
        raise DataError(f"{path}: holds no labels", "write some, or leave out compare.judge.human_labels")
    return labels


def _label(row: jsonl.Row, where: str, arms: Collection[str], examples: Collection[str]) -> HumanLabel:
    """Return one row as a label; DataError for a value that is none."""
    label, text = row.get("label"), row.get("text")
    if not isinstance(label, bool):
        raise _wrong(where, "label", row, "must be true or false")
    if text is not None and not isinstance(text, str):
        raise _wrong(where, "text", row, "must be the answer that was labelled")
    question = next((one for one in QUESTIONS if one == row.get("question")), None)
    if question is None:
        raise _wrong(where, "question", row, f"must be {' or '.join(QUESTIONS)}")
    arm = _known(where, "arm", row, arms, f"the experiment's arms: {', '.join(arms)}")
    example = _known(where, "example_id", row, examples, "labels are for examples of data.eval, by their ids")
    return HumanLabel(arm, example, question, label, text)


def _known(where: str, key: str, row: jsonl.Row, names: Collection[str], hint: str) -> str:
    """Return the name that stands in a column; DataError unless it is one of `names`."""
    name = row.get(key)
    if not isinstance(name, str):
        raise _wrong(where, key, row, "must be a name")
    if name not in names:
        raise DataError(f"{where}: there is no {key.removesuffix('_id')} {name!r} in the experiment", hint)
    return name


def _wrong(where: str, key: str, row: jsonl.Row, what: str) -> DataError:
    found: Any = f"found {json.dumps(row[key], ensure_ascii=False)}" if key in row else "which is absent"
    return DataError(
        f"{where}: `{key}` {what}, {found}", "columns: arm, example_id, question, label and, if wanted, text"
    )
