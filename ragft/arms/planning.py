"""What `compare` would do, without doing it: what is built or reused, how many prompts and tokens, how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ragft.arms.adapters import Adapters
from ragft.arms.asking import Arm, Asking
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.arms.models import LocalModel, RemoteModel
from ragft.arms.recipes import KindSketch, sketch
from ragft.arms.trials import combinations
from ragft.config import AdapterConfig, OpenAiModel
from ragft.data.checks import DataCheck, conclude
from ragft.evaluation.clustering import cluster_of
from ragft.evaluation.metrics import is_binary
from ragft.evaluation.power import planned_mde
from ragft.records import Example
from ragft.training.examples import TrainingText

if TYPE_CHECKING:
    from ragft.models.pace import Rates, Speeds


ALONE_TOKENS = 256
"""Tokens of a prompt that is asked alone, where they are not counted."""

REMOTE_SECONDS = 1.0
"""Taken for one answer of a server, about which nothing is known before it is asked."""


@dataclass(frozen=True, slots=True)
class PlannedAdapter:
    """One adapter with one training seed in the plan: what it is made of, and its size.

    `examples` are the labelled ones, `parts` the texts of each kind in one pass, `to_write` the tokens of general text
    that the base model would write first; `tokens` counts every epoch, `steps` are the optimiser's.
    """

    name: str
    reused: bool
    examples: int
    parts: tuple[KindSketch, ...]
    to_write: int
    steps: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PlannedArm:
    """One arm in the plan: its prompts for every training seed, those already answered, and the tokens of the rest."""

    name: str
    prompts: int
    answered: int
    prompt_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a probe cannot be run on this experiment, and what to add so that it can."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Load:
    """What a probe would take: prompts of which some are answered, trainings, and seconds.

    `asking_s` is in proportion to the examples; `fixed_s` (training, indexing, reading text) is not. `examples` is the
    largest number that a condition asks.
    """

    arms: int = 0
    conditions: int = 0
    examples: int = 0
    prompts: int = 0
    answered: int = 0
    prompt_tokens: int = 0
    trainings: int = 0
    asking_s: float = 0.0
    fixed_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return self.asking_s + self.fixed_s

    def slowed(self, factor: float) -> Load:
        """Return the load at a pace that takes `factor` times as long."""
        return replace(self, asking_s=factor * self.asking_s, fixed_s=factor * self.fixed_s)


@dataclass(frozen=True, slots=True)
class PlannedProbe:
    """One probe in the plan; `refusal` says why it would be skipped."""

    kind: str
    title: str
    load: Load
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a command would do; `estimated_passages` says that drawn passages stood in for those not yet retrieved.

    `sweep_settings` and `sweep_prompts` count the combinations that a sweep would try first and the questions that it
    would ask; the time is that of the comparison alone. `detectable` is about the difference of the primary metric that
    so many eval examples find with 80 % power, None where nothing is compared.
    """

    documents: int
    passages: int
    index_reused: bool | None
    estimated_passages: bool
    adapters: tuple[PlannedAdapter, ...]
    arms: tuple[PlannedArm, ...]
    seconds: float
    samples: tuple[TrainingText, ...]
    checks: tuple[DataCheck, ...]
    sweep_settings: int = 0
    sweep_prompts: int = 0
    detectable: float | None = None
    probes: tuple[PlannedProbe, ...] = ()


def plan(bench: Bench) -> Plan:
    """Return the plan of `compare`; builds nothing, trains nothing and asks nothing."""
    sweep = bench.experiment.compare.sweep
    trials = len(combinations(sweep, bench.experiment.seed)) if sweep is not None else 0
    made = _plan(bench, list(bench.experiment.compare.arms), [], bench.experiment.compare.min_examples)
    prompts = trials * len(bench.splits.dev)
    return replace(made, sweep_settings=trials, sweep_prompts=prompts, detectable=_detectable(bench))


def _detectable(bench: Bench) -> float:
    """Return the difference that the eval examples should find, before anything is asked."""
    primary = bench.experiment.compare.primary_metric or bench.task.metrics[0]
    examples = bench.splits.eval
    n_clusters = len({cluster_of(example) for example in examples})
    return planned_mde(len(examples), n_clusters, "binary" if is_binary(primary) else "graded")


def plan_training(bench: Bench, names: Sequence[str]) -> Plan:
    """Return the plan of `finetune` for the named adapters."""
    return _plan(bench, [], names, min_examples=1)


def _plan(bench: Bench, arm_names: Sequence[str], adapter_names: Sequence[str], min_examples: int) -> Plan:
    checks = conclude(bench.examine(min_examples=min_examples))
    knowledge = Knowledge(bench, planning=True) if bench.documents else None
    adapters = Adapters(bench, knowledge)
    asking = Asking(bench, knowledge, adapters)
    arms = [asking.arm(name) for name in arm_names]
    used = list(dict.fromkeys([*adapter_names, *(arm.adapter for arm in arms if arm.adapter)]))
    reads = knowledge is not None and needs_index(arms, [adapters.config(name) for name in used])
    current = knowledge.is_current() if knowledge is not None and reads else None
    planned_adapters = tuple(plan_adapter(bench, adapters, n, seed) for n in used for seed in adapters.seeds(n))
    planned_arms = tuple(_arm(bench, asking, arm) for arm in arms)
    embedding = 0.0 if current is not False else len(bench.passages) / 30
    return Plan(
        documents=len(bench.documents),
        passages=len(bench.passages) if knowledge is not None else 0,
        index_reused=current,
        estimated_passages=current is False,
        adapters=planned_adapters,
        arms=planned_arms,
        seconds=embedding + sum(a.seconds for a in planned_adapters) + sum(a.seconds for a in planned_arms),
        samples=_samples(planned_adapters),
        checks=checks.checks,
    )


