"""Runs after they have ended: what a word means, what differs, what may be removed, and what a broken folder says."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ragft import jsonl
from ragft.archive import (
    StoredRun,
    change_tags,
    details,
    diff_runs,
    find_run,
    list_runs,
    open_run,
    plan_prune,
    prune,
    record_artifacts,
    select,
    summarise,
)
from ragft.archive.changes import Change, changes, file_changes
from ragft.config.sections import NAME_PATTERN
from ragft.errors import DataError, RagftError
from ragft.runs import SCHEMA_VERSION, TAG_PATTERN, Run

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def make_run(runs_dir: Path, end: str, day: int = 1, **facts: Any) -> Path:
    """Write a run folder by hand: begun at 10:00 on a day of November 2026, ended a minute later."""
    command, experiment = facts.get("command", "compare"), facts.get("experiment", "quick")
    path = runs_dir / f"202611{day:02}T100000Z-{command}-{experiment}-{end}"
    path.mkdir(parents=True)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "id": path.name,
        "command": command,
        "experiment": experiment,
        "tags": [],
        "argv": ["/usr/bin/ragft", command, "quick.yaml"],
        "status": "success",
        "started_at": f"2026-11-{day:02}T10:00:00+00:00",
        "finished_at": f"2026-11-{day:02}T10:01:00+00:00",
        "git": None,
        "packages": {"ragft": "1", "torch": "2"},
        "hardware": {"cores": 2},
        "inputs": {},
        "artifacts": {},
        "fingerprints": {},
        "error": None,
    }
    jsonl.write_json(path / "manifest.json", manifest | facts)
    (path / "config.yaml").write_text("name: quick\n", encoding="utf-8")
    return path


def ids(runs: Sequence[StoredRun]) -> list[str]:
    return [run.short_id for run in runs]


def refused(runs_dir: Path, text: str, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        find_run(runs_dir, text, **options)
    return caught.value


# ------------------------------------------------------------------------------------------------------------- listing


def test_runs_are_listed_newest_first_and_other_folders_are_not(tmp_path: Path) -> None:
    for end, day in (("aaaaaaaa", 2), ("bbbbbbbb", 9), ("cccccccc", 5)):
        make_run(tmp_path, end, day)
    (tmp_path / "notes").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "README.md").write_text("words")
    assert ids(list_runs(tmp_path)) == ["bbbbbbbb", "cccccccc", "aaaaaaaa"]


BROKEN = [
    (None, "manifest.json: there is no such file"),
    ("", "manifest.json: not valid JSON: Expecting value (line 1, column 1)"),
    ('{"id": "x"', "manifest.json: not valid JSON: Expecting ',' delimiter (line 1, column 11)"),
    ("[]", "manifest.json: expected an object, found list"),
    ("{}", "manifest.json: schema_version should be a whole number, found None"),
    ('{"schema_version": 0}', "manifest.json: written in format 0, which ragft no longer reads"),
    (
        f'{{"schema_version": {SCHEMA_VERSION + 1}}}',
        f"manifest.json: written in format {SCHEMA_VERSION + 1}, and this ragft reads up to {SCHEMA_VERSION}: "
        "upgrade ragft",
    ),
    (f'{{"schema_version": {SCHEMA_VERSION}}}', "manifest.json: id should be text, found None"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN)
def test_a_broken_manifest_is_listed_with_the_reason_and_hides_no_other_run(
    tmp_path: Path, text: str | None, reason: str
) -> None:
    path = make_run(tmp_path, "aaaaaaaa", 3)
    if text is None:
        (path / "manifest.json").unlink()
    else:
        (path / "manifest.json").write_text(text)
    make_run(tmp_path, "bbbbbbbb", 1)
    broken, whole = list_runs(tmp_path)
    assert (broken.status, broken.fault, broken.short_id) == ("unreadable", reason, "aaaaaaaa")
    assert broken.started_at == datetime(2026, 11, 3, 10, tzinfo=UTC)  # from the name of the folder
    assert summarise(broken).decision is None
    assert whole.status == "success"
    assert refused(tmp_path, "aaaaaaaa").message == f"{path}: not a readable run: {reason}"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"status": "done"}, "status should be one of started, success, failed, cancelled, found 'done'"),
        ({"started_at": "yesterday"}, "started_at should be a time, found 'yesterday'"),
        ({"finished_at": 7.5}, "finished_at should be a time, found 7.5"),
        ({"tags": "nightly"}, "tags should be a list of texts"),
        ({"inputs": []}, "inputs should be an object, found list"),
    ],
)
def test_a_manifest_with_a_wrong_kind_of_value_is_unreadable(
    tmp_path: Path, facts: dict[str, Any], reason: str
) -> None:
    make_run(tmp_path, "aaaaaaaa", **facts)
    assert [run.fault for run in list_runs(tmp_path)] == [f"manifest.json: {reason}"]


def test_a_manifest_that_is_no_text_is_unreadable(tmp_path: Path) -> None:
    (make_run(tmp_path, "aaaaaaaa") / "manifest.json").write_bytes(b"\xff\xfe\x00")
    assert [run.fault for run in list_runs(tmp_path)] == ["manifest.json: not JSON in UTF-8"]


def test_a_run_that_never_ended_is_unfinished(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaaa", status="started", finished_at=None)
    (run,) = list_runs(tmp_path)
    assert (run.status, run.seconds) == ("unfinished", None)


def test_a_run_without_tags_in_its_manifest_is_read(tmp_path: Path) -> None:
    path = make_run(tmp_path, "aaaaaaaa")
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["tags"]
    jsonl.write_json(path / "manifest.json", manifest)
    assert open_run(path).tags == ()


def test_a_missing_folder_of_runs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder") as caught:
        list_runs(tmp_path / "no")
    assert caught.value.hint == "name the folder of the runs with --runs-dir"


def test_the_summary_names_what_is_shipped_and_its_score(tmp_path: Path) -> None:
    path = make_run(tmp_path, "aaaaaaaa")
    jsonl.write_json(path / "verdict.json", {"decision": "ship", "arm": "rag"})
    rows = [("base", "f1", 0.1), ("rag", "em", 0.2), ("rag", "f1", 0.3)]
    metrics = [{"arm": arm, "metric": metric, "value": value} for arm, metric, value in rows]
    jsonl.write_json(path / "metrics.json", {"primary_metric": "f1", "metrics": metrics})
    found = summarise(open_run(path))
    assert (found.decision, found.arm, found.primary_metric, found.score) == ("ship", "rag", "f1", 0.3)
    assert found.size_bytes == sum(file.stat().st_size for file in path.iterdir())


def test_a_broken_verdict_is_said_and_not_raised(tmp_path: Path) -> None:
    path = make_run(tmp_path, "aaaaaaaa")
    (path / "verdict.json").write_text("{")
    assert summarise(open_run(path)).decision == "unreadable"
    assert details(open_run(path)).faults[0].startswith("verdict.json: not valid JSON")


def test_the_details_have_stages_missing_files_and_shared_bytes(tmp_path: Path) -> None:
    path = make_run(tmp_path / "runs", "aaaaaaaa", artifacts={"metrics.json": "0", "gone.json": "0"})
    jsonl.write_json(path / "metrics.json", {})
    (path / "weights").write_bytes(b"12345")
    os.link(path / "weights", tmp_path / "elsewhere")
    events = [{"event": "stage_started", "stage": "index"}, {"event": "stage_finished", "stage": "index", "seconds": 2}]
    jsonl.write_rows(path / "events.jsonl", [*events, {"event": "stage_started", "stage": "ask base"}])
    with (path / "events.jsonl").open("a") as file:
        file.write('{"event": "stage_fin')  # the command was killed while it wrote
    found = details(open_run(path))
    assert [(stage.name, stage.seconds) for stage in found.stages] == [("index", 2.0), ("ask base", None)]
    assert (found.missing, found.shared_bytes) == (("gone.json",), 5)


def test_select_takes_any_status_and_every_tag(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaaa", 1, tags=["ci", "best"])
    make_run(tmp_path, "bbbbbbbb", 2, tags=["ci"], status="failed")
    make_run(tmp_path, "cccccccc", 3, command="index", experiment="other")
    runs = list_runs(tmp_path)
    assert ids(select(runs, tags=["ci", "best"])) == ["aaaaaaaa"]
    assert ids(select(runs, statuses=["failed", "cancelled"])) == ["bbbbbbbb"]
    assert ids(select(runs, experiment="other", command="index")) == ["cccccccc"]
    assert select(runs, experiment="other", command="compare") == []


# ------------------------------------------------------------------------------------------------- what a word means


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three runs: two of `quick` (the older is tagged, the newer failed) and one of `other` between them."""
    make_run(tmp_path, "aaaa1111", 1, tags=["baseline", "ci"])
    make_run(tmp_path, "aaaa2222", 3, status="failed", tags=["ci"])
    make_run(tmp_path, "bbbb3311", 2, experiment="other", command="index")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("latest", "aaaa2222"),
        ("latest:quick", "aaaa2222"),
        ("latest:other", "bbbb3311"),
        ("baseline", "aaaa1111"),
        ("20261102", "bbbb3311"),
        ("3311", "bbbb3311"),
        ("quick-aaaa1111", "aaaa1111"),
        ("aaaa2", "aaaa2222"),  # the beginning of the short id, as people write commits
        ("20261101T100000Z-compare-quick-aaaa1111", "aaaa1111"),
    ],
)
def test_a_run_is_found_by(three: Path, text: str, meant: str) -> None:
    assert find_run(three, text).short_id == meant


