"""Which runs may go, and their removal. What is in doubt stays.

A run goes only if its folder still bears its id, its manifest can be read, it is no link, and it has ended; one without
a recorded end only when asked for by status, and only when nothing has been written to it for a week.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ragft.archive.folders import StoredRun, files_of, last_written
from ragft.errors import RagftError

ENDED = ("success", "failed", "cancelled")
"""The statuses that are pruned unless others are named."""

QUIET = timedelta(days=7)
"""A run without a recorded end is taken for dead once nothing was written to it for so long."""


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What would go, newest first, the bytes that this would free, and how many stay by which rule, though they match.

    Files that the workspace or a run that stays shares by hard links free nothing and are not counted.
    """

    runs: tuple[StoredRun, ...]
    freed_bytes: int
    spared: tuple[tuple[str, int], ...]


def plan_prune(
    runs: Sequence[StoredRun],
    *,
    now: datetime,
    older_than_days: float | None = None,
    keep: int | None = None,
    statuses: Collection[str] = (),
    tagged: bool = False,
) -> PrunePlan:
    """Return which of `runs` (newest first) would go: those that meet every condition given.

    `keep` is how many of the newest of each experiment, command and status stay, so that a row of failures never pushes
    out the last success; tagged runs are not counted, for they stay anyway unless `tagged`.
    RagftError for no condition.
    """
    if older_than_days is None and keep is None and not statuses:
        raise RagftError("nothing says which runs to remove", "give --older-than DAYS, --keep N or --status failed")
    wanted = statuses or ENDED
    matching = [run for run in runs if run.status in wanted]
    reasons = {run.path: _why_it_stays(run, now, tagged) for run in matching}
    removable = [run for run in matching if reasons[run.path] is None]
    old = [run for run in removable if older_than_days is None or _age(run, now) > timedelta(days=older_than_days)]
    kept = _newest(removable, keep or 0)
    going = tuple(run for run in old if run not in kept)
    spared = Counter(reason for reason in reasons.values() if reason is not None)
    return PrunePlan(going, _freed(going), tuple(spared.items()))


def _why_it_stays(run: StoredRun, now: datetime, tagged: bool) -> str | None:
    """Return the rule by which a run stays whatever was asked, None for one that may go."""
    if run.path.is_symlink():
        return "a link to another place"
    if run.fault is not None:
        return "unreadable"
    if run.path.name != run.id:
        return "renamed"
    if run.status == "unfinished" and now - last_written(run.path) < QUIET:
        return "may still be running"
    return "tagged" if run.tags and not tagged else None


def _age(run: StoredRun, now: datetime) -> timedelta:
    return now - run.started_at if run.started_at else timedelta()


def _newest(runs: Sequence[StoredRun], n: int) -> list[StoredRun]:
    """Return the first n runs of each experiment, command and status."""
    groups: defaultdict[tuple[str | None, str | None, str], list[StoredRun]] = defaultdict(list)
    for run in runs:
        groups[run.experiment, run.command, run.status].append(run)
    return [run for group in groups.values() for run in group[:n]]


def _freed(runs: Sequence[StoredRun]) -> int:
    """Return the bytes of the files whose every hard link lies in these runs."""
    files = [file for run in runs for file in files_of(run.path)]
    links = Counter((file.st_dev, file.st_ino) for file in files)
    sizes = {
        (file.st_dev, file.st_ino): file.st_size for file in files if links[file.st_dev, file.st_ino] == file.st_nlink
    }
    return sum(sizes.values())


def prune(plan: PrunePlan) -> None:
    """Remove the runs of a plan; each manifest goes last, so that one cut short is seen and can be pruned again."""
    for run in plan.runs:
        for path in sorted(run.path.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != "manifest.json":
                path.unlink()
        (run.path / "manifest.json").unlink()
        run.path.rmdir()
