"""What an adapter is trained on: the recipes of the experiment file turned into the texts that the model will read.

A prompt is rendered by the same code that asks the arms, so the two are the same text, byte for byte.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar, assert_never

from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge, drawn
from ragft.config import AdapterConfig, ContextRecipe
from ragft.config.recipes import RecipeKind
from ragft.data.examples import sample
from ragft.errors import DataError, RagftError
from ragft.prompts import ABSTENTION, as_said, render
from ragft.records import Example, Passage
from ragft.training.examples import TextKind, TrainingText, tokenized, windows
from ragft.training.replay import budget, from_files

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The training and dev texts of one adapter, as the model will read them.

    `labels` and `dev_labels` count the labelled examples in them, each once in however many texts it stands.
    `to_write` are the tokens of general text that the base model itself writes before it is trained, beside `train`.
    """

    train: tuple[TrainingText, ...]
    dev: tuple[TrainingText, ...]
    labels: int
    dev_labels: int
    to_write: int = 0

    @property
    def kinds(self) -> dict[TextKind, int]:
        """How many training texts there are of each kind."""
        return dict(Counter(text.kind for text in self.train))


@dataclass(frozen=True, slots=True)
class Draft:
    """One training question before it is rendered: in which form it is asked, and what is answered.

    `copy` counts the repeats of one example in one form.
    """

    example: Example
    kind: Literal["closed_book", "context"]
    has_gold: bool = False
    abstains: bool = False
    copy: int = 0