def test_a_run_is_found_by_its_path_wherever_it_lies(three: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("far") / "renamed"
    shutil.move(three / "20261102T100000Z-index-other-bbbb3311", place)
    found = find_run(three / "no such folder", str(place))
    assert (found.path, found.short_id) == (place, "bbbb3311")


def test_a_renamed_folder_is_found_by_its_id_and_by_its_name(three: Path) -> None:
    (three / "20261102T100000Z-index-other-bbbb3311").rename(three / "keep-this")
    assert find_run(three, "keep-this").short_id == "bbbb3311"
    assert find_run(three, "bbbb3311").path.name == "keep-this"


def test_an_ambiguous_word_lists_the_candidates(three: Path) -> None:
    error = refused(three, "aaaa")
    assert error.message == (
        "'aaaa' could be 2 runs:\n"
        "  20261103T100000Z-compare-quick-aaaa2222 (ci)\n"
        "  20261101T100000Z-compare-quick-aaaa1111 (baseline, ci)"
    )
    assert error.hint == "write the short id at the end of the one you mean"
    assert refused(three, "ci").message.startswith("'ci' could be 2 runs:")
    assert refused(three, "11").message.startswith("'11' could be 2 runs:")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("basline", "did you mean baseline?"),
        ("aaa22222", "did you mean aaaa2222?"),
        ("quick", "latest:quick is the newest run of that experiment"),
        ("zzz", "`ragft runs list` shows the runs"),
        ("", "`ragft runs list` shows the runs"),
    ],
)
def test_an_unknown_word_names_the_nearest(three: Path, text: str, hint: str) -> None:
    error = refused(three, text)
    assert (error.message, error.hint) == (f"there is no run {text!r} in {three}", hint)


