"""From the experiment file to an Experiment, or to every fault that it has at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ragft.config.contents import Contents, contents_of
from ragft.config.expectations import Expectations
from ragft.config.faults import Fault, Location, shown, sorted_lines
from ragft.config.interpolation import Expansion, hide
from ragft.config.overrides import apply_overrides
from ragft.config.reading import place_at, read_tree
from ragft.config.resolved import resolved_yaml
from ragft.config.schema import Experiment
from ragft.config.validation import validated
from ragft.errors import ConfigError

_INIT_HINT = "`ragft init` writes a starter experiment file"


@dataclass(frozen=True, slots=True)
class LoadedExperiment:
    """A valid experiment with the file that it came from.

    Every path in it is absolute. `secrets` are the values longer than 3 characters that the environment supplied:
    whoever writes a file or a log hides them.
    """

    experiment: Experiment
    path: Path
    secrets: frozenset[str] = field(repr=False)
    _expansions: Mapping[Location, Expansion] = field(repr=False)
    _variables: Mapping[str, str] = field(repr=False)

    def resolved_yaml(self) -> str:
        """Return the experiment with its defaults as YAML in which what came from `${VAR}` is `${VAR}` again."""
        return resolved_yaml(self.experiment, self._expansions, self._variables, self.path.parent)

    def resolved(self) -> dict[str, Any]:
        """Return the same as plain values; what came from `${VAR}` is text, never the value."""
        values: dict[str, Any] = yaml.safe_load(self.resolved_yaml())
        return values


def load_experiment(
    path: Path, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> LoadedExperiment:
    """Return the experiment in the YAML file at `path`.

    `overrides` are `dotted.key=value` strings (the command line's `--set`) whose values are YAML; relative paths in
    them, like those in the file, are relative to the folder of the file. `environment` is where `${VAR}` is looked up,
    the process's own when absent. Raises ConfigError with every fault, in the order of the file.
    """
    path = path.expanduser().absolute()
    name = shown(path)
    root, faults = apply_overrides(_root(_text(path, name), name), overrides, _short_for)
    contents = contents_of(root, name, os.environ if environment is None else environment)
    experiment, invalid = validated(contents, path.parent)
    faults += contents.faults + [fault for fault in invalid if not _is_within(fault.location, contents.spoiled)]
    if experiment is None or faults:
        raise ConfigError(_without_secrets(faults, contents))
    secrets = contents.secrets()
    return LoadedExperiment(experiment, path, frozenset(secrets), contents.expansions, secrets)


def _short_for(path: Sequence[str]) -> str | None:
    return Expectations().short_for(path)


def _text(path: Path, name: str) -> str:
    """Return the text of the file; ConfigError when there is no such file or it is not UTF-8 text."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError([f"{name}: there is no such file"], _INIT_HINT) from None
    except IsADirectoryError:
        raise ConfigError([f"{name}: is a folder, not an experiment file"], _file_hint(path, name)) from None
    except OSError as error:
        raise ConfigError([f"{name}: cannot be read: {error.strerror}"]) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fault = f"{name}:{line}: is not UTF-8 text (byte 0x{data[error.start]:02x})"
        raise ConfigError([fault], "save the file with the encoding UTF-8") from None


def _file_hint(folder: Path, name: str) -> str:
    return f"name the file: {name}/experiment.yaml" if (folder / "experiment.yaml").is_file() else _INIT_HINT


def _root(text: str, name: str) -> yaml.Node:
    """Return the tree of the file; ConfigError when it is no YAML, is empty, or is no mapping."""
    try:
        root = read_tree(text, name)
    except yaml.YAMLError as error:
        raise ConfigError([_syntax_fault(error, text, name)]) from None
    except RecursionError:
        raise ConfigError([f"{name}: is nested too deeply to be read"]) from None
    if root is None:
        raise ConfigError([f"{name}: is empty"], _INIT_HINT)
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "one value"
        raise ConfigError([f"{name}:{root.start_mark.line + 1}: must be a mapping (`key: value` lines), not {kind}"])
    return root


def _syntax_fault(error: yaml.YAMLError, text: str, name: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line, column, problem = error.problem_mark.line, error.problem_mark.column, error.problem
    elif isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        problem = f"the character U+{ord(text[error.position]):04X} is not allowed"
    else:
        return f"{name}: is not valid YAML: {error}"
    return str(Fault(place_at(name, line), (), f"is not valid YAML at column {column + 1}: {problem}"))


def _is_within(location: Location, others: set[Location]) -> bool:
    return any(location[:length] in others for length in range(1, len(location) + 1))


def _without_secrets(faults: list[Fault], contents: Contents) -> list[str]:
    secrets = contents.secrets()
    return sorted_lines(Fault(fault.place, fault.location, hide(fault.message, secrets)) for fault in faults)
