"""What a wrong experiment file is answered with: every fault at once, at its line, in words that name the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragft.config import Experiment, load_experiment
from ragft.config.expectations import Expectations
from ragft.config.suggestions import FOREIGN_NAMES
from ragft.errors import ConfigError

SHORTEST = "name: quick\ntask: qa\ndata: {documents: docs, train: train.jsonl, eval: eval.jsonl}\n"
WITHOUT_TRAIN = SHORTEST.replace("train: train.jsonl, ", "")

Faults = Callable[..., list[str]]

ASKED = "what is asked and how answers are read: `qa`, `summarization`, `translation` and so on, with its settings"
TASKS = "one of qa, summarization, translation, classification, chat, custom"


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Return a function that gives the faults of a text, with overrides and an environment; none when it is right."""
    monkeypatch.chdir(tmp_path)

    def faults_of(text: str, *overrides: str, **environment: str) -> list[str]:
        path = tmp_path / "experiment.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            load_experiment(path, overrides, environment)
        except ConfigError as error:
            return error.faults
        return []

    return faults_of


def test_all_faults_come_at_once_in_the_order_of_the_file(faults: Faults) -> None:
    text = """
name: Quick Start
task:
  kind: qaa
model_name_or_path: x
data:
  documents: docs
  train: {path: t.jsonl, limt: 3}
retrieval:
  top_k: 500
  kind: dense
  top_k: 5
adapters:
  small:
    lora_r: 4
    training: {learning_rate: -1e-4, batch_size: 3}
generation:
  max_new_tokens: ${UNSET}
  temperature: 0.7
"""
    assert faults(text, "seed=five", "task.kind.x=1") == [
        "experiment.yaml:2: name: must be a name of at most 64 lower-case letters, digits, '-' and '_' that begins "
        "with a letter or digit, not 'Quick Start'",
        f"experiment.yaml:4: task.kind: must be {TASKS}, not 'qaa'; did you mean 'qa'?",
        "experiment.yaml:5: model_name_or_path: unknown key; in ragft it is model.source",
        "experiment.yaml:6: data.eval: is required: examples that every arm is asked and that are never trained on",
        "experiment.yaml:8: data.train.limt: unknown key; did you mean data.train.limit?",
        "experiment.yaml:10: retrieval.top_k: must be a whole number from 1 to 100, not 500",
        "experiment.yaml:12: retrieval.top_k: is given twice, first at experiment.yaml:10",
        "experiment.yaml:15: adapters.small.lora_r: unknown key; in ragft it is adapters.small.peft.r",
        "experiment.yaml:16: adapters.small.training.learning_rate: must be a number above 0, not -0.0001",
        "experiment.yaml:16: adapters.small.training.batch_size: unknown key; in ragft it is "
        "adapters.small.training.per_device_train_batch_size",
        "experiment.yaml:18: generation.max_new_tokens: the environment variable UNSET is not set; set it, or write "
        "${UNSET:-default}",
        "experiment.yaml:19: generation.temperature: there is no such key: decoding is greedy in every arm, so that "
        "they are compared alike",
        "--set seed=five: seed: must be a whole number of at least 0, not 'five'",
        "--set task.kind.x=1: task.kind holds one value, which has no 'x'",
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("seed: true", "seed: must be a whole number of at least 0, not true"),
        ("seed: '5'", "seed: must be a whole number of at least 0, not '5'"),
        ("seed: 1.5", "seed: must be a whole number of at least 0, not 1.5"),
        ("seed:", "seed: must be a whole number of at least 0, not empty"),
        ("seed: [1]", "seed: must be a whole number of at least 0, not a list of 1"),
        ("model: [a]", "model: must be text or a section, not a list of 1"),
        ("model: ''", "model: must be text or a section, not empty"),
        ("model: {dtype: int8}", "model.dtype: must be one of auto, float32, bfloat16, float16, not 'int8'"),
        (
            "model: {dtype: float61}",
            "model.dtype: must be one of auto, float32, bfloat16, float16, not 'float61'; did you mean 'float16'?",
        ),
        ("compare: {confidence: 95}", "compare.confidence: must be a number above 0.5 and below 1, not 95"),
        ("compare: {confidence: .nan}", "compare.confidence: must be a number above 0.5 and below 1, not nan"),
        ("compare: {contrasts: [[base]]}", "compare.contrasts.0: must be a list of 2, not a list of 1"),
        ("compare: {contrasts: [[base, rag, oracle]]}", "compare.contrasts.0: must be a list of 2, not a list of 3"),
        ("compare: {contrasts: [base]}", "compare.contrasts.0: must be a list of 2, not 'base'"),
        ("compare: {contrasts: [[base, 1]]}", "compare.contrasts.0.1: must be text, not 1"),
        ("compare: {arms: [base]}", "compare.arms: must be a section of named entries, not a list of 1"),
        ("retrieval: dense", "retrieval: must be a section, not 'dense'"),
        (
            "retrieval: {kind: dence}",
            "retrieval.kind: must be one of dense, bm25, hybrid, not 'dence'; did you mean 'dense'?",
        ),
        ("compare: {arms: {a: rag}}", "compare.arms.a: must be a section, not 'rag'"),
        (
            "compare: {arms: {a: {retrieval: indx}}}",
            "compare.arms.a.retrieval: must be one of none, index, oracle, random, not 'indx'; did you mean 'index'?",
        ),
        ("adapters: {a: {peft: {target_modules: 3}}}", "adapters.a.peft.target_modules: must be text or a list, not 3"),
        ("adapters: {a: {peft: {target_modules: [3]}}}", "adapters.a.peft.target_modules.0: must be text, not 3"),
        (
            "adapters: {a: {training: {load_best_model_at_end: no}}}",
            "adapters.a.training.load_best_model_at_end: must be true or false, not 'no'",
        ),
        (
            "adapters: {a: {training: {learning_rate: .inf}}}",
            "adapters.a.training.learning_rate: must be a number above 0, not inf",
        ),
        (
            "index: {chunking: {chunk_tokens: 100, overlap_tokens: 60}}",
            "index.chunking: overlap_tokens (60) is more than half of chunk_tokens (100)",
        ),
        (
            "adapters: {A B: {prompt: 3}}",
            "adapters.A B: must be a name of at most 64 lower-case letters, digits, '-' and '_' that begins with a "
            "letter or digit",
        ),
        ("seed: ${SEED", "seed: '${' begins no ${VAR} or ${VAR:-default}; write $${ for a literal ${"),
        ("seed: ${A:-${B}}", "seed: '${' begins no ${VAR} or ${VAR:-default}; write $${ for a literal ${"),
        ("seed: !!int x", "seed: 'x' does not fit the tag !!int"),
        ("seed: !env x", "seed: the tag '!env' is not supported"),
        ("model: {{ x }}: y", None),
        ("index: &a {embedder: *a}", "index.embedder: refers to itself"),
        ("retrieval: {<<: {top_k: 3}}", "retrieval.<<: YAML merge keys are not read; write the keys out"),
    ],
)
def test_one_fault(faults: Faults, line: str, fault: str | None) -> None:
    found = faults(SHORTEST + line + "\n")
    if fault is None:
        assert len(found) == 1
        assert found[0].startswith("experiment.yaml:4: is not valid YAML at column")
    else:
        assert found[0] == f"experiment.yaml:4: {fault}"


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        (
            "qaa",
            "task: must be one of qa, summarization, translation, classification, chat, custom, not 'qaa'; "
            "did you mean 'qa'?",
        ),
        (
            "{kind: translation, source: English}",
            "task.target: is required: language of the references, as the prompt names it, such as Spanish",
        ),
        (
            "{kind: classification, labels: [a]}",
            "task.labels: one label is no choice: name two or more, or none for those of the examples",
        ),
        ("{kind: classification, labls: [a, b]}", "task.labls: unknown key; did you mean task.labels?"),
        (
            "{labels: [a, b]}",
            "task.kind: is required: one of qa, summarization, translation, classification, chat, custom",
        ),
        ("{kind: 3}", "task.kind: must be one of qa, summarization, translation, classification, chat, custom, not 3"),
        ("", f"task: is required: {ASKED}"),
        ("[qa]", "task: must be qa or summarization or classification or chat or a section, not a list of 1"),
    ],
)
def test_a_wrong_task(faults: Faults, task: str, fault: str) -> None:
    assert f"experiment.yaml:2: {fault}" in faults(SHORTEST.replace("qa", task, 1))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("{eval: ''}", "data.eval: must be a path, not empty"),
        ("{eval: 3}", "data.eval: must be a path or a section, not 3"),
        ("{eval: {limit: 3}}", "data.eval.path: is required: the file, relative to the experiment file"),
        ("{eval: e, documents: {pth: x}}", "data.documents.pth: unknown key; did you mean data.documents.path?"),
        (
            "{eval: e, documents: [{path: x, kind: wep}]}",
            "data.documents.0.kind: must be one of files, web, database, hub, not 'wep'; did you mean 'web'?",
        ),
        ("{eval: e, documents: 3}", "data.documents: must be a list or a path or a section, not 3"),
        ("{eval: e, documents: [3]}", "data.documents.0: must be a path or a section, not 3"),
        ("", "data.eval: is required: examples that every arm is asked and that are never trained on"),
        ("d", "data: must be a section, not 'd'"),
    ],
)
def test_wrong_data(faults: Faults, data: str, fault: str) -> None:
    assert f"experiment.yaml:3: {fault}" in faults(f"name: quick\ntask: qa\ndata: {data}\n")


