"""Rules between the sections of a valid experiment: names that point at something, sections that need another."""

from __future__ import annotations

from collections.abc import Iterator

from ragft.config.schema import ArmConfig, Experiment


def cross_faults(experiment: Experiment) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (location, message) of each name that points at nothing and each section that needs another."""
    data = experiment.data
    if experiment.adapters and data.train is None:
        yield ("adapters",), "adapters need data.train"
    for name, adapter in experiment.adapters.items():
        if adapter.recipe == "context" and not data.documents:
            yield ("adapters", name, "recipe"), "the context recipe needs data.documents"
    for name, arm in experiment.compare.arms.items():
        yield from _arm_faults(experiment, name, arm)
    for number, pair in enumerate(experiment.compare.contrasts):
        for arm_name in pair:
            if arm_name not in experiment.compare.arms:
                yield (
                    ("compare", "contrasts", number),
                    f"there is no arm {arm_name!r} (arms: {', '.join(experiment.compare.arms)})",
                )
        if pair[0] == pair[1]:
            yield ("compare", "contrasts", number), f"{pair[0]!r} is contrasted with itself"
        elif set(pair) in [set(other) for other in experiment.compare.contrasts[:number]]:
            yield ("compare", "contrasts", number), f"{pair[0]!r} and {pair[1]!r} are contrasted already"


def _arm_faults(experiment: Experiment, name: str, arm: ArmConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    where = ("compare", "arms", name)
    if arm.adapter is not None and arm.adapter not in experiment.adapters:
        known = ", ".join(experiment.adapters) or "none"
        yield (*where, "adapter"), f"there is no adapter {arm.adapter!r} (adapters: {known})"
    elif arm.adapter is not None and arm.prompt is not None and arm.prompt != experiment.adapters[arm.adapter].prompt:
        yield (*where, "prompt"), f"the adapter {arm.adapter!r} is not trained with the prompt template {arm.prompt!r}"
    if arm.retrieval != "none" and not experiment.data.documents:
        yield (*where, "retrieval"), f"retrieval {arm.retrieval!r} needs data.documents"
    if arm.shots and experiment.data.train is None:
        yield (*where, "shots"), "shots are drawn from data.train, which is absent"
