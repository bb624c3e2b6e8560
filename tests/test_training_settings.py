"""The settings `peft` and `training`: what passes through to PEFT and transformers, and what is refused, and where."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import transformers
import yaml

from ragft.config import AdapterConfig, load_experiment
from ragft.config.library_settings import library_settings
from ragft.errors import ConfigError

HEAD = "name: x\ntask: qa\ndata: {documents: d, train: t.jsonl, eval: e.jsonl}\nadapters:\n  a:\n"

Faults = Callable[[str], list[str]]


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Return a function from the settings of the adapter `a`, indented by four, to the faults of the file."""
    monkeypatch.chdir(tmp_path)

    def of(text: str) -> list[str]:
        Path("x.yaml").write_text(HEAD + text, encoding="utf-8")
        try:
            load_experiment(Path("x.yaml"))
        except ConfigError as error:
            return error.faults
        return []

    return of


def adapter(**sections: Any) -> AdapterConfig:
    return AdapterConfig.model_validate(sections)


@pytest.mark.parametrize(
    ("package", "file", "name", "kind"),
    [
        ("peft", "tuners/lora/config.py", "LoraConfig", peft.LoraConfig),
        ("peft", "tuners/ia3/config.py", "IA3Config", peft.IA3Config),
        ("transformers", "training_args.py", "TrainingArguments", transformers.TrainingArguments),
    ],
)
def test_the_names_read_off_the_source_are_those_of_the_class(package: str, file: str, name: str, kind: Any) -> None:
    inherited = {field.name for base in kind.__mro__[1:] for field in _fields(base)}
    own = {field.name for field in dataclasses.fields(kind)} - inherited
    found = library_settings(package, file, name)
    assert own <= set(found) <= own | inherited
    assert sum(not setting.help for setting in found.values()) < len(found) / 3


def _fields(kind: Any) -> tuple[Any, ...]:
    return dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()


def test_further_settings_pass_through_to_peft_as_they_are() -> None:
    config = adapter(peft={"target_modules": ["q_proj"], "layers_to_transform": [0], "rank_pattern": {"q_proj": 2}})
    made = peft.LoraConfig(**config.peft.for_peft())
    assert (made.layers_to_transform, made.rank_pattern, made.r, made.lora_alpha) == ([0], {"q_proj": 2}, 16, 32)
    assert made.target_modules == {"q_proj"}