def test_a_missing_section_is_reported_at_the_first_line(faults: Faults) -> None:
    assert faults("\n\nseed: 3\n") == [
        "experiment.yaml:1: name: is required: short name; it stands in the names of run folders",
        f"experiment.yaml:1: task: is required: {ASKED}",
        "experiment.yaml:1: data: is required: documents and examples",
    ]


def test_a_fault_stands_at_the_line_of_its_key_or_item(faults: Faults) -> None:
    text = SHORTEST + "compare:\n  contrasts:\n    - [base, rag]\n    -\n      - base\n  resamples:\n    1\n"
    assert [fault.partition(": must")[0] for fault in faults(text)] == [
        "experiment.yaml:8: compare.contrasts.1",
        "experiment.yaml:9: compare.resamples",
    ]


# Names from elsewhere


@pytest.mark.parametrize(("foreign", "key"), sorted(FOREIGN_NAMES.items()))
def test_every_foreign_name_leads_to_a_key_that_exists(foreign: str, key: str) -> None:
    assert key in Expectations().all_keys()
    assert foreign not in Experiment.model_fields


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (
            "adapters: {a: {lora_alpha: 3}}",
            "4: adapters.a.lora_alpha: unknown key; in ragft it is adapters.a.peft.lora_alpha",
        ),
        ("lora-r: 3", "4: lora-r: unknown key; in ragft it is adapters.<name>.peft.r"),
        ("lr: 3", "4: lr: unknown key; in ragft it is adapters.<name>.training.learning_rate"),
        ("index: {chunk_size: 3}", "4: index.chunk_size: unknown key; in ragft it is index.chunking.chunk_tokens"),
        (
            "index: {chunking: {chunk_overlap: 3}}",
            "4: index.chunking.chunk_overlap: unknown key; in ragft it is index.chunking.overlap_tokens",
        ),
        (
            "index: {chunking: {max_tokens: 3}}",
            "4: index.chunking.max_tokens: unknown key; in ragft it is index.chunking.chunk_tokens",
        ),
        (
            "generation: {max_tokens: 3}",
            "4: generation.max_tokens: unknown key; in ragft it is generation.max_new_tokens",
        ),
        (
            "retrieval: {similarity_top_k: 3}",
            "4: retrieval.similarity_top_k: unknown key; in ragft it is retrieval.top_k",
        ),
        ("questions: x", "4: questions: unknown key; in ragft it is data.eval"),
        ("metrics: [f1]", "4: metrics: unknown key; in ragft it is compare.primary_metric"),
        ("top_k: 3", "4: top_k: unknown key here; it belongs at retrieval.top_k"),
        ("arms: {}", "4: arms: unknown key here; it belongs at compare.arms"),
        (
            "batch_size: 3",
            "4: batch_size: unknown key here; it belongs at index.embedder.batch_size or generation.batch_size",
        ),
        ("retrieva: {}", "4: retrieva: unknown key; did you mean retrieval?"),
        (
            "retrieval: {zzz: 1}",
            "4: retrieval.zzz: unknown key; the keys here are kind, top_k, candidates, rrf_k, weights, reranker, mmr, "
            "filter, min_score",
        ),
    ],
)
def test_an_unknown_key_is_answered_with_the_right_one(faults: Faults, lines: str, fault: str) -> None:
    assert faults(SHORTEST + lines + "\n") == [f"experiment.yaml:{fault}"]


