"""Fingerprints: the same for the same content in any order, another for any change; and what made the numbers."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft import __version__, provenance

CALM = settings(deadline=None, max_examples=40)


def test_a_fingerprint_is_the_hash_of_canonical_json() -> None:
    assert (
        provenance.fingerprint({"b": [1, "é"], "a": None})
        == hashlib.sha256('{"a":null,"b":[1,"é"]}'.encode()).hexdigest()
    )


@CALM
@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=2))
def test_the_order_of_keys_does_not_change_a_fingerprint(value: dict[str, int | str]) -> None:
    turned = dict(reversed(value.items()))
    assert provenance.fingerprint({"x": value}) == provenance.fingerprint({"x": turned})


@pytest.mark.parametrize(
    "other",
    [
        {"a": [1, 2, 3], "b": "x"},
        {"a": [2, 1], "b": "x"},
        {"a": [1, 2], "b": "y"},
        {"a": [1, 2]},
        {"a": ["1", 2], "b": "x"},
    ]
    + [
        {"a": [1, 2], "b": "x", "c": None},
        {"a": [[1], 2], "b": "x"},
        {"a": [1, 2], "c": "x"},
        {"a": [True, 2], "b": "x"},
    ],
)
def test_any_change_of_content_changes_a_fingerprint(other: object) -> None:
    assert provenance.fingerprint({"a": [1, 2], "b": "x"}) != provenance.fingerprint(other)


def test_text_that_is_no_utf_8_has_a_hash_too() -> None:
    assert len(provenance.sha256_text("half \ud800")) == 64
    assert provenance.sha256_text("é") == hashlib.sha256(b"\xc3\xa9").hexdigest()


def test_the_print_of_the_code_depends_on_the_files_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    for name in ("provenance.py", "data/a.py", "data/b.py", "prompts.py"):
        (tmp_path / name).write_text(f"# {name}\n")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))

    def print_of(*parts: str) -> str:
        provenance.code_fingerprint.cache_clear()
        return provenance.code_fingerprint(*parts)

    first = print_of("data", "prompts.py")
    assert print_of("data", "prompts.py") == first
    (tmp_path / "data" / "notes.txt").write_text("no code")
    (tmp_path / "provenance.py").write_text("# not named\n")
    assert print_of("data", "prompts.py") == first
    (tmp_path / "data" / "b.py").write_text("# edited\n")
    edited = print_of("data", "prompts.py")
    assert edited != first
    (tmp_path / "prompts.py").write_text("# edited\n")
    assert print_of("data", "prompts.py") not in (first, edited)
    with pytest.raises(FileNotFoundError):
        print_of("gone.py")
    provenance.code_fingerprint.cache_clear()


def test_the_code_of_ragft_has_a_print() -> None:
    assert provenance.code_fingerprint("data", "runs.py") != provenance.code_fingerprint("runs.py")


def test_outside_a_repository_there_is_no_git_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state(tmp_path) is None


def test_without_git_there_is_no_git_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state(tmp_path) is None


def test_a_checkout_has_its_commit_and_whether_it_is_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "checkout"
    folder.mkdir()

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    assert provenance.git_state(folder) is None  # nothing is committed yet
    git("commit", "-q", "--allow-empty", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert provenance.git_state(folder) == {"commit": commit, "dirty": False}
    (folder / "new").touch()
    assert provenance.git_state(folder) == {"commit": commit, "dirty": True}


def test_a_checkout_that_git_cannot_look_through_is_not_called_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "_git", lambda _, *arguments: "abc" if arguments[0] == "rev-parse" else None)
    assert provenance.git_state(tmp_path) == {"commit": "abc", "dirty": None}


def test_versions_name_ragft_first_and_only_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("pydantic", "no-such-package-of-ragft"))
    versions = provenance.package_versions()
    assert list(versions) == ["ragft", "python", "pydantic"]
    assert versions["ragft"] == __version__


def test_the_hardware_is_described() -> None:
    found = provenance.hardware()
    assert set(found) == {"processor", "cores", "memory_bytes", "platform"}
    assert found["processor"]
    assert found["cores"] >= 1