def needs_index(arms: Sequence[Arm], adapters: Sequence[AdapterConfig]) -> bool:
    """Return whether an arm or the recipe of an adapter reads the index."""
    return any(arm.retrieval in ("index", "oracle") for arm in arms) or any(a.reads_passages for a in adapters)


def _samples(adapters: Sequence[PlannedAdapter]) -> tuple[TrainingText, ...]:
    """Return one training text of each kind that any adapter reads."""
    found: dict[str, TrainingText] = {}
    for adapter in adapters:
        for part in adapter.parts:
            found.setdefault(part.kind, part.sample)
    return tuple(found.values())


def plan_adapter(bench: Bench, adapters: Adapters, name: str, seed: int) -> PlannedAdapter:
    """Return what training an adapter with one seed would take; nothing is trained."""
    from ragft.training.arguments import plan_of

    recipe, config = adapters.recipe(name), adapters.config(name)
    parts = tuple(sketch(recipe, bench.local.tokenizer))
    texts, tokens = sum(part.texts for part in parts), sum(part.tokens for part in parts) + recipe.to_write
    planned = plan_of(config, round(config.training.num_train_epochs * texts), processes=1)
    epochs = min(config.training.num_train_epochs, planned.steps * planned.effective_batch / max(1, texts))
    reused = adapters.is_trained(name, seed)
    seconds = 0.0
    if not reused:
        speeds = speeds_of(bench, bench.local)
        seconds = tokens * epochs / speeds.training + recipe.to_write / speeds.bare.writing
    return PlannedAdapter(
        adapters.title(name, seed),
        reused,
        recipe.labels,
        parts,
        recipe.to_write,
        planned.steps,
        round(tokens * epochs),
        seconds,
    )


def _arm(bench: Bench, asking: Asking, arm: Arm) -> PlannedArm:
    return plan_arm(bench, asking, arm, bench.splits.eval, alone=bench.experiment.compare.latency_questions)


def plan_arm(bench: Bench, asking: Asking, arm: Arm, examples: Sequence[Example], *, alone: int = 0) -> PlannedArm:
    """Return what asking an arm these examples would take, `alone` of them once more each on its own."""
    asked = asking.asked(arm, examples)
    left = [question for one in asked for question in asking.missing(one.arm, one.questions)]
    prompts = sum(len(one.questions) for one in asked)
    prompts_left = [question.prompt for question in left]
    adapted = is_adapted(bench, arm.adapter)
    tokens, seconds = _load(bench, bench.model(arm.model), prompts_left, alone if left else 0, adapted=adapted)
    return PlannedArm(arm.name, prompts, prompts - len(left), tokens, seconds)


def _load(
    bench: Bench, model: LocalModel | RemoteModel, prompts: Sequence[str], alone: int, *, adapted: bool
) -> tuple[int, float]:
    """Return (prompt tokens, seconds) that these prompts take, `alone` of them once more each on its own."""
    if not prompts:
        return 0, 0.0
    if isinstance(model, LocalModel):
        tokens = sum(_count(model.tokenizer, prompt) for prompt in prompts)
        written = len(prompts) * bench.experiment.generation.max_new_tokens / 2
        singly = alone * alone_seconds(bench, model, tokens / len(prompts), adapted=adapted)
        return tokens, answering_seconds(bench, model, tokens, written, adapted=adapted) + singly
    tokens = sum(model.generator.count_tokens(prompt) for prompt in prompts)
    at_once = model.config.concurrency if isinstance(model.config, OpenAiModel) else len(prompts)
    return tokens, REMOTE_SECONDS * (len(prompts) / max(1, at_once) + alone)


def _count(tokenizer: Any, text: str) -> int:  # noqa: ANN401 - a transformers tokenizer
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def speeds_of(bench: Bench, model: LocalModel) -> Speeds:
    """Return the speeds of a model on this machine, timed once on a slice of it."""
    from ragft.models.language_model import choose_device, choose_dtype
    from ragft.models.pace import speeds

    config, size = model.config, bench.experiment.generation.batch_size

    def timed() -> Speeds:
        device = choose_device(config.device)
        return speeds(model.folder.path, choose_dtype(config.dtype, device), device, size)

    return bench.once("speeds", (config, size), timed)


def is_adapted(bench: Bench, adapter: str | None) -> bool:
    """Return whether what was trained answers beside the base; fully trained weights take its place."""
    return adapter is not None and bench.experiment.adapters[adapter].peft.method != "full"


def rates_of(bench: Bench, model: LocalModel, *, adapted: bool) -> Rates:
    """Return the rates at which a model answers, by itself or with an adapter beside it."""
    speeds = speeds_of(bench, model)
    return speeds.adapted if adapted else speeds.bare


def answering_seconds(bench: Bench, model: LocalModel, read: float, written: float, *, adapted: bool) -> float:
    """Return the seconds of reading and writing so many tokens in batches; for none nothing is timed."""
    if not read and not written:
        return 0.0
    rates = rates_of(bench, model, adapted=adapted)
    return read / rates.reading + written / rates.writing


def alone_seconds(bench: Bench, model: LocalModel, prompt_tokens: float = ALONE_TOKENS, *, adapted: bool) -> float:
    """Return the seconds of one question that is asked alone."""
    rates = rates_of(bench, model, adapted=adapted)
    return prompt_tokens / rates.reading + bench.experiment.generation.max_new_tokens / 2 / rates.writing_alone