def test_latest_of_an_experiment_that_is_not_there(three: Path) -> None:
    error = refused(three, "latest:quik")
    assert error.message == f"there is no readable run of the experiment 'quik' in {three}"
    assert error.hint == "experiments there: other, quick"


def test_latest_can_be_asked_of_one_command_and_passes_over_what_is_unreadable(three: Path) -> None:
    assert find_run(three, "latest", command="index").short_id == "bbbb3311"
    make_run(three, "cccccccc", 9, schema_version=99)
    assert find_run(three, "latest").short_id == "aaaa2222"


def test_an_unreadable_run_is_refused_with_what_to_do(three: Path) -> None:
    path = make_run(three, "cccccccc", 9, schema_version=99)
    assert "upgrade ragft" in refused(three, "cccccccc").message
    (path / "manifest.json").write_text("{")
    hint = "if the command was killed while it began, remove the folder and run it again"
    assert refused(three, "cccccccc").hint == hint


def test_a_path_that_is_no_run(three: Path) -> None:
    assert refused(three, f"{three}/nothing").message == f"{three}/nothing: not a run folder"


@pytest.mark.parametrize("text", ["~nobody-of-this-name", "x" * 5000])
def test_a_word_that_the_file_system_refuses_is_no_run(three: Path, text: str) -> None:
    assert refused(three, text).message == f"there is no run {text!r} in {three}"


