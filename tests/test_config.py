"""What a right experiment file means: YAML 1.2, environment variables, overrides, paths, and the resolved copy."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragft.config import Experiment, LoadedExperiment, experiment_json_schema, load_experiment
from ragft.config.interpolation import escape, expand
from ragft.config.reading import plain_tag, scalar_value
from ragft.errors import ConfigError

STARTER = Path(__file__).resolve().parents[1] / "configs" / "starter.yaml"
CALM = settings(deadline=None, max_examples=40)  # a busy machine is no fault of the code
SHORTEST = "name: quick\ntask: qa\ndata: {documents: docs, train: train.jsonl, eval: eval.jsonl}\n"

Load = Callable[..., LoadedExperiment]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a function that loads text, with overrides and an environment, as a file in the current directory."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str, *overrides: str, **environment: str) -> LoadedExperiment:
        path = tmp_path / "experiment.yaml"
        path.write_text(text, encoding="utf-8")
        return load_experiment(path, overrides, environment)

    return load_text


def test_the_shortest_file_gets_every_default(load: Load, tmp_path: Path) -> None:
    loaded = load(SHORTEST)
    experiment = loaded.experiment
    assert loaded.path == tmp_path / "experiment.yaml"
    assert (experiment.seed, experiment.retrieval.top_k, experiment.task.kind) == (17, 5, "qa")
    assert list(experiment.adapters) == ["closed_book", "raft"]
    assert list(experiment.compare.arms) == [
        *("base", "few_shot", "rag", "finetuned", "finetuned_rag", "raft_rag", "oracle", "random_context")
    ]
    assert loaded.secrets == frozenset()


def test_an_adapter_named_as_a_standard_arm_does_not_take_its_place(load: Load) -> None:
    arms = load(SHORTEST + "adapters: {base: }\n").experiment.compare.arms
    assert arms["base"].adapter is None
    assert arms["base_adapter"].adapter == "base"
    assert arms["base_adapter_rag"].adapter == "base"


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-4", 1e-4), ("2E5", 2e5), ("1.e-3", 1e-3), (".5", 0.5), ("+3", 3), ("012", 12), ("0x1F", 31), ("0o17", 15)]
    + [("true", True), ("False", False), ("~", None), ("", None), ("-.inf", float("-inf")), ("1_000", "1_000")]
    + [(word, word) for word in ("no", "Yes", "on", "OFF", "y", "2024-01-31", "12:30", "1e", "=", "<<", "e5", "-")],
)
def test_plain_scalars_are_read_by_yaml_1_2(written: str, value: object) -> None:
    read = scalar_value(plain_tag(written), written)
    assert (read, type(read)) == (value, type(value))


def test_numbers_and_words_in_a_file(load: Load) -> None:
    text = """
name: quick
task: {kind: classification, labels: [yes, no, 2024-01-31, "1e5"]}
data: {train: t.jsonl, eval: e.jsonl}
adapters:
  a: {training: {learning_rate: 1e-4, num_train_epochs: 2, load_best_model_at_end: false}}
"""
    experiment = load(text).experiment
    training = experiment.adapters["a"].training
    assert experiment.task.model_dump()["labels"] == ("yes", "no", "2024-01-31", "1e5")
    assert (training.learning_rate, training.num_train_epochs, training.load_best_model_at_end) == (1e-4, 2.0, False)


def test_empty_sections_have_their_defaults(load: Load) -> None:
    plain = load(SHORTEST).experiment
    assert load(SHORTEST + "index:\nretrieval:\nmodel:\nadapters:\ncompare:\n  arms:\n").experiment == plain


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SHORTEST.encode())
    assert load_experiment(path).experiment.name == "quick"


def test_paths_are_anchored_to_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, home = tmp_path / "a" / "b", tmp_path / "home"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    text = "name: q\ntask: qa\nmodel: ./m\nindex: {embedder: ~/e}\n"
    (folder / "x.yaml").write_text(text + "data: {documents: [docs, /abs/d], train: ~/t.jsonl, eval: e.jsonl}\n")
    loaded = load_experiment(Path("a/b/x.yaml"), ["data.eval=../e.jsonl"])
    data = loaded.experiment.data
    assert loaded.path == folder / "x.yaml"
    assert [source.path for source in data.documents] == [folder / "docs", Path("/abs/d")]
    assert data.train is not None
    assert (data.train.path, data.eval.path) == (home / "t.jsonl", folder / "../e.jsonl")
    assert (loaded.experiment.model.source, loaded.experiment.index.embedder.source) == (f"{folder}/m", f"{home}/e")


def test_a_hub_id_is_no_path(load: Load) -> None:
    assert load(SHORTEST + "model: org/name\n").experiment.model.source == "org/name"


def test_shorthands_mean_the_section_with_one_key(load: Load) -> None:
    long = """
