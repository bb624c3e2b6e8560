"""`ragft rag-query` from a cold start to the first word of its answer: where the time goes.

    python tests/benchmarks/cold_start.py EXPERIMENT.yaml QUESTION [--repeats 5] [--processor]

Each run is a process of its own over an index that is in step (a first run, not counted, sees to that). The total is
what a user waits: from starting the process to the first byte of the answer, measured from outside on plain runs. The
table comes from runs in which this file stands between Python and ragft: it times every module that is imported, by
package, and the functions in `PHASES`. Each second counts once: a phase leaves out the imports and phases inside it.
The files of the libraries are in the system's cache; straight after a boot importing takes longer.
On a busy machine, `--processor` counts seconds of processor time in the table instead.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

CHILD, BORN, TABLE = "--inside", "RAGFT_COLD_START_BORN", "RAGFT_COLD_START_TABLE"
"""`BORN` holds the time at which the parent started the process; empty where processor time is counted."""

PHASES = {
    "ragft.config": {"load_experiment": "experiment file"},
    "ragft.runs": {"Run.start": "run folder", "Run.inputs": "hashes of inputs"},
    "ragft.arms.bench": {
        "Bench._read": "documents",
        "Bench._cut": "passages",
        "Bench._load_embedder": "embedder, loading",
        "Bench._load_model": "language model, loading",
    },
    "ragft.provenance": {"git_state": "git", "package_versions": "versions", "hardware": "hardware"},
    "ragft.models.sources": {"resolve": "model folders"},
    "ragft.arms.knowledge": {"Knowledge.sync": "index, in step?", "Knowledge.rankings": "retrieval"},
    "ragft.retrieval.store": {"PassageStore.__init__": "index, opening"},
    "ragft.retrieval.bm25": {"Bm25Index.opened": "BM25, opening"},
    "ragft.arms.relevance": {"Relevance.floor": "relevance floor"},
    "ragft.generation.local": {"LocalGenerator.stream": "prefill to first token"},
}
"""Functions whose time is a row, by module. One that is not there any more has no row."""


class Clock:
    """Adds up seconds by name; what runs inside something else stops the clock of that."""

    def __init__(self, born: str) -> None:
        self._now = time.perf_counter if born else time.process_time
        self.seconds = {"interpreter": time.time() - float(born) if born else time.process_time()}
        self._open = ["the rest of ragft"]
        self._since = self._now()

    def enter(self, name: str) -> None:
        """Start the clock of `name`."""
        self._turn()
        self._open.append(name)

    def leave(self) -> None:
        """Go on with the clock of what is around."""
        self._turn()
        self._open.pop()

    def _turn(self) -> None:
        now = self._now()
        name = self._open[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now

    def stopped(self) -> dict[str, float]:
        """Return the seconds so far."""
        self._turn()
        return dict(self.seconds)


class Timed(importlib.abc.MetaPathFinder):
    """Finds modules as Python does, and times their loading."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the ordinary spec with a loader that is timed."""
        package = name.split(".")[0]
        self._clock.enter(f"import {package}")
        try:
            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        finally:
            self._clock.leave()
        loader: Any = None if spec is None else spec.loader
        if loader is not None and hasattr(loader, "exec_module"):
            loader.exec_module = self._executing(name, package, loader.exec_module)
        return spec

    def _executing(
        self, name: str, package: str, execute: Callable[[ModuleType], None]
    ) -> Callable[[ModuleType], None]:
        def timed(module: ModuleType) -> None:
            self._clock.enter(f"import {package}")
            try:
                execute(module)
            finally:
                self._clock.leave()
            for function, phase in PHASES.get(name, {}).items():
                wrap(module, function, phase, self._clock)

        return timed