def test_no_runs_at_all(tmp_path: Path) -> None:
    assert refused(tmp_path, "latest").message == f"there are no runs in {tmp_path}"


# ------------------------------------------------------------------------------------------------------------- tags


def test_tags_are_added_once_and_removed(tmp_path: Path) -> None:
    run = open_run(make_run(tmp_path, "aaaaaaaa", error="kept as it was"))
    assert change_tags(run, add=["b", "a", "b"]).tags == ("b", "a")
    assert change_tags(run, add=["a"]).tags == ("b", "a")
    assert change_tags(run, remove=["b"]).tags == ("a",)
    assert open_run(run.path).manifest == {**run.manifest, "tags": ["a"]}
    assert sorted(path.name for path in run.path.iterdir()) == ["config.yaml", "manifest.json"]


@pytest.mark.parametrize("tag", ["Best", "", "-a", "a b", "a/b", "latest:x", "a" * 65, "é", "a\n"])
def test_a_word_that_cannot_be_a_tag(tmp_path: Path, tag: str) -> None:
    run = open_run(make_run(tmp_path, "aaaaaaaa"))
    with pytest.raises(RagftError, match="cannot be a tag"):
        change_tags(run, add=["fine", tag])
    assert open_run(run.path).tags == ()


def test_latest_is_no_tag(tmp_path: Path) -> None:
    with pytest.raises(RagftError, match="it already means the newest run"):
        change_tags(open_run(make_run(tmp_path, "aaaaaaaa")), add=["latest"])


def test_a_tag_looks_like_a_name_in_the_experiment_file() -> None:
    assert f"^{TAG_PATTERN.pattern}$" == NAME_PATTERN


def test_removing_a_tag_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RagftError, match="has no tag 'b'") as caught:
        change_tags(open_run(make_run(tmp_path, "aaaaaaaa", tags=["a"])), remove=["b"])
    assert caught.value.hint == "its tags: a"


def start(runs_dir: Path, **options: Any) -> Run:
    return Run.start(runs_dir, "compare", "quick", argv=["ragft"], config_yaml="name: quick\n", seed=1, **options)


def test_a_run_begins_with_its_tags(tmp_path: Path) -> None:
    assert open_run(start(tmp_path, tags=["ci", "ci", "best"]).path).tags == ("ci", "best")


def test_a_wrong_tag_is_told_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(RagftError, match="cannot be a tag"):
        start(tmp_path, tags=["No Good"])
    assert list(tmp_path.iterdir()) == []


def test_a_tag_given_while_the_command_runs_outlives_its_end(tmp_path: Path) -> None:
    with start(tmp_path, tags=["first"]) as run:
        change_tags(open_run(run.path), add=["second"])
        run.note(prompts=["p"])
        change_tags(open_run(run.path), remove=["first"])
    found = open_run(run.path)
    assert (found.tags, found.status, found.manifest["prompts"]) == (("second",), "success", ["p"])


def test_the_hash_of_a_report_that_is_made_again_is_true(tmp_path: Path) -> None:
    path = make_run(tmp_path, "aaaaaaaa", artifacts={"metrics.json": "kept", "report.md": "old"})
    (path / "report.md").write_text("abc")
    changed = record_artifacts(open_run(path), ["report.md"])
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # the SHA-256 of abc in FIPS 180-2
    assert changed.manifest["artifacts"] == {"metrics.json": "kept", "report.md": abc}
    assert open_run(path).manifest == changed.manifest