def test_what_a_method_has_no_use_for_is_not_said_to_have_been_set() -> None:
    assert adapter(peft={"method": "ia3"}).peft.model_dump() == {"method": "ia3", "target_modules": "all-linear"}
    assert adapter(peft={"method": "full"}).peft.model_dump() == {"method": "full"}
    assert AdapterConfig.model_validate(adapter(peft={"method": "full"}).model_dump()).peft.method == "full"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "    peft:\n      method: lorra\n",
            "x.yaml:7: adapters.a.peft.method: must be one of lora, qlora, ia3, full, not 'lorra'; did you mean "
            "'lora'?",
        ),
        (
            "    peft:\n      rank_patern: {}\n",
            "x.yaml:7: adapters.a.peft.rank_patern: unknown key; did you mean adapters.a.peft.rank_pattern?",
        ),
        (
            "    peft:\n      layers_to_transform: two\n",
            "x.yaml:7: adapters.a.peft.layers_to_transform: must be a list or a whole number, not 'two'",
        ),
        (
            "    peft:\n      method: ia3\n      r: 8\n",
            "x.yaml:8: adapters.a.peft.r: has no effect with method: ia3",
        ),
        (
            "    peft:\n      init_lora_weights: pisa\n",
            "x.yaml:7: adapters.a.peft.init_lora_weights: must be true, false, gaussian, orthogonal, olora, pissa or "
            "pissa_niter_N with a number for N, not 'pisa'",
        ),
        (
            "    peft:\n      bias: all\n",
            "x.yaml:7: adapters.a.peft.bias: cannot be set here: it would change the base model, with which the other "
            "arms answer",
        ),
        (
            "    peft:\n      load_in_4bit: true\n",
            "x.yaml:7: adapters.a.peft.load_in_4bit: cannot be set here: say method: qlora",
        ),
        (
            "    peft: {layers_to_transform: 1}\n",
            "x.yaml:6: adapters.a.peft: PEFT refuses this: `layers_to_transform` cannot be used when `target_modules` "
            "is a str.",
        ),
        (
            "    training:\n      adam_beta2: high\n",
            "x.yaml:7: adapters.a.training.adam_beta2: must be a number, not 'high'",
        ),
        (
            "    training:\n      neftune_noise_alfa: 5\n",
            "x.yaml:7: adapters.a.training.neftune_noise_alfa: unknown key; did you mean "
            "adapters.a.training.neftune_noise_alpha?",
        ),
        (
            "    training:\n      output_dir: here\n",
            "x.yaml:7: adapters.a.training.output_dir: cannot be set here: ragft chooses where files are written",
        ),
        (
            "    training:\n      report_to: [wandb, neptune]\n",
            "x.yaml:7: adapters.a.training.report_to.1: must be one of tensorboard, mlflow, wandb, trackio, "
            "not 'neptune'",
        ),
    ],
)
def test_a_wrong_setting_is_told_with_its_line(faults: Faults, text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_own_and_further_settings_are_found_wrong_together(faults: Faults) -> None:
    found = faults("    training:\n      learning_rate: -1\n      optm: x\n    peft: {r: 0, use_dorra: true}\n")
    assert [line.partition(": ")[2].partition(":")[0] for line in found] == [
        "adapters.a.training.learning_rate",
        "adapters.a.training.optm",
        "adapters.a.peft.r",
        "adapters.a.peft.use_dorra",
    ]


def test_every_setting_of_the_trainer_is_taken_or_refused_with_a_reason() -> None:
    """A name that is neither would be unknown although transformers has it."""
    fields = {field.name: field for field in dataclasses.fields(transformers.TrainingArguments) if field.init}
    for name, field in fields.items():
        value = field.default if field.default is not dataclasses.MISSING else None
        try:
            config = adapter(training={name: value if value is not None else {}})
        except ValueError as error:
            assert "extra_forbidden" not in str(error), name
        else:
            assert hasattr(config.training, name)


def test_files_of_deepspeed_and_fsdp_lie_beside_the_experiment(tmp_path: Path) -> None:
    text = HEAD + "    training: {deepspeed: ds.json, fsdp: full_shard, fsdp_config: {xla: false}}\n"
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    training = load_experiment(tmp_path / "x.yaml").experiment.adapters["a"].training
    assert training.deepspeed == tmp_path / "ds.json"
    assert (training.further(), training.fsdp_config) == ({"fsdp": "full_shard"}, {"xla": False})


def test_the_written_out_experiment_reads_back(tmp_path: Path) -> None:
    text = HEAD + "    peft: {method: ia3}\n    training: {optim: adafactor, report_to: tensorboard}\n"
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    loaded = load_experiment(tmp_path / "x.yaml")
    written = yaml.safe_load(loaded.resolved_yaml())["adapters"]["a"]
    assert written["peft"] == {"method": "ia3", "target_modules": "all-linear"}
    assert (written["training"]["optim"], written["training"]["report_to"]) == ("adafactor", ["tensorboard"])
    (tmp_path / "y.yaml").write_text(loaded.resolved_yaml(), encoding="utf-8")
    assert load_experiment(tmp_path / "y.yaml").experiment.adapters["a"] == loaded.experiment.adapters["a"]


def test_reading_settings_imports_neither_torch_nor_peft(tmp_path: Path) -> None:
    text = HEAD + "    peft: {use_dora: true, init_lora_weights: pissa}\n    training: {optim: adafactor}\n"
    (tmp_path / "x.yaml").write_text(text.replace("use_dora: true, ", ""), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from ragft.config import load_experiment;"
        f"load_experiment(Path({str(tmp_path / 'x.yaml')!r}));"
        "print([name for name in ('torch', 'peft', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
