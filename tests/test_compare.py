"""A whole comparison with a real (tiny) model: what it writes, what it reuses, and what a change makes anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import NO_LIMIT, Json, SmallExperiment, documents, eval_rows, read, train_rows

from ragft import jsonl
from ragft.generation.local import LocalGenerator
from ragft.retrieval.embedder import Embedder

ARMS = ("base", "few_shot", "rag", "finetuned", "raft_rag", "oracle")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every prompt that a model is asked from here on."""
    prompts: list[str] = []
    real = LocalGenerator.generate

    def counting(self: LocalGenerator, batch: Any) -> Any:
        prompts.extend(batch)
        return real(self, batch)

    monkeypatch.setattr(LocalGenerator, "generate", counting)
    return prompts


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every document text that is embedded from here on."""
    texts: list[str] = []
    real = Embedder.documents

    def counting(self: Embedder, batch: Any, on_batch: Callable[[int], None] = lambda _: None) -> Any:
        texts.extend(batch)
        return real(self, batch, on_batch)

    monkeypatch.setattr(Embedder, "documents", counting)
    return texts


def forbidden(*_: Any, **__: Any) -> None:
    raise AssertionError("this is not to be done again")


def rows(path: Path) -> list[Json]:
    return [row for _, row in jsonl.read_rows(path)]


def texts(run: Path, arm: str) -> dict[str, str]:
    return {row["example_id"]: row["text"] for row in rows(run / "answers" / f"{arm}.jsonl")}


def reused(run: Path) -> list[str]:
    found: list[str] = read(run / "metrics.json")["reused"]
    return found


def trained(run: Path) -> dict[str, bool]:
    return {name: not row["reused"] for name, row in read(run / "metrics.json")["adapters"].items()}


def all_reused(arms: tuple[str, ...] = ARMS) -> list[str]:
    return [
        "index: 10 passages unchanged",
        "adapter closed_book: trained before",
        "adapter raft: trained before",
        *(f"arm {arm}: 12 of 12 answers" for arm in arms),
    ]


# ------------------------------------------------------------------------------------------------ the run folder


def test_the_run_folder_is_complete(built: SmallExperiment) -> None:
    run = built.first_run
    assert re.fullmatch(r"\d{8}T\d{6}Z-compare-small-[0-9a-f]{8}", run.name)
    files = {"checks.json", "manifest.json", "config.yaml", "log.txt", "events.jsonl", "metrics.json", "scores.jsonl"}
    files |= {"comparison.json", "verdict.json", "report.html", "report.md", "examples.jsonl", "passages.jsonl"}
    files |= {"qrels.trec", "qrels.passages.trec"}
    assert {path.name for path in run.iterdir()} == files | {"adapter", "answers", "rankings"}
    assert {path.name for path in (run / "adapter").iterdir()} == {"closed_book", "raft"}
    assert {path.stem for path in (run / "answers").iterdir()} == set(ARMS)


def test_the_manifest_holds_what_the_numbers_come_from(built: SmallExperiment) -> None:
    manifest = read(built.first_run / "manifest.json")
    assert (manifest["command"], manifest["status"], manifest["error"]) == ("compare", "success", None)
    assert manifest["finished_at"] > manifest["started_at"]
    assert manifest["seeds"] == {"experiment": 17, "closed_book": 17, "raft": 17}
    assert manifest["prompts"] == ["qa-short-1"]
    assert {Path(path).name for path in manifest["inputs"]} == {
        f"{name}.jsonl" for name in ("documents", "train", "dev", "eval")
    }
    prints = {"index", "adapter:closed_book", "adapter:raft", *(f"arm:{arm}" for arm in ARMS)}
    assert manifest["fingerprints"].keys() == prints
    for path, expected in manifest["inputs"].items():
        assert sha256(Path(path).read_bytes()).hexdigest() == expected


def test_every_adapter_has_its_history_a_row_a_step(built: SmallExperiment) -> None:
    for name, facts in read(built.first_run / "metrics.json")["adapters"].items():
        lines = (built.first_run / "adapter" / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        assert rows == facts["history"]
        assert [row["step"] for row in rows if "loss" in row] == list(range(1, facts["steps"] + 1))


def test_every_artifact_is_hashed(built: SmallExperiment) -> None:
    run = built.first_run
    artifacts = read(run / "manifest.json")["artifacts"]
    live = {"manifest.json", "log.txt", "events.jsonl"}
    there = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert artifacts.keys() == there - live
    assert all(sha256((run / name).read_bytes()).hexdigest() == expected for name, expected in artifacts.items())


def test_the_resolved_configuration_makes_the_same_experiment(built: SmallExperiment) -> None:
    from ragft.config import load_experiment

    resolved = load_experiment(built.first_run / "config.yaml").experiment
    assert resolved == load_experiment(built.file).experiment


def test_stages_stand_in_the_events_and_in_the_log(built: SmallExperiment) -> None:
    # What needs no training is asked first: a model that knows the answers already is seen before hours are spent.
    others = [f"ask {arm}" for arm in ARMS if arm != "base"]
    stages = ["index", "ask base", "train closed_book", "train raft", *others, "compare"]
    events = rows(built.first_run / "events.jsonl")
    assert [row["stage"] for row in events if row["event"] == "stage_finished"] == stages
    assert all(row["seconds"] >= 0 for row in events if row["event"] == "stage_finished")
    assert all(f"stage {stage} finished" in (built.first_run / "log.txt").read_text() for stage in stages)


def test_every_arm_answers_every_question_by_id(built: SmallExperiment) -> None:
    passages = {row["id"] for row in rows(built.first_run / "passages.jsonl")}
    for arm in ARMS:
        answers = rows(built.first_run / "answers" / f"{arm}.jsonl")
        assert [row["example_id"] for row in answers] == [row["id"] for row in eval_rows()]
        assert {row["arm"] for row in answers} == {arm}
        assert {len(row["passage_ids"]) for row in answers} <= ({0} if arm in ARMS[:2] or arm == ARMS[3] else {1, 2})
        assert {id_ for row in answers for id_ in row["passage_ids"]} <= passages
        assert all(row["output_tokens"] <= 6 and row["prompt_tokens"] > 50 for row in answers)


def test_the_oracle_reads_the_gold_passage_and_what_is_retrieved_where_there_is_none(built: SmallExperiment) -> None:
    gold = {row["id"]: row["gold_document_ids"] for row in eval_rows()}
    retrieved = {row["example_id"]: row["passage_ids"] for row in rows(built.first_run / "answers" / "rag.jsonl")}
    for row in rows(built.first_run / "answers" / "oracle.jsonl"):
        id_ = row["example_id"]
        read_ids = [passage.partition("#")[0] for passage in row["passage_ids"]]
        assert read_ids == gold[id_] if gold[id_] else row["passage_ids"] == retrieved[id_]


def test_every_answer_is_scored_on_every_metric(built: SmallExperiment) -> None:
    scores = rows(built.first_run / "scores.jsonl")
    metrics = ("token_f1", "exact_match", "contains", "abstained", "k_precision", "passage_support")
    keys = {(arm, row["id"], metric) for arm in ARMS for row in eval_rows() for metric in metrics}
    assert len(scores) == len(keys)
    assert {(row["arm"], row["example_id"], row["metric"]) for row in scores} == keys


def test_the_comparison_declares_its_contrasts_and_the_verdict_reads_it(built: SmallExperiment) -> None:
    comparison = read(built.first_run / "comparison.json")
    declared = [(c["first"], c["second"]) for c in comparison["contrasts"] if c["declared"]]
    assert declared[:2] == [("rag", "base"), ("finetuned", "base")]
    assert (comparison["n_examples"], comparison["n_clusters"]) == (12, 12)
    primary = [c for c in comparison["contrasts"] if c["metric"] == "token_f1"]
    assert len(primary) == len(ARMS) * (len(ARMS) - 1) // 2
    verdict = read(built.first_run / "verdict.json")
    assert set(verdict["candidates"]) <= set(ARMS) - {"oracle"}
    assert set(dict(verdict["excluded"])) <= set(ARMS) - {"oracle"}
    assert verdict["decision"] in ("ship", "not_decided", "none_qualifies")
    assert verdict["confidence"] in (built.first_run / "report.md").read_text()


def test_the_metrics_hold_counts_costs_and_data(built: SmallExperiment) -> None:
    metrics = read(built.first_run / "metrics.json")
    counts = {"documents": 10, "passages": 10, "train": 12, "dev": 4, "eval": 12, "unanswerable": 2}
    checks = metrics["data"].pop("checks")
    assert metrics["data"] == {**counts, "set_aside": 0, "findings": []}
    assert {check["severity"] for check in checks} == {"ok", "note"}
    assert checks == read(built.first_run / "checks.json")["checks"]
    assert [check["name"] for check in checks][-3:] == ["set_aside", "lengths", "known"]
    hits = metrics["retrieval"].pop("hits")
    assert metrics["retrieval"] == {"kind": "dense", "top_k": 2, "documents": 10, "passages": 10}
    assert hits.keys() == {"rag", "raft_rag"}
    assert all(row["hit"]["n"] + row["miss"]["n"] == 10 for row in hits.values())  # two of twelve have no gold document
    assert {row["metric"]: row["n"] for row in metrics["metrics"] if row["arm"] == "retrieval:dense"}["recall@5"] == 10
    assert {name: row["control"] for name, row in metrics["arms"].items()} == {a: a == "oracle" for a in ARMS}
    assert all(row["latency_s_p50"] > 0 and row["latency_n"] == 1 for row in metrics["arms"].values())
    closed_book = metrics["adapters"]["closed_book"]
    assert (closed_book["steps"], closed_book["examples_seen"], closed_book["reused"]) == (4, 8, False)
    assert metrics["task"] == {"kind": "qa", "labels": [], "majority_share": None, "unaided": None}
    finetuned, base, rag = (metrics["arms"][name] for name in ("finetuned", "base", "raft_rag"))
    # Twelve training and four dev examples; the two shots of few_shot; a prompt needs none.
    assert [metrics["arms"][name]["labels"] for name in ("finetuned", "few_shot", "base")] == [16, 2, 0]
    assert finetuned["training_seconds"] == closed_book["seconds"] > 0 == base["training_seconds"]
    assert rag["index_seconds"] > 0 == finetuned["index_seconds"]
    assert finetuned["memory_gb"] > base["memory_gb"] > 50_000 * 4 / 1e9  # more than the float32 weights
    assert (base["citing_share"], base["failed_share"], base["cost"]) == (None, 0.0, None)
    assert finetuned["prompt_tokens_mean"] == base["prompt_tokens_mean"]  # the same prompt, another model


def test_the_adapters_really_answer(built: SmallExperiment) -> None:
    run = built.first_run
    assert texts(run, "finetuned") != texts(run, "base")
    assert texts(run, "raft_rag") != texts(run, "rag")
    assert texts(run, "few_shot") != texts(run, "base")


# ---------------------------------------------------------------------------------------- what is reused, and when


def test_an_unchanged_experiment_builds_and_asks_nothing(
    built: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ragft.training.running
    from ragft.arms.models import LocalModel

    monkeypatch.setattr(LocalGenerator, "__init__", forbidden)
    monkeypatch.setattr(ragft.training.running, "train", forbidden)
    monkeypatch.setattr(Embedder, "__init__", forbidden)
    monkeypatch.setattr(LocalModel, "_load", forbidden)
    run = built.compare()
    assert reused(run) == all_reused()
    assert run != built.first_run
    for name in ("comparison.json", "verdict.json", "scores.jsonl", "examples.jsonl", "passages.jsonl"):
        assert (run / name).read_bytes() == (built.first_run / name).read_bytes(), name
    for arm in ARMS:
        assert texts(run, arm) == texts(built.first_run, arm)
    assert trained(run) == {"closed_book": False, "raft": False}


def test_a_comparison_made_twice_from_nothing_is_the_same(built: SmallExperiment, experiment: SmallExperiment) -> None:
    run = experiment.compare()
    assert read(run / "comparison.json") == read(built.first_run / "comparison.json")
    assert {arm: texts(run, arm) for arm in ARMS} == {arm: texts(built.first_run, arm) for arm in ARMS}


def test_an_edited_document_changes_only_what_reads_it(
    experiment: SmallExperiment, asked: list[str], embedded: list[str]
) -> None:
    first = experiment.compare()
    assert len(embedded) == 10
    retrieved = [row["passage_ids"][0] for row in rows(first / "answers" / "rag.jsonl")]
    chosen = max(retrieved, key=retrieved.count).partition("#")[0]
    changed = documents()
    edited = next(row for row in changed if row["id"] == chosen)
    before, edited["text"] = edited["text"], "Its lighthouse is turquoise. It was built in 1835. Mermaids live there."
    experiment.rows("documents", changed)
    asked.clear()
    embedded.clear()
    second = experiment.compare()
    assert embedded == [f"{edited['title']}\n{edited['text']}"]
    lines = reused(second)
    assert lines[0] == "index: 9 passages unchanged, 1 embedded, 0 removed"
    for arm in ("base", "few_shot", "finetuned"):
        assert f"arm {arm}: 12 of 12 answers" in lines
        assert texts(second, arm) == texts(first, arm)
    assert trained(second) == {"closed_book": False, "raft": True}
    for arm in ("rag", "oracle", "raft_rag"):
        assert any("turquoise" in row["text"] for row in rows(second / "passages.jsonl"))
        assert f"arm {arm}: 12 of 12 answers" not in lines
    assert asked
    assert all("[1] The harbour of" in prompt for prompt in asked)  # only prompts with passages
    assert before not in {row["text"] for row in rows(second / "passages.jsonl")}


def test_a_corpus_under_the_same_path_is_never_reused_silently(experiment: SmallExperiment) -> None:
    two_arms = ["--set", "compare.arms={base: {}, rag: {retrieval: index}}", "--set", "compare.contrasts=[]"]
    assert experiment.run("compare", *two_arms).exit_code == 0
    other = [{**row, "text": row["text"].replace("lighthouse", "windmill")} for row in documents()]
    experiment.rows("documents", other)
    found = experiment.json("compare", *two_arms)
    assert all("windmill" in row["text"] for row in rows(Path(found["run"]) / "passages.jsonl"))
    assert found["metrics"]["reused"] == ["arm base: 12 of 12 answers"]
    experiment.rows("documents", documents())  # and back: the rankings are there, the passages must be too
    found = experiment.json("compare", *two_arms)
    assert all("lighthouse" in row["text"] for row in rows(Path(found["run"]) / "passages.jsonl"))
    assert found["metrics"]["reused"] == [f"arm {arm}: 12 of 12 answers" for arm in ("base", "rag")]


def test_a_larger_top_k_is_not_served_from_a_shorter_ranking(built: SmallExperiment) -> None:
    one_arm = ("compare.arms={base: {}, rag: {retrieval: index}}", "compare.contrasts=[]")
    more = documents() + [{"id": f"x{n}", "title": f"Note {n}", "text": f"Nothing of note {n}."} for n in range(20)]
    jsonl.write_rows(built.folder / "more.jsonl", more)
    for top_k in (3, 14):
        run = built.compare("data.documents=more.jsonl", f"retrieval.top_k={top_k}", *one_arm)
        counts = {len(row["passage_ids"]) for row in rows(run / "answers" / "rag.jsonl")}
        assert counts == {top_k}


def test_a_training_setting_retrains_its_adapter_alone(built: SmallExperiment, asked: list[str]) -> None:
    run = built.compare("adapters.closed_book.training.learning_rate=0.02")
    assert trained(run) == {"closed_book": True, "raft": False}
    assert reused(run) == [line for line in all_reused() if "closed_book" not in line and "finetuned" not in line]
    assert len(asked) == 12 + 2  # the finetuned arm: every question, and one alone with its warm-up


def test_the_loss_and_the_answers_follow_the_seed(built: SmallExperiment) -> None:
    run = built.compare("seed=18")
    assert trained(run) == {"closed_book": True, "raft": True}
    assert "arm base: 12 of 12 answers" in reused(run)


@pytest.mark.parametrize(
    ("override", "arms"),
    [
        ("generation.max_new_tokens=5", ()),
        ("generation.batch_size=3", ()),
        ("retrieval.top_k=1", ("base", "few_shot", "finetuned")),
        ("compare.confidence=0.9", ARMS),
        ("compare.requirements.margin=0.1", ARMS),
    ],
)
def test_a_setting_asks_again_exactly_the_arms_that_depend_on_it(
    built: SmallExperiment, override: str, arms: tuple[str, ...]
) -> None:
    run = built.compare(override)
    whole = tuple(arm for arm in ARMS if f"arm {arm}: 12 of 12 answers" in reused(run))
    if override.startswith("retrieval"):
        whole = tuple(arm for arm in whole if arm != "oracle")  # one gold passage each, so nothing need change
    assert whole == arms
    assert "adapter closed_book: trained before" in reused(run)


def test_another_model_of_the_same_name_is_another_model(experiment: SmallExperiment, tmp_path: Path) -> None:
    import shutil

    from conftest import write_tiny_model

    folder = tmp_path / "model"
    shutil.copytree(experiment.config["model"]["source"], folder)
    base = {"arms": {"base": {}, "again": {}}, "latency_questions": 0, "limits": NO_LIMIT}
    del experiment.config["adapters"]
    experiment.config |= {"model": {"source": str(folder), "dtype": "float32"}, "compare": base}
    experiment.save()
    first = experiment.compare()
    shutil.rmtree(folder)
    write_tiny_model(folder, seed=8)
    second = experiment.compare()
    assert reused(second) == []
    assert texts(second, "base") != texts(first, "base")


# --------------------------------------------------------------------------------------------- other experiments


def test_identical_arms_do_not_differ(built: SmallExperiment, asked: list[str]) -> None:
    run = built.compare(
        "compare.arms={one: {retrieval: index}, two: {retrieval: index}}", "compare.contrasts=[[one, two]]"
    )
    contrast = read(run / "comparison.json")["contrasts"][0]
    assert (contrast["first"], contrast["second"], contrast["difference"]) == ("one", "two", 0.0)
    assert (contrast["p_value"], contrast["p_adjusted"]) == (1.0, 1.0)
    assert (contrast["interval"]["low"], contrast["interval"]["high"]) == (0.0, 0.0)
    assert asked == []  # `rag` is the same arm under another name


def test_allowed_leakage_stands_in_the_metrics_and_in_the_report(experiment: SmallExperiment) -> None:
    leaked = eval_rows()
    leaked[3]["question"] = train_rows()[5]["question"].upper()
    experiment.rows("eval", leaked)
    experiment.config["data"]["allow_leakage"] = True
    experiment.config["compare"] = {"arms": {"base": {}, "again": {}}, "latency_questions": 0, "limits": NO_LIMIT}
    run = experiment.save().compare()
    message = "1 of 12 eval inputs also stand in train or dev: e03 = t05"
    findings = read(run / "metrics.json")["data"]["findings"]
    assert findings == [{"check": "leakage", "message": message, "example_ids": ["e03"]}]
    assert message in (run / "report.html").read_text()


def test_classification_from_end_to_end(experiment: SmallExperiment) -> None:
    def labelled(rows: list[Json], labels: str) -> list[Json]:
        plain = [{**row, "input": row["question"], "answerable": True} for row in rows]
        return [{**row, "references": [label]} for row, label in zip(plain, labels, strict=True)]

    experiment.rows("train", labelled(train_rows(), "ABABABABABAB"))
    experiment.rows("dev", [{**row, "input": f"{row['input']} Now?"} for row in labelled(train_rows()[:2], "AB")])
    experiment.rows("eval", labelled(eval_rows(), "AAAAAAAAABBB"))
    experiment.config["task"] = {"kind": "classification", "labels": ["A", "B"]}
    arms = {"base": {}, "rag": {"retrieval": "index"}, "finetuned": {"adapter": "closed_book"}}
    experiment.config["compare"] = {"arms": arms, "latency_questions": 0, "resamples": 200, "limits": NO_LIMIT}
    del experiment.config["adapters"]["raft"]
    experiment.config["adapters"]["closed_book"]["training"] |= {"max_steps": 60, "num_train_epochs": 10}
    run = experiment.save().compare()
    metrics = read(run / "metrics.json")
    assert metrics["primary_metric"] == "accuracy"
    unaided = metrics["task"].pop("unaided")
    assert metrics["task"] == {"kind": "classification", "labels": ["A", "B"], "majority_share": 0.75}
    assert (unaided["what"], unaided["mean"]) == ("always saying A (9 of 12)", 0.75)
    assert metrics["arms"]["base"]["abstention"] is None
    assert set(texts(run, "finetuned").values()) <= {"A", "B"}  # sixty steps teach it to say a label, and to stop
    assert metrics["arms"]["finetuned"]["truncated_share"] == 0.0
    said = texts(run, "finetuned")
    expected = {row["id"]: label for row, label in zip(eval_rows(), "AAAAAAAAABBB", strict=True)}
    accuracy = sum(said[id_] == label for id_, label in expected.items()) / 12
    shown = {(row["arm"], row["metric"]): row["value"] for row in metrics["metrics"]}
    assert shown["finetuned", "accuracy"] == pytest.approx(accuracy)
    f1 = []
    for label in "AB":
        right = sum(said[id_] == label == want for id_, want in expected.items())
        all_said, all_wanted = list(said.values()).count(label), list(expected.values()).count(label)
        f1.append(2 * right / (all_said + all_wanted))
    assert shown["finetuned", "macro_f1"] == pytest.approx(sum(f1) / 2)
    table = metrics["arms"]["finetuned"]["labels_said"]["labels"]
    assert [row["f1"] for row in table] == pytest.approx(f1)
    assert metrics["arms"]["base"]["latency_s_p50"] is None
    assert "the most frequent label would be right in 0.750 of the cases" in (run / "report.html").read_text()


def test_one_arm_alone_is_no_comparison(experiment: SmallExperiment) -> None:
    experiment.config["compare"] = {"arms": {"base": {}}, "latency_questions": 0}
    result = experiment.save().run("compare")
    assert result.exit_code == 4
    assert "there is only one arm (base), and so nothing to compare" in result.stderr


def test_without_documents_there_is_no_index(experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Embedder, "__init__", forbidden)
    for key in ("index", "retrieval", "adapters", "compare"):
        experiment.config.pop(key)
    experiment.config["data"] = {"eval": "eval.jsonl"}
    arms = "compare.arms={base: {}, again: {}}"
    run = experiment.save().compare(arms, "compare.latency_questions=0", "compare.limits.truncated_share=1")
    metrics = read(run / "metrics.json")
    assert list(metrics["arms"]) == ["base", "again"]
    assert (metrics["retrieval"], metrics["adapters"], metrics["data"]["passages"]) == (None, {}, 0)
    assert not (experiment.workspace / "chroma").exists()
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["documents"] == []


def test_no_file_of_a_run_is_torn_or_left_over(built: SmallExperiment) -> None:
    for path in built.first_run.rglob("*.json"):
        json.loads(path.read_text())
    assert list(built.folder.rglob("*.tmp*")) == []
    assert list((built.workspace / "training").iterdir()) == []
    assert not (built.workspace / "holder.json").exists()
