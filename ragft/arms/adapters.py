"""The adapters of an experiment: what they are trained on, and training or reusing them by fingerprint."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, assert_never

from ragft import jsonl, provenance
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge, drawn
from ragft.config import AdapterConfig
from ragft.data.examples import sample
from ragft.prompts import ABSTENTION, render
from ragft.records import Example, Passage
from ragft.training.examples import TrainingText, tokenized

CODE = ("training", "models/language_model.py")
"""The parts of ragft that an adapter trained on given texts depends on."""

RECORD = "ragft.json"
"""File in an adapter folder: base model, prompt, recipe, fingerprint and what training measured."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The training and dev texts of one adapter, as the model will read them."""

    train: tuple[TrainingText, ...]
    dev: tuple[TrainingText, ...]


class Adapters:
    """The adapters of one experiment, by name."""

    def __init__(self, bench: Bench, knowledge: Knowledge | None) -> None:
        self._bench = bench
        self._knowledge = knowledge
        self._prints: dict[tuple[str, int], str] = {}
        self._recipes: dict[str, Recipe] = {}

    def config(self, name: str) -> AdapterConfig:
        """Return the settings of an adapter."""
        return self._bench.experiment.adapters[name]

    def recipe(self, name: str) -> Recipe:
        """Return what an adapter is trained on."""
        if name not in self._recipes:
            config = self.config(name)
            splits = self._bench.splits
            train = sample(splits.train, config.limit, self._bench.experiment.seed)
            self._recipes[name] = Recipe(self._texts(config, train), self._texts(config, splits.dev))
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
                "model": self._bench.model_identity,
                "train": provenance.fingerprint(recipe.train),
                "dev": provenance.fingerprint(recipe.dev),
                "peft": config.peft.model_dump(),
                "training": config.training.model_dump(),
                "seed": chosen,
                "code": provenance.code_fingerprint(*CODE),
            }
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

    def build(self, name: str, seed: int | None = None) -> bool:
        """Train the adapter unless it is there; returns whether it had to be trained. A stopped training goes on."""
        chosen = self.seeds(name)[0] if seed is None else seed
        if self.is_trained(name, chosen):
            return False
        from ragft.training.lora import Progress, train

        config, recipe, model = self.config(name), self.recipe(name), self._bench.bare_model
        limit = getattr(model.model.config, "max_position_embeddings", None)
        rows = tokenized(recipe.train, model.tokenizer, limit)
        dev = tokenized(recipe.dev, model.tokenizer, limit) if recipe.dev else []
        checkpoints = self._bench.workspace.training_dir(self.fingerprint(name, chosen))
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
                model, config, rows, dev, folder=checkpoints, target=target, seed=chosen, on_progress=on_progress
            )
            jsonl.write_json(target / RECORD, {**self._identity(name, chosen), "training": asdict(result)})
        self._bench.workspace.discard(checkpoints)
        return True

    def _identity(self, name: str, seed: int) -> dict[str, Any]:
        config, folder = self.config(name), self._bench.model_folder
        return {
            "fingerprint": self.fingerprint(name, seed),
            "base_source": folder.source,
            "base_fingerprint": folder.fingerprint,
            "recipe": config.recipe,
            "prompt": self._bench.template(config.prompt).name,
            "examples": len(self.recipe(name).train),
            "dev_examples": len(self.recipe(name).dev),
            "seed": seed,
        }

    def _texts(self, config: AdapterConfig, examples: Sequence[Example]) -> tuple[TrainingText, ...]:
        """Return examples as training texts; the prompt is rendered by the same code that asks the arms."""
        match config.recipe:
            case "closed_book":
                completion = self._bench.task.completion
                return tuple(self._text(config, example, (), completion(example)) for example in examples)
            case "context":
                return tuple(self._with_context(config, example, number) for number, example in self._drawn(examples))
            case _:
                assert_never(config.recipe)

    def _text(
        self, config: AdapterConfig, example: Example, passages: Sequence[Passage], completion: str
    ) -> TrainingText:
        form = self._bench.template(config.prompt)
        values = self._bench.task.prompt_values
        prompt = render(self._bench.tokenizer, form, example.input, passages=passages, values=values)
        return TrainingText(example.id, prompt, completion)

    def _drawn(self, examples: Sequence[Example]) -> list[tuple[float, Example]]:
        """Return (place in a random order as a share of 1, example), in the order of the examples."""
        seed = self._bench.experiment.seed
        order = sorted(examples, key=lambda example: drawn(seed, "gold", example.id))
        place = {example.id: position / len(order) for position, example in enumerate(order)}
        return [(place[example.id], example) for example in examples]

    def _with_context(self, config: AdapterConfig, example: Example, place: float) -> TrainingText:
        """Return a RAFT example: shuffled retrieved passages, with the gold one among them in `gold_share` of cases."""
        assert self._knowledge is not None
        gold = self._knowledge.gold(example)
        distractors = [passage for passage in self._ranked[example.id] if passage.document_id not in _documents(gold)]
        top_k = self._bench.experiment.retrieval.top_k
        has_gold = bool(gold) and place < config.context.gold_share
        passages = [gold[0], *distractors[: top_k - 1]] if has_gold else distractors[:top_k]
        random.Random(drawn(self._bench.experiment.seed, "order", example.id)).shuffle(passages)
        abstains = bool(gold) and not has_gold and config.context.without_gold == "abstain"
        return self._text(config, example, passages, ABSTENTION if abstains else self._bench.task.completion(example))

    @cached_property
    def _ranked(self) -> dict[str, list[Passage]]:
        assert self._knowledge is not None
        splits = self._bench.splits
        rankings = self._knowledge.rankings([*splits.train, *splits.dev])
        return {ranking.example_id: [item.passage for item in ranking.passages] for ranking in rankings}


def _documents(passages: Sequence[Passage]) -> set[str]:
    return {passage.document_id for passage in passages}


def _note(progress: Any) -> str:  # noqa: ANN401 - training.lora.Progress, whose module is heavy
    parts = []
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.dev_loss is not None:
        parts.append(f"dev {progress.dev_loss:.3f}")
    if progress.tokens_per_second is not None:
        parts.append(f"{progress.tokens_per_second:.0f} tokens/s")
    return ", ".join(parts)
