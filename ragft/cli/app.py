"""The application that every command registers with."""

from __future__ import annotations

from typing import Annotated

import typer

from ragft import __version__

app = typer.Typer(
    name="ragft",
    help="Measure whether to fine-tune a language model, give it retrieval, do both, or just prompt it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"ragft {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Measure whether to fine-tune a language model, give it retrieval, do both, or just prompt it."""
