"""The work bench of one experiment: what its file names, loaded once and only when something needs it.

Cheap things (documents, examples, prompts, fingerprints) never load a model, so a command that finds everything built
takes seconds. Every artifact is found by fingerprint: the content of its inputs, the part of the config that matters,
the version of the code and of the libraries that make it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ragft import provenance
from ragft.arms.labels import check_apart
from ragft.arms.listening import Listener
from ragft.arms.models import LocalModel, RemoteModel, answerer
from ragft.arms.roots import Origin
from ragft.arms.stress import Stress
from ragft.config import ClassificationTask, CustomTask, Experiment, ScriptedModel, TranslationTask
from ragft.data.checks import CheckedData, CheckScope, DataCheck, conclude, examine
from ragft.data.examples import Splits, example_files, load_splits
from ragft.data.sources import Reading, check_failures, read_sources, source_files
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder, resolve
from ragft.prompts import Form, columns_of, form_of
from ragft.records import Document, Example, Passage
from ragft.tasks import Task, labels_of, task_of, terms_of
from ragft.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from ragft.retrieval.embedding import Embeds, Vectors
    from ragft.retrieval.retriever import Reranks
    from ragft.retrieval.vector_cache import VectorCache


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
        stress: Stress | None = None,
    ) -> None:
        self.experiment = experiment
        self.workspace = workspace
        self.listener = listener
        self.origin = origin
        """The experiment file and the command, for which the index that is used is kept from pruning."""
        self.stress = stress or Stress()
        """What a probe puts in the place of the documents and examples of the file."""
        self._shared: dict[str, Any] = {} if shared is None else shared
        self._models: dict[str | None, LocalModel | RemoteModel] = {}

    def variant(self, experiment: Experiment) -> Bench:
        """Return the bench of the same experiment with other settings; what they leave alone is not made again."""
        return self._beside(experiment, self.stress)

    def stressed(self, **parts: Any) -> Bench:  # noqa: ANN401 - the fields of Stress
        """Return the bench of the same experiment with other documents or examples: the fields of `Stress`."""
        return self._beside(self.experiment, replace(self.stress, **parts))

    def _beside(self, experiment: Experiment, stress: Stress) -> Bench:
        return Bench(experiment, self.workspace, self.listener, origin=self.origin, shared=self._shared, stress=stress)

    def keep_open(self, resource: Open) -> Open:
        """Return the resource, which is closed with the bench."""
        self._shared.setdefault("opened", ExitStack()).callback(resource.close)
        return resource

    def close(self) -> None:
        """Close what was opened here and on variants; what is used again afterwards is an error of the caller."""
        opened: ExitStack | None = self._shared.pop("opened", None)
        if opened is not None:
            opened.close()

    def once(self, what: str, settings: Sequence[Any], make: Callable[[], Made]) -> Made:
        """Return what was made from these settings before, here or on a variant, or make it."""
        key = f"{what} {provenance.fingerprint([str(setting) for setting in settings])}"
        if key not in self._shared:
            self._shared[key] = make()
        found: Made = self._shared[key]
        return found

    @cached_property
    def task(self) -> Task:
        """The task; its labels are those of the examples where the file names none."""
        config = self.experiment.task
        if not isinstance(config, ClassificationTask) or config.labels:
            return task_of(config)
        splits = self._file_splits
        return task_of(config, labels_of([*splits.train, *splits.dev, *splits.eval]))

    @property
    def likely_labels(self) -> tuple[str, ...]:
        """The labels where the likeliest is the answer, none where an answer is what a model says.

        Raises DataError where one label begins another.
        """
        config = self.experiment.task
        if not isinstance(config, ClassificationTask) or config.answer_by != "likelihood":
            return ()
        check_apart(self.labels)
        return self.labels

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a classification, none for another task."""
        return self.task.labels

    @cached_property
    def reading(self) -> Reading:
        """Every document, and what was set aside because it cannot be read; raises DataError where that is too much."""
        data = self.experiment.data
        reading = self.once("documents", (data.documents, data.fields), self._read)
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
        return self._file_documents if self.stress.documents is None else self.stress.documents

    @property
    def _file_documents(self) -> tuple[Document, ...]:
        return self.reading.documents if self.experiment.data.documents else ()

    @cached_property
    def updated_documents(self) -> tuple[Document, ...]:
        """Every document as `data.update` leaves them: second versions in the place of the first, then new ones.

        Those of the experiment where it names no update.
        """
        data = self.experiment.data
        if data.update is None:
            return self._file_documents
        cache, sources = self.workspace.sources_dir, data.update.documents
        second = self.once(
            "update", (sources, data.fields), lambda: read_sources(sources, data.fields, cache_dir=cache)
        )
        check_failures(second, self.experiment.index.max_failures)
        versions = {document.id: document for document in (*self._file_documents, *second.documents)}
        return tuple(versions.values())

    @cached_property
    def splits(self) -> Splits:
        """Train, dev and eval examples, with the terms that a glossary gives them."""
        own, stress = self._file_splits, self.stress
        return Splits(
            own.train if stress.train is None else stress.train,
            own.dev if stress.dev is None else stress.dev,
            own.eval if stress.eval is None else stress.eval,
            own.changed,
            own.unchanged,
        )

    @cached_property
    def _file_splits(self) -> Splits:
        settings = (self.experiment.data, self.experiment.task, self.experiment.seed)
        return self.once("splits", settings, self._load_splits)

    def _load_splits(self) -> Splits:
        data, config = self.experiment.data, self.experiment.task
        splits = load_splits(
            data,
            task_of(config).input_field,
            self.experiment.seed,
            documents=lambda: self._file_documents,
            columns=columns_of(config) if isinstance(config, CustomTask) else (),
            cache_dir=self.workspace.sources_dir,
        )
        if not isinstance(config, TranslationTask) or config.term_pattern is None:
            return splits
        parts = (splits.train, splits.dev, splits.eval, splits.changed, splits.unchanged)
        return Splits(*(self._with_terms(config, part) for part in parts))

    def _with_terms(self, config: TranslationTask, examples: Sequence[Example]) -> tuple[Example, ...]:
        known = {document.id: document for document in self._file_documents}
        gold = [[known[id_] for id_ in example.gold_document_ids if id_ in known] for example in examples]
        return tuple(
            replace(example, terms=terms_of(config, example, documents))
            for example, documents in zip(examples, gold, strict=True)
        )

    def check(self, *, min_examples: int) -> CheckedData:
        """Return the checks of the data; raises DataError or NotComparableError for what would spoil the comparison."""
        checks = self.examine(min_examples=min_examples)
        worse = [check for check in checks if check.severity in ("warning", "error")]
        if worse:
            self.listener.checks(worse)
        return conclude(checks)

    def examine(self, *, min_examples: int) -> tuple[DataCheck, ...]:
        """Return every check of the documents and examples; raises nothing for what they find.

        Raises DataError for an example that the task cannot be taught or asked.
        """
        checks = (*examine(self.documents, self.splits, self._scope(min_examples)), *self._set_aside())
        if not any(check.severity == "error" for check in checks):
            for example in (*self.splits.train, *self.splits.dev, *self.splits.eval):
                self.task.completion(example)
        return checks

    def _scope(self, min_examples: int) -> CheckScope:
        data, task = self.experiment.data, self.task
        learnt = any("documents" in adapter.parts for adapter in self.experiment.adapters.values())
        model = self.model(None)
        return CheckScope(
            min_examples=min_examples,
            allow_leakage=data.allow_leakage,
            config=data.checks,
            supports=task.supports if task.answers_stand_in_text else None,
            labels=self.labels or None,
            embed=self.embed if data.checks.near_duplicates == "embedding" else None,
            training_documents=self.documents if learnt else None,
            max_new_tokens=self.experiment.generation.max_new_tokens,
            evidence=task.kind != "translation",
            **({"n_tokens": model.count} if isinstance(model, LocalModel) else {}),
        )

    @cached_property
    def vectors(self) -> VectorCache:
        """The workspace's vectors of the embedder: no text is embedded twice, whatever for."""
        from ragft.retrieval.vector_cache import VectorCache

        return self.keep_open(VectorCache(self.workspace.vectors_dir, self.embedder_identity))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of texts; the embedder is loaded only for one that is new."""
        return self.vectors.documents(texts, lambda block: self.embedder.documents(block))

    def _set_aside(self) -> list[DataCheck]:
        """Return the check that every document could be read, none where there are no documents."""
        if not self.experiment.data.documents:
            return []
        aside, total = self.reading.set_aside, len(self.documents)
        title = "documents that could not be read"
        if not aside:
            return [DataCheck("set_aside", title, total, 0, "ok", "every document was read")]
        shown = "; ".join(f"{item.where}: {item.reason}" for item in aside[:3])
        more = f"; and {len(aside) - 3} more" if len(aside) > 3 else ""
        message = f"{len(aside)} documents could not be read: {shown}{more}"
        return [DataCheck("set_aside", title, total + len(aside), len(aside), "warning", message)]

    def template(self, name: str | None) -> Form:
        """Return a prompt template by name, the task's default for None."""
        return form_of(self.experiment.task, name or self.task.prompt)

    @cached_property
    def embedder_folder(self) -> ModelFolder:
        """Where the embedder's weights lie; with an endpoint, where the tokenizer lies that counts for it."""
        config = self.experiment.index.embedder
        source, revision = config.source, config.revision
        if config.endpoint is not None:
            source, revision = config.tokenizer or COUNTING, None
        return self.once("folder", (source, revision), lambda: resolve(source, revision, self.workspace, self.convert))

    @cached_property
    def embedder_identity(self) -> str:
        """Fingerprint of what the vectors depend on; loads no model."""
        config = self.experiment.index.embedder
        if config.endpoint is not None:
            return self.embedder.identity
        from ragft.retrieval.placement import identity_of

        return self.once("identity", (config,), lambda: identity_of(self.embedder_folder, config))

    @cached_property
    def embedder(self) -> Embeds:
        """The embedder, loaded."""
        return self.once("embedder", (self.experiment.index.embedder,), self._load_embedder)

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
        return self.once("folder", (source, None), lambda: resolve(source, None, self.workspace, self.convert))

    @cached_property
    def reranker(self) -> Reranks | None:
        """The reranker, loaded; None where the experiment names none."""
        folder = self.reranker_folder
        if folder is None:
            return None
        with self.listener.work("Loading the reranker", 0, ""):
            from ragft.retrieval.reranker import CrossEncoderReranker

            return self.once(
                "reranker",
                (folder, self.experiment.index.embedder),
                lambda: CrossEncoderReranker(folder, self.experiment.index.embedder),
            )

    @cached_property
    def passages(self) -> list[Passage]:
        """Every document cut into passages."""
        data, index = self.experiment.data, self.experiment.index
        return self.once("passages", (data.documents, data.fields, index, self.documents_identity or ""), self._cut)

    @cached_property
    def documents_identity(self) -> str | None:
        """Fingerprint of the documents that a probe put in the place of the file's; None for the file's own."""
        return None if self.stress.documents is None else provenance.fingerprint(self.stress.documents)

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
    def local(self) -> LocalModel:
        """The experiment's own model in this process; RagftError where it is another kind, which nobody can train."""
        found = self.model(None)
        if not isinstance(found, LocalModel):
            raise RagftError(
                "the experiment's model is not in this process: it can be asked, and neither trained nor taken apart",
                "name a Hub id, a folder or a packaged model under `model`, and the server under `models`",
            )
        return found

    def model(self, name: str | None) -> LocalModel | RemoteModel:
        """Return one of `models` by name, the experiment's own for None."""
        if name not in self._models:
            config = self.experiment.model if name is None else self.experiment.models[name]
            self._models[name] = answerer(config, self)
        return self._models[name]

    def input_files(self) -> Sequence[Path]:
        """Return the files that the experiment reads: documents, examples, replayed text, scripts, labels of people."""
        data, judge = self.experiment.data, self.experiment.compare.judge
        examples = example_files(data)
        replays = [adapter.replay for adapter in self.experiment.adapters.values() if adapter.replay is not None]
        replayed = dict.fromkeys(path for replay in replays for path in replay.path)
        models = (self.experiment.model, *self.experiment.models.values())
        scripts = [model.path for model in models if isinstance(model, ScriptedModel)]
        labels = [judge.human_labels] if judge is not None and judge.human_labels is not None else []
        second = source_files(data.update.documents) if data.update else []
        return [*source_files(data.documents), *second, *examples, *replayed, *scripts, *labels]

    def convert(self, folder: Path, file: str, target: Path) -> None:
        """Write the model of a GGUF file into a folder as plain weights."""
        with self.listener.work("Converting the model", 0, "once"):
            from ragft.models.language_model import convert_gguf

            convert_gguf(folder, file, target)
