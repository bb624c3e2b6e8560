"""Which run a word on the command line means: a path, an id or a part of one, a tag, `latest`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from pathlib import Path

from ragft.archive.folders import StoredRun, list_runs, open_run
from ragft.errors import DataError

LATEST = "latest"
_MOST_CANDIDATES = 6


def find_run(runs_dir: Path, text: str, *, command: str | None = None) -> StoredRun:
    """Return the one readable run that `text` means.

    In this order: the path of a run folder; a whole id; `latest` or `latest:EXPERIMENT`; a tag; the beginning or the
    end of an id, or the beginning of its short form. `command` restricts `latest` to the runs of one command.
    DataError where nothing is meant (with the nearest names), where several are (with the candidates), and where the
    one that is meant cannot be read.
    """
    folder = _run_folder(text)
    if folder is not None:
        return open_run(folder)
    if "/" in text or "\\" in text:
        raise DataError(f"{text}: not a run folder", "`ragft runs list` shows the runs")
    runs = list_runs(runs_dir)
    if not runs:
        raise DataError(f"there are no runs in {runs_dir}", "name the folder of the runs with --runs-dir")
    found = _latest(runs, runs_dir, text, command) or _meant(runs, text)
    if not found:
        raise DataError(f"there is no run {text!r} in {runs_dir}", _nearest(runs, text))
    if len(found) > 1:
        raise _ambiguous(text, found)
    return open_run(found[0].path)


def _run_folder(text: str) -> Path | None:
    """Return the run folder at the path `text`, None if there is none: most words are not meant as paths."""
    try:
        path = Path(text).expanduser()
        return path.resolve() if text and (path / "manifest.json").exists() else None
    except (OSError, RuntimeError):  # too long for a path, or the home of nobody
        return None


def _meant(runs: Sequence[StoredRun], text: str) -> list[StoredRun]:
    """Return the runs that `text` means by the first reading of it that gives any."""
    readings = (
        lambda run: text in (run.id, run.path.name),
        lambda run: text in run.tags,
        lambda run: run.id.startswith(text) or run.id.endswith(text) or run.short_id.startswith(text),
    )
    found = ([run for run in runs if reading(run)] for reading in readings) if text else ()
    return next(filter(None, found), [])


def _latest(runs: Sequence[StoredRun], runs_dir: Path, text: str, command: str | None) -> list[StoredRun]:
    """Return the newest readable run (of an experiment), nothing where `text` does not ask for it."""
    word, colon, experiment = text.partition(":")
    if word != LATEST:
        return []
    readable = [run for run in runs if run.fault is None and command in (None, run.command)]
    found = [run for run in readable if not colon or run.experiment == experiment]
    if found:
        return found[:1]
    of_command = f" of `ragft {command}`" if command else ""
    known = sorted({str(run.experiment) for run in readable})
    raise DataError(
        f"there is no readable run{of_command}{f' of the experiment {experiment!r}' if colon else ''} in {runs_dir}",
        f"experiments there: {', '.join(known)}" if known else "`ragft runs list` shows what is there",
    )


def _ambiguous(text: str, found: Sequence[StoredRun]) -> DataError:
    shown = [f"\n  {described(run)}" for run in found[:_MOST_CANDIDATES]]
    more = f"\n  and {len(found) - _MOST_CANDIDATES} more" if len(found) > _MOST_CANDIDATES else ""
    return DataError(
        f"{text!r} could be {len(found)} runs:{''.join(shown)}{more}",
        "write the short id at the end of the one you mean",
    )


def described(run: StoredRun) -> str:
    """Return a run in one line: its id, and its tags in brackets."""
    return f"{run.id} ({', '.join(run.tags)})" if run.tags else run.id


def _nearest(runs: Sequence[StoredRun], text: str) -> str:
    experiments = {run.experiment for run in runs if run.experiment}
    if text in experiments:
        return f"{LATEST}:{text} is the newest run of that experiment"
    names = {name for run in runs for name in (run.id, run.short_id, *run.tags)}
    names |= {LATEST, *(f"{LATEST}:{name}" for name in experiments)}
    near = difflib.get_close_matches(text, sorted(names), n=3)
    return f"did you mean {' or '.join(near)}?" if near else "`ragft runs list` shows the runs"


def select(
    runs: Sequence[StoredRun],
    *,
    experiment: str | None = None,
    command: str | None = None,
    statuses: Collection[str] = (),
    tags: Collection[str] = (),
) -> list[StoredRun]:
    """Return the runs that meet every condition given: any of the statuses, all of the tags."""
    return [
        run
        for run in runs
        if experiment in (None, run.experiment)
        and command in (None, run.command)
        and (not statuses or run.status in statuses)
        and set(tags) <= set(run.tags)
    ]
