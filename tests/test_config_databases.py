"""Addresses of SQLite files: relative ones start at the experiment file, and the resolved copy keeps that anchor."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragft.config import LoadedExperiment, load_experiment
from ragft.config.databases import relative_part
from ragft.config.knowledge import DatabaseSource

TEXT = """\
name: facts
task: qa
data:
  documents: {{kind: database, url: "{url}", query: "SELECT 1"}}
  train: train.jsonl
  eval: eval.jsonl
"""


def load(folder: Path, url: str, **environment: str) -> LoadedExperiment:
    folder.mkdir(exist_ok=True)
    (folder / "experiment.yaml").write_text(TEXT.format(url=url), encoding="utf-8")
    return load_experiment(folder / "experiment.yaml", (), environment)


def url_of(loaded: LoadedExperiment) -> str:
    (source,) = loaded.experiment.data.documents
    assert isinstance(source, DatabaseSource)
    return source.url


@pytest.mark.parametrize(
    ("written", "anchored"),
    [
        ("sqlite:///facts.db", "sqlite:///{}/facts.db"),
        ("sqlite:///data/facts.db?timeout=5", "sqlite:///{}/data/facts.db?timeout=5"),
        ("sqlite+pysqlite:///../facts.db", "sqlite+pysqlite:///{}/../facts.db"),
        ("sqlite:///file:facts.db?mode=ro&uri=true", "sqlite:///file:{}/facts.db?mode=ro&uri=true"),
        ("sqlite:////var/facts.db", "sqlite:////var/facts.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:x?mode=memory&uri=true", "sqlite:///file:x?mode=memory&uri=true"),
        ("postgresql://me@host/facts.db", "postgresql://me@host/facts.db"),
        ("mysql+pymysql://me@host:3306/sqlite:///x", "mysql+pymysql://me@host:3306/sqlite:///x"),
    ],
)
def test_a_relative_file_starts_at_the_experiment_file(tmp_path: Path, written: str, anchored: str) -> None:
    assert url_of(load(tmp_path / "here", written)) == anchored.format(tmp_path / "here")


def test_the_home_folder_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert url_of(load(tmp_path / "here", "sqlite:///~/facts.db")) == f"sqlite:///{tmp_path}/facts.db"


@pytest.mark.parametrize(
    ("written", "environment", "resolved"),
    [
        ("sqlite:///facts.db", {}, "sqlite:///HERE/facts.db"),
        ("sqlite:///${NAME}.db", {"NAME": "facts"}, "sqlite:///HERE/${NAME}.db"),
        ("sqlite:///${FOLDER}/facts.db", {"FOLDER": "/var/data"}, "sqlite:///${FOLDER}/facts.db"),
        ("postgresql://me:${PASSWORD}@host/facts", {"PASSWORD": "hunter2"}, "postgresql://me:${PASSWORD}@host/facts"),
        # The anchor would stand inside the value, which is never written.
        ("${ADDRESS}", {"ADDRESS": "sqlite:///facts.db"}, "${ADDRESS}"),
        ("${START}facts.db", {"START": "sqlite:///"}, "${START}facts.db"),
    ],
)
def test_the_resolved_copy_shows_the_anchor_and_never_a_value(
    tmp_path: Path, written: str, environment: dict[str, str], resolved: str
) -> None:
    loaded = load(tmp_path / "here", written, **environment)
    (source,) = loaded.resolved()["data"]["documents"]
    assert source["url"] == resolved.replace("HERE", str(tmp_path / "here"))
    assert "hunter2" not in loaded.resolved_yaml()


def test_the_resolved_copy_reads_the_same_file_from_another_folder(tmp_path: Path) -> None:
    loaded = load(tmp_path / "here", "sqlite:///data/${NAME}.db", NAME="facts")
    (tmp_path / "copy.yaml").write_text(loaded.resolved_yaml(), encoding="utf-8")
    again = load_experiment(tmp_path / "copy.yaml", (), {"NAME": "facts"})
    assert url_of(again) == url_of(loaded) == f"sqlite:///{tmp_path}/here/data/facts.db"


def test_where_a_relative_path_begins_by_hand() -> None:
    assert relative_part("sqlite:///a.db") == 10
    assert relative_part("sqlite:///file:a.db") == 15
    assert relative_part("sqlite:////a.db") is None
    assert relative_part("sqlite:///?mode=memory") is None
