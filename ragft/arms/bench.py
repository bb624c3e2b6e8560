"""The work bench of one experiment: what its file names, loaded once and only when something needs it.

Cheap things (documents, examples, prompts, fingerprints) never load a model, so a command that finds everything built
takes seconds. Every artifact is found by fingerprint: the content of its inputs, the part of the config that matters,
the version of the code and of the libraries that make it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ragft import provenance
from ragft.arms.listening import Listener
from ragft.arms.roots import Origin
from ragft.config import Experiment
from ragft.data.checks import DataFinding, check_data
from ragft.data.examples import Splits, load_splits
from ragft.data.sources import Reading, check_failures, read_sources, source_files
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder, resolve
from ragft.prompts import Template, template
from ragft.records import Document, Passage
from ragft.tasks import Task, task_of
from ragft.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from ragft.generation.local import LocalGenerator
    from ragft.models.language_model import LanguageModel
    from ragft.retrieval.embedding import Embeds
    from ragft.retrieval.retriever import Reranks


COUNTING = "all-minilm-l6-v2"
"""The packaged model whose tokenizer counts tokens for an endpoint that names none."""

Made = TypeVar("Made")


class Closes(Protocol):
    """Something that holds a file, a connection or processes."""

    def close(self) -> None:
        """Give them back."""
        ...


Open = TypeVar("Open", bound=Closes)


class Bench:
    """What one experiment file names, as objects; everything is made on first use and kept.

    What is slow to make is kept by the settings that it is made from, and shared with the variants of the experiment.
    """

    def __init__(
        self,
        experiment: Experiment,
        workspace: Workspace,
        listener: Listener,
        *,
        origin: Origin | None = None,
        shared: dict[str, Any] | None = None,
    ) -> None:
        self.experiment = experiment
        self.workspace = workspace
        self.listener = listener
        self.origin = origin
        """The experiment file and the command, for which the index that is used is kept from pruning."""
        self._shared: dict[str, Any] = {} if shared is None else shared

    def variant(self, experiment: Experiment) -> Bench:
        """Return the bench of the same experiment with other settings; what they leave alone is not made again."""
        return Bench(experiment, self.workspace, self.listener, origin=self.origin, shared=self._shared)

    def keep_open(self, resource: Open) -> Open:
        """Return the resource, which is closed with the bench."""
        self._shared.setdefault("opened", ExitStack()).callback(resource.close)
        return resource

    def close(self) -> None:
        """Close what was opened here and on variants; what is used again afterwards is an error of the caller."""
        opened: ExitStack | None = self._shared.pop("opened", None)
        if opened is not None:
            opened.close()

    def _once(self, what: str, settings: Sequence[Any], make: Callable[[], Made]) -> Made:
        """Return what was made from these settings before, here or on a variant, or make it."""
        key = f"{what} {provenance.fingerprint([str(setting) for setting in settings])}"
        if key not in self._shared:
            self._shared[key] = make()
        found: Made = self._shared[key]
        return found

    @cached_property
    def task(self) -> Task:
        """The task."""
        return task_of(self.experiment.task)

    @cached_property
    def reading(self) -> Reading:
        """Every document, and what was set aside because it cannot be read; raises DataError where that is too much."""
        data = self.experiment.data
        reading = self._once("documents", (data.documents, data.fields), self._read)
        check_failures(reading, self.experiment.index.max_failures)
        return reading

    def _read(self) -> Reading:
        data, cache = self.experiment.data, self.workspace.sources_dir
        with self.listener.work("Reading documents", 0, "documents") as work:
            seen = 0

            def on_document(count: int) -> None:
                nonlocal seen
                work.advance(count - seen)
                seen = count

            return read_sources(data.documents, data.fields, cache_dir=cache, on_document=on_document)

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """Every document; empty where the experiment names none."""
        return self.reading.documents if self.experiment.data.documents else ()

    @cached_property
    def splits(self) -> Splits:
        """Train, dev and eval examples."""
        return load_splits(self.experiment.data, self.task.input_field, self.experiment.seed)

    def check(self, *, min_examples: int) -> list[DataFinding]:
        """Return findings on the data; raises DataError or NotComparableError for what would spoil the comparison."""
        splits, data = self.splits, self.experiment.data
        findings = check_data(self.documents, splits, allow_leakage=data.allow_leakage, min_examples=min_examples)
        findings += self._set_aside()
        for example in (*splits.train, *splits.dev, *splits.eval):
            self.task.completion(example)
        return findings

    def _set_aside(self) -> list[DataFinding]:
        """Return a finding on the documents that could not be read, none where all could."""
        aside = self.reading.set_aside if self.experiment.data.documents else ()
        if not aside:
            return []
        shown = "; ".join(f"{item.where}: {item.reason}" for item in aside[:3])
        more = f"; and {len(aside) - 3} more" if len(aside) > 3 else ""
        return [DataFinding("set_aside", f"{len(aside)} documents could not be read: {shown}{more}", ())]

    def template(self, name: str | None) -> Template:
        """Return a prompt template by name, the task's default for None."""
        return template(name or self.task.prompt, self.task.kind)

    @cached_property
    def embedder_folder(self) -> ModelFolder:
        """Where the embedder's weights lie; with an endpoint, where the tokenizer lies that counts for it."""
        config = self.experiment.index.embedder
        source, revision = config.source, config.revision
        if config.endpoint is not None:
            source, revision = config.tokenizer or COUNTING, None
        return self._once(
            "folder", (source, revision), lambda: resolve(source, revision, self.workspace, self._convert)
        )

    @cached_property
    def embedder_identity(self) -> str:
        """Fingerprint of what the vectors depend on; loads no model."""
        config = self.experiment.index.embedder
        if config.endpoint is not None:
            return self.embedder.identity
        from ragft.retrieval.placement import identity_of

        return self._once("identity", (config,), lambda: identity_of(self.embedder_folder, config))

    @cached_property
    def embedder(self) -> Embeds:
        """The embedder, loaded."""
        return self._once("embedder", (self.experiment.index.embedder,), self._load_embedder)

    def _load_embedder(self) -> Embeds:
        folder, config = self.embedder_folder, self.experiment.index.embedder
        if config.endpoint is not None:
            from ragft.models.tokens import fast_tokenizer
            from ragft.retrieval.endpoint import EndpointEmbedder

            found = fast_tokenizer(folder.path)
            if found is None:
                raise RagftError(f"{folder.source} has no tokenizer that can count for the endpoint")
            return self.keep_open(EndpointEmbedder(config, found[0]))
        with self.listener.work("Loading the embedder", 0, ""):
            from ragft.retrieval.embedder import Embedder

            return self.keep_open(Embedder(folder, config))

    @cached_property
    def reranker_folder(self) -> ModelFolder | None:
        """Where the reranker's weights lie; None where the experiment names none."""
        source = self.experiment.retrieval.reranker
        if source is None:
            return None
        return self._once("folder", (source, None), lambda: resolve(source, None, self.workspace, self._convert))

    @cached_property
    def reranker(self) -> Reranks | None:
        """The reranker, loaded; None where the experiment names none."""
        folder = self.reranker_folder
        if folder is None:
            return None
        with self.listener.work("Loading the reranker", 0, ""):
            from ragft.retrieval.reranker import CrossEncoderReranker

            return self._once(
                "reranker",
                (folder, self.experiment.index.embedder),
                lambda: CrossEncoderReranker(folder, self.experiment.index.embedder),
            )

    @cached_property
    def passages(self) -> list[Passage]:
        """Every document cut into passages."""
        data, index = self.experiment.data, self.experiment.index
        return self._once("passages", (data.documents, data.fields, index), self._cut)

    def _cut(self) -> list[Passage]:
        from ragft.data.chunking import Chunker

        tokenizer, max_tokens = self._embedder_tokenizer()
        return Chunker(tokenizer, self.experiment.index.chunking, max_tokens).passages(self.documents)

    def _embedder_tokenizer(self) -> tuple[Any, int | None]:
        """Return the embedder's tokenizer and how much it reads, from its files where they say so."""
        from ragft.models.tokens import fast_tokenizer

        found = fast_tokenizer(self.embedder_folder.path)
        if found is not None:
            return (found[0], None) if self.experiment.index.embedder.endpoint is not None else found
        embedder: Any = self.embedder
        return embedder.tokenizer, embedder.max_tokens

    @cached_property
    def model_folder(self) -> ModelFolder:
        """Where the language model's weights lie, converted if that was needed."""
        config = self.experiment.model
        return self._once(
            "folder",
            (config.source, config.revision),
            lambda: resolve(config.source, config.revision, self.workspace, self._convert),
        )

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 - a transformers tokenizer
        """The language model's tokenizer, without its weights."""
        from ragft.models.language_model import load_tokenizer

        return self._once("tokenizer", (self.model_folder,), lambda: load_tokenizer(self.model_folder))

    @property
    def bare_model(self) -> LanguageModel:
        """The language model without any adapter in it, as training needs it; adapters that answered are taken out."""
        self.generator.unload()
        return self._language_model

    @property
    def _language_model(self) -> LanguageModel:
        return self._once("model", (self.experiment.model,), self._load_model)

    def _load_model(self) -> LanguageModel:
        folder, config = self.model_folder, self.experiment.model
        with self.listener.work("Loading the model", 0, ""):
            from ragft.models.language_model import load

            return load(folder, config.dtype, config.device)

    @property
    def generator(self) -> LocalGenerator:
        """What answers: one for each model, since it puts its adapters into the weights; capped as the experiment says.

        Variants share it.
        """
        generator = self._once("generator", (self.experiment.model,), self._make_generator)
        generator.cap(self.experiment.generation.max_new_tokens)
        return generator

    def _make_generator(self) -> LocalGenerator:
        from ragft.generation.local import LocalGenerator

        return LocalGenerator(self._language_model, self.experiment.generation.max_new_tokens)

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
        """Return the files that the experiment reads: documents, examples, and text that adapters replay."""
        data = self.experiment.data
        examples = [item.path for item in (data.train, data.dev, data.eval) if item is not None]
        replays = [adapter.replay for adapter in self.experiment.adapters.values() if adapter.replay is not None]
        replayed = dict.fromkeys(path for replay in replays for path in replay.path)
        return [*source_files(data.documents), *examples, *replayed]

    def _convert(self, folder: Path, file: str, target: Path) -> None:
        with self.listener.work("Converting the model", 0, "once"):
            from ragft.models.language_model import convert_gguf

            convert_gguf(folder, file, target)