@pytest.mark.parametrize("documents", ["{path: x.jsonl, title: name}", "[{path: x.jsonl, title: name}]"])
def test_a_column_named_at_a_file_is_answered_with_its_place_not_with_the_same_key(
    faults: Faults, documents: str
) -> None:
    (found,) = faults(f"name: a\ntask: qa\ndata: {{documents: {documents}, eval: eval.jsonl}}\n")
    assert found.endswith("title: unknown key; in ragft it is data.fields.document_title")


# Names that point at nothing


def test_rules_between_sections_are_checked_when_each_section_is_right(faults: Faults) -> None:
    text = (
        WITHOUT_TRAIN
        + """adapters:
  a:
    prompt: terse
compare:
  arms:
    base: {shots: 2}
    one: {adapter: b}
    two: {adapter: a, prompt: other}
  contrasts:
    - [base, three]
    - [base, base]
"""
    )
    assert faults(text) == [
        "experiment.yaml:4: adapters: adapters need data.train",
        "experiment.yaml:9: compare.arms.base.shots: shots are drawn from data.train, which is absent",
        "experiment.yaml:10: compare.arms.one.adapter: there is no adapter 'b' (adapters: a)",
        "experiment.yaml:11: compare.arms.two.prompt: the adapter 'a' is trained with one prompt template only, "
        "its own",
        "experiment.yaml:13: compare.contrasts.0: there is no arm 'three' (arms: base, one, two)",
        "experiment.yaml:14: compare.contrasts.1: 'base' is contrasted with itself",
    ]
    assert faults(text + "seed: five\n") == [
        "experiment.yaml:15: seed: must be a whole number of at least 0, not 'five'"
    ]


