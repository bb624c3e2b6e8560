"""A PostgreSQL cluster of the test's own, in a temporary folder, where the machine has the server's programs."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "p@ss/w:rd"
"""Every character that must be quoted in an address."""


def programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, or None; Debian keeps them outside the search path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


def account() -> int | None:
    """Return the user who must run the server: nobody in particular, or `postgres` where the tests run as root."""
    if os.getuid() != 0:
        return os.getuid()
    try:
        return pwd.getpwnam("postgres").pw_uid
    except KeyError:
        return None


@contextmanager
def cluster(folder: Path) -> Iterator[int]:
    """Start a server on 127.0.0.1 with the user `reader`, yield its port, and stop it."""
    bin_dir, user = programs(), account()
    assert bin_dir is not None
    assert user is not None
    os.chown(folder, user, -1)
    folder.chmod(0o700)
    data, secret = folder / "data", folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    os.chown(secret, user, -1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])

    def run(command: Sequence[str | Path]) -> None:
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr

    login = ["-U", "reader", f"--pwfile={secret}", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
    run([bin_dir / "initdb", "-D", data, *login])
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run([bin_dir / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start"])
    try:
        yield port
    finally:
        run([bin_dir / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])
