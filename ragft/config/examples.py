"""The section `data` as types: documents, labelled examples, what their fields are called, and how they are checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from ragft.config.knowledge import Source
from ragft.config.sections import FilePath, ModelSource, Section, Shorthand, SingleItem


class FieldNames(Section):
    """What the columns of documents and examples are called, so that a foreign data set is used as it is.

    A dotted name reaches into a column: `answers.text` is the field `text` of the column `answers`, also where that is
    a list of objects. A column whose own name has the dot wins. A name that is given here for examples and that no row
    of them has is an error.
    """

    document_id: str = "id"
    """Column of a document that holds its id."""
    document_title: str = "title"
    """Column of a document that holds its title."""
    document_text: str = "text"
    """Column of a document that holds its text."""
    example_id: str = "id"
    """Column of an example that holds its id. Where this is not set and the first row has no `id`, the rows of the file
    are numbered from 1; an id in some rows only is an error."""
    input: str | None = None
    """Column of an example that holds its input; without it `question` for qa, `topic` for summaries of passages, and
    `input` for everything else."""
    input_document_id: str = "input_document_id"
    """Column that names the document whose text (without its title) is the input, where the input itself is absent."""
    references: str = "references"
    """Column that holds the acceptable outputs: a list of texts, or one; numbers and truths are taken as text. A cell
    of CSV may hold a list as JSON. Labels that a data set keeps as numbers with names are the names."""
    gold_document_ids: str = "gold_document_ids"
    """Column that holds the ids of the documents in which the answer stands."""
    answerable: str = "answerable"
    """Column that is false where the right answer is to abstain; true where it is absent. The same name as `references`
    says that a row without references is unanswerable, as in SQuAD 2.0."""
    group: str = "fact_id"
    """Column that joins several phrasings of one fact; they are kept together in splits."""
    variant: str = "variant"
    """Column that names the kind of phrasing."""
    messages: str = "messages"
    """Column of a conversation: a list of `role` and `content`, or of `from` and `value`. The last user message is the
    input, the assistant's answer to it the reference; without one, the column of references holds it. Read where the
    input is absent, or where this is set."""
    terms: str = "terms"
    """Column of the terms that a translation must use: a list of texts, or one."""
    old_references: str = "old_references"
    """Column, in the examples of `data.update.changed`, of what was right before it: a list of texts, or one."""


class ExamplesFile(Section):
    """A file of examples: JSON Lines, JSON, CSV, TSV or Parquet, as its suffix says."""

    kind: Literal["files"] = "files"
    path: FilePath
    """The file, relative to the experiment file."""
    limit: int | None = Field(default=None, ge=1)
    """Use at most this many examples, chosen by the seed; all when absent."""


class HubExamples(Section):
    """Examples from a data set of the Hugging Face hub, or from one in a local folder."""

    kind: Literal["hub"]
    dataset: ModelSource
    """A Hub id (`org/name`), or a folder (begins with `/`, `./`, `../` or `~`)."""
    name: str | None = None
    """Name of the configuration of the data set."""
    split: str = "train"
    """The split that is read."""
    revision: str | None = None
    """Branch, tag or commit of a Hub id; a commit makes the experiment repeatable."""
    limit: int | None = Field(default=None, ge=1)
    """Use at most this many examples, chosen by the seed from all rows; all when absent."""


ExamplesSource = ExamplesFile | HubExamples
Examples = Annotated[ExamplesSource, Field(discriminator="kind"), Shorthand("path", kind="files")]
Documents = Annotated[tuple[Annotated[Source, Shorthand("path", kind="files")], ...], Strict(False), SingleItem()]


class ChecksConfig(Section):
    """Checks of the data before anything expensive."""

    near_duplicates: Literal["minhash", "embedding", "off"] = "minhash"
    """How inputs of eval that are nearly one of train are found: by shared letters (character 5-grams), or by meaning
    (the embedder)."""
    similarity: float | None = Field(default=None, gt=0, le=1)
    """From which likeness on two inputs are nearly the same. When absent, 0.7 of their character 5-grams (Jaccard) for
    minhash, and a cosine of 0.95 for embedding."""
    training_documents: bool = False
    """Look for eval answers in the documents that an adapter is trained on (recipe `documents`)."""
    known_score: float = Field(default=0.8, gt=0, le=1)
    """From which score of the bare model on, closed-book, the data cannot show what knowledge is worth."""


class UpdateConfig(Section):
    """A second version of some documents, and the questions that tell who has noticed it."""

    documents: Annotated[Documents, Field(min_length=1)]
    """The documents in their second version, each under the id of the first; those with a new id are added."""
    changed: Examples
    """Examples whose answers the second version changes: `references` are right after it, `old_references` before."""
    unchanged: Examples | None = None
    """Examples whose answers it leaves alone; `data.eval` when absent."""


class DataConfig(Section):
    """Documents and labelled examples."""

    documents: Documents = ()
    """The sources of the knowledge base: a list, or one."""
    train: Examples | None = None
    """Labelled examples that adapters are trained on and few-shot examples are drawn from."""
    dev: Examples | None = None
    """Examples for the dev loss; without it a share of train is held out."""
    eval: Examples
    """Examples that every arm is asked and that are never trained on."""
    dev_share: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the training groups held out as dev when no dev file is given."""
    fields: FieldNames = FieldNames()
    """Names of the columns of documents and examples."""
    allow_leakage: bool = False
    """Go on, with a caveat, when an eval question also stands in train; otherwise that is an error."""
    update: UpdateConfig | None = None
    """What changes later, for the probes that ask who notices; none when absent."""
    checks: ChecksConfig = ChecksConfig()
    """What is checked before anything expensive."""
