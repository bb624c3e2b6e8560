"""The command line: exact errors and exit codes, results on stdout and everything else on stderr."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import SmallExperiment, eval_rows, news, read
from typer.main import get_command
from typer.testing import CliRunner, Result

import ragft
from ragft import jsonl
from ragft.arms.bench import Bench
from ragft.cli import app
from ragft.evaluation.metrics import ANSWER_METRICS

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined] - the group that Typer makes
ROOT = Path(ragft.__file__).parents[1]
PACKAGED = "packaged models: smollm2-135m-instruct, all-minilm-l6-v2"
FAULT = "this is a fault in ragft or a library; --debug shows where"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that holds none of the files, so that messages show their paths in full."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def shell(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragft", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def fails(result: Result | subprocess.CompletedProcess[str], code: int, message: str, hint: str | None = None) -> None:
    """Assert that a command ended with exactly this error, and printed nothing else."""
    found = result.exit_code if isinstance(result, Result) else result.returncode
    said = f"error: {message}\n" + (f"  try: {hint}\n" if hint else "")
    assert (found, news(result.stderr), result.stdout) == (code, said, "")


# ------------------------------------------------------------------------------------------------------------- help


def test_help_names_every_command() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    experiments = {"compare", "finetune", "index", "rag-query"}
    assert set(COMMANDS) == experiments | {"export", "report", "runs", "validate", "schema", "init"}
    assert all(re.search(rf"^\W*{name}\b", result.stdout, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_is_documented(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert " ".join(COMMANDS[name].help.split())[:60] in " ".join(result.stdout.split())
    for parameter in COMMANDS[name].params:
        assert parameter.help, f"{name} {parameter.name} has no help"
        assert name in ("schema",) or any(option in result.stdout for option in (*parameter.opts, "FILE", "FOLDER"))


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_are_quick(option: str) -> None:
    result = shell(option)
    assert (result.returncode, result.stderr) == (0, "")
    assert "ragft" in result.stdout


def test_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import ragft.cli, sys\n"
        "from typer.testing import CliRunner\n"
        "for option in ('--help', '--version'): assert CliRunner().invoke(ragft.cli.app, [option]).exit_code == 0\n"
        "heavy = {'torch', 'transformers', 'pydantic', 'chromadb', 'numpy', 'ragft.arms', 'ragft.config'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_version_is_that_of_the_package() -> None:
    assert invoke("--version").stdout == f"ragft {ragft.__version__}\n"


@pytest.mark.parametrize("arguments", [("nonsense",), ("compare",), ("compare", "--nonsense"), ()])
def test_wrong_usage_has_its_own_exit_code(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


# ------------------------------------------------------------------------------------- errors that a user can mend


@pytest.mark.parametrize("command", ["compare", "finetune", "index", "rag-query", "validate"])
def test_a_missing_experiment_file(command: str, tmp_path: Path) -> None:
    hint = "`ragft init` writes a starter experiment file"
    fails(invoke(command, tmp_path / "no.yaml"), 1, f"{tmp_path / 'no.yaml'}: there is no such file", hint)


def test_an_unknown_key_is_named_with_its_line(experiment: SmallExperiment) -> None:
    experiment.config["retrieval"]["topk"] = 3
    experiment.save()
    line = experiment.file.read_text().splitlines().index("  topk: 3") + 1
    message = f"{experiment.file}:{line}: retrieval.topk: unknown key; in ragft it is retrieval.top_k"
    fails(experiment.run("compare"), 1, message)
    fails(experiment.run("validate"), 1, message)
    assert not (experiment.folder / "runs").exists()


def test_missing_documents(experiment: SmallExperiment) -> None:
    (experiment.folder / "documents.jsonl").unlink()
    path = experiment.folder / "documents.jsonl"
    hint = "data.documents names it; paths start at the experiment file"
    fails(experiment.run("compare"), 1, f"{path}: no such file or folder", hint)


@pytest.mark.parametrize(
    ("damaged", "what", "hint"),
    [
        (b'{"id": "e1", }\n', "not valid JSON: Illegal trailing comma before end of object (column 12)", None),
        (b'{"id": "e1", "question": "caf\xe9"}\n', "not UTF-8 text (byte 291); save the file as UTF-8", None),
        (b"[1]\n", "expected an object, found list", None),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    experiment: SmallExperiment, damaged: bytes, what: str, hint: str | None
) -> None:
    path = experiment.folder / "eval.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], damaged, *lines[2:]]))
    result = experiment.run("compare")
    if "JSON:" in what and sys.version_info < (3, 13):  # older versions word this fault otherwise
        what = "not valid JSON: Expecting property name enclosed in double quotes (column 14)"
    fails(result, 1, f"{path}:3: {what}", hint)


def test_an_id_that_stands_twice(experiment: SmallExperiment) -> None:
    path = experiment.folder / "eval.jsonl"
    experiment.rows("eval", [*eval_rows(), eval_rows()[0]])
    fails(experiment.run("compare"), 1, f"{path}:13: example id 'e00' stands twice in this file")
    experiment.rows("eval", eval_rows())
    documents = experiment.folder / "documents.jsonl"
    rows = [row for _, row in jsonl.read_rows(documents)]
    experiment.rows("documents", [*rows, rows[0]])
    fails(experiment.run("compare"), 1, f"{documents}:11: document id 'aldmoor' stands already at {documents}:1")


def test_gold_ids_that_are_not_among_the_documents(experiment: SmallExperiment) -> None:
    rows = eval_rows()
    rows[0]["gold_document_ids"] = ["atlantis"]
    experiment.rows("eval", rows)
    message = "1 gold document ids are not among the 10 documents: e00 -> atlantis"
    fails(experiment.run("compare"), 1, message, "add the documents, or correct the ids")


def leaky(experiment: SmallExperiment) -> SmallExperiment:
    rows = eval_rows()
    rows[0]["question"] = "which colour has ALDMOOR"
    experiment.rows("eval", rows)
    return experiment


def test_an_eval_question_that_stands_in_train(experiment: SmallExperiment) -> None:
    message = "1 of 12 eval inputs also stand in train or dev: e00 = t00"
    hint = "remove them, or set data.allow_leakage: true and read the caveat"
    fails(leaky(experiment).run("compare"), 1, message, hint)


def test_leakage_that_is_allowed_is_a_finding(experiment: SmallExperiment) -> None:
    plan = leaky(experiment).json("compare", "--dry-run", "--set", "data.allow_leakage=true")
    found = [check["message"] for check in plan["checks"] if check["severity"] == "warning"]
    assert found == ["1 of 12 eval inputs also stand in train or dev: e00 = t00"]


def test_too_few_eval_examples_are_no_comparison(experiment: SmallExperiment) -> None:
    experiment.rows("eval", eval_rows()[:9])
    message = "9 eval examples are too few to compare arms (compare.min_examples is 10)"
    fails(experiment.run("compare"), 4, message, "add eval examples")
    fails(experiment.run("compare", "--dry-run"), 4, message, "add eval examples")


@pytest.mark.parametrize(
    ("arms", "code", "message", "hint"),
    [
        (
            {"oracle": {"retrieval": "oracle"}, "random": {"retrieval": "random"}},
            4,
            "every arm is a control (oracle or random passages)",
            "add an arm that could ship",
        ),
        (
            {"base": {"prompt": "qa-long-9"}},
            1,
            "there is no prompt template 'qa-long-9' for the task 'qa'",
            "templates: qa-short-1, qa-short-2, qa-cited-1, qa-cited-2, qa-long-1, qa-long-2, qa-long-cited-1, "
            "qa-long-cited-2",
        ),
    ],
)
def test_arms_that_cannot_be_compared_are_refused_before_anything_is_built(
    experiment: SmallExperiment, arms: dict[str, Any], code: int, message: str, hint: str
) -> None:
    experiment.config["compare"] = {"arms": arms}
    fails(experiment.save().run("compare"), code, message, hint)
    assert not (experiment.workspace / "chroma").exists()
    assert list((experiment.workspace / "answers").iterdir()) == []


def test_an_unknown_metric_is_refused_before_anything_is_built(experiment: SmallExperiment) -> None:
    hint = f"known answer metrics: {', '.join(ANSWER_METRICS)}"
    result = experiment.run("compare", "--set", "compare.primary_metric=f1")
    fails(result, 1, "unknown answer metric 'f1'", hint)
    assert not (experiment.workspace / "chroma").exists()


@pytest.mark.parametrize("key", ["model.source", "index.embedder.source"])
def test_an_unknown_model_source(experiment: SmallExperiment, key: str) -> None:
    message = "model source 'gpt-17' is neither a packaged model nor an existing folder nor a Hub id (org/name)"
    fails(experiment.run("compare", "--set", f"{key}=gpt-17"), 1, message, PACKAGED)


@pytest.mark.parametrize("id_", ["org/nowhere", "org/no where"])
def test_a_hub_id_that_cannot_be_had(experiment: SmallExperiment, id_: str) -> None:
    result = experiment.run("compare", "--set", f"model.source={id_}")
    first, hint = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (1, "")
    assert first.startswith(f"error: cannot get {id_!r} from the Hub: ")
    asked = "check the id and the network, give a local folder, or use a packaged model"
    assert hint == f"  try: {asked}{PACKAGED.removeprefix('packaged models')}"


def test_folders_that_cannot_be_written(experiment: SmallExperiment) -> None:
    below = experiment.folder / "train.jsonl" / "x"
    runs = shell("compare", experiment.file, "--runs-dir", below, "--workspace", experiment.workspace)
    assert (runs.returncode, runs.stdout) == (1, "")
    expected = rf"error: cannot make the run folder {re.escape(str(below))}/\S+: Not a directory\n"
    assert re.fullmatch(expected + r"  try: choose another place with --runs-dir\n", runs.stderr)
    space = shell("compare", experiment.file, "--runs-dir", experiment.folder / "runs", "--workspace", below)
    message = f"cannot write the workspace {below}: Not a directory"
    fails(space, 1, message, "choose another place with --workspace")


def test_places_come_from_the_environment_too(experiment: SmallExperiment) -> None:
    places = {"RAGFT_RUNS_DIR": str(experiment.folder / "r"), "RAGFT_WORKSPACE": str(experiment.folder / "w")}
    experiment.rows("eval", [])
    fails(shell("compare", experiment.file, **places), 1, f"{experiment.folder / 'eval.jsonl'}: the file is empty")
    assert [path.name.split("-")[1:3] for path in (experiment.folder / "r").iterdir()] == [["compare", "small"]]
    assert (experiment.folder / "w" / ".gitignore").exists()


def test_a_workspace_that_another_command_holds(experiment: SmallExperiment) -> None:
    from ragft.workspace import Workspace

    space = Workspace(experiment.workspace).prepare()
    with space.locked("ragft compare other.yaml", wait_s=0, on_wait=print):
        result = experiment.run("compare", "--wait", "0.05")
        plan = experiment.run("compare", "--dry-run", "--wait", "0.05")
    holder = f"`ragft compare other.yaml` (process {os.getpid()})"
    said = (
        f"waiting for {holder}, which holds {space.root}\n"
        f"error: the workspace {space.root} is held by {holder}\n"
        "  try: wait for it to end, raise --wait, or choose another place with --workspace\n"
    )
    assert (result.exit_code, " ".join(result.stderr.split())) == (1, " ".join(said.split()))
    assert (plan.exit_code, " ".join(plan.stderr.split())) == (1, " ".join(said.split()))


# ----------------------------------------------------------------------------------------------------- rag-query


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ("Who?", "--arm", "nope"),
            "the experiment has no arm 'nope'",
            "arms: base, few_shot, rag, finetuned, raft_rag, oracle",
        ),
        (
            ("Who?", "--arm", "oracle"),
            "the arm 'oracle' is a control: a new question has no gold documents",
            "arms: base, few_shot, rag, finetuned, raft_rag",
        ),
        (
            ("Who?", "--arm", "raft_rag", "--set", "seed=99"),
            "the adapter 'raft' of arm 'raft_rag' is not trained for the experiment as it is",
            "run: ragft finetune FILE --adapter raft",
        ),
    ],
)
def test_a_question_that_cannot_be_asked(
    built: SmallExperiment, arguments: tuple[str, ...], message: str, hint: str | None
) -> None:
    fails(built.run("rag-query", *arguments), 1, message, hint)
    assert read(built.latest_run() / "manifest.json")["status"] == "failed"


def test_an_empty_question_is_refused_before_anything_is_built(built: SmallExperiment) -> None:
    before = built.latest_run()
    result = built.run("rag-query", "  ")
    assert result.exit_code == 2
    assert "the question is empty" in result.stderr
    assert built.latest_run() == before


def test_an_experiment_without_an_arm_that_retrieves(built: SmallExperiment) -> None:
    hint = "name an arm with --arm, or add one to compare.arms"
    result = built.run("rag-query", "Who?", "--set", "compare.arms={base: {}}", "--set", "compare.contrasts=[]")
    fails(result, 1, "no arm of the experiment retrieves", hint)


def test_the_answer_stands_on_stdout_and_its_numbered_sources_on_stderr(built: SmallExperiment) -> None:
    result = built.run("rag-query", "When was Corvel built?", "--answer-anyway")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert re.findall(r"^\[(\d)\] The harbour of", result.stderr, re.MULTILINE) == ["1", "2"]
    times = r"rag: retrieval \d+\.\d\d s, first word \d+\.\d\d s, whole \d+\.\d\d s, \d+ prompt tokens, 6 output tokens"
    assert re.search(times, result.stderr)
    shown = built.run("rag-query", "When was Corvel built?", "--answer-anyway", "--show-prompt")
    assert shown.stdout == result.stdout
    assert shown.stderr.startswith("<|im_start|>system\n")
    quiet = built.run("rag-query", "When was Corvel built?", "--answer-anyway", "--quiet")
    assert (quiet.stdout, quiet.stderr) == (result.stdout, "")


def test_an_answer_as_json_stands_in_the_run_folder_too(built: SmallExperiment) -> None:
    found = built.json("rag-query", "When was Corvel built?", "--answer-anyway")
    assert (found["question"], found["arm"], found["output_tokens"]) == ("When was Corvel built?", "rag", 6)
    assert [source["number"] for source in found["sources"]] == [1, 2]
    rows = [row for _, row in jsonl.read_rows(built.latest_run() / "answers" / "rag.jsonl")]
    assert rows == [found]
    manifest = read(built.latest_run() / "manifest.json")
    assert (manifest["status"], manifest["prompts"]) == ("success", ["qa-short-1"])


# ------------------------------------------------------------------------------------------- stdout, stderr, JSON


def test_results_go_to_stdout_and_news_to_stderr(built: SmallExperiment) -> None:
    result = built.run("compare")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any("token_f1 (interval)" in line for line in lines)
    assert any(line.startswith("Verdict: ") for line in lines)
    assert lines[-1] == f"report: {built.latest_run() / 'report.html'}"
    assert result.stderr.startswith("Checks of the data\n")
    news = result.stderr[result.stderr.index("reused ") :].splitlines()
    assert news[0] == "reused index: 10 passages unchanged"
    assert all(line.startswith("reused ") for line in news)
    assert built.run("compare", "--quiet").stderr == ""


def test_a_table_in_a_pipe_is_not_cut(built: SmallExperiment) -> None:
    table = built.run("compare").stdout
    assert "…" not in table
    assert all(name in table for name in ("exact_match", "contains", "abstained", "alone s", "prompt tokens"))


def test_what_compare_prints_as_json(built: SmallExperiment) -> None:
    found = built.json("compare")
    run = Path(found["run"])
    assert found["verdict"] == read(run / "verdict.json")
    assert found["metrics"] == read(run / "metrics.json")


def test_what_finetune_prints(built: SmallExperiment) -> None:
    found = built.json("finetune", "--adapter", "raft")
    assert [(item["name"], item["trained"]) for item in found["adapters"]] == [("raft", False)]
    assert (Path(found["run"]) / "adapter" / "raft" / "adapter_model.safetensors").exists()
    result = built.run("finetune")
    assert result.stderr == ""
    assert [line for line in result.stdout.splitlines() if line.startswith("adapter: ")] == [
        f"adapter: {built.latest_run() / 'adapter' / name}" for name in ("closed_book", "raft")
    ]


def test_an_unknown_adapter(built: SmallExperiment) -> None:
    result = built.run("finetune", "--adapter", "nope")
    fails(result, 1, "the experiment has no adapter 'nope'", "adapters: closed_book, raft")


def test_what_index_prints(built: SmallExperiment) -> None:
    found = built.json("index")
    assert (found["index"]["documents"], found["index"]["passages"], found["index"]["report"]) == (10, 10, None)
    assert [row["metric"] for row in found["retrieval"]][:2] == ["recall@1", "recall@3"]
    assert all((row["n"], row["n_unscored"]) == (10, 2) for row in found["retrieval"])
    assert found["retrievers"]["retrievers"] == ["dense", "bm25", "hybrid"]
    page = built.run("index").stdout
    assert "n = 10, 2 unscored" in page and found["retrievers"]["finding"] in page
    said = built.run("index", "--no-evaluate").stdout.splitlines()
    assert said[0] == "index: 10 documents, 10 passages; nothing changed"
    again = built.run("index", "--rebuild", "--no-evaluate").stdout.splitlines()
    assert again[0] == "index: 10 documents, 10 passages; passages: 10 added, 0 changed, 0 removed, 0 unchanged"


def test_what_a_dry_run_prints(built: SmallExperiment) -> None:
    found = built.json("compare", "--dry-run")
    assert (found["index_reused"], found["passages"], len(found["arms"])) == (True, 10, 6)
    alone = built.json("finetune", "--dry-run", "--adapter", "raft")
    assert (alone["adapters"], alone["arms"]) == ([found["adapters"][1]], [])
    text = built.run("compare", "--dry-run").stdout
    assert "  index: 10 documents, 10 passages, reused\n" in text
    assert "  adapter closed_book: 12 examples, reused\n" in text
    assert "  arm rag: 0 of 12 questions to ask, reused\n" in text
    # z w / sqrt(n) = 2.802 x 0.35 / sqrt(12): each of the twelve examples is a cluster of its own.
    assert found["detectable"] == pytest.approx(2.802 * 0.35 / 12**0.5, abs=1e-3)
    assert "  so many eval examples should find a difference of about 0.283 or more" in text
    assert text.endswith("⟦green<end of turn>⟧\n")


def test_what_validate_prints(built: SmallExperiment) -> None:
    result = built.run("validate")
    arms = "base, few_shot, rag, finetuned, raft_rag, oracle"
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{built.file}: valid (small: qa; arms: {arms})\n"
    found = built.json("validate", "--set", "retrieval.top_k=4")
    assert (found["retrieval"]["top_k"], found["generation"]["max_new_tokens"]) == (4, 6)


# ------------------------------------------------------------------------------------------------ unexpected errors


def test_a_fault_shows_no_traceback_unless_it_is_asked_for(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Bench, *, min_examples: int) -> None:
        raise RuntimeError(f"boom {min_examples}")

    monkeypatch.setattr(Bench, "examine", broken)
    fails(experiment.run("compare"), 1, "RuntimeError: boom 10", FAULT)
    run = experiment.latest_run()
    assert "Traceback" in (run / "log.txt").read_text()
    assert read(run / "manifest.json")["error"] == "RuntimeError: boom 10"
    debugged = experiment.run("compare", "--debug")
    assert debugged.exit_code == 1
    assert debugged.stderr.startswith("Traceback (most recent call last):\n")
    assert debugged.stderr.endswith(f"error: RuntimeError: boom 10\n  try: {FAULT}\n")


def test_debug_shows_the_traceback_of_a_users_error_too(tmp_path: Path) -> None:
    result = invoke("validate", tmp_path / "no.yaml", "--debug")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "Traceback" not in invoke("validate", tmp_path / "no.yaml").output


# ------------------------------------------------------------------------------------------------- init and schema


def test_the_schema_is_json(tmp_path: Path) -> None:
    result = invoke("schema")
    assert result.exit_code == 0
    assert {"name", "task", "model", "data"} <= set(json.loads(result.stdout)["properties"])


@pytest.mark.parametrize("quickstart", [False, True])
def test_a_starter_is_written_once(tmp_path: Path, quickstart: bool) -> None:
    folder = tmp_path / "new"
    options = ("--quickstart",) if quickstart else ()
    result = invoke("init", folder, *options)
    names = ["experiment.yaml", "experiment.schema.json", *(["quickstart"] if quickstart else [])]
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"wrote {folder / name}" for name in names]
    assert result.stderr.split()[0] == "next:"
    assert (folder / "quickstart" / "eval.jsonl").exists() == quickstart
    valid = invoke("validate", folder / "experiment.yaml")
    assert (valid.exit_code, valid.stderr) == (0, "")
    before = (folder / "experiment.yaml").read_text()
    again = invoke("init", folder, *options)
    fails(again, 1, f"{folder / 'experiment.yaml'} is there already", "choose another folder, or move it away")
    assert (folder / "experiment.yaml").read_text() == before
