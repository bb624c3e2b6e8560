"""Several processes that train together, as torchrun or `accelerate launch` start them.

Only the main process knows the experiment: it reads the data, holds the workspace, writes the run folder and speaks.
The others wait until it hands out a training, take part in that, and wait again. Their messages go through the store
by which the launcher lets processes find each other, so waiting for hours needs no collective operation that times out.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from ragft.errors import RagftError

PATIENCE = timedelta(days=30)
"""How long a process waits for work: an index may be built first, and questions asked in between."""

FAREWELL = timedelta(seconds=20)
"""How long a process that failed waits for the main one to take up its error, where that cannot see it leave."""

LOOK_S = 1.0
"""Seconds between two looks at whether the launcher is still there."""

GRACE_S = 10.0
"""Seconds that processes without a launcher have to end by themselves, and to write down that they were interrupted."""


class Team:
    """The processes of one launch; process 0 is the main one."""

    def __init__(self) -> None:
        store: Any  # its stubs know text only, and it takes bytes
        store, self.rank, self.size = next(rendezvous("env://", timeout=PATIENCE))
        self._store: Any = dist.distributed_c10d.PrefixStore("ragft", store)
        self._jobs = 0

    def hand_out(self, job: object) -> None:
        """Give every waiting process this work; None sends them home."""
        self._store.set(f"job{self._jobs}", pickle.dumps(job))
        self._jobs += 1

    def next_job(self, patience: timedelta = PATIENCE) -> Any:  # noqa: ANN401 - whatever was handed out
        """Return the next work that the main process hands out, waiting for it."""
        key = f"job{self._jobs}"
        self._store.wait([key], patience)
        self._jobs += 1
        return pickle.loads(self._store.get(key))

    def report(self, error: RagftError) -> None:
        """Leave an error for the main process to raise; the first one counts, since others only follow from it."""
        self._store.compare_set("error", "", pickle.dumps((error.message, error.hint)).hex())

    def failure(self) -> RagftError | None:
        """Return the error that another process left, None for none."""
        with suppress(RuntimeError):  # the store is gone: nobody can have left anything that still matters
            if self._store.check(["error"]):
                return RagftError(*pickle.loads(bytes.fromhex(self._store.get("error").decode())))
        return None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Raise in the main process what another one failed with, where the block fails because that one is gone."""
        try:
            yield
        except (RuntimeError, KeyboardInterrupt) as error:
            if (failure := self.failure()) is not None:
                raise failure from None
            if isinstance(error, KeyboardInterrupt) or not _is_lost(error):
                raise
            raise RagftError(
                "another process of this training died",
                "the launcher's report names it; killed for memory, it needs a smaller per_device_train_batch_size",
            ) from error


def _is_lost(error: RuntimeError) -> bool:
    words = str(error).lower()
    return any(part in words for part in ("gloo", "nccl", "connection closed", "connection reset", "peer"))


def n_processes() -> int:
    """Return how many processes a launcher has started together, 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_helper() -> bool:
    """Return whether a launcher started this process to help the main one."""
    return n_processes() > 1 and int(os.environ.get("RANK", "0")) > 0


def end_with(launcher: int) -> None:
    """Make this process end within seconds of its launcher, the process id of its parent when it started.

    A launcher that is killed can end nobody: its processes would train on unseen, or look for its store for PATIENCE.
    Where neither torchrun nor accelerate started this process, it stays: a shell may end before what it began.
    """
    if dist.is_torchelastic_launched():
        threading.Thread(target=_end_with, args=(launcher,), daemon=True).start()


def _end_with(launcher: int) -> None:
    """End the main process as Ctrl-C does, and whatever then goes on, or waits in torch's code and hears no signal."""
    while os.getppid() == launcher:
        time.sleep(LOOK_S)
    if not is_helper():  # those go later: the main process would tell of another one that died
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


@cache
def team() -> Team | None:
    """Return the processes of this launch, None where there is but this one."""
    return Team() if n_processes() > 1 else None


def dismiss() -> None:
    """Send the waiting processes home; the main process calls it when its command has ended, however it ended."""
    found = team()
    if found is not None:
        with suppress(RuntimeError):  # the launcher has ended them already
            found.hand_out(None)


def help_along(work: Callable[[Any], None]) -> None:
    """Do with `work` whatever the main process hands out, until it sends this process home.

    Where that fails, the main process raises the error, and this one ends with SystemExit.
    """
    found = team()
    assert found is not None
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    while (job := found.next_job()) is not None:
        try:
            work(job)
        except Exception as error:
            raise SystemExit(_left(found, error)) from None


def _left(found: Team, error: Exception) -> str | int:
    """Leave an error to the main process; returns the exit status, which is its text where nobody takes it up.

    Gloo tells the main process at once that this one is gone, and nothing but that wakes it from a collective
    operation. A status other than 0 would make the launcher end it before it has told the error.
    """
    known = error if isinstance(error, RagftError) else RagftError(f"{type(error).__name__}: {error}")
    if not (isinstance(error, RuntimeError) and _is_lost(error)):  # that is another one's failure
        found.report(known)
    if dist.is_initialized() and dist.get_backend() == "gloo":
        return 0
    try:
        found.next_job(FAREWELL)
    except Exception:
        return f"error (process {found.rank}): {known.message}\n  try: {known.hint}"
    return 1
