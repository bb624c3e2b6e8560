"""Which columns make an example: the names of the experiment file, and what must exist before a row is read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ragft.config import FieldNames
from ragft.data.sources.rows import column_of, columns_read, listed
from ragft.errors import DataError

HINT = "data.fields maps foreign names"
OF_DOCUMENTS = frozenset({"document_id", "document_title", "document_text"})


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that make an example.

    `input` is the column of the input, and `named` are the names that are no defaults, by key: a default may be absent
    everywhere, a name that somebody chose may not. `columns` are carried along as they are.
    """

    fields: FieldNames
    input: str
    columns: tuple[str, ...]
    named: dict[str, str]

    @classmethod
    def of(cls, fields: FieldNames, input_field: str, columns: tuple[str, ...]) -> Layout:
        """Return the layout of `data.fields`; `input_field` is the input's column where they name none."""
        # Not what the file sets: a resolved file, or a variant of an experiment, sets every default too.
        own = {key: getattr(fields, key) for key in sorted(type(fields).model_fields.keys() - OF_DOCUMENTS)}
        defaults = {key: getattr(FieldNames(), key) for key in own}
        named = {key: name for key, name in own.items() if name is not None and name != defaults[key]}
        return cls(fields, fields.input or input_field, columns, named)

    @property
    def id_named(self) -> bool:
        """Whether the experiment file says which column holds the id, so that rows are never numbered."""
        return "example_id" in self.named

    @property
    def answerable_by_references(self) -> bool:
        """Whether a row without references is meant to be unanswerable, as in SQuAD 2.0."""
        return self.fields.answerable == self.fields.references

    @property
    def marks(self) -> Sequence[str]:
        """The columns of which an example has at least one: its input, or what its input comes from."""
        return (self.input, self.fields.input_document_id, self.fields.messages)

    def check(self, existing: Collection[str], where: str) -> None:
        """Raise DataError for a table from which no input can come, or that lacks a column to be carried along."""
        needed = [] if any(column_of(mark, existing) is not None for mark in self.marks) else [self.input]
        for name in (*needed, *self.columns):
            if column_of(name, existing) is None:
                raise DataError(f"{where}: no column {name!r}; the columns are {listed(existing)}", HINT)

    def chosen(self, existing: Sequence[str]) -> list[str]:
        """Return the columns that are looked at."""
        fields = self.fields
        names = (fields.example_id, fields.references, fields.gold_document_ids, fields.answerable, fields.group)
        more = (fields.variant, fields.terms, fields.old_references)
        return columns_read((*names, *more, *self.marks, *self.columns), existing)
