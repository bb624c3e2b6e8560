"""The run folder: its manifest is true from the first moment, however the command ends, and it holds no secret."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest

from ragft import runs
from ragft.errors import RagftError
from ragft.runs import Run

SECRET = "hunter2-token"


def start(runs_dir: Path, **changes: Any) -> Run:
    settings: dict[str, Any] = {"argv": ["ragft", "compare"], "config_yaml": "name: quick\n", "seed": 17}
    return Run.start(runs_dir, "compare", "quick", **settings | changes)


def manifest(run: Run) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((run.path / "manifest.json").read_text())
    return read


def events(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]


def everything_written(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_the_manifest_says_started_before_anything_happens(tmp_path: Path) -> None:
    run = start(tmp_path / "new" / "runs")
    assert re.fullmatch(r"\d{8}T\d{6}Z-compare-quick-[0-9a-f]{8}", run.path.name)
    said = manifest(run)
    assert (said["status"], said["finished_at"], said["error"]) == ("started", None, None)
    assert (said["schema_version"], said["id"], said["command"], said["experiment"]) == (
        runs.SCHEMA_VERSION,
        run.path.name,
        "compare",
        "quick",
    )
    assert (said["argv"], said["seeds"]) == (["ragft", "compare"], {"experiment": 17})
    assert said["started_at"].endswith("+00:00")
    assert said["packages"]["ragft"]
    assert said["hardware"]["cores"] >= 1
    assert (run.path / "config.yaml").read_text() == "name: quick\n"


def test_two_runs_of_one_second_have_two_folders(tmp_path: Path) -> None:
    assert len({start(tmp_path).path for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RagftError("no gold"), "failed", "RagftError: no gold"),
        (ValueError("a fault of ours"), "failed", "ValueError: a fault of ours"),
        (KeyboardInterrupt(), "cancelled", "KeyboardInterrupt: "),
        (SystemExit(1), "failed", "SystemExit: 1"),
    ],
)
def test_the_manifest_says_how_the_command_ended(tmp_path: Path, error: BaseException, status: str, said: str) -> None:
    run = start(tmp_path)
    with pytest.raises(type(error)), run:
        raise error
    assert (manifest(run)["status"], manifest(run)["error"]) == (status, said)
    assert manifest(run)["finished_at"] >= manifest(run)["started_at"]


def test_a_command_that_ends_well_is_a_success_with_its_artifacts_hashed(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        assert run.write_json("probes/noise.json", {"a": 1}) == run.path / "probes" / "noise.json"
        run.write_rows("answers/base.jsonl", [{"b": 2}])
        run.write_text("report.md", "# Report\n")
        run.event("asked", arm="base")
    hashed = {
        "answers/base.jsonl": b'{"b": 2}\n',
        "config.yaml": b"name: quick\n",
        "probes/noise.json": b'{\n  "a": 1\n}\n',
        "report.md": b"# Report\n",
    }
    assert (manifest(run)["status"], manifest(run)["error"]) == ("success", None)
    assert manifest(run)["artifacts"] == {name: hashlib.sha256(data).hexdigest() for name, data in hashed.items()}


def test_what_a_failed_command_wrote_is_hashed_too(tmp_path: Path) -> None:
    run = start(tmp_path)
    with pytest.raises(RagftError), run:
        run.write_text("report.md", "half\n")
        raise RagftError("stop")
    assert set(manifest(run)["artifacts"]) == {"config.yaml", "report.md"}


def test_an_unexpected_error_leaves_its_traceback_in_the_log(tmp_path: Path) -> None:
    run = start(tmp_path)
    with pytest.raises(ZeroDivisionError), run:
        raise ZeroDivisionError("by nought")
    log = (run.path / "log.txt").read_text()
    assert "Traceback" in log
    assert "ZeroDivisionError: by nought" in log


def test_no_file_of_a_run_holds_a_secret(tmp_path: Path) -> None:
    inputs = tmp_path / SECRET
    inputs.mkdir()
    (inputs / "eval.jsonl").write_text("{}\n")
    run = start(
        tmp_path / "runs",
        argv=["ragft", "--set", f"model.source={SECRET}"],
        config_yaml=f"a: {SECRET}\n",
        secrets=frozenset({SECRET, ""}),
    )
    with pytest.raises(ValueError, match=SECRET), run:
        logging.getLogger("ragft.arms").warning("token %s", SECRET)
        run.inputs([inputs / "eval.jsonl"])
        run.note(prompts=[f"p-{SECRET}"], fingerprints={"model": (SECRET, 1)})
        run.event("loaded", paths=[Path(SECRET)])
        raise ValueError(f"bad token {SECRET}")
    written = everything_written(run.path)
    assert SECRET not in written
    said = manifest(run)
    assert said["argv"] == ["ragft", "--set", "model.source=***"]
    assert said["error"] == "ValueError: bad token ***"
    assert said["inputs"] == {f"{tmp_path}/***/eval.jsonl": hashlib.sha256(b"{}\n").hexdigest()}
    assert (said["prompts"], said["fingerprints"]) == (["p-***"], {"model": ["***", 1]})
    assert (run.path / "config.yaml").read_text() == "a: ***\n"
    assert "WARNING ragft.arms: token ***" in written
    assert "Traceback" in written
    assert events(run)[0]["paths"] == ["***"]


@pytest.mark.parametrize("secrets", [["abcd", "abcdefgh"], ["abcdefgh", "abcd"]])
def test_a_secret_within_another_leaves_none_of_it(tmp_path: Path, secrets: list[str]) -> None:
    run = start(tmp_path, argv=["abcdefgh", "abcd!"], secrets=secrets)
    assert manifest(run)["argv"] == ["***", "***!"]


def test_hiding_a_secret_in_the_log_leaves_the_record_to_other_handlers(tmp_path: Path) -> None:
    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append((record.msg, record.args))

    kept: list[tuple[str, Any]] = []
    keeper = Keeper()
    with start(tmp_path, secrets=[SECRET]):
        logging.getLogger("ragft").addHandler(keeper)
        logging.getLogger("ragft").warning("token %s", SECRET)
        logging.getLogger("ragft").removeHandler(keeper)
    assert kept == [("token %s", (SECRET,))]


def test_the_log_is_closed_when_the_command_ends(tmp_path: Path) -> None:
    before = list(logging.getLogger("ragft").handlers)
    with start(tmp_path) as run:
        assert len(logging.getLogger("ragft").handlers) == len(before) + 1
    logging.getLogger("ragft").warning("after the end")
    assert logging.getLogger("ragft").handlers == before
    assert "after the end" not in (run.path / "log.txt").read_text()


def test_a_stage_stands_in_events_and_log_with_its_seconds(tmp_path: Path) -> None:
    with start(tmp_path) as run, run.stage("index"):
        pass
    first, last = events(run)
    assert (first["event"], first["stage"], last["event"], last["stage"]) == (
        *("stage_started", "index"),
        *("stage_finished", "index"),
    )
    assert 0 <= last["seconds"] < 5
    assert first["at"] <= last["at"]
    log = (run.path / "log.txt").read_text()
    assert "INFO ragft: stage index started" in log
    assert "INFO ragft: stage index finished in 0." in log


def test_a_stage_that_fails_is_started_and_not_finished(tmp_path: Path) -> None:
    run = start(tmp_path)
    with pytest.raises(RagftError), run, run.stage("index"):
        raise RagftError("stop")
    assert [row["event"] for row in events(run)] == ["stage_started"]


def test_notes_extend_lists_update_mappings_and_are_written_at_once(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.note(prompts=["a", "b"], fingerprints={"index": "1"}, n=3)
    run.note(prompts=["b", "c"], fingerprints={"model": "2"}, n=4)
    said = manifest(run)
    assert (said["prompts"], said["fingerprints"], said["n"]) == (["a", "b", "c"], {"index": "1", "model": "2"}, 4)
    assert said["status"] == "started"


@pytest.mark.parametrize("where", ["file", "file/runs"])
def test_a_place_that_cannot_hold_runs_is_an_error_with_the_remedy(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RagftError) as caught:
        start(tmp_path / where)
    assert caught.value.message.startswith(f"cannot make the run folder {tmp_path / where}/")
    assert caught.value.message.endswith(": Not a directory")
    assert caught.value.hint == "choose another place with --runs-dir"


def test_a_linked_folder_has_every_file_and_outlives_the_workspace(tmp_path: Path) -> None:
    source = tmp_path / "adapter"
    (source / "deep").mkdir(parents=True)
    (source / "weights.bin").write_bytes(b"weights")
    (source / "deep" / "card.md").write_bytes(b"card")
    run = start(tmp_path / "runs")
    target = run.link_folder(source, "adapter/closed_book")
    assert target == run.path / "adapter" / "closed_book"
    assert (source / "weights.bin").samefile(target / "weights.bin")
    (source / "weights.bin").unlink()
    assert (target / "weights.bin").read_bytes() == b"weights"
    assert (target / "deep" / "card.md").read_bytes() == b"card"


def test_files_are_copied_where_no_link_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuses)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "weights.bin").write_bytes(b"weights")
    target = start(tmp_path / "runs").link_folder(tmp_path / "adapter", "adapter")
    assert (target / "weights.bin").read_bytes() == b"weights"


def test_linking_a_second_folder_to_the_same_name_leaves_the_first_one_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.bin").write_text(name)
    run = start(tmp_path / "runs")
    run.link_folder(tmp_path / "one", "adapter")
    target = run.link_folder(tmp_path / "two", "adapter")
    assert (target / "weights.bin").read_text() == "two"
    assert (tmp_path / "one" / "weights.bin").read_text() == "one"
