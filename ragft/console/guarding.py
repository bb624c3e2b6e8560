"""Every error becomes a message, a hint and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape

from ragft.console.terminal import Terminal
from ragft.errors import RagftError

INTERRUPTED = 130


@contextmanager
def guarded(terminal: Terminal, *, debug: bool) -> Iterator[None]:
    """Turn every error inside the block into a message and an exit code; `debug` shows the traceback too."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled job ends as Ctrl-C does
    try:
        yield
    except RagftError as error:
        _show(terminal, debug)
        terminal.error(error.message, error.hint)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        terminal.error("interrupted", "run the same command again: it goes on where it stopped")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        _show(terminal, debug)
        terminal.error(*_system_error(error))
        raise SystemExit(1) from None
    except Exception as error:
        _show(terminal, debug)
        if any(words in str(error).lower() for words in DISK_FULL):
            terminal.error(*_system_error(OSError(errno.ENOSPC, "")))
            raise SystemExit(1) from None
        terminal.error(f"{type(error).__name__}: {error}", "this is a fault in ragft or a library; --debug shows where")
        raise SystemExit(1) from None


DISK_FULL = ("no space left on device", "disk is full")
"""How libraries that raise errors of their own (safetensors, SQLite under Chroma) say that the disk is full."""


def _show(terminal: Terminal, debug: bool) -> None:
    if debug:
        terminal.err.print(escape(traceback.format_exc()))


def _system_error(error: OSError) -> tuple[str, str]:
    where = f": {error.filename}" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full{where}", "free some space and run the same command again: it goes on"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"no permission{where}", "check the folder's owner, or use --runs-dir and --workspace"
        case _:
            return f"{error.strerror or error}{where}", "--debug shows where"