class Recipes:
    """Makes the recipes of one experiment."""

    def __init__(self, bench: Bench, knowledge: Knowledge | None) -> None:
        self._bench = bench
        self._knowledge = knowledge
        self._seed = bench.experiment.seed

    def recipe(self, config: AdapterConfig) -> Recipe:
        """Return the texts of one adapter; raises DataError where the data do not give what the recipe asks for.

        The dev texts are the dev examples in every form that the adapter trains; none for the text of documents alone,
        which is learnt by heart on purpose. Raises RagftError where the model cannot read what the recipe is made of.
        """
        self._check_model(config)
        splits = self._bench.splits
        train = sample(splits.train, config.limit, self._seed) if config.reads_labels else ()
        drafts = self._abstaining(config, self._drafts(config, train, config.parts))
        texts = [self._text(config, draft) for draft in drafts] + self._documents(config)
        replayed, to_write = self._replayed(config, texts)
        once = dict.fromkeys(config.parts, 1.0)
        watched = self._drafts(config, splits.dev if config.reads_labels else (), once)
        return Recipe(
            train=(*texts, *replayed),
            dev=tuple(self._text(config, draft) for draft in watched),
            labels=len({draft.example.id for draft in drafts}),
            dev_labels=len({draft.example.id for draft in watched}),
            to_write=to_write,
        )

    def _check_model(self, config: AdapterConfig) -> None:
        """Raise RagftError for plain text that an encoder-decoder model would have to read on without a prompt."""
        plain = [
            name for name, is_in in (("documents", "documents" in config.parts), ("replay", config.replay)) if is_in
        ]
        if plain and getattr(self._bench.local.tokenizer, "is_encoder_decoder", False):
            raise RagftError(
                f"{' and '.join(plain)} of an adapter: plain text, which only a decoder-only model reads on from its "
                f"beginning, and {self._bench.local.config.source} is an encoder-decoder model",
                f"leave {' and '.join(plain)} out (closed_book, context and mixed work), or name a decoder-only model "
                "under model.source",
            )

    def _drafts(
        self, config: AdapterConfig, examples: Sequence[Example], weights: Mapping[RecipeKind, float]
    ) -> list[Draft]:
        """Return the questions of every part of the recipe, as often as its weight says."""
        drafts = []
        for kind, weight in weights.items():
            part = self._part(config, kind, examples)
            keys = [drawn(self._seed, "weight", kind, draft.example.id) for draft in part]
            drafts += [replace(draft, copy=copy) for copy, draft in weighted(part, weight, keys)]
        return drafts

    def _part(self, config: AdapterConfig, kind: RecipeKind, examples: Sequence[Example]) -> list[Draft]:
        """Return the questions of one part of the recipe, each example once and in their order."""
        match kind:
            case "closed_book":
                return [_from_memory(example) for example in examples]
            case "context":
                return self._with_passages(config, examples)
            case "mixed":
                places = self._places("mixed", examples)
                read = [example for example in examples if places[example.id] < config.mixed.context_share]
                with_passages = {draft.example.id: draft for draft in self._with_passages(config, read)}
                return [with_passages.get(example.id, _from_memory(example)) for example in examples]
            case "documents":
                return []
            case _:
                assert_never(kind)

    def _with_passages(self, config: AdapterConfig, examples: Sequence[Example]) -> list[Draft]:
        """Return RAFT questions: a gold passage among the retrieved ones in `gold_share` of the cases."""
        places = self._places("gold", examples)
        return [self._context(config.context, example, places[example.id]) for example in examples]

    def _context(self, settings: ContextRecipe, example: Example, place: float) -> Draft:
        exists = bool(self._known.gold(example))
        has_gold = exists and place < settings.gold_share
        withheld = exists and not has_gold and settings.without_gold == "abstain"
        return Draft(example, "context", has_gold, withheld or not example.answerable)

    def _places(self, what: str, examples: Sequence[Example]) -> dict[str, float]:
        """Return the place of each example in a random order, as a share of 1, by its id."""
        order = sorted(examples, key=lambda example: drawn(self._seed, what, example.id))
        return {example.id: position / len(order) for position, example in enumerate(order)}

    def _abstaining(self, config: AdapterConfig, drafts: list[Draft]) -> list[Draft]:
        """Return the questions with `abstention_share` of them taught to abstain, where the adapter names a share.

        With too many that abstain, some are left out; with too few, gold passages are withheld. Raises DataError where
        the recipe has no passages to withhold.
        """
        share = config.abstention_share
        if share is None or not drafts:
            return drafts
        abstaining = [draft for draft in drafts if draft.abstains]
        missing = round(share * len(drafts)) - len(abstaining)
        if missing > 0:
            return self._withheld(drafts, missing, share)
        most = round(share * (len(drafts) - len(abstaining)) / (1 - share))
        kept = set(sorted(abstaining, key=self._key)[:most])
        return [draft for draft in drafts if not draft.abstains or draft in kept]

    def _withheld(self, drafts: list[Draft], count: int, share: float) -> list[Draft]:
        """Return the questions with `count` more that abstain: first those that had no gold passage already."""
        can = [d for d in drafts if d.kind == "context" and not d.abstains and self._known.gold(d.example)]
        if len(can) < count:
            raise DataError(
                f"abstention_share {share:g} needs {count} more questions that teach to abstain, "
                f"and the recipe has {len(can)} whose gold passages could be withheld",
                "add examples with answerable: false, train with passages (recipe: context), or lower the share",
            )
        chosen = set(sorted(can, key=lambda draft: (draft.has_gold, self._key(draft)))[:count])
        return [replace(d, has_gold=False, abstains=True) if d in chosen else d for d in drafts]

    def _key(self, draft: Draft) -> str:
        return drawn(self._seed, "abstain", draft.kind, draft.example.id, str(draft.copy))

    def _text(self, config: AdapterConfig, draft: Draft) -> TrainingText:
        """Return a question as it is read, rendered by the same code that asks the arms."""
        passages = self._passages(draft) if draft.kind == "context" else []
        form, values = self._bench.template(config.prompt), self._bench.task.prompt_values
        prompt = render(self._bench.local.tokenizer, form, draft.example, passages=passages, values=values)
        answer = ABSTENTION if draft.abstains else self._bench.task.completion(draft.example)
        return TrainingText(draft.example.id, prompt, as_said(self._bench.local.tokenizer, answer), draft.kind)

    def _passages(self, draft: Draft) -> list[Passage]:
        """Return what retrieval finds without the gold documents, with a gold passage among it or not, shuffled."""
        gold, top_k = self._known.gold(draft.example), self._bench.experiment.retrieval.top_k
        known = {passage.document_id for passage in gold}
        known |= {draft.example.input_document_id or ""}
        distractors = [passage for passage in self._ranked[draft.example.id] if passage.document_id not in known]
        passages = [gold[0], *distractors[: top_k - 1]] if draft.has_gold else distractors[:top_k]
        random.Random(drawn(self._seed, "order", draft.example.id)).shuffle(passages)
        return passages

    @property
    def _known(self) -> Knowledge:
        assert self._knowledge is not None
        return self._knowledge

    @cached_property
    def _ranked(self) -> dict[str, list[Passage]]:
        splits = self._bench.splits
        rankings = self._known.rankings([*splits.train, *splits.dev])
        return {ranking.example_id: [item.passage for item in ranking.passages] for ranking in rankings}

    def _documents(self, config: AdapterConfig) -> list[TrainingText]:
        """Return the windows of every document, as often as the weight of the part says."""
        weight = config.parts.get("documents", 0.0)
        if weight == 0:
            return []
        tokenizer, block = self._bench.local.tokenizer, config.documents.block_tokens
        found = [
            w for d in self._bench.documents for w in windows(d.id, d.title, d.text, tokenizer, block, "documents")
        ]
        keys = [drawn(self._seed, "documents", window.id) for window in found]
        return [window for _, window in weighted(found, weight, keys)]

    def _replayed(self, config: AdapterConfig, texts: Sequence[TrainingText]) -> tuple[list[TrainingText], int]:
        """Return the general text that is read beside the others, and how many tokens of it the model is to write."""
        if config.replay is None:
            return [], 0
        tokenizer = self._bench.local.tokenizer
        tokens = budget(sum(row.length for row in tokenized(texts, tokenizer, None)), config.replay.share)
        if not config.replay.path:
            return [], tokens
        return from_files(config.replay.path, tokenizer, config.documents.block_tokens, tokens, self._seed), 0


