"""The command that hands an adapter on: export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragft.cli.options import RUNS, WAIT_S, WORKSPACE, Debug, Json, Quiet, RunsDir, Wait, WorkspaceDir
from ragft.cli.running import held, speaking

if TYPE_CHECKING:
    from ragft.arms.adapters import Adapters
    from ragft.console import Terminal
    from ragft.workspace import Workspace


def export(
    source: Annotated[
        str, typer.Argument(metavar="RUN|FILE", help="A run that trained adapters, or an experiment file.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where to write it.")],
    adapter: Annotated[
        str | None, typer.Option("--adapter", "-a", help="The adapter; may be left out where there is one only.")
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Write a plain model: the base with the adapter added into its weights.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier export; other files stay.")] = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS,
    workspace: WorkspaceDir = WORKSPACE,
    wait: Wait = WAIT_S,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write an adapter, or the merged model, as a folder ready for huggingface-cli upload."""
    with speaking(debug=debug, quiet=quiet) as terminal:
        from ragft.workspace import Workspace

        space = Workspace(workspace.expanduser().resolve()).prepare()
        with held(space, f"ragft export {source}", wait, terminal):
            folder, measured = _found(source, adapter, runs_dir, space, terminal)
            from ragft.export import export as run_export
            from ragft.export import record_of

            base = _base(record_of(folder), space)
            done = run_export(folder, base, to.expanduser(), merge=merge, force=force, measured=measured)
        if as_json:
            terminal.json({"folder": done.folder, "files": done.files, "merged": done.merged})
            return
        terminal.text(f"exported: {done.folder} ({len(done.files)} files)")
        terminal.say(f"upload it with: huggingface-cli upload USER/NAME {done.folder}")


def _found(source: str, adapter: str | None, runs_dir: Path, space: Workspace, terminal: Terminal) -> tuple[Path, Any]:
    """Return the adapter's folder and, from a run that compared, what was measured with it."""
    from ragft.export import measured_in

    if Path(source).expanduser().is_file():
        return _of_file(Path(source).expanduser(), adapter, space, terminal), None
    from ragft.archive import find_run

    run = find_run(runs_dir, source).path
    folders = {path.name: path for path in sorted((run / "adapter").glob("*")) if path.is_dir()}
    folder = folders[_chosen(adapter, list(folders), f"the run {run.name}")]
    return folder, measured_in(run, folder.name) or measured_in(run, folder.name.rpartition("-seed")[0])


def _of_file(file: Path, adapter: str | None, space: Workspace, terminal: Terminal) -> Path:
    from ragft.arms.adapters import Adapters
    from ragft.arms.bench import Bench
    from ragft.arms.knowledge import Knowledge
    from ragft.config import load_experiment
    from ragft.errors import RagftError

    bench = Bench(load_experiment(file).experiment, space, terminal)
    adapters = Adapters(bench, Knowledge(bench) if bench.documents else None)
    titles = _titles(adapters, list(bench.experiment.adapters))
    title = _chosen(adapter, list(titles), str(file))
    name, seed = titles[title]
    if not adapters.is_trained(name, seed):
        raise RagftError(f"the adapter {title} is not trained as the file now says", f"run: ragft finetune {file}")
    return adapters.folder(name, seed)


def _titles(adapters: Adapters, names: list[str]) -> dict[str, tuple[str, int]]:
    return {adapters.title(name, seed): (name, seed) for name in names for seed in adapters.seeds(name)}


def _chosen(adapter: str | None, known: list[str], where: str) -> str:
    from ragft.errors import RagftError

    if adapter is None and len(known) == 1:
        return known[0]
    if adapter in known and adapter is not None:
        return adapter
    named = f"no adapter {adapter!r}" if adapter is not None else "several adapters" if known else "no adapters"
    raise RagftError(
        f"{where} has {named}", f"name one with --adapter: {', '.join(known)}" if known else "ragft finetune FILE"
    )


def _base(record: dict[str, Any], space: Workspace) -> Any:  # noqa: ANN401 - models.sources.ModelFolder
    """Return the folder of the base model that the adapter's record names."""
    from ragft.models.sources import resolve

    def convert(folder: Path, file: str, target: Path) -> None:
        from ragft.models.language_model import convert_gguf

        convert_gguf(folder, file, target)

    return resolve(record["base_source"], record["base_revision"], space, convert)
