"""How the process keeps memory between the large, short-lived tensors of a model on a processor."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's mallopt(3)."""

LARGEST = 1 << 30
"""Blocks up to this many bytes come from the heap instead of a mapping of their own."""


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