name: quick
task: {kind: qa}
model: {source: org/m}
index: {embedder: {source: org/e}}
data: {documents: [{kind: files, path: docs}], train: {path: train.jsonl}, eval: {path: eval.jsonl}}
"""
    short = SHORTEST + "model: org/m\nindex: {embedder: org/e}\n"
    assert load(long).experiment == load(short).experiment
    assert load(SHORTEST.replace("docs", "[docs]")).experiment == load(SHORTEST).experiment
    assert load(SHORTEST.replace("docs", "{path: docs}")).experiment == load(SHORTEST).experiment
    assert load(SHORTEST.replace("docs", "")).experiment.data.documents == ()


# Environment variables


def test_a_whole_plain_reference_is_read_as_a_yaml_scalar(load: Load) -> None:
    text = SHORTEST + 'seed: ${SEED}\nmodel:\n  revision: "${REV}"\n  dtype: ${DTYPE:-float16}\n'
    experiment = load(text, SEED="42", REV="1234567").experiment
    assert (experiment.seed, experiment.model.revision, experiment.model.dtype) == (42, "1234567", "float16")


def test_a_reference_may_stand_inside_text_and_be_escaped(load: Load) -> None:
    text = SHORTEST + "adapters: {a: {prompt: 'v${N}-${M:-x y}-$${N}-$N'}}\n"
    assert load(text, N="1").experiment.adapters["a"].prompt == "v1-x y-${N}-$N"


def test_a_default_also_stands_in_for_an_empty_variable(load: Load) -> None:
    text = SHORTEST + "retrieval:\n  top_k: ${K:-7}\n"
    assert load(text, K="").experiment.retrieval.top_k == 7
    assert load(text, K="9").experiment.retrieval.top_k == 9


def test_the_environment_of_the_process_is_used_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGFT_TEST_SEED", "5")
    (tmp_path / "e.yaml").write_text(SHORTEST + "seed: ${RAGFT_TEST_SEED}\n")
    assert load_experiment(tmp_path / "e.yaml").experiment.seed == 5


def test_secrets_are_the_long_values_of_the_environment(load: Load) -> None:
    text = SHORTEST + "seed: ${SEED}\nmodel: ${MODEL}\nadapters: {a: {prompt: '${P}-${Q:-default}'}}\n"
    loaded = load(text, SEED="123", MODEL="org/private", P="abcd")
    assert loaded.secrets == {"org/private", "abcd"}
    assert not {"secrets=", "_variables=", "_expansions="} & set(re.findall(r"\w+=", repr(loaded)))


@CALM
@given(st.text())
def test_escaped_text_reads_as_itself(text: str) -> None:
    assert expand(escape(text), {}).text == text


# The resolved copy


def test_the_resolved_copy_hides_what_the_environment_supplied(load: Load) -> None:
    text = """
name: quick
task: qa
seed: ${SEED}
model: ${MODEL}
data: {documents: ["${DATA}/docs"], train: "${DATA}/t.jsonl", eval: "/abs/hunter2/e.jsonl"}
adapters: {a: {prompt: "${TOKEN}", peft: {target_modules: [hunter2, "${LAYERS:-q_proj}"]}}}
"""
    loaded = load(text, SEED="12345", MODEL="org/private", DATA="shared", TOKEN="hunter2")
    copy = loaded.resolved_yaml()
    values = yaml.safe_load(copy)
    folder = loaded.path.parent
    assert values["seed"] == "${SEED}"
    assert "seed: ${SEED}\n" in copy  # unquoted, so that it is read as a number again
    assert values["model"]["source"] == "${MODEL}"
    assert [source["path"] for source in values["data"]["documents"]] == [f"{folder}/${{DATA}}/docs"]
    assert values["data"]["eval"]["path"] == "/abs/${TOKEN}/e.jsonl"
    assert values["adapters"]["a"]["peft"]["target_modules"] == ["${TOKEN}", "q_proj"]
    assert not any(secret in copy.replace(str(folder), "") for secret in loaded.secrets)


def test_the_resolved_copy_loads_to_the_same_experiment_from_another_folder(load: Load, tmp_path: Path) -> None:
    environment = {"SEED": "12345", "DATA": "shared", "TOKEN": "hunter2", "NAME": "docs", "NO": ""}
    text = """
name: quick
task: qa
seed: ${SEED}
data: {documents: "${DATA}/${NAME}", train: "./${DATA}/t.jsonl", eval: "~/${DATA}/hunter2.jsonl"}
adapters: {a: {prompt: "$${TOKEN} 12345", peft: {
  target_modules: ["1e-4", "12345", "no", "${SEED}", "null", "hunter2"]}}}
model:
  revision: ${NO}
index:
  embedder: ${NO}
