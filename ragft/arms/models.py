"""The models of one experiment as arms use them: in this process, on a server, or a script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import urlsplit

from ragft import provenance
from ragft.config import Model, ModelConfig, OpenAiModel, ScriptedModel
from ragft.models.sources import ModelFolder, resolve
from ragft.prompts import Message, as_said, rendered

if TYPE_CHECKING:
    from ragft.arms.bench import Bench
    from ragft.generation.generator import Remote
    from ragft.generation.local import LocalGenerator
    from ragft.models.language_model import LanguageModel


class LocalModel:
    """A language model in this process; tokenizer and weights are loaded only when something needs them."""

    leaves_machine = False
    CODE = (
        "generation/generator.py",
        "generation/local.py",
        "generation/words.py",
        "models/fused.py",
        "models/language_model.py",
        "models/turns.py",
    )
    """The parts of ragft that an answer to a given prompt depends on."""

    def __init__(self, config: ModelConfig, bench: Bench) -> None:
        self.config = config
        self._bench = bench

    @cached_property
    def folder(self) -> ModelFolder:
        """Where the weights lie, converted if that was needed."""
        config, bench = self.config, self._bench
        return bench.once(
            "folder",
            (config.source, config.revision),
            lambda: resolve(config.source, config.revision, bench.workspace, bench.convert),
        )

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401 - a transformers tokenizer
        """The tokenizer, without the weights."""
        from ragft.models.language_model import load_tokenizer

        return self._bench.once("tokenizer", (self.folder,), lambda: load_tokenizer(self.folder))

    def count(self, prompt: str) -> int:
        """Return the tokens of a rendered prompt."""
        tokenizer = self.tokenizer
        around = tokenizer.is_encoder_decoder and not tokenizer.chat_template
        return len(tokenizer(prompt, add_special_tokens=around)["input_ids"])

    @property
    def context_tokens(self) -> int | None:
        """Tokens that a prompt and its answer may have together, by the model's files; None where they do not say."""
        from ragft.models.language_model import named_context

        return named_context(self.folder.path)

    @property
    def bare(self) -> LanguageModel:
        """The model without any adapter in it, as training needs it; adapters that answered are taken out."""
        self.generator.unload()
        return self._loaded

    @property
    def _loaded(self) -> LanguageModel:
        return self._bench.once("model", (self.config,), self._load)

    @property
    def weights(self) -> Any:  # noqa: ANN401 - a transformers model
        """The loaded model as it stands, with the adapters that have answered in it."""
        return self._loaded.model

    def _load(self) -> LanguageModel:
        folder, config = self.folder, self.config
        with self._bench.listener.work("Loading the model", 0, ""):
            from ragft.models.language_model import load

            return load(folder, config.dtype, config.device)

    @property
    def generator(self) -> LocalGenerator:
        """What answers: one for each model, since it puts its adapters into the weights. Variants share it."""
        generator = self._bench.once("generator", (self.config,), self._make)
        generator.cap(self._bench.experiment.generation.max_new_tokens)
        return generator

    def _make(self) -> LocalGenerator:
        from ragft.generation.local import LocalGenerator

        return LocalGenerator(self._loaded, self._bench.experiment.generation.max_new_tokens)

    @property
    def weights_identity(self) -> dict[str, Any]:
        """What a trained adapter or an answer depends on in the model and the libraries under it."""
        from ragft.models.language_model import choose_device, choose_dtype

        device = choose_device(self.config.device)
        versions = provenance.package_versions()
        return {
            "model": self.folder.fingerprint,
            "dtype": str(choose_dtype(self.config.dtype, device)),
            "device": device.type,
            "packages": {name: versions.get(name) for name in ("torch", "transformers", "peft")},
        }

    @property
    def identity(self) -> dict[str, Any]:
        """The weights and the code that asks them."""
        return {**self.weights_identity, "code": provenance.code_fingerprint(*self.CODE)}

    def render(self, messages: Sequence[Message]) -> str:
        """Return the conversation by the model's own chat template."""
        return rendered(self.tokenizer, messages)

    def said(self, answer: str) -> str:
        """Return an answer as training puts it behind a prompt."""
        return as_said(self.tokenizer, answer)


class RemoteModel:
    """A model that is given messages: behind a server, or a script that stands for one."""

    def __init__(self, config: OpenAiModel | ScriptedModel, bench: Bench) -> None:
        self.config = config
        self._bench = bench

    @property
    def generator(self) -> Remote:
        """What answers; connections are closed with the bench."""
        generator = self._bench.once("generator", (self.config.model_dump_json(),), self._make)
        generator.cap(self._bench.experiment.generation.max_new_tokens)
        return generator

    def _make(self) -> Remote:
        longest = self._bench.experiment.generation.max_new_tokens
        if isinstance(self.config, ScriptedModel):
            from ragft.generation.scripted import ScriptedGenerator

            return self._bench.keep_open(ScriptedGenerator(self.config.path))
        from ragft.generation.openai import OpenAiGenerator

        return self._bench.keep_open(OpenAiGenerator(self.config, longest))

    @property
    def identity(self) -> dict[str, Any]:
        """What the server is asked for; one that changes its weights under the same name cannot be noticed."""
        return self.generator.identity

    @property
    def leaves_machine(self) -> bool:
        """Whether the server is another machine."""
        return isinstance(self.config, OpenAiModel) and is_elsewhere(self.config.endpoint)

    def render(self, messages: Sequence[Message]) -> str:
        """Return the messages as JSON."""
        return json.dumps(list(messages), ensure_ascii=False)

    def said(self, answer: str) -> str:
        """Return the answer as it is."""
        return answer


def answerer(config: Model, bench: Bench) -> LocalModel | RemoteModel:
    """Return a model of the experiment file as arms use it."""
    match config:
        case ModelConfig():
            return LocalModel(config, bench)
        case OpenAiModel() | ScriptedModel():
            return RemoteModel(config, bench)
        case _:
            assert_never(config)


def is_elsewhere(endpoint: str | None) -> bool:
    """Return whether the address is that of another machine."""
    return endpoint is not None and urlsplit(endpoint).hostname not in ("localhost", "127.0.0.1", "::1")
