"""Examples from JSON Lines: reading, field mapping, sampling by seed, and a dev split that keeps groups together."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from ragft import jsonl
from ragft.config import DataConfig, ExamplesFile, FieldNames
from ragft.errors import DataError
from ragft.records import Example


@dataclass(frozen=True, slots=True)
class Splits:
    """The examples of one experiment; `train` and `dev` are empty where the experiment names no training file."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    eval: tuple[Example, ...]


def load_splits(data: DataConfig, input_field: str, seed: int) -> Splits:
    """Return train, dev and eval; without a dev file, `data.dev_share` of the training groups becomes dev.

    Raises DataError as `file:line: what is wrong`; ids are unique within a file.
    """
    names = data.fields.model_copy(update={"input": data.fields.input or input_field})
    evaluation = load_examples(data.eval, names, seed)
    train = load_examples(data.train, names, seed) if data.train else ()
    if data.dev is not None:
        return Splits(train, load_examples(data.dev, names, seed), evaluation)
    train, dev = _hold_out(train, data.dev_share, seed)
    return Splits(train, dev, evaluation)


def load_examples(source: ExamplesFile, fields: FieldNames, seed: int) -> tuple[Example, ...]:
    """Return the examples of one file in file order, or a sample of `limit` of them chosen by the seed."""
    examples: dict[str, Example] = {}
    for number, row in jsonl.read_rows(source.path):
        where = f"{source.path}:{number}"
        example = _example(row, fields, where)
        if example.id in examples:
            raise DataError(f"{where}: example id {example.id!r} stands twice in this file")
        examples[example.id] = example
    if not examples:
        raise DataError(f"{source.path}: the file is empty")
    return sample(tuple(examples.values()), source.limit, seed)


def sample(examples: tuple[Example, ...], limit: int | None, seed: int) -> tuple[Example, ...]:
    """Return at most `limit` examples in their order; a larger limit keeps every example that a smaller one has."""
    if limit is None or limit >= len(examples):
        return examples
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)
    return tuple(examples[index] for index in sorted(order[:limit]))


def _example(row: jsonl.Row, fields: FieldNames, where: str) -> Example:
    assert fields.input is not None
    hint = f"the row has {', '.join(row)}; data.fields maps foreign names"
    id_, text = row.get(fields.example_id), row.get(fields.input)
    if not isinstance(id_, str | int) or id_ == "":
        raise DataError(f"{where}: no {fields.example_id!r} (the example's id)", hint)
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: no {fields.input!r} (the example's input)", hint)
    answerable = row.get(fields.answerable, True)
    if not isinstance(answerable, bool):
        raise DataError(f"{where}: {fields.answerable!r} must be true or false, not {answerable!r}")
    references = _texts(row.get(fields.references), fields.references, where)
    if answerable and not references:
        raise DataError(f"{where}: no {fields.references!r} (the acceptable answers) for an answerable example", hint)
    if not answerable and references:
        raise DataError(f"{where}: {fields.references!r} must be empty where {fields.answerable!r} is false")
    return Example(
        id=str(id_),
        input=text.strip(),
        references=references,
        gold_document_ids=_texts(row.get(fields.gold_document_ids), fields.gold_document_ids, where),
        answerable=answerable,
        group=_optional(row.get(fields.group)),
        variant=_optional(row.get(fields.variant)),
    )


def _texts(value: Any, field: str, where: str) -> tuple[str, ...]:  # noqa: ANN401 - whatever the row holds
    """Return a list of strings, or one string as a list of one; nothing (null, or no field) is an empty list."""
    items = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise DataError(f"{where}: {field!r} must be a list of strings")
    return tuple(item for item in items if item.strip())


def _optional(value: Any) -> str | None:  # noqa: ANN401
    return None if value is None else str(value)


def _hold_out(train: tuple[Example, ...], share: float, seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return (train, dev): whole groups move, so that no fact is trained in one phrasing and watched in another."""
    groups = sorted({_group(example) for example in train})
    random.Random(seed).shuffle(groups)
    held = set(groups[: max(1, round(share * len(groups)))]) if len(groups) > 1 else set()
    dev = tuple(example for example in train if _group(example) in held)
    return tuple(example for example in train if _group(example) not in held), dev


def _group(example: Example) -> str:
    return f"group:{example.group}" if example.group else f"id:{example.id}"