"""
    loaded = load(text, **environment)
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "config.yaml"
    copy.write_text(loaded.resolved_yaml())
    assert load_experiment(copy, (), environment).experiment == loaded.experiment


@pytest.mark.parametrize("written", ["${D}", "{path: '${D}'}", "['${D}']", "[{path: '${D}'}]"])
def test_the_resolved_copy_spells_out_shorthands_around_a_variable(load: Load, tmp_path: Path, written: str) -> None:
    text = f"name: q\ntask: qa\ndata:\n  eval: e.jsonl\n  documents: {written}\n"
    values = yaml.safe_load(load(text, D="shared").resolved_yaml())
    assert [(s["kind"], s["path"]) for s in values["data"]["documents"]] == [("files", f"{tmp_path}/${{D}}")]


@CALM
@given(
    before=st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=8),
    secret=st.text(st.characters(codec="utf-8", exclude_characters="$", exclude_categories=["Cs"]), min_size=4),
    after=st.text(st.characters(codec="utf-8"), max_size=8),
)
@example(before="\x85", secret="0000", after="\u2028")  # line breaks in YAML 1.1, plain characters in 1.2
def test_any_text_survives_the_resolved_copy(
    tmp_path_factory: pytest.TempPathFactory, before: str, secret: str, after: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "e.yaml"
    values = yaml.safe_load(SHORTEST) | {"adapters": {"a": {"prompt": escape(before) + "${S}" + escape(after)}}}
    path.write_text(yaml.safe_dump(values, default_style='"'), encoding="utf-8")
    loaded = load_experiment(path, (), {"S": secret})
    assert loaded.experiment.adapters["a"].prompt == before + secret + after
    path.write_text(loaded.resolved_yaml(), encoding="utf-8")
    assert load_experiment(path, (), {"S": secret}).experiment == loaded.experiment


# Overrides


def test_overrides_are_yaml_and_later_ones_win(load: Load) -> None:
    loaded = load(
        SHORTEST,
        *("retrieval.top_k=3", "retrieval.top_k=4", "adapters.a.training.learning_rate=1e-4", "model.revision=null"),
        *("compare.contrasts=[[base, rag]]", "compare.arms={base: {}, rag: {retrieval: index}}", "name = other"),
    )
    experiment = loaded.experiment
    assert (experiment.name, experiment.retrieval.top_k) == ("other", 4)
    assert experiment.adapters["a"].training.learning_rate == 1e-4
    assert experiment.compare.contrasts == (("base", "rag"),)
    assert list(experiment.compare.arms) == ["base", "rag"]


def test_an_override_spells_out_the_short_form_of_a_section(load: Load, tmp_path: Path) -> None:
    text = SHORTEST + "model: some/model\ncompare: {probes: [context]}\n"
    sets = ("data.eval.limit=40", "task.answers=long", "model.dtype=float32", "compare.probes.0.examples=9")
    found: Any = load(text, *sets, "data.eval.limit=30").experiment
    assert (found.data.eval.path, found.data.eval.limit) == (tmp_path / "eval.jsonl", 30)
    assert (found.task.kind, found.task.answers) == ("qa", "long")
    assert (found.model.source, found.model.dtype) == ("some/model", "float32")
    assert (found.compare.probes[0].kind, found.compare.probes[0].examples) == ("context", 9)


def test_overrides_reach_list_items_by_number(load: Load, tmp_path: Path) -> None:
    text = SHORTEST.replace("docs", "[{path: one}, two]")
    data = load(text, "data.documents.0.path=uno", "data.documents.1=due", "data.documents.2=tre").experiment.data
    assert [source.path.name for source in data.documents] == ["uno", "due", "tre"]
    created = load(SHORTEST.replace("documents: docs,", ""), "data.documents.0.path=x").experiment.data
    assert created.documents[0].path == tmp_path / "x"


def test_an_override_of_an_anchored_section_leaves_its_aliases_alone(load: Load) -> None:
    text = SHORTEST + "adapters:\n  a: &shared {peft: {r: 4}}\n  b: *shared\n"
    adapters = load(text, "adapters.a.peft.r=8").experiment.adapters
    assert (adapters["a"].peft.r, adapters["b"].peft.r) == (8, 4)


def test_an_override_may_hold_a_variable(load: Load) -> None:
    assert load(SHORTEST, "seed=${SEED}", SEED="3").experiment.seed == 3


def test_an_override_mends_a_bad_value(load: Load) -> None:
    assert load(SHORTEST + "seed: five\n", "seed=5").experiment.seed == 5


# JSON Schema


@cache
def schema_validator() -> jsonschema.Draft202012Validator:
    """Return a validator of the published schema, which takes long to derive."""
    return jsonschema.Draft202012Validator(experiment_json_schema())


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(experiment_json_schema())


def valid_files() -> list[str]:
    return [
        SHORTEST,
        SHORTEST + "model: org/m\nindex: {embedder: e, chunking: }\nretrieval:\ncompare:\n",
        SHORTEST + "adapters: {a: , b: {peft: {target_modules: [q, v], r: 8}}}\n",
        SHORTEST + "compare: {arms: {base: , rag: {retrieval: index}}, contrasts: [[rag, base]]}\n",
        SHORTEST + "adapters:\ncompare: {arms: }\n",
        SHORTEST + "seed: ${SEED}\nmodel: {source: '${M}', dtype: '${DTYPE}'}\n",
        SHORTEST.replace("docs", "{path: docs}"),
        SHORTEST.replace("docs", "[docs, {kind: files, path: more}]"),
        SHORTEST.replace("train.jsonl", "{path: t, limit: 3}").replace("docs", ""),
        SHORTEST.replace("qa", "{kind: classification, labels: [a, b]}"),
        SHORTEST.replace("quick", "run-${SEED}"),
        STARTER.read_text(encoding="utf-8"),
    ]


@pytest.mark.parametrize("text", valid_files())
def test_the_schema_accepts_what_the_loader_accepts(load: Load, text: str) -> None:
    load(text, SEED="3", M="m", DTYPE="auto")
    schema_validator().validate(yaml.safe_load(text))


def test_the_schema_accepts_the_resolved_copy(load: Load) -> None:
    copy = yaml.safe_load(load(SHORTEST + "seed: ${SEED}\n", SEED="12345").resolved_yaml())
    schema_validator().validate(copy)


@pytest.mark.parametrize(
    "wrong",
    ["topk: 3", "index: {chunk_size: 3}", "seed: five", "seed: true", "retrieval: {top_k: 0}", "adapters: {A B: {}}"]
    + ["compare: {arms: {a: {retrieval: web}}}", "name: Quick Start", "task: translation", "data: {train: t}"],
)
def test_the_schema_refuses_what_the_loader_refuses(load: Load, wrong: str) -> None:
    values = yaml.safe_load(SHORTEST) | yaml.safe_load(wrong)
    assert not schema_validator().is_valid(values)
    with pytest.raises(ConfigError):
        load(yaml.safe_dump(values))


LEAVES: st.SearchStrategy[Any] = st.sampled_from(
    ["text", "./m", "", 0, 1, 3, -1, 0.3, 2.0, True, None, [], ["a", "b"], {}, "auto", "qa", "none"]
)


@CALM
@given(
    st.dictionaries(
        st.sampled_from(["seed", "model", "task", "retrieval", "compare", "adapters", "name", "generation"]),
        LEAVES | st.dictionaries(st.sampled_from(["source", "dtype", "top_k", "kind", "arms", "x", "margin"]), LEAVES),
    )
)
def test_the_schema_is_never_stricter_than_the_loader(changes: Mapping[str, Any]) -> None:
    values = yaml.safe_load(SHORTEST) | dict(changes)
    try:
        Experiment.model_validate(values)
    except ValueError:
        return
    schema_validator().validate(values)


def test_the_schema_describes_every_key() -> None:
    schema = experiment_json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["title"], "$id" in schema) == ("ragft experiment", False)
    sections = {"experiment": schema, **schema["$defs"]}
    undescribed = {
        f"{name}.{key}"
        for name, section in sections.items()
        for key, node in section.get("properties", {}).items()
        if "description" not in node and key != "kind"
    }
    assert undescribed == set()


# The starter file and what importing costs


def uncommented(text: str) -> str:
    """Return the starter with every setting active: `# ` removed from each line but the modeline."""
    modeline, newline, rest = text.partition("\n")
    return modeline + newline + re.sub(r"(?m)^# ", "", rest)


def test_the_starter_states_the_defaults_truthfully(load: Load) -> None:
    text = STARTER.read_text(encoding="utf-8")
    as_written, with_everything = load(text).experiment, load(uncommented(text)).experiment
    assert with_everything == as_written
    assert list(with_everything.compare.arms) == list(as_written.compare.arms)
    assert list(yaml.safe_load(text)) == ["name", "task", "data"]
    assert set(yaml.safe_load(uncommented(text))) == set(Experiment.model_fields)


def test_the_starter_begins_with_the_modeline_of_its_schema() -> None:
    lines = STARTER.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=experiment.schema.json"
    assert any("ragft schema > experiment.schema.json" in line for line in lines)
    assert max(map(len, lines)) <= 120


def test_importing_the_configuration_imports_nothing_heavy() -> None:
    code = "import sys, ragft.config; print(*{name.partition('.')[0] for name in sys.modules})"
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout.split()
    assert not {"torch", "transformers", "jsonschema", "typer", "rich", "numpy", "chromadb"} & set(loaded)
