"""Rules between the sections of a valid experiment: names that point at something, sections that need another."""

from __future__ import annotations

from collections.abc import Iterator

from ragft.config.comparing import ArmConfig, DataGate, Gate, LatencyGate, MetricGate, RegressionGate, VerdictGate
from ragft.config.models import ModelConfig
from ragft.config.schema import Experiment
from ragft.config.variants import sweep_faults


def cross_faults(experiment: Experiment) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (location, message) of each name that points at nothing and each section that needs another."""
    data = experiment.data
    if data.train is None and any(adapter.reads_labels for adapter in experiment.adapters.values()):
        yield ("adapters",), "adapters need data.train"
    for name, adapter in experiment.adapters.items():
        if adapter.reads_documents and not data.documents:
            yield ("adapters", name, "recipe"), f"the recipe {adapter.recipe_text} needs data.documents"
        if len(set(adapter.seeds)) != len(adapter.seeds):
            yield ("adapters", name, "seeds"), "a seed is named twice"
    for name, arm in experiment.compare.arms.items():
        yield from _arm_faults(experiment, name, arm)
    yield from _contrast_faults(experiment)
    for number, gate in enumerate(experiment.compare.gates):
        yield from _gate_faults(experiment, number, gate)
    yield from sweep_faults(experiment)
    yield from _judge_faults(experiment)
    yield from _probe_faults(experiment)
    if experiment.compare.sweep is not None and experiment.compare.sweep.arm not in experiment.compare.arms:
        yield ("compare", "sweep", "arm"), _no_arm(experiment, experiment.compare.sweep.arm)


def _no_arm(experiment: Experiment, name: str) -> str:
    return f"there is no arm {name!r} (arms: {', '.join(experiment.compare.arms)})"


def _no_model(experiment: Experiment, name: str) -> str:
    return f"there is no model {name!r} (models: {', '.join(experiment.models) or 'none'})"


def _gate_faults(experiment: Experiment, number: int, gate: Gate) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield each arm that a gate names and the experiment lacks."""
    named: tuple[str, ...]
    match gate:
        case MetricGate() | VerdictGate():
            key, named = "arm", (gate.arm,) if gate.arm is not None else ()
        case RegressionGate() | LatencyGate():
            key, named = "arms", gate.arms
        case DataGate():
            return
    for name in named:
        if name not in experiment.compare.arms:
            yield ("compare", "gates", number, key), _no_arm(experiment, name)


def _contrast_faults(experiment: Experiment) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for number, pair in enumerate(experiment.compare.contrasts):
        for arm_name in pair:
            if arm_name not in experiment.compare.arms:
                yield ("compare", "contrasts", number), _no_arm(experiment, arm_name)
        if pair[0] == pair[1]:
            yield ("compare", "contrasts", number), f"{pair[0]!r} is contrasted with itself"
        elif set(pair) in [set(other) for other in experiment.compare.contrasts[:number]]:
            yield ("compare", "contrasts", number), f"{pair[0]!r} and {pair[1]!r} are contrasted already"


def _probe_faults(experiment: Experiment) -> Iterator[tuple[tuple[str | int, ...], str]]:
    kinds: list[str] = []
    for number, probe in enumerate(experiment.compare.probes):
        where = ("compare", "probes", number)
        if probe.kind in kinds:
            yield where, f"the probe {probe.kind} is named twice"
        kinds.append(probe.kind)
        for name in probe.arms:
            if name not in experiment.compare.arms:
                yield (*where, "arms"), _no_arm(experiment, name)


def _judge_faults(experiment: Experiment) -> Iterator[tuple[tuple[str | int, ...], str]]:
    judge = experiment.compare.judge
    if judge is None:
        return
    if judge.model not in experiment.models:
        yield ("compare", "judge", "model"), _no_model(experiment, judge.model)
    for number, pair in enumerate(judge.preferences):
        for name in pair:
            if name not in experiment.compare.arms:
                yield ("compare", "judge", "preferences", number), _no_arm(experiment, name)
        if pair[0] == pair[1]:
            yield ("compare", "judge", "preferences", number), f"{pair[0]!r} is laid beside itself"


def _arm_faults(experiment: Experiment, name: str, arm: ArmConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    where = ("compare", "arms", name)
    if arm.model is not None and arm.model not in experiment.models:
        yield (*where, "model"), _no_model(experiment, arm.model)
    if arm.adapter is not None and (arm.model is not None or not isinstance(experiment.model, ModelConfig)):
        yield (*where, "adapter"), "an adapter belongs to the experiment's own model, in this process; name no other"
    if len(set(arm.prompt)) != len(arm.prompt):
        yield (*where, "prompt"), "a prompt template is named twice"
    if arm.adapter is not None and arm.adapter not in experiment.adapters:
        known = ", ".join(experiment.adapters) or "none"
        yield (*where, "adapter"), f"there is no adapter {arm.adapter!r} (adapters: {known})"
    elif arm.adapter is not None and any(one != experiment.adapters[arm.adapter].prompt for one in arm.prompt):
        yield (*where, "prompt"), f"the adapter {arm.adapter!r} is trained with one prompt template only, its own"
    if arm.retrieval != "none" and not experiment.data.documents:
        yield (*where, "retrieval"), f"retrieval {arm.retrieval!r} needs data.documents"
    if arm.shots and experiment.data.train is None:
        yield (*where, "shots"), "shots are drawn from data.train, which is absent"