# ---------------------------------------------------------------------------------------------------------- pruning


def pruned(runs_dir: Path, **conditions: Any) -> list[str]:
    return ids(plan_prune(list_runs(runs_dir), now=NOW, **conditions).runs)


def quiet_since(path: Path, days: float) -> None:
    """Make every file of a folder look as if it was last written so many days ago."""
    time = (NOW - timedelta(days=days)).timestamp()
    for file in path.rglob("*"):
        os.utime(file, (time, time))


def test_nothing_is_pruned_without_a_condition(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaaa")
    with pytest.raises(RagftError, match="nothing says which runs to remove"):
        pruned(tmp_path)


def test_prune_by_age(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaaa", 20)  # ten days and two hours old
    make_run(tmp_path, "bbbbbbbb", 21)
    assert pruned(tmp_path, older_than_days=10) == ["aaaaaaaa"]
    assert pruned(tmp_path, older_than_days=10.1) == []


def test_keep_counts_each_experiment_command_and_status_apart(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaa1", 1)
    make_run(tmp_path, "aaaaaaa2", 2)
    make_run(tmp_path, "bbbbbbb1", 1, experiment="other")
    make_run(tmp_path, "ccccccc1", 1, command="index")
    for day in (3, 4):  # newer failures do not push out the last success
        make_run(tmp_path, f"ddddddd{day}", day, status="failed")
    assert pruned(tmp_path, keep=1) == ["ddddddd3", "aaaaaaa1"]
    assert pruned(tmp_path, keep=0, older_than_days=28) == ["aaaaaaa2", "ccccccc1", "aaaaaaa1", "bbbbbbb1"]
    assert pruned(tmp_path, keep=1, older_than_days=28) == ["aaaaaaa1"]
    assert pruned(tmp_path, keep=1, statuses=["failed"]) == ["ddddddd3"]


def test_tagged_runs_stay_and_are_not_counted(tmp_path: Path) -> None:
    make_run(tmp_path, "aaaaaaa1", 1, tags=["best"])
    make_run(tmp_path, "aaaaaaa2", 2)
    make_run(tmp_path, "aaaaaaa3", 3, tags=["ci"])
    plan = plan_prune(list_runs(tmp_path), now=NOW, keep=1)
    assert (plan.runs, plan.spared) == ((), (("tagged", 2),))
    assert pruned(tmp_path, keep=0) == ["aaaaaaa2"]
    assert pruned(tmp_path, keep=1, tagged=True) == ["aaaaaaa2", "aaaaaaa1"]


def test_a_run_that_may_still_be_running_stays(tmp_path: Path) -> None:
    path = make_run(tmp_path, "aaaaaaaa", 1, status="started", finished_at=None)
    quiet_since(path, days=6.9)
    assert pruned(tmp_path, statuses=["unfinished"]) == []
    quiet_since(path, days=7.1)
    assert pruned(tmp_path, older_than_days=1) == []  # only when it is asked for by its status
    assert pruned(tmp_path, statuses=["unfinished"]) == ["aaaaaaaa"]


def test_what_is_in_doubt_stays(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (make_run(runs, "aaaaaaaa") / "manifest.json").write_text("{")
    make_run(runs, "bbbbbbbb").rename(runs / "my-favourite")
    (runs / "20261101T100000Z-compare-quick-cccccccc").symlink_to(make_run(tmp_path / "far", "cccccccc"))
    plan = plan_prune(list_runs(runs), now=NOW, keep=0, statuses=["success", "unreadable"], tagged=True)
    assert plan.runs == ()
    assert dict(plan.spared) == {"unreadable": 1, "renamed": 1, "a link to another place": 1}


def test_prune_removes_the_run_and_counts_what_that_frees(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "runs", "aaaaaaaa", 1), make_run(tmp_path / "runs", "bbbbbbbb", 2)
    stays = make_run(tmp_path / "runs", "cccccccc", 3)
    (first / "adapter").mkdir()
    (first / "adapter" / "weights").write_bytes(b"x" * 1000)
    os.link(first / "adapter" / "weights", second / "weights")  # both go: freed once
    (first / "shared").write_bytes(b"y" * 500)
    os.link(first / "shared", tmp_path / "workspace")  # the workspace keeps it: nothing freed
    (first / "pointer").symlink_to(tmp_path / "workspace")
    own = sum((path / name).stat().st_size for path in (first, second) for name in ("manifest.json", "config.yaml"))
    plan = plan_prune(list_runs(tmp_path / "runs"), now=NOW, keep=1)
    assert plan.freed_bytes == own + 1000 + (first / "pointer").lstat().st_size
    prune(plan)
    assert list((tmp_path / "runs").iterdir()) == [stays]
    assert (tmp_path / "workspace").read_bytes() == b"y" * 500


def test_the_manifest_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal cut short leaves a run that is still listed, and that can be pruned again."""
    path = make_run(tmp_path, "aaaaaaaa")
    (path / "zzz").mkdir()

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prune(plan_prune(list_runs(tmp_path), now=NOW, keep=0))
    assert pruned(tmp_path, keep=0) == ["aaaaaaaa"]


# ------------------------------------------------------------------------------------------------------ differences


def test_changes_are_named_by_dotted_key() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "docs": [{"path": "x"}, {"path": "y"}], "gone": {"k": 1, "l": 2}, "same": 1.0}
    new = {"a": {"b": 2, "c": [2, 1]}, "docs": [{"path": "z"}], "same": 1, "more": None}
    assert changes(old, new) == (
        Change("a.b", "changed", 1, 2),
        Change("a.c", "changed", [1, 2], [2, 1]),
        Change("docs[0].path", "changed", "x", "z"),
        Change("docs[1]", "removed", {"path": "y"}, None),
        Change("more", "added", None, None),
        Change("gone", "removed", {"k": 1, "l": 2}, None),  # one difference, however much it holds
    )


def test_null_and_absent_are_not_the_same() -> None:
    assert [change.kind for change in changes({"a": None}, {})] == ["removed"]
    assert changes({"a": None}, {"a": None}) == ()


def test_files_are_matched_across_machines_by_the_end_of_their_paths() -> None:
    old = {"/home/ann/q/docs/a.md": "1", "/home/ann/q/docs/b.md": "2", "/home/ann/q/dev/x.jsonl": "3"}
    new = {r"C:\work\q\docs\a.md": "1", r"C:\work\q\docs\b.md": "9", r"C:\work\q\train\x.jsonl": "3"}
    assert file_changes(old, new) == (Change("docs/b.md", "changed", "2", "9"),)


def test_files_of_one_name_in_two_folders_are_told_apart() -> None:
    old = {"/a/docs/x.md": "1", "/a/notes/x.md": "2"}
    new = {"/b/docs/x.md": "1", "/b/notes/x.md": "3", "/b/notes/y.md": "4"}
    assert file_changes(old, new) == (
        Change("notes/x.md", "changed", "2", "3"),
        Change("notes/y.md", "added", None, "4"),
    )
    assert file_changes({"/a/docs/x.md": "1", "/a/z": "0"}, {"/a/z": "0"}) == (
        Change("docs/x.md", "removed", "1", None),
    )


def test_a_file_is_not_matched_where_two_could_be_meant() -> None:
    kinds = [change.kind for change in file_changes({"/a/docs/x.md": "1", "/a/notes/x.md": "2"}, {"/b/all/x.md": "2"})]
    assert kinds == ["added", "removed", "removed"]


def example(id_: str, text: str = "?", **facts: Any) -> dict[str, Any]:
    return {"id": id_, "input": text, "references": ["yes"], "gold_document_ids": [], "answerable": True} | facts


def score(arm: str, id_: str, value: float | None, metric: str = "f1", **facts: Any) -> dict[str, Any]:
    return {"arm": arm, "example_id": id_, "metric": metric, "value": value} | facts


def scored_run(runs_dir: Path, end: str, examples: list[dict[str, Any]], scores: list[dict[str, Any]]) -> StoredRun:
    path = make_run(runs_dir, end)
    jsonl.write_rows(path / "examples.jsonl", examples)
    jsonl.write_rows(path / "scores.jsonl", scores)
    jsonl.write_json(path / "metrics.json", {"primary_metric": "f1"})
    (path / "answers").mkdir()
    said = dict.fromkeys((row["arm"], row["example_id"]) for row in scores)
    for arm in {arm for arm, _ in said}:
        rows = [{"example_id": id_, "text": f"{end[0]}:{arm}:{id_}"} for name, id_ in said if name == arm]
        jsonl.write_rows(path / "answers" / f"{arm}.jsonl", rows)
    return open_run(path)


def test_scores_are_paired_by_example(tmp_path: Path) -> None:
    """By hand, rag on f1: e1 0.2 -> 0.8, e2 0.5 -> 0.5, e3 1.0 -> 0.7; e4 could not be scored, e5 is worded anew."""
    questions = [example(f"e{n}") for n in range(1, 6)]
    old = [("e1", 0.2), ("e2", 0.5), ("e3", 1.0), ("e4", None), ("e5", 0.0)]
    new = [("e6", 1.0), ("e5", 1.0), ("e4", 1.0), ("e3", 0.7), ("e2", 0.5), ("e1", 0.8)]  # in another order
    first = scored_run(tmp_path, "aaaaaaaa", questions, [score("rag", *row) for row in [*old, ("e0", 1.0)]])
    asked = [*questions[:4], example("e5", "??"), example("e6")]
    second = scored_run(tmp_path, "bbbbbbbb", asked, [score("rag", *row) for row in new])
    found = diff_runs(first, second, examples=1)
    (row,) = found.scores
    assert (row.arm, row.metric, row.n, row.n_unscored, row.n_higher, row.n_lower) == ("rag", "f1", 3, 1, 1, 1)
    assert row.old_mean == pytest.approx((0.2 + 0.5 + 1.0) / 3)
    assert row.new_mean == pytest.approx((0.8 + 0.5 + 0.7) / 3)
    assert row.difference == pytest.approx(0.1)
    assert found.examples_diff is not None
    assert (found.examples_diff.added, found.examples_diff.removed) == (("e6",), ())
    assert (found.examples_diff.changed, found.examples_diff.n_same) == (("e5",), 4)
    (moved,) = found.examples
    assert (moved.example_id, moved.references, moved.moved) == ("e1", ("yes",), pytest.approx(0.6))
    assert [(a.arm, a.old_text, a.new_text) for a in moved.answers] == [("rag", "a:rag:e1", "b:rag:e1")]


def test_examples_are_ranked_by_all_arms_together_and_ties_by_id(tmp_path: Path) -> None:
    questions = [example(id_) for id_ in ("e3", "e2", "e1")]
    moves = {"a": {"e1": 0.5, "e2": 0.5, "e3": 0.4}, "b": {"e1": 0.0, "e2": 0.0, "e3": -0.4}}
    first = scored_run(tmp_path, "aaaaaaaa", questions, [score(arm, id_, 0.4) for arm in moves for id_ in moves[arm]])
    rows = [score(arm, id_, 0.4 + by) for arm, row in moves.items() for id_, by in row.items()]
    found = diff_runs(first, scored_run(tmp_path, "bbbbbbbb", questions, rows), examples=9)
    assert [(row.example_id, len(row.answers)) for row in found.examples] == [("e3", 2), ("e1", 1), ("e2", 1)]


def test_training_seeds_are_averaged_before_pairing(tmp_path: Path) -> None:
    first = scored_run(tmp_path, "aaaaaaaa", [example("e1")], [score("ft", "e1", value) for value in (0.0, 1.0)])
    rows = [score("ft", "e1", value, seed=seed) for seed, value in enumerate((1.0, 1.0, 0.25))]
    (row,) = diff_runs(first, scored_run(tmp_path, "bbbbbbbb", [example("e1")], rows), examples=0).scores
    assert (row.old_mean, row.new_mean, row.n) == (0.5, 0.75, 1)


def test_the_mean_of_nothing_is_not_a_number(tmp_path: Path) -> None:
    first = scored_run(tmp_path, "aaaaaaaa", [example("e1")], [score("rag", "e1", None)])
    found = diff_runs(first, scored_run(tmp_path, "bbbbbbbb", [example("e1")], [score("rag", "e1", 1.0)]), examples=3)
    (row,) = found.scores
    assert (row.old_mean, row.new_mean, row.difference, row.n, row.n_unscored) == (None, None, None, 0, 1)
    assert found.examples == ()


def test_a_run_differs_from_itself_in_nothing(tmp_path: Path) -> None:
    run = scored_run(tmp_path, "aaaaaaaa", [example("e1")], [score("rag", "e1", 0.5)])
    found = diff_runs(run, run, examples=5)
    parts = (found.config, found.inputs, found.counts, found.environment, found.fingerprints, found.verdict, found.arms)
    assert parts == ((),) * 7
    assert [(row.difference, row.n_higher, row.n_lower) for row in found.scores] == [(0.0, 0, 0)]


def test_config_environment_fingerprints_and_verdict_differ_by_name(tmp_path: Path) -> None:
    git = {"commit": "c0ffee", "dirty": False}
    first = make_run(tmp_path, "aaaaaaaa", git=git, prompts=["p1"], fingerprints={"index": "1", "arm:rag": "5"})
    second = make_run(tmp_path, "bbbbbbbb", prompts=["p2"], packages={"ragft": "1", "torch": "3"})
    (first / "config.yaml").write_text("retrieval: {top_k: 2}\n")
    (second / "config.yaml").write_text("retrieval: {top_k: 5}\n")
    jsonl.write_json(first / "verdict.json", {"decision": "ship", "arm": "rag", "confidence": "high"})
    jsonl.write_json(second / "verdict.json", {"decision": "not_decided", "arm": None, "confidence": "low"})
    found = diff_runs(open_run(first), open_run(second), examples=0)
    assert found.config == (Change("retrieval.top_k", "changed", 2, 5),)
    assert {change.key: change.kind for change in found.environment} == {
        "prompts": "changed",
        "packages.torch": "changed",
        "git.commit": "removed",
        "git.dirty": "removed",
    }
    assert [change.key for change in found.fingerprints] == ["index", "arm:rag"]
    assert [change.key for change in found.verdict] == ["decision", "arm", "confidence"]
    assert (found.examples_diff, found.not_scored) == (None, (first.name, second.name))


def test_a_row_that_no_run_writes_is_an_error_with_its_line(tmp_path: Path) -> None:
    run = scored_run(tmp_path, "aaaaaaaa", [example("e1")], [score("rag", "e1", 0.5)])
    with (run.path / "scores.jsonl").open("a") as file:
        file.write('{"arm": "rag", "metric": "f1", "example_id": "e1", "value": "high"}\n')
    with pytest.raises(DataError, match=r"scores.jsonl:2: value should be a number, found 'high'"):
        diff_runs(run, run, examples=0)


def test_an_arm_named_like_a_path_reads_no_file_outside(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "secret.jsonl").write_text('{"example_id": "e1", "text": "secret"}\n')
    rows = [score("../../secret", "e1", value) for value in (0.0, 1.0)]
    runs = []
    for end, row in zip(("aaaaaaaa", "bbbbbbbb"), rows, strict=True):
        path = make_run(tmp_path / "runs", end)
        (path / "answers").mkdir()
        jsonl.write_rows(path / "examples.jsonl", [example("e1")])
        jsonl.write_rows(path / "scores.jsonl", [row])
        jsonl.write_json(path / "metrics.json", {"primary_metric": "f1"})
        runs.append(open_run(path))
    (moved,) = diff_runs(*runs, examples=1).examples
    assert moved.answers[0].old_text is None


def test_reading_runs_needs_no_heavy_library() -> None:
    import subprocess

    code = (
        "import sys, ragft.archive\n"
        "print(sorted({'torch', 'numpy', 'pydantic', 'yaml', 'rich', 'ragft.config'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
