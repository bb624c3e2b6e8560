"""The same experiment with other settings, as sweeps and probes ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ragft.config.faults import Location
from ragft.config.schema import Experiment
from ragft.errors import ConfigError

SWEPT = ("index", "retrieval", "adapters", "generation", "compare.arms")
"""Where a swept key may lie: the other sections say what is asked and how it is judged, which every trial shares."""


def with_values(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """Return the experiment with `values` (by dotted key) in it, checked as a whole.

    Raises ConfigError, naming the key, for one that does not exist or a value that it may not hold.
    """
    plain = experiment.model_dump()
    for key, value in values.items():
        _put(plain, key, value)
    try:
        return Experiment.model_validate(plain)
    except ValidationError as error:
        raise ConfigError([_fault(item["loc"], item["type"], item["msg"]) for item in error.errors()]) from None


def _put(plain: dict[str, Any], key: str, value: object) -> None:
    *parents, leaf = key.split(".")
    section: Any = plain
    for number, part in enumerate(parents):
        if not isinstance(section, dict) or part not in section:
            raise ConfigError([f"there is no key {'.'.join(parents[: number + 1])}"])
        section = section[part]
    if not isinstance(section, dict):
        raise ConfigError([f"{'.'.join(parents)} holds one value, which has no {leaf!r}"])
    section[leaf] = value


def _fault(location: Location, kind: str, message: str) -> str:
    where = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"there is no key {where}"
    return f"{where}: {message[:1].lower()}{message[1:]}"


def sweep_faults(experiment: Experiment) -> Iterator[tuple[Location, str]]:
    """Yield (location, message) of each swept key that may not be swept and each value that it may not hold."""
    sweep = experiment.compare.sweep
    if sweep is None:
        return
    for key, values in sweep.parameters.items():
        where = ("compare", "sweep", "parameters", key)
        if not any(key.startswith(f"{section}.") for section in SWEPT):
            yield where, f"cannot be swept: only keys under {', '.join(SWEPT)}"
            continue
        for number, value in enumerate(values):
            try:
                with_values(experiment, {key: value})
            except ConfigError as error:
                yield (*where, number), error.faults[0]
