"""The section `adapters` as types: what the training examples of an adapter are made of."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from ragft.config.sections import FilePath, Section, SingleItem
from ragft.config.training import PeftConfig, TrainingConfig

RecipeKind = Literal["closed_book", "context", "mixed", "documents"]
"""What training examples can be made of."""


class RecipeWeights(Section):
    """Several kinds of training examples in one adapter: how often an epoch reads those of each kind.

    1 reads every one of them once, 2 twice, 0.5 a half of them that the seed draws; 0 leaves the kind out.
    """

    closed_book: float = Field(default=0.0, ge=0)
    """Input -> output, without passages."""
    context: float = Field(default=0.0, ge=0)
    """Passages and input -> output."""
    mixed: float = Field(default=0.0, ge=0)
    """Each example once, with passages or without."""
    documents: float = Field(default=0.0, ge=0)
    """The text of the documents."""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("every kind of training example is left out: give one of them a weight above 0")
        return self


def _written_as(value: object) -> str:
    return "kind" if isinstance(value, str) else "weights"


RecipeChoice = Annotated[
    Annotated[RecipeKind, Tag("kind")] | Annotated[RecipeWeights, Tag("weights")], Discriminator(_written_as)
]


class ContextRecipe(Section):
    """How passages are laid before a training question (RAFT, Zhang et al. 2024)."""

    gold_share: float = Field(default=0.8, ge=0, le=1)
    """Share of the examples that contain a gold passage beside retrieved distractors."""
    without_gold: Literal["answer", "abstain"] = "answer"
    """What an example without its gold passage teaches: the answer from memory, or to abstain."""


class MixedRecipe(Section):
    """How the recipe `mixed` deals out its examples; for both forms of each, weigh `closed_book` and `context`."""

    context_share: float = Field(default=0.5, gt=0, lt=1)
    """Share of the examples that are read with passages, drawn by the seed; the others are read without."""


class DocumentsRecipe(Section):
    """How the text of documents is cut into training examples."""

    block_tokens: int = Field(default=512, ge=16)
    """Longest window in tokens; a document is cut into consecutive ones, each of which begins with its title."""


class ReplayConfig(Section):
    """General text that is read between the examples, so that less of what the base model knew is forgotten."""

    path: Annotated[tuple[FilePath, ...], Strict(False), SingleItem()] = ()
    """Text files, or JSON Lines with a field `text`: one or a list. Without any, the base model writes the text."""
    share: float = Field(default=0.1, gt=0, lt=1)
    """Share of all training tokens that are replayed."""


class AdapterConfig(Section):
    """One adapter: what its training examples are made of, and how it is trained."""

    recipe: RecipeChoice = "closed_book"
    """What is read: `closed_book` (input -> output), `context` (with passages, as RAFT does), `mixed`, `documents`
    (their text), or several of these with their weights, such as `{documents: 1, closed_book: 2}`."""
    prompt: str | None = None
    """Prompt template, by name; the task's default when absent. Arms that use the adapter must ask with the same."""
    limit: int | None = Field(default=None, ge=1)
    """Train on at most this many labelled examples, chosen by the seed; documents and replayed text do not count."""
    context: ContextRecipe = ContextRecipe()
    """How passages are laid before a question, in the recipes `context` and `mixed`."""
    mixed: MixedRecipe = MixedRecipe()
    """Settings of the `mixed` recipe."""
    documents: DocumentsRecipe = DocumentsRecipe()
    """Settings of the `documents` recipe."""
    abstention_share: float | None = Field(default=None, ge=0, lt=1)
    """Share of the questions that teach to abstain: unanswerable ones, then ones whose gold passages are withheld.
    When absent, what the data and `context.without_gold` give."""
    replay: ReplayConfig | None = None
    """General text against forgetting; none when absent."""
    seeds: Annotated[tuple[int, ...], Strict(False)] = ()
    """Training seeds: an adapter is trained with each and arms average over them; the experiment's seed when empty."""
    peft: PeftConfig = PeftConfig()
    """LoRA settings."""
    training: TrainingConfig = TrainingConfig()
    """Optimisation settings."""

    @model_validator(mode="after")
    def _abstains_in_one_way(self) -> Self:
        if self.abstention_share is not None and self.context.without_gold == "abstain":
            raise ValueError("abstention_share and context.without_gold: abstain both say who abstains; drop one")
        return self

    @property
    def parts(self) -> dict[RecipeKind, float]:
        """What the training examples are made of, with weights above 0."""
        if isinstance(self.recipe, str):
            return {self.recipe: 1.0}
        weights: dict[RecipeKind, float] = {
            "closed_book": self.recipe.closed_book,
            "context": self.recipe.context,
            "mixed": self.recipe.mixed,
            "documents": self.recipe.documents,
        }
        return {kind: weight for kind, weight in weights.items() if weight > 0}

    @property
    def recipe_text(self) -> str:
        """The recipe in one line, such as `2 closed_book + documents`."""
        return " + ".join(kind if weight == 1 else f"{weight:g} {kind}" for kind, weight in self.parts.items())

    @property
    def reads_labels(self) -> bool:
        """Whether labelled examples are trained on."""
        return not set(self.parts) <= {"documents"}

    @property
    def reads_passages(self) -> bool:
        """Whether retrieved passages stand in training prompts, so that an index is needed."""
        return not {"context", "mixed"}.isdisjoint(self.parts)

    @property
    def reads_documents(self) -> bool:
        """Whether the experiment must name documents."""
        return self.reads_passages or "documents" in self.parts
