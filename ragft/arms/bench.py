"""The work bench of one experiment: what its file names, loaded once and only when something needs it.

Cheap things (documents, examples, prompts, fingerprints) never load a model, so a command that finds everything built
takes seconds. Every artifact is found by fingerprint: the content of its inputs, the part of the config that matters,
the version of the code and of the libraries that make it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ragft import provenance
from ragft.arms.listening import Listener
from ragft.config import Experiment
from ragft.data.checks import DataFinding, check_data
from ragft.data.documents import load_documents
from ragft.data.examples import Splits, load_splits
from ragft.models.sources import ModelFolder, resolve
from ragft.prompts import Template, template
from ragft.records import Document, Passage
from ragft.tasks import Task, task_of
from ragft.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from ragft.generation.local import LocalGenerator
    from ragft.models.language_model import LanguageModel
    from ragft.retrieval.embedder import Embedder


class Bench:
    """What one experiment file names, as objects; everything is made on first use and kept."""

    def __init__(self, experiment: Experiment, workspace: Workspace, listener: Listener) -> None:
        self.experiment = experiment
        self.workspace = workspace
        self.listener = listener
        self._language_model: LanguageModel | None = None
        self._generator: LocalGenerator | None = None

    @cached_property
    def task(self) -> Task:
        """The task."""
        return task_of(self.experiment.task)

    @cached_property
    def documents(self) -> list[Document]:
        """Every document; empty where the experiment names none."""
        data = self.experiment.data
        return load_documents(data.documents, data.fields)

    @cached_property
    def splits(self) -> Splits:
        """Train, dev and eval examples."""
        return load_splits(self.experiment.data, self.task.input_field, self.experiment.seed)

    def check(self, *, min_examples: int) -> list[DataFinding]:
        """Return findings on the data; raises DataError or NotComparableError for what would spoil the comparison."""
        splits, data = self.splits, self.experiment.data
        findings = check_data(self.documents, splits, allow_leakage=data.allow_leakage, min_examples=min_examples)
        for example in (*splits.train, *splits.dev, *splits.eval):
            self.task.completion(example)
        return findings

    def template(self, name: str | None) -> Template:
        """Return a prompt template by name, the task's default for None."""
        return template(name or self.task.prompt, self.task.kind)

    @cached_property
    def embedder_folder(self) -> ModelFolder:
        """Where the embedder's weights lie."""
        config = self.experiment.index.embedder
        return resolve(config.source, config.revision, self.workspace, self._convert)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder, loaded."""
        folder = self.embedder_folder
        with self.listener.work("Loading the embedder", 0, ""):
            from ragft.retrieval.embedder import Embedder

            return Embedder(folder, self.experiment.index.embedder)

    @cached_property
    def passages(self) -> list[Passage]:
        """Every document cut into passages."""
        from ragft.data.chunking import Chunker

        tokenizer, max_tokens = self._embedder_tokenizer()
        return Chunker(tokenizer, self.experiment.index.chunking, max_tokens).passages(self.documents)

    def _embedder_tokenizer(self) -> tuple[Any, int | None]:
        """Return the embedder's tokenizer and how much it reads, from its files where they say so."""
        from ragft.models.tokens import fast_tokenizer

        found = fast_tokenizer(self.embedder_folder.path)
        return found if found is not None else (self.embedder.tokenizer, self.embedder.max_tokens)

    @cached_property
    def model_folder(self) -> ModelFolder:
        """Where the language model's weights lie, converted if that was needed."""
        config = self.experiment.model
        return resolve(config.source, config.revision, self.workspace, self._convert)

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 - a transformers tokenizer
        """The language model's tokenizer, without its weights."""
        from ragft.models.language_model import load_tokenizer

        return load_tokenizer(self.model_folder)

    @property
    def language_model(self) -> LanguageModel:
        """The language model, loaded once for every arm and every training."""
        if self._language_model is None:
            folder, config = self.model_folder, self.experiment.model
            with self.listener.work("Loading the model", 0, ""):
                from ragft.models.language_model import load

                self._language_model = load(folder, config.dtype, config.device)
        return self._language_model

    @property
    def generator(self) -> LocalGenerator:
        """What answers; made after the adapters are trained, because both work on the same weights."""
        if self._generator is None:
            from ragft.generation.local import LocalGenerator

            self._generator = LocalGenerator(self.language_model, self.experiment.generation.max_new_tokens)
        return self._generator

    @cached_property
    def model_identity(self) -> dict[str, Any]:
        """What a trained adapter or an answer depends on in the model and the libraries under it."""
        from ragft.models.language_model import choose_device, choose_dtype

        config = self.experiment.model
        device = choose_device(config.device)
        versions = provenance.package_versions()
        return {
            "model": self.model_folder.fingerprint,
            "dtype": str(choose_dtype(config.dtype, device)),
            "device": device.type,
            "packages": {name: versions.get(name) for name in ("torch", "transformers", "peft")},
        }

    def input_files(self) -> Sequence[Path]:
        """Return the files that the experiment reads: documents and examples."""
        from ragft.data.documents import source_files

        data = self.experiment.data
        examples = [item.path for item in (data.train, data.dev, data.eval) if item is not None]
        return [*source_files(data.documents), *examples]

    def _convert(self, folder: Path, file: str, target: Path) -> None:
        with self.listener.work("Converting the model", 0, "once"):
            from ragft.models.language_model import convert_gguf

            convert_gguf(folder, file, target)