def _from_memory(example: Example) -> Draft:
    return Draft(example, "closed_book", abstains=not example.answerable)


def weighted(items: Sequence[Item], weight: float, keys: Sequence[str]) -> list[tuple[int, Item]]:
    """Return (copy, item): every item floor(weight) times, and those with the lowest keys once more for the rest.

    Weight 1 gives every item once, 2 twice, 2.5 twice and a half of them a third time.
    """
    whole, rest = divmod(weight, 1)
    order = sorted(range(len(items)), key=lambda index: keys[index])
    more = sorted(order[: round(rest * len(items))])
    found = [(copy, item) for copy in range(int(whole)) for item in items]
    return found + [(int(whole), items[index]) for index in more]


@dataclass(frozen=True, slots=True)
class KindSketch:
    """The training texts of one kind: how many, their tokens and those that carry loss, and one of them."""

    kind: TextKind
    texts: int
    tokens: int
    label_tokens: int
    sample: TrainingText


def sketch(recipe: Recipe, tokenizer: Any) -> list[KindSketch]:  # noqa: ANN401 - a transformers tokenizer
    """Return what a recipe is made of, by kind in the order in which the kinds come up; text to be written is not."""
    if not recipe.train:
        return []
    rows = tokenized(recipe.train, tokenizer, None)
    found = []
    for kind in recipe.kinds:
        mine = [(text, row) for text, row in zip(recipe.train, rows, strict=True) if text.kind == kind]
        tokens, labels = sum(row.length for _, row in mine), sum(len(row.completion) for _, row in mine)
        found.append(KindSketch(kind, len(mine), tokens, labels, mine[0][0]))
    return found
