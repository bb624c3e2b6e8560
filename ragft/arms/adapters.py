"""The adapters of an experiment: trained, or reused by fingerprint, each in a folder with its record and model card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ragft import jsonl, provenance
from ragft.arms.bench import Bench
from ragft.arms.dev_answers import DevAnswers, dev_answers
from ragft.arms.knowledge import Knowledge
from ragft.arms.recipes import Recipe, Recipes
from ragft.config import AdapterConfig
from ragft.config.sections import Section
from ragft.training.card import base_facts, finish
from ragft.training.examples import TrainingText, TrainingTokens, tokenized

NOT_TRAINING = ("card.py", "merging.py")
"""Files of the package `training` that change nothing in what is trained."""

RECORD = "ragft.json"
"""File in an adapter folder: base model, prompt, recipe, fingerprint and what training measured."""

HISTORY = "metrics.jsonl"
"""File in an adapter folder: a row for each step (loss, gradient norm, learning rate) and each dev measurement."""

WRITTEN = "replay.jsonl"
"""File beside the checkpoints: the text that the base model wrote for replay, which a stopped training reads again."""


def _code() -> tuple[str, ...]:
    """Return the parts of ragft that an adapter trained on given texts depends on."""
    files = sorted((Path(provenance.__file__).parent / "training").glob("*.py"))
    return (
        *(f"training/{file.name}" for file in files if file.name not in NOT_TRAINING),
        "models/fused.py",
        "models/language_model.py",
        "models/turns.py",
    )


class Adapters:
    """The adapters of one experiment, by name."""

    def __init__(self, bench: Bench, knowledge: Knowledge | None) -> None:
        self._bench = bench
        self._prints: dict[tuple[str, int], str] = {}
        self._recipes: dict[str, Recipe] = {}
        self._maker = Recipes(bench, knowledge)

    def config(self, name: str) -> AdapterConfig:
        """Return the settings of an adapter."""
        return self._bench.experiment.adapters[name]

    def recipe(self, name: str) -> Recipe:
        """Return what an adapter is trained on."""
        if name not in self._recipes:
            self._recipes[name] = self._maker.recipe(self.config(name))
        return self._recipes[name]

    def seeds(self, name: str) -> tuple[int, ...]:
        """Return the training seeds of an adapter: those that it names, else the experiment's own."""
        return self.config(name).seeds or (self._bench.experiment.seed,)

    def title(self, name: str, seed: int) -> str:
        """Return what an adapter is called in a run: its name, and its seed where it has several."""
        return name if len(self.seeds(name)) == 1 else f"{name}-seed{seed}"

    def fingerprint(self, name: str, seed: int | None = None) -> str:
        """Return the fingerprint of an adapter: every text it is trained on, the settings, base model and code.

        `seed` is a training seed, the first of the adapter's for None.
        """
        chosen = self.seeds(name)[0] if seed is None else seed
        if (name, chosen) not in self._prints:
            config, recipe = self.config(name), self.recipe(name)
            identity: dict[str, Any] = {
                "model": self._bench.local.weights_identity,
                "train": provenance.fingerprint(recipe.train),
                "dev": provenance.fingerprint(recipe.dev),
                "peft": config.peft.model_dump(),
                "training": config.training.model_dump(),
                "seed": chosen,
                "code": provenance.code_fingerprint(*_code()),
            }
            if (measure := self._measure(name)) is not None:
                identity["measured"] = measure.identity
            if recipe.to_write:
                settings = [recipe.to_write, config.documents.block_tokens, self._bench.experiment.seed]
                identity["written"] = settings
            self._prints[name, chosen] = provenance.fingerprint(identity)
        return self._prints[name, chosen]

    def folder(self, name: str, seed: int | None = None) -> Path:
        """Return the folder of the finished adapter."""
        return self._bench.workspace.adapter_dir(self.fingerprint(name, seed))

    def is_trained(self, name: str, seed: int | None = None) -> bool:
        """Return whether the adapter is there; its folder appears only when it is finished."""
        return (self.folder(name, seed) / RECORD).exists()

    def record(self, name: str, seed: int | None = None) -> dict[str, Any]:
        """Return what stands beside a trained adapter: base model, prompt, recipe and what training measured."""
        found: dict[str, Any] = json.loads((self.folder(name, seed) / RECORD).read_text(encoding="utf-8"))
        return found

    def _measure(self, name: str) -> DevAnswers | None:
        return dev_answers(self._bench, self.config(name), lambda: self.recipe(name).dev)

    def build(self, name: str, seed: int | None = None) -> bool:
        """Train the adapter unless it is there; returns whether it had to be trained. A stopped training goes on."""
        chosen = self.seeds(name)[0] if seed is None else seed
        if self.is_trained(name, chosen):
            return False
        from ragft.training.running import Progress, train

        config, recipe, model = self.config(name), self.recipe(name), self._bench.local.bare
        limit = model.reads_tokens
        checkpoints = self._bench.workspace.training_dir(self.fingerprint(name, chosen))
        measure = self._measure(name)
        texts = (*recipe.train, *self._written(config, recipe, checkpoints))
        rows = tokenized(texts, model.tokenizer, limit)
        dev = tokenized(recipe.dev, model.tokenizer, limit) if recipe.dev else []
        with (
            self._bench.listener.work(f"Training {self.title(name, chosen)}", 0, "steps") as work,
            self._bench.workspace.building(self.folder(name, chosen)) as target,
        ):
            seen = 0

            def on_progress(progress: Progress) -> None:
                nonlocal seen
                work.total(progress.steps)
                work.advance(progress.step - seen, _note(progress))
                seen = progress.step

            result = train(
                model,
                config,
                rows,
                dev,
                folder=checkpoints,
                target=target,
                seed=chosen,
                on_progress=on_progress,
                measure=None if measure is None else partial(measure.measured, model),
            )
            record = {**self._identity(name, chosen), **_counted(texts, rows), "training": asdict(result)}
            jsonl.write_json(target / RECORD, record)
            jsonl.write_rows(target / HISTORY, result.history)
            finish(target, record)
        self._bench.workspace.discard(checkpoints)
        return True

    def _written(self, config: AdapterConfig, recipe: Recipe, folder: Path) -> list[TrainingText]:
        """Return the general text that the base model writes for replay; a stopped training finds it again."""
        if not recipe.to_write:
            return []
        path = folder / WRITTEN
        if not path.exists():
            from ragft.training.replay import from_model

            with self._bench.listener.work("Writing text to replay", recipe.to_write, "tokens") as work:
                model, block = self._bench.local.bare, config.documents.block_tokens
                found = from_model(model, block, recipe.to_write, self._bench.experiment.seed, work.advance)
            folder.mkdir(parents=True, exist_ok=True)
            jsonl.write_rows(path, found)
        rows = jsonl.read_journal(path)
        return [TrainingText(**{**row, "ids": tuple(row["ids"])}) for row in rows]

    def _identity(self, name: str, seed: int) -> dict[str, Any]:
        """Return what is known of an adapter before it is trained; the model card is written from it."""
        config, folder, recipe = self.config(name), self._bench.local.folder, self.recipe(name)
        source = self._bench.local.config
        return {
            "fingerprint": self.fingerprint(name, seed),
            "base_source": folder.source,
            "base_revision": source.revision,
            "base_fingerprint": folder.fingerprint,
            "base": base_facts(folder),
            "task": self._bench.task.kind,
            "recipe": config.recipe_text,
            "prompt": self._bench.template(config.prompt).name,
            "examples": recipe.labels,
            "dev_examples": recipe.dev_labels,
            "data": {"train": provenance.fingerprint(recipe.train), "dev": provenance.fingerprint(recipe.dev)},
            "settings": {"peft": _settings(config.peft), "training": _settings(config.training)},
            "seed": seed,
            "packages": self._packages(),
        }

    def _packages(self) -> dict[str, str]:
        versions = provenance.package_versions()
        return {name: versions[name] for name in ("ragft", "torch", "transformers", "peft") if name in versions}


def _settings(section: Section) -> dict[str, Any]:
    """Return a section's settings as they may be published: what is passed on to a library may hold any text."""
    known = type(section).model_fields
    dumped = section.model_dump(mode="json").items()
    return {key: value for key, value in dumped if key in known or isinstance(value, bool | int | float)}


def _counted(texts: Sequence[TrainingText], rows: Sequence[TrainingTokens]) -> dict[str, Any]:
    """Return how many texts and tokens of each kind were trained on in one pass."""
    kinds: dict[str, dict[str, int]] = {}
    for text, row in zip(texts, rows, strict=True):
        found = kinds.setdefault(text.kind, {"texts": 0, "tokens": 0, "label_tokens": 0})
        found["texts"] += 1
        found["tokens"] += row.length
        found["label_tokens"] += len(row.completion)
    return {"kinds": kinds}


def _note(progress: Any) -> str:  # noqa: ANN401 - training.running.Progress, whose module is heavy
    parts = []
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.dev_loss is not None:
        parts.append(f"dev {progress.dev_loss:.3f}")
    if progress.tokens_per_second is not None:
        parts.append(f"{progress.tokens_per_second:.0f} tokens/s")
    return ", ".join(parts)
