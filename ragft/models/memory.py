"""Memory: how the process keeps it between large, short-lived tensors, and how much tensors take at their peak."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's mallopt(3)."""

LARGEST = 1 << 30
"""Blocks up to this many bytes come from the heap instead of a mapping of their own."""


KEPT_KERNELS = "64"
"""Compiled multiplications that torch and oneDNN each keep on a processor."""


def forget_old_kernels() -> None:
    """Let torch and oneDNN keep few of the multiplications that they compile; call it before the first of them.

    Each number of tokens in a batch has its own four or so, and both libraries keep 1,024 by default: 400 MB within the
    first 10,000 passages, with no gain, because no batch has exactly the tokens of an earlier one. The environment's
    own settings win. On a GPU nothing changes.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, KEPT_KERNELS)


def keep_freed_memory() -> bool:
    """Return whether glibc was told to keep freed blocks instead of giving each back to the kernel.

    By default every activation over 32 MB is mapped, faulted in page by page and unmapped again. Keeping the pages
    made prefill about a fifth faster on two cores (tests/benchmarks/answering_speed.py measures it); the process
    holds its peak until it ends. Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST)) and bool(mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1))


def peak_tensor_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Return the most bytes of tensors that `work` held at once beyond those that were there before.

    On a GPU its allocator is asked. On a processor the profiler's record of every allocation is added up: the resident
    size of the process would also count what earlier work freed and the process kept.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        work()
    events = recorded.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak
