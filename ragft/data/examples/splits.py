"""Train, dev and eval: ids that are unique in each source, sampling by seed, a dev split that keeps groups together."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ragft.config import DataConfig, FieldNames
from ragft.config.examples import ExamplesSource
from ragft.data.examples.cells import Cells
from ragft.data.examples.layout import Layout
from ragft.data.examples.parsing import example_of, id_of
from ragft.data.examples.reading import example_rows, source_name
from ragft.errors import DataError
from ragft.records import Document, Example

Documents = Callable[[], Sequence[Document]]
"""Reads the documents; called only if an example takes its input from one."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The examples of one experiment; `train` and `dev` are empty where the experiment names no training examples.

    `changed` and `unchanged` are those of `data.update`, and empty where the experiment names no update.
    """

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    eval: tuple[Example, ...]
    changed: tuple[Example, ...] = ()
    unchanged: tuple[Example, ...] = ()


def load_splits(
    data: DataConfig,
    input_field: str,
    seed: int,
    *,
    documents: Documents = tuple,
    columns: Sequence[str] = (),
    cache_dir: Path | None = None,
) -> Splits:
    """Return train, dev and eval; without dev examples, `data.dev_share` of the training groups becomes dev.

    Args:
        data: The section `data`.
        input_field: Column of the input where `data.fields.input` names none.
        seed: Chooses samples and the dev split.
        documents: Reads the documents; called at most once, for an input that is the text of a document.
        columns: Other columns that examples carry along (`Example.columns`); a row without one is an error.
        cache_dir: Folder for data sets of the hub; the library's own when None.

    Raises:
        DataError: A row that is no example, as `file:line: what is wrong`; an id that stands twice in a source; a
            column that `data.fields` names and no row of any source has.
    """
    layout = Layout.of(data.fields, input_field, tuple(columns))
    loading = _Loading(layout, seed, cache_dir, _texts(documents))
    evaluation = loading.examples(data.eval)
    train = loading.examples(data.train) if data.train else ()
    dev = loading.examples(data.dev) if data.dev else None
    changed = loading.examples(data.update.changed) if data.update else ()
    unchanged = loading.examples(data.update.unchanged) if data.update and data.update.unchanged else ()
    loading.check_names()
    if dev is None:
        train, dev = _hold_out(train, data.dev_share, seed)
    return Splits(train, dev, evaluation, changed, unchanged)


def load_examples(source: ExamplesSource, fields: FieldNames, seed: int) -> tuple[Example, ...]:
    """Return the examples of one source in its order, or a sample of `limit` of them chosen by the seed.

    Raises DataError as `load_splits` does; the input is the column `input` where `fields` names none.
    """
    return _Loading(Layout.of(fields, "input", ()), seed, None, dict).examples(source)


def sample(examples: tuple[Example, ...], limit: int | None, seed: int) -> tuple[Example, ...]:
    """Return at most `limit` examples in their order; a larger limit keeps every example that a smaller one has."""
    if limit is None or limit >= len(examples):
        return examples
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)
    return tuple(examples[index] for index in sorted(order[:limit]))


def _texts(documents: Documents) -> Callable[[], Mapping[str, str]]:
    return cache(lambda: {document.id: document.text for document in documents()})


class _Loading:
    """Reads the sources of one experiment, and remembers which of the named columns no row has had yet."""

    def __init__(
        self, layout: Layout, seed: int, cache_dir: Path | None, texts: Callable[[], Mapping[str, str]]
    ) -> None:
        self._layout = layout
        self._seed = seed
        self._cache_dir = cache_dir
        self._texts = texts
        self._never_seen = layout.named

    def examples(self, source: ExamplesSource) -> tuple[Example, ...]:
        """Return the examples of one source, or the sample of them that its limit asks for."""
        examples: dict[str, Example] = {}
        first: Cells | None = None
        numbered = False
        for number, cells in enumerate(example_rows(source, self._layout, self._cache_dir), start=1):
            self._never_seen = {key: name for key, name in self._never_seen.items() if not cells.has(name)}
            id_ = id_of(cells, self._layout)
            if first is None:
                first, numbered = cells, id_ is None and not self._layout.id_named
            if numbered != (id_ is None):
                raise (first if numbered else cells).missing(self._layout.fields.example_id, "the example's id")
            example = example_of(cells, str(number) if id_ is None else id_, self._layout, self._texts)
            if example.id in examples:
                kind = "file" if source.kind == "files" else "data set"
                raise DataError(f"{cells.where}: example id {example.id!r} stands twice in this {kind}")
            examples[example.id] = example
        if not examples:
            raise DataError(f"{source_name(source)}: the data set is empty")
        return sample(tuple(examples.values()), source.limit, self._seed)

    def check_names(self) -> None:
        """Raise DataError for a column that the experiment file names and that no row of any source had."""
        for key, name in self._never_seen.items():
            raise DataError(
                f"data.fields.{key}: no row of the examples has a column {name!r}",
                "mend the name, or leave the key out",
            )


def _hold_out(train: tuple[Example, ...], share: float, seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return (train, dev): whole groups move, so that no fact is trained in one phrasing and watched in another."""
    groups = sorted({_group(example) for example in train})
    random.Random(seed).shuffle(groups)
    held = set(groups[: max(1, round(share * len(groups)))]) if len(groups) > 1 else set()
    dev = tuple(example for example in train if _group(example) in held)
    return tuple(example for example in train if _group(example) not in held), dev


def _group(example: Example) -> str:
    return f"group:{example.group}" if example.group else f"id:{example.id}"