def wrap(module: ModuleType, function: str, phase: str, clock: Clock) -> None:
    """Replace a function of a module, or a method of one of its classes, by one that is timed."""
    *inside, last = function.split(".")
    owner: Any = module
    for part in inside:
        owner = getattr(owner, part, None)
    plain = vars(owner).get(last) if owner is not None else None
    if plain is None:
        return
    inner = plain.__func__ if isinstance(plain, classmethod) else plain

    def timed(*args: Any, **kwargs: Any) -> Any:
        clock.enter(phase)
        try:
            return inner(*args, **kwargs)
        finally:
            clock.leave()

    setattr(owner, last, classmethod(timed) if isinstance(plain, classmethod) else timed)


class FirstWord:
    """Standard output that writes the table when the first word goes out."""

    def __init__(self, stream: Any, clock: Clock) -> None:
        self._stream, self._clock, self._told = stream, clock, False

    def write(self, text: str) -> int:
        """Write, and tell the table at the first text."""
        if text.strip() and not self._told:
            self._told = True
            Path(os.environ[TABLE]).write_text(json.dumps(self._clock.stopped()), encoding="utf-8")
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the stream."""
        return getattr(self._stream, name)


def inside(arguments: list[str]) -> None:
    """Run ragft in this process, timed."""
    clock = Clock(os.environ[BORN])
    sys.meta_path.insert(0, Timed(clock))
    sys.stdout = FirstWord(sys.stdout, clock)  # type: ignore[assignment]
    sys.argv = ["ragft", *arguments]
    runpy.run_module("ragft", run_name="__main__")


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("question")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processor", action="store_true", help="processor time in the table instead of wall time")
    return parser.parse_args()


def main() -> None:
    """Print the total of plain runs, then the table."""
    options = read_arguments()
    command = ["rag-query", options.experiment.name, options.question, "--answer-anyway", "--quiet"]
    folder = options.experiment.resolve().parent
    plain = [sys.executable, "-m", "ragft", *command]
    first_word(plain, folder, {})
    totals, tables = [], []
    for _ in range(options.repeats):
        totals.append(first_word(plain, folder, {}))
        tables.append(table(command, folder, processor=options.processor))
    print(f"start to first word: median {statistics.median(totals):.2f} s of {sorted(round(t, 2) for t in totals)}")
    report(tables)


def table(command: list[str], folder: Path, *, processor: bool) -> dict[str, float]:
    """Return the seconds of each part of one run."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "table.json"
        timed = [sys.executable, str(Path(__file__).resolve()), CHILD, *command]
        first_word(timed, folder, {BORN: "" if processor else repr(time.time()), TABLE: str(file)})
        found: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
        return found


def first_word(command: list[str], folder: Path, more: dict[str, str]) -> float:
    """Return the seconds from the start of a command to the first byte on its standard output."""
    started = time.perf_counter()
    environment = {**os.environ, **more, "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors) as process:
            assert process.stdout is not None
            byte = process.stdout.read(1)
            seconds = time.perf_counter() - started
            process.stdout.read()
        if process.returncode or not byte:
            errors.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{errors.read()[-3000:]}")
    return seconds


def report(tables: Sequence[dict[str, float]]) -> None:
    """Print the median of each part, the largest first, and what imports and loading of others come to."""
    names = {name for table in tables for name in table}
    middle = {name: statistics.median(table.get(name, 0.0) for table in tables) for name in names}
    total = sum(middle.values())
    small = sum(seconds for seconds in middle.values() if seconds < 0.05)
    for name, seconds in sorted(middle.items(), key=lambda item: -item[1]):
        if seconds >= 0.05:
            print(f"{name:34} {seconds:7.2f} s {seconds / total:6.1%}")
    print(f"{'all below 0.05 s':34} {small:7.2f} s {small / total:6.1%}")
    others = sum(s for name, s in middle.items() if name.startswith("import ") and name != "import ragft")
    loading = sum(s for name, s in middle.items() if name.endswith(", loading"))
    print(f"importing the libraries of others {others:.2f} s, loading models {loading:.2f} s, together {total:.2f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        inside(sys.argv[2:])
    else:
        main()
