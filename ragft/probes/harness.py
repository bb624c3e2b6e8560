"""Tasks of lm-evaluation-harness on the base and on each adapter, where it is installed and their data are local."""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import importlib.util
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from statistics import NormalDist
from typing import Any

from ragft import jsonl, provenance
from ragft.evaluation.probing import Cell, Column, Row, Table
from ragft.probes.kit import Kit
from ragft.probes.weights import Weights
from ragft.records import Interval

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Variables that keep the libraries below from the network."""

READ_AT_IMPORT = {"huggingface_hub.constants": "HF_HUB_OFFLINE", "datasets.config": "HF_HUB_OFFLINE"}
"""Modules that read a variable once, and what they call it."""

FAILURES = (OSError, ValueError, LookupError, TypeError, ImportError, RuntimeError, AttributeError, AssertionError)
"""What a task that does not exist or whose data are not here may raise: the library has no errors of its own."""


def harness_results(kit: Kit, every: Sequence[Weights], tasks: Sequence[str]) -> tuple[Table | None, list[str]]:
    """Return the table of tasks by weights and notes on what could not be run; nothing where no task is named.

    Every task is run for itself, so that one whose data are not local leaves the others alone.
    """
    if not tasks:
        return None, []
    if importlib.util.find_spec("lm_eval") is None:
        return None, ["The tasks of lm_eval were left out: it is not installed (pip install lm-eval)."]
    columns: dict[str, dict[str, Cell]] = {}
    notes: list[str] = []
    harness = _Harness(kit)
    for task in tasks:
        try:
            found = {one.title: harness.cells(one, task) for one in every}
        except FAILURES as error:
            said = str(error).strip().splitlines()
            notes.append(f"lm_eval could not run {task}: {said[0] if said else type(error).__name__}.")
            continue
        for title, cells in found.items():
            for metric, cell in cells.items():
                columns.setdefault(f"{task}: {metric}", {})[title] = cell
    if not columns:
        return None, notes
    empty = Cell(None)
    rows = tuple(Row(one.title, tuple(found.get(one.title, empty) for found in columns.values())) for one in every)
    titles = tuple(Column(title, "number") for title in columns)
    note = "Measured by lm-evaluation-harness on plain prompts, with its own standard errors."
    return Table("lm_eval", "Tasks of lm-evaluation-harness", "weights", titles, rows, note), notes


class _Harness:
    """Runs tasks; what a task of the library itself measured is kept in the workspace."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._manager: Any = None

    def cells(self, weights: Weights, task: str) -> dict[str, Cell]:
        """Return what the weights score on one task, by metric."""
        path = self._path(weights, task)
        if not path.exists():
            found = self._run(weights, task)
            if Path(task).exists():
                return found  # the user's own file: its data may be others tomorrow
            path.parent.mkdir(parents=True, exist_ok=True)
            jsonl.write_rows(path, [{"metric": metric, **jsonl.plain(cell)} for metric, cell in found.items()])
        rows = [row for _, row in jsonl.read_rows(path)]
        return {
            row["metric"]: Cell(row["value"], row["interval"] and Interval(**row["interval"]), row["n"]) for row in rows
        }

    def _path(self, weights: Weights, task: str) -> Path:
        bench = self._kit.bench
        settings = [importlib.metadata.version("lm-eval"), task, bench.experiment.compare.confidence]
        identity = [bench.local.weights_identity, weights.fingerprint, *settings]
        return bench.workspace.drift_path(provenance.fingerprint(identity))

    def _run(self, weights: Weights, task: str) -> dict[str, Cell]:
        """Let the loaded model answer with these weights; the library's own progress is not shown."""
        bench = self._kit.bench
        language_model, generator = bench.local.bare, bench.local.generator
        size = bench.experiment.generation.batch_size
        with offline(), generator.adapter(weights.folder), bench.listener.work(f"lm_eval {task}", 0, weights.title):
            lm_eval: Any = importlib.import_module("lm_eval")
            wrapper: Any = importlib.import_module("lm_eval.models.huggingface")
            tokenizer = copy.deepcopy(language_model.tokenizer)
            with redirect_stderr(io.StringIO()):
                self._manager = self._manager or importlib.import_module("lm_eval.tasks").TaskManager()
                found = lm_eval.simple_evaluate(
                    model=wrapper.HFLM(pretrained=language_model.model, tokenizer=tokenizer, batch_size=size),
                    tasks=[task],
                    task_manager=self._manager,
                    log_samples=False,
                    random_seed=None,
                    numpy_random_seed=None,
                    torch_random_seed=None,
                )
        return _cells(found, bench.experiment.compare.confidence)


def _cells(found: Mapping[str, Any], level: float) -> dict[str, Cell]:
    """Return the metrics of an evaluation; a task of several parts names the part with each."""
    several = len(found["results"]) > 1
    cells = {}
    for name, values in found["results"].items():
        n = found.get("n-samples", {}).get(name, {}).get("effective")
        for key, value in values.items():
            metric, _, kind = key.partition(",")
            if not kind or metric.endswith("_stderr") or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            error = values.get(f"{metric}_stderr,{kind}")
            label = metric if kind == "none" else f"{metric} ({kind})"
            cells[f"{name} {label}" if several else label] = Cell(float(value), _interval(value, error, level), n)
    return cells


def _interval(value: float, error: object, level: float) -> Interval | None:
    if not isinstance(error, int | float):
        return None
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return Interval(value - half, value + half, level, "normal (standard error of lm_eval)")


@contextmanager
def offline() -> Iterator[None]:
    """Keep the Hugging Face libraries from the network inside this block, loaded before or not."""
    before = {name: os.environ.get(name) for name in OFFLINE}
    loaded = {name: sys.modules[name] for name in READ_AT_IMPORT if name in sys.modules}
    flags = {name: getattr(module, READ_AT_IMPORT[name], None) for name, module in loaded.items()}
    os.environ.update(dict.fromkeys(OFFLINE, "1"))
    for name, module in loaded.items():
        setattr(module, READ_AT_IMPORT[name], True)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for name, module in loaded.items():
            setattr(module, READ_AT_IMPORT[name], flags[name])
