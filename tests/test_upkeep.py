"""Roots and pruning: what an experiment file refers to stays, everything else of the index goes, killed or not."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ragft import jsonl
from ragft.arms.roots import Origin, Use, refer
from ragft.arms.upkeep import Pruned, prune
from ragft.config.knowledge import StoreConfig
from ragft.errors import RagftError
from ragft.records import Passage
from ragft.retrieval.bm25 import Bm25Index, bm25_name
from ragft.retrieval.embedding import Vectors, unit
from ragft.retrieval.store import PassageStore
from ragft.retrieval.vector_cache import VectorCache
from ragft.workspace import Workspace

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
ROOT = Path(__file__).resolve().parents[1]


def use(name: str, **more: object) -> Use:
    return Use(name, name, name, **more)  # type: ignore[arg-type]


def by_length(texts: Sequence[str]) -> Vectors:
    return unit([[np.cos(len(text)), np.sin(len(text))] for text in texts])


def passages(count: int = 4) -> list[Passage]:
    return [Passage(f"d{n}#0-6", f"d{n}", "", "word " + "x" * n, 0, 6) for n in range(count)]


def build(workspace: Workspace, name: str, count: int = 4) -> None:
    """Make one index with all of its parts, as a command leaves them."""
    PassageStore(workspace.chroma_dir, name, name).sync(passages(count), by_length)
    Bm25Index.opened(workspace.bm25_dir, name, passages(count))
    cache = VectorCache(workspace.vectors_dir, name)
    cache.documents([passage.text for passage in passages(count)], by_length)
    cache.close()
    jsonl.write_rows(workspace.index_dir / f"{name[:32]}.json", [{"fingerprint": name}])
    jsonl.write_rows(workspace.rankings_path(name), [{"ranked": []}])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / ".ragft").prepare()


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    (tmp_path / "experiment.yaml").touch()
    return tmp_path / "experiment.yaml"


def listed(pruned: Pruned) -> list[tuple[str, str]]:
    return [(item.kind, Path(item.name).name) for item in pruned.items]


PARTS_OF_OLD = [
    ("bm25", bm25_name(OLD)),
    ("collection", f"ragft-{OLD[:32]}"),
    ("journal", f"{OLD[:32]}.jsonl"),
    ("record", f"{OLD[:32]}.json"),
    ("vectors", f"{OLD[:32]}.sqlite3"),
]


def test_what_the_last_command_on_a_file_used_stays_and_what_it_used_before_goes(
    workspace: Workspace, experiment: Path
) -> None:
    for session, name in (("first", OLD), ("second", NEW)):
        refer(workspace, Origin(experiment, session), use(name, journals=(f"rankings/{name[:32]}.jsonl",)))
        build(workspace, name)
    shown = prune(workspace, StoreConfig(), dry_run=True)
    assert listed(shown) == PARTS_OF_OLD
    assert [item.size for item in shown.items if item.kind == "collection"] == [4]
    assert listed(prune(workspace, StoreConfig(), dry_run=True)) == PARTS_OF_OLD  # a dry run changes nothing
    done = prune(workspace, StoreConfig())
    assert listed(done) == PARTS_OF_OLD
    assert done.freed_bytes > 0
    again = prune(workspace, StoreConfig())
    assert (again.items, again.freed_bytes) == ((), 0)
    kept = PassageStore(workspace.chroma_dir, NEW, NEW)
    assert len(kept) == 4
    assert kept.vectors(passages()).shape == (4, 2)
    assert (workspace.bm25_dir / bm25_name(NEW)).is_dir()
    assert workspace.rankings_path(NEW).exists()
    assert len(VectorCache(workspace.vectors_dir, NEW)) == 4


def test_every_variant_of_one_command_stays(workspace: Workspace, experiment: Path) -> None:
    """A sweep over chunk sizes builds several indexes for one file: the last must not push the others out."""
    for name in (OLD, NEW):
        refer(workspace, Origin(experiment, "sweep"), use(name))
        build(workspace, name)
    assert {kind for kind, _ in listed(prune(workspace, StoreConfig()))} == {"journal"}  # no use named the rankings


def test_another_experiment_keeps_its_index_until_its_file_is_gone(workspace: Workspace, experiment: Path) -> None:
    other = experiment.with_name("other.yaml")
    other.touch()
    refer(workspace, Origin(other, "1"), use(OLD, journals=(f"rankings/{OLD[:32]}.jsonl",)))
    refer(workspace, Origin(experiment, "2"), use(NEW))
    build(workspace, OLD)
    assert prune(workspace, StoreConfig()).items == ()
    other.unlink()
    assert prune(workspace, StoreConfig(), dry_run=True).forgotten == (str(other),)
    done = prune(workspace, StoreConfig())
    assert (listed(done), done.forgotten) == (PARTS_OF_OLD, (str(other),))
    assert prune(workspace, StoreConfig()).forgotten == ()


def test_adapters_answers_and_pages_are_no_index(workspace: Workspace, experiment: Path) -> None:
    files = [workspace.adapter_dir(OLD) / "w", workspace.answers_path(OLD), workspace.sources_dir / "web" / "a.page"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    assert prune(workspace, StoreConfig()).items == ()
    assert all(file.exists() for file in files)


def test_what_killed_commands_left_goes_and_what_a_living_one_writes_stays(workspace: Workspace) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = [workspace.model_dir(f".m.{ended.pid}.tmp"), workspace.root / f".holder.json.{ended.pid}.tmp"]
    living = workspace.model_dir(f".m.{os.getpid()}.tmp")
    foreign = workspace.root / "models" / "notes.tmp"
    left[0].mkdir()
    (left[0] / "weights").write_bytes(b"12345")
    for path in (left[1], living, foreign):
        path.touch()
    done = prune(workspace, StoreConfig())
    assert listed(done) == [("leftover", left[1].name), ("leftover", left[0].name)]
    assert done.freed_bytes == 5
    assert living.exists()
    assert foreign.exists()
    assert not left[0].exists()


def test_the_room_of_dropped_collections_is_given_back(workspace: Workspace, experiment: Path) -> None:
    """Chroma deletes rows, and keeps its file as large and the folder of the vectors: also after `--rebuild`."""
    refer(workspace, Origin(experiment, "1"), use(NEW))
    store = PassageStore(workspace.chroma_dir, NEW, NEW)
    store.sync(passages(1200), by_length)
    store.clear()
    store.sync(passages(3), by_length)
    before = sum(path.stat().st_size for path in workspace.chroma_dir.rglob("*") if path.is_file())
    done = prune(workspace, StoreConfig())
    assert [item.kind for item in done.items] == ["segment"]
    assert done.freed_bytes > before / 2
    assert len(PassageStore(workspace.chroma_dir, NEW, NEW)) == 3


def test_a_root_that_cannot_be_read_stops_pruning_before_anything_goes(workspace: Workspace, experiment: Path) -> None:
    build(workspace, OLD)
    (workspace.roots_dir / "x.json").write_text('{"experiment": 1}')
    with pytest.raises(RagftError, match=r"x\.json: cannot be read, so that nobody can tell what is still used"):
        prune(workspace, StoreConfig())
    assert workspace.rankings_path(OLD).exists()


PRUNE = """
import sys
from pathlib import Path
from ragft.arms.upkeep import prune
from ragft.config.knowledge import StoreConfig
from ragft.retrieval import pruning
from ragft.workspace import Workspace
import os, shutil, signal
left = int(sys.argv[2])

