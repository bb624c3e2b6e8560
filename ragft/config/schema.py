"""The experiment file as types: every section, key, default and limit, and nothing about how a file is read.

The string under each field says what the key does and in which unit; it is published in the JSON Schema, so editors
show it. Paths stay as they were written unless the validation context names a folder to anchor them to.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict, model_validator

from ragft.config.comparing import CompareConfig
from ragft.config.defaults import with_default_arms
from ragft.config.knowledge import Dtype, IndexConfig, RetrievalConfig, Source
from ragft.config.recipes import AdapterConfig
from ragft.config.sections import FilePath, ModelSource, Name, Section, Shorthand, SingleItem, Words

Device = Literal["auto", "cpu", "cuda", "mps"]


class QaTask(Section):
    """Question answering with short answers; unanswerable questions are answered by abstaining."""

    kind: Literal["qa"]


class ClassificationTask(Section):
    """One label for one input; fact-checking is this task with retrieved evidence."""

    kind: Literal["classification"]
    labels: Words = Field(min_length=2)
    """The labels an answer may be, spelled as the references spell them."""


Task = Annotated[QaTask | ClassificationTask, Field(discriminator="kind"), Shorthand("kind")]


class ModelConfig(Section):
    """The language model that every arm shares."""

    source: ModelSource = "smollm2-135m-instruct"
    """A Hub id (`org/name`), a folder (begins with `/`, `./`, `../` or `~`), or a packaged model's name."""
    revision: str | None = None
    """Branch, tag or commit of a Hub id; a commit makes the experiment repeatable."""
    dtype: Dtype = "auto"
    """Precision of the weights; `auto` is bfloat16 where the hardware multiplies it natively, else float32."""
    device: Device = "auto"
    """Where the model runs; `auto` takes a GPU when there is one."""


class FieldNames(Section):
    """What the fields of the JSON Lines files are called, so that a foreign data set is used as it is."""

    document_id: str = "id"
    """Field of a document that holds its id."""
    document_title: str = "title"
    """Field of a document that holds its title."""
    document_text: str = "text"
    """Field of a document that holds its text."""
    example_id: str = "id"
    """Field of an example that holds its id."""
    input: str | None = None
    """Field of an example that holds its input; without it `question` for qa and `input` for classification."""
    references: str = "references"
    """Field that holds the acceptable outputs: a list, or one string."""
    gold_document_ids: str = "gold_document_ids"
    """Field that holds the ids of the documents in which the answer stands."""
    answerable: str = "answerable"
    """Field that is false where the right answer is to abstain; true where it is absent."""
    group: str = "fact_id"
    """Field that joins several phrasings of one fact; they are kept together in splits."""
    variant: str = "variant"
    """Field that names the kind of phrasing."""


class ExamplesFile(Section):
    """One JSON Lines file of examples."""

    path: FilePath
    """The file, relative to the experiment file."""
    limit: int | None = Field(default=None, ge=1)
    """Use at most this many examples, chosen by the seed; all when absent."""


Examples = Annotated[ExamplesFile, Shorthand("path")]
Documents = Annotated[tuple[Annotated[Source, Shorthand("path", kind="files")], ...], Strict(False), SingleItem()]


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
    """Names of the fields in the JSON Lines files."""
    allow_leakage: bool = False
    """Go on, with a caveat, when an eval question also stands in train; otherwise that is an error."""


class GenerationConfig(Section):
    """Decoding, the same for all arms: greedy, one batch size, one cap."""

    max_new_tokens: int = Field(default=32, ge=1)
    """Longest answer in tokens; the share of answers that reach it is reported."""
    batch_size: int = Field(default=8, ge=1)
    """Prompts of similar length that are answered together."""


class Experiment(Section):
    """One experiment file."""

    name: Name
    """Short name; it stands in the names of run folders."""
    seed: int = Field(default=17, ge=0)
    """Seed of every random choice."""
    task: Task
    """What is asked and how answers are judged: `qa`, or `classification` with its labels."""
    model: Annotated[ModelConfig, Shorthand("source")] = ModelConfig()
    """The language model."""
    data: DataConfig
    """Documents and examples."""
    index: IndexConfig = IndexConfig()
    """Passages and embeddings."""
    retrieval: RetrievalConfig = RetrievalConfig()
    """Finding passages."""
    adapters: dict[Name, AdapterConfig] = {}
    """Adapters to train, by name; one per recipe that the data allow when absent."""
    generation: GenerationConfig = GenerationConfig()
    """Decoding."""
    compare: CompareConfig = CompareConfig()
    """Arms, metrics and requirements."""

    @model_validator(mode="before")
    @classmethod
    def _fill_arms(cls, raw: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the file held
        return with_default_arms(raw) if isinstance(raw, dict) else raw