def test_a_recipe_or_an_arm_that_needs_documents(faults: Faults) -> None:
    text = SHORTEST.replace("documents: docs, ", "")
    arms = "adapters: {a: {recipe: context}}\ncompare:\n  arms: {base: {retrieval: oracle}}\n"
    assert faults(text + arms) == [
        "experiment.yaml:4: adapters.a.recipe: the recipe context needs data.documents",
        "experiment.yaml:6: compare.arms.base.retrieval: retrieval 'oracle' needs data.documents",
    ]


# Overrides


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("retrieval.top_k", "write it as --set dotted.key=value"),
        ("=3", "write it as --set dotted.key=value"),
        ("retrieval..top_k=3", "write it as --set dotted.key=value"),
        ("name.x=3", "name holds one value, which has no 'x'"),
        (
            "data.documents.limit=3",
            "data.documents.limit: unknown key of this kind; another `kind` has it",
        ),
        ("data.documents.0.path=x", "data.documents holds one value, which has no '0'"),
        ("compare.contrasts.2=[a, b]", "compare.contrasts is a list of 1; '2' is not a number up to that"),
        ("compare.contrasts.x=3", "compare.contrasts is a list of 1; 'x' is not a number up to that"),
        ("seed=[1", "the value is not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("retrieval.topk=3", "retrieval.topk: unknown key; in ragft it is retrieval.top_k"),
        ("retrieval.top_k=0", "retrieval.top_k: must be a whole number from 1 to 100, not 0"),
        ("retrieval={top_k: 0}", "retrieval.top_k: must be a whole number from 1 to 100, not 0"),
        (
            "name=",
            "name: must be a name of at most 64 lower-case letters, digits, '-' and '_' that begins with a letter "
            "or digit, not empty",
        ),
    ],
)
def test_a_bad_override_is_located_by_itself(faults: Faults, override: str, fault: str) -> None:
    text = SHORTEST + "compare:\n  contrasts: [[base, rag]]\n"
    assert faults(text, override) == [f"--set {override}: {fault}"]


def test_bad_overrides_come_in_their_order(faults: Faults) -> None:
    assert [fault.partition(":")[0] for fault in faults(SHORTEST, "seed=b", "x", "name=3", "y")] == [
        *("--set seed=b", "--set x", "--set name=3", "--set y")
    ]


# Secrets


def test_no_fault_shows_a_value_from_the_environment(faults: Faults) -> None:
    text = SHORTEST + 'seed: "${TOKEN}"\nmodel: {dtype: "${TOKEN}"}\ncompare: {contrasts: [["${TOKEN}", base]]}\n'
    found = faults(text, TOKEN="hunter2")
    assert found == [
        "experiment.yaml:4: seed: must be a whole number of at least 0, not the value of ${TOKEN}",
        "experiment.yaml:5: model.dtype: must be one of auto, float32, bfloat16, float16, not the value of ${TOKEN}",
    ]
    assert faults(SHORTEST + 'model: {dtype: "${TOKEN}"}\n', TOKEN="flota16")[0].endswith("not the value of ${TOKEN}")
    text = SHORTEST + 'compare: {contrasts: [["${TOKEN}", base]]}\n'
    assert faults(text, TOKEN="hunter2")[0].startswith(
        "experiment.yaml:4: compare.contrasts.0: there is no arm '${TOKEN}' ("
    )