def counted(real):
    def call(*given, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)
    return call

Path.unlink, Path.rename, os.unlink = counted(Path.unlink), counted(Path.rename), counted(os.unlink)
pruning._compact, pruning._drop_collections = counted(pruning._compact), counted(pruning._drop_collections)
prune(Workspace(Path(sys.argv[1])), StoreConfig())
"""


@pytest.mark.slow
def test_a_pruning_that_is_killed_at_any_step_leaves_a_workspace_that_works(tmp_path: Path) -> None:
    """Killed before its first, second, ... removal, until one ends by itself: nothing half gone is taken for whole."""
    for step in range(100):
        workspace = Workspace(tmp_path / str(step) / ".ragft").prepare()
        file = tmp_path / str(step) / "experiment.yaml"
        file.touch()
        refer(workspace, Origin(file, "1"), use(NEW, journals=(f"rankings/{NEW[:32]}.jsonl",)))
        for name in (OLD, NEW):
            build(workspace, name)
        done = subprocess.run([sys.executable, "-c", PRUNE, str(workspace.root), str(step)], cwd=ROOT, check=False)
        for name in (NEW, OLD):  # the old one is made anew where it went, and used where it did not
            build(workspace, name)
            assert len(PassageStore(workspace.chroma_dir, name, name)) == 4
            assert len(Bm25Index.opened(workspace.bm25_dir, name, passages()).search(["word"], 9)[0]) == 4
        prune(workspace, StoreConfig())
        assert prune(workspace, StoreConfig()).items == ()
        if done.returncode == 0:
            assert step > 5
            return
        assert done.returncode == -signal.SIGKILL
    raise AssertionError("it never ended")


def test_a_log_without_its_file_goes_too(workspace: Workspace) -> None:
    """What a pruning leaves that was killed between a file of vectors and its log."""
    workspace.vectors_dir.mkdir()
    (workspace.vectors_dir / f"{OLD[:32]}.sqlite3-wal").write_bytes(b"xy")
    done = prune(workspace, StoreConfig())
    assert (listed(done), done.freed_bytes) == ([("vectors", f"{OLD[:32]}.sqlite3")], 2)
    assert list(workspace.vectors_dir.iterdir()) == []


def test_a_store_that_is_being_read_is_said_to_stay_as_large(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(workspace, OLD)

    def busy(*given: object, **named: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr("ragft.retrieval.pruning._segments", lambda folder: iter(()))
    monkeypatch.setattr("ragft.retrieval.pruning.sqlite3.connect", busy)
    with pytest.raises(RagftError, match="what was dropped still takes its room: database is locked"):
        prune(workspace, StoreConfig())
