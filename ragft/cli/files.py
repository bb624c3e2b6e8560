"""The commands about the experiment file itself: validate, schema, init."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragft.cli.options import Debug, File, Json, Set
from ragft.cli.running import speaking

if TYPE_CHECKING:
    from ragft.config import LoadedExperiment


def validate(file: File, set_: Set = None, as_json: Json = False, debug: Debug = False) -> None:
    """Check an experiment file: every fault at once, each with its line."""
    with speaking(debug=debug) as terminal:
        from ragft.config import load_experiment
        from ragft.prompts import form_of

        loaded: LoadedExperiment = load_experiment(file, set_ or ())
        experiment = loaded.experiment
        prompts = [name for arm in experiment.compare.arms.values() for name in arm.prompt]
        for name in (*prompts, *(adapter.prompt for adapter in experiment.adapters.values())):
            if name is not None:
                form_of(experiment.task, name)
        if as_json:
            terminal.json(loaded.resolved())
            return
        arms = ", ".join(experiment.compare.arms)
        terminal.text(f"{file}: valid ({experiment.name}: {experiment.task.kind}; arms: {arms})")


def schema() -> None:
    """Print the JSON Schema of the experiment file, for editors."""
    import json

    from ragft.config import experiment_json_schema

    typer.echo(json.dumps(experiment_json_schema(), indent=2))


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write experiment.yaml.")] = Path(),
    quickstart: Annotated[
        bool, typer.Option("--quickstart", help="Also write the quick-start documents and examples.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write a commented starter experiment into a folder."""
    with speaking(debug=debug) as terminal:
        from ragft.config.starter import write_starter

        for path in write_starter(folder, quickstart=quickstart):
            terminal.text(f"wrote {path}")
        if quickstart:
            terminal.say(f"next: ragft compare {folder / 'experiment.yaml'}")
        else:
            terminal.say(f"next: add your documents and examples, then: ragft validate {folder / 'experiment.yaml'}")
