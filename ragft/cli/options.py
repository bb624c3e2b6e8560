"""The arguments and options that several commands share, each spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(metavar="FILE", help="The experiment file (YAML).")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as retrieval.top_k=3. Repeatable."),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME", help="Name the run: it is found by it and kept from pruning. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no news.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
RunsDir = Annotated[Path, typer.Option("--runs-dir", envvar="RAGFT_RUNS_DIR", help="Where run folders are written.")]
WorkspaceDir = Annotated[
    Path, typer.Option("--workspace", envvar="RAGFT_WORKSPACE", help="Where indexes, adapters and answers are kept.")
]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for another command on the same workspace.")
]

RUNS, WORKSPACE, WAIT_S = Path("runs"), Path(".ragft"), 3600.0
