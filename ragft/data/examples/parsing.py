"""One row as an Example: its input, or where the input comes from, and its labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ragft.data.examples.cells import Cells
from ragft.data.examples.conversation import ConversationError, read_conversation
from ragft.data.examples.layout import Layout
from ragft.data.sources.found import clean
from ragft.records import Example, Turn

Texts = Callable[[], Mapping[str, str]]
"""The text of every document by id; reads the documents when it is first called."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of a model; `output` is the answer that a conversation ends with, None where there is none.

    `document` is the id of the document whose text is the input, None where the input is the row's own.
    """

    input: str
    history: tuple[Turn, ...] = ()
    instructions: str = ""
    output: str | None = None
    document: str | None = None


def id_of(cells: Cells, layout: Layout) -> str | None:
    """Return the id of a row, None where it has none."""
    return cells.id(layout.fields.example_id)


def example_of(cells: Cells, id_: str, layout: Layout, texts: Texts) -> Example:
    """Return the example of a row; raises DataError for one that has no input, or labels that contradict each other."""
    fields = layout.fields
    asked = _asked(cells, layout, texts)
    references, answerable = _labels(cells, layout, asked)
    return Example(
        id=id_,
        input=asked.input,
        references=references,
        # What is found beside the input is asked of retrieval; the input's own document is given already.
        gold_document_ids=tuple(id_ for id_ in cells.texts(fields.gold_document_ids) if id_ != asked.document),
        answerable=answerable,
        group=cells.text(fields.group),
        variant=cells.text(fields.variant),
        history=asked.history,
        instructions=asked.instructions,
        terms=cells.texts(fields.terms),
        columns={name: cells.scalar(name) for name in layout.columns},
        input_document_id=asked.document,
        old_references=cells.texts(fields.old_references),
    )


def _asked(cells: Cells, layout: Layout, texts: Texts) -> _Asked:
    messages = layout.fields.messages
    # A conversation wins over an input beside it, which has no history, unless the file says which column the input is.
    is_left_open = layout.fields.input is None or cells.value(layout.input) is None
    if is_left_open and cells.value(messages) is not None:
        return _of_conversation(cells, messages)
    return _input(cells, layout, texts)


def _of_conversation(cells: Cells, name: str) -> _Asked:
    try:
        found = read_conversation(cells.value(name))
    except ConversationError as error:
        raise cells.fault(f"{name!r}: {error}") from None
    return _Asked(found.input, found.history, found.instructions, found.output)


def _input(cells: Cells, layout: Layout, texts: Texts) -> _Asked:
    """Return the input of a row, or the text (not the title) of the document that the row names in its place."""
    given = cells.value(layout.input)
    column = layout.fields.input_document_id
    document = cells.id(column) if given is None else None
    if document is not None:
        given = texts().get(document)
        if given is None:
            hint = "data.documents must give the document whose text is the input"
            raise cells.fault(f"{column!r} names the document {document!r}, which does not exist", hint)
    if not isinstance(given, str) or not given.strip():
        raise cells.missing(layout.input, "the example's input")
    return _Asked(clean(given.strip()), document=document)


def _labels(cells: Cells, layout: Layout, asked: _Asked) -> tuple[tuple[str, ...], bool]:
    """Return (references, answerable), which must agree: a missing label is no unanswerable question."""
    fields, said, name = layout.fields, asked.output, layout.fields.references
    references = cells.texts(name) if said is None else (said,)
    if layout.answerable_by_references:
        return references, bool(references)
    answerable = cells.truth(fields.answerable) is not False
    if answerable and not references:
        raise cells.fault(
            f"no {name!r} (the acceptable answers) for an answerable example",
            f"{cells.missing(name, '').hint}; where no answer is right, {fields.answerable!r} must be false, or "
            f"`data.fields.answerable: {name}` makes every row without {name!r} unanswerable",
        )
    if not answerable and references:
        must = f"{name!r} must be empty" if said is None else f"{fields.messages!r} must end with a user message"
        raise cells.fault(f"{must} where {fields.answerable!r} is false")
    return references, answerable
