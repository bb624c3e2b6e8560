"""Task metrics of a model in training: its answers to the dev questions, scored as `compare` scores answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ragft import provenance
from ragft.arms.bench import Bench
from ragft.arms.knowledge import drawn
from ragft.config import AdapterConfig
from ragft.config.training import DEV_LOSS
from ragft.errors import RagftError
from ragft.evaluation.metrics import ANSWER_METRICS, score_answers
from ragft.prompts import ABSTENTION, as_said
from ragft.records import Answer, Example
from ragft.training.examples import TrainingText

if TYPE_CHECKING:
    from ragft.models.language_model import LanguageModel

MOST = 100
"""Dev questions that are answered at each measurement, where there are more: answering is slower than reading."""

CODE = (
    "evaluation/answers.py",
    "evaluation/grounding.py",
    "evaluation/metrics.py",
    "evaluation/overlap.py",
    "generation",
    "tasks",
)
"""The parts of ragft that a task metric of dev answers depends on, beside the training itself."""


class DevAnswers:
    """Asks a model that is being trained the dev questions of its recipe, in the forms in which it is trained.

    Of more than `MOST` questions, those are asked that the experiment's seed draws, the same at every measurement and
    after a resumption. A question whose gold passages the recipe withheld counts as unanswerable.
    """

    def __init__(self, bench: Bench, texts: Sequence[TrainingText]) -> None:
        self._bench = bench
        seed = bench.experiment.seed
        chosen = set(sorted(texts, key=lambda text: drawn(seed, "dev answers", text.kind, text.id, text.prompt))[:MOST])
        self._texts = [text for text in texts if text in chosen]
        dev = {example.id: example for example in bench.splits.dev}
        abstention = as_said(bench.local.tokenizer, ABSTENTION)
        # One example may be asked in several forms, so the place in the list is the id.
        self._examples = {
            str(place): _asked(dev[text.id], str(place), text.completion == abstention)
            for place, text in enumerate(self._texts)
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What the metrics depend on beside the model: questions, references, decoding, code."""
        return {
            "asked": provenance.fingerprint([[text.prompt for text in self._texts], list(self._examples.values())]),
            "generation": self._bench.experiment.generation.model_dump(),
            "code": provenance.code_fingerprint(*CODE),
        }

    def measured(self, language_model: LanguageModel, model: Any) -> Mapping[str, float]:  # noqa: ANN401 - a PeftModel
        """Return the mean of every metric of the task; one without any scored answer is left out.

        `model` are the weights as they stand, in training, of `language_model`.
        """
        from ragft.generation.generator import batches
        from ragft.generation.local import LocalGenerator

        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        settings = self._bench.experiment.generation
        generator = LocalGenerator(replace(language_model, model=base), settings.max_new_tokens)
        said: dict[str, str] = {}
        for batch in batches(generator, [text.prompt for text in self._texts], settings.batch_size):
            answers = [generation.text for generation in generator.generate(batch)]
            said.update(zip(batch, answers, strict=True))
        return self._means([said[text.prompt] for text in self._texts])

    def _means(self, said: Sequence[str]) -> dict[str, float]:
        answers = [
            Answer("dev", str(place), self._bench.task.parse(text), 0, 0, 0.0, "stop")
            for place, text in enumerate(said)
        ]
        values: dict[str, list[float]] = {}
        for score in score_answers(answers, self._examples, self._bench.task.metrics):
            if score.value is not None:
                values.setdefault(score.metric, []).append(score.value)
        return {name: fmean(found) for name, found in values.items()}


def _asked(example: Example, place: str, abstains: bool) -> Example:
    if abstains and example.answerable:
        return replace(example, id=place, references=(), answerable=False)
    return replace(example, id=place)


def dev_answers(bench: Bench, config: AdapterConfig, texts: Callable[[], Sequence[TrainingText]]) -> DevAnswers | None:
    """Return what measures the task metric that chooses the checkpoint, None where the dev loss chooses it.

    Raises RagftError, before anything is trained, for a metric that the task does not have.
    """
    name = config.training.metric_for_best_model
    if name == DEV_LOSS:
        return None
    known = [metric for metric in bench.task.metrics if metric in ANSWER_METRICS]
    if name not in known:
        raise RagftError(
            f"training.metric_for_best_model names {name!r}, which task {bench.task.kind} does not measure",
            f"it can be {DEV_LOSS} or one of {', '.join(known)}",
        )
    return DevAnswers(bench, texts())
