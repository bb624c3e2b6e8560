"""Files that are no experiment at all: missing, no text, no YAML, no mapping, or any heap of YAML's characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.config import load_experiment
from ragft.config.faults import shown
from ragft.errors import ConfigError

CALM = settings(deadline=None, max_examples=60)  # a busy machine is no fault of the code
SHORTEST = "name: quick\ntask: qa\ndata: {documents: docs, train: train.jsonl, eval: eval.jsonl}\n"


def test_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_experiment(Path("experiment.yaml"))
    assert caught.value.faults == ["experiment.yaml: there is no such file"]
    assert caught.value.hint == "`ragft init` writes a starter experiment file"


def test_a_folder_instead_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick").mkdir()
    with pytest.raises(ConfigError, match="quick: is a folder, not an experiment file") as caught:
        load_experiment(Path("quick"))
    assert caught.value.hint == "`ragft init` writes a starter experiment file"
    (tmp_path / "quick" / "experiment.yaml").touch()
    with pytest.raises(ConfigError) as caught:
        load_experiment(Path("quick"))
    assert caught.value.hint == "name the file: quick/experiment.yaml"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        load_experiment(tmp_path / "file" / "experiment.yaml")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "experiment.yaml: is empty"),
        (b"# only a comment\n", "experiment.yaml: is empty"),
        (b"\n- a\n- b\n", "experiment.yaml:2: must be a mapping (`key: value` lines), not a list"),
        (b"quick\n", "experiment.yaml:1: must be a mapping (`key: value` lines), not one value"),
        (b"name: quick\ntask: \xff\n", "experiment.yaml:2: is not UTF-8 text (byte 0xff)"),
        (
            b"name: quick\ntask: [qa\n",
            "experiment.yaml:3: is not valid YAML at column 1: expected ',' or ']', but got '<stream end>'",
        ),
        (
            b"name: quick\n\ttask: qa\n",
            "experiment.yaml:2: is not valid YAML at column 1: found character '\\t' that cannot start any token",
        ),
        (
            b"name: quick\ntask: q\x07a\n",
            "experiment.yaml:2: is not valid YAML at column 8: the character U+0007 is not allowed",
        ),
        (
            b"name: quick\n---\ntask: qa\n",
            "experiment.yaml:2: is not valid YAML at column 1: but found another document",
        ),
        (b"a: " + b"[" * 5000, "experiment.yaml: is nested too deeply to be read"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, fault: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiment.yaml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path / "experiment.yaml")
    assert caught.value.faults == [fault]


def test_a_file_outside_the_current_directory_is_shown_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path / "there.yaml")
    assert caught.value.faults == [f"{tmp_path}/there.yaml: there is no such file"]


# Nothing that can be written makes it crash

YAML_PIECES = st.sampled_from(
    [
        "name",
        "task",
        "data",
        "eval",
        "model",
        "adapters",
        "compare",
        "arms",
        "kind",
        "qa",
        ": ",
        "\n",
        "\n  ",
        "- ",
        "[",
        "]",
    ]
    + [
        "{",
        "}",
        ", ",
        "${A}",
        "${",
        "&a ",
        "*a",
        "!t ",
        "'",
        '"',
        "#",
        "|",
        "1e5",
        "null",
        "? ",
        "~",
        "\t",
        "${B:-x}",
        "documents",
    ]
)


@CALM
@given(
    st.lists(YAML_PIECES, max_size=25).map("".join),
    st.lists(st.lists(YAML_PIECES, max_size=6).map("".join), max_size=2),
)
def test_any_text_is_an_experiment_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, overrides: list[str]
) -> None:
    path = tmp_path_factory.mktemp("config") / "e.yaml"
    path.write_text(SHORTEST + text, encoding="utf-8")
    try:
        load_experiment(path, overrides, {"A": "value"}).resolved_yaml()
    except ConfigError as error:
        assert all(fault.startswith((f"{shown(path)}:", "--set ")) for fault in error.faults)
