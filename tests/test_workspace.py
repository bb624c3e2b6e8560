"""The workspace: one command writes at a time, a killed one holds nothing, and what is there is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragft.errors import RagftError
from ragft.workspace import Workspace

HOLDER = """
import sys
from pathlib import Path
from ragft.workspace import Workspace
with Workspace(Path(sys.argv[1])).locked("ragft finetune", wait_s=0, on_wait=print):
    print("held", flush=True)
    sys.stdin.readline()
"""

ROOT = Path(__file__).resolve().parents[1]

Hold = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / ".ragft").prepare()


@pytest.fixture
def hold(workspace: Workspace) -> Iterator[Hold]:
    """Return a function that starts another process which holds the workspace until it is given a line."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, str(workspace.root)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def no_waiting(holder: str) -> None:
    raise AssertionError(f"waited for {holder}")


def test_preparing_makes_the_folders_and_keeps_them_out_of_git(workspace: Workspace) -> None:
    assert (workspace.root / ".gitignore").read_text() == "*\n"
    (workspace.root / ".gitignore").write_text("models\n")
    assert workspace.prepare() is workspace
    assert (workspace.root / ".gitignore").read_text() == "models\n"
    for path in (workspace.adapter_dir("f"), workspace.training_dir("f"), workspace.answers_path("f")):
        assert path.parent.is_dir()
    assert workspace.model_dir("m").parent.is_dir()
    assert workspace.index_dir.is_dir()


def test_a_place_that_cannot_hold_a_workspace_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / ".ragft"):
        with pytest.raises(RagftError) as caught:
            Workspace(root).prepare()
        assert caught.value.message == f"cannot write the workspace {root}: Not a directory"
        assert caught.value.hint == "choose another place with --workspace"


def test_a_workspace_of_another_user_is_an_error(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (workspace.root, os.W_OK))
    with pytest.raises(RagftError, match=r"cannot write the workspace .*: Permission denied"):
        workspace.prepare()


def test_the_holder_is_on_record_while_the_lock_is_held(workspace: Workspace) -> None:
    with workspace.locked("ragft index", wait_s=0, on_wait=no_waiting):
        holder = json.loads((workspace.root / "holder.json").read_text())
        assert holder == {"pid": os.getpid(), "command": "ragft index"}
    assert not (workspace.root / "holder.json").exists()
    with workspace.locked("ragft compare", wait_s=0, on_wait=no_waiting):
        pass


def test_a_failing_command_gives_the_lock_back(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="stop"), workspace.locked("a", wait_s=0, on_wait=no_waiting):
        raise ValueError("stop")
    with workspace.locked("b", wait_s=0, on_wait=no_waiting):
        pass


def test_a_second_process_is_told_who_holds_the_workspace_and_waits(workspace: Workspace, hold: Hold) -> None:
    first = hold()
    told: list[str] = []

    def let_go(holder: str) -> None:
        told.append(holder)
        assert first.poll() is None
        assert first.stdin is not None
        first.stdin.write("\n")
        first.stdin.flush()

    with workspace.locked("ragft index", wait_s=30, on_wait=let_go):
        assert first.wait(timeout=30) == 0
        assert json.loads((workspace.root / "holder.json").read_text())["pid"] == os.getpid()
    assert told == [f"`ragft finetune` (process {first.pid})"]


def test_waiting_in_vain_is_an_error_that_names_the_holder(workspace: Workspace, hold: Hold) -> None:
    first = hold()
    told: list[str] = []
    with (
        pytest.raises(RagftError) as caught,
        workspace.locked("ragft index", wait_s=0.1, on_wait=told.append),
    ):
        raise AssertionError("both hold it")
    name = f"`ragft finetune` (process {first.pid})"
    assert caught.value.message == f"the workspace {workspace.root} is held by {name}"
    assert "--wait" in (caught.value.hint or "")
    assert told == [name]
    assert json.loads((workspace.root / "holder.json").read_text())["pid"] == first.pid


def test_the_lock_of_a_killed_process_is_free(workspace: Workspace, hold: Hold) -> None:
    first = hold()
    first.send_signal(signal.SIGKILL)
    assert first.wait(timeout=30) == -signal.SIGKILL
    assert (workspace.root / "holder.json").exists()  # nobody could take it away, and it means nothing
    with workspace.locked("ragft index", wait_s=0, on_wait=no_waiting):
        assert json.loads((workspace.root / "holder.json").read_text())["command"] == "ragft index"


@pytest.mark.parametrize("record", [None, "", "{"])
def test_a_holder_whose_record_cannot_be_read_is_another_command(
    workspace: Workspace, hold: Hold, record: str | None
) -> None:
    hold()
    (workspace.root / "holder.json").unlink()
    if record is not None:
        (workspace.root / "holder.json").write_text(record)
    with (
        pytest.raises(RagftError, match="is held by another command$"),
        workspace.locked("ragft index", wait_s=0, on_wait=lambda _: None),
    ):
        pass


def test_what_is_built_appears_whole(workspace: Workspace) -> None:
    target = workspace.adapter_dir("f" * 64)
    with workspace.building(target) as folder:
        (folder / "weights").write_text("new")
        assert not target.exists()
        assert folder.parent == target.parent
    assert [path.name for path in target.parent.iterdir()] == ["f" * 32]
    assert (target / "weights").read_text() == "new"


def test_building_again_replaces_the_old_folder(workspace: Workspace) -> None:
    target = workspace.model_dir("m")
    for name in ("old", "new"):
        with workspace.building(target) as folder:
            (folder / name).touch()
    assert [path.name for path in target.iterdir()] == ["new"]


def test_a_build_that_fails_leaves_what_was_there(workspace: Workspace) -> None:
    target = workspace.model_dir("m")
    with workspace.building(target) as folder:
        (folder / "weights").write_text("old")
    with pytest.raises(KeyboardInterrupt), workspace.building(target) as folder:
        (folder / "weights").write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in target.parent.iterdir()] == ["m"]
    assert (target / "weights").read_text() == "old"
