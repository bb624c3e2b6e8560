"""What was trained is what answers: every method through the generator and through `compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SmallExperiment, read
from safetensors.torch import load_file, save_file

from ragft.config import AdapterConfig
from ragft.errors import RagftError
from ragft.generation.local import LocalGenerator
from ragft.models.language_model import LanguageModel, load
from ragft.models.sources import ModelFolder
from ragft.training.examples import TrainingText, tokenized
from ragft.training.running import train

Json = dict[str, Any]
PROMPTS = ["Which colour has Corvel?", "Who?", "When was the lighthouse of Iverly built, and by whom?"]
TEXTS = (TrainingText("a", PROMPTS[0], "white"), TrainingText("b", PROMPTS[1], "many puffins live there"))
STEPS: Json = {"max_steps": 4, "num_train_epochs": 20, "per_device_train_batch_size": 2, "evals_per_run": 1}
METHODS: dict[str, Json] = {
    "full": {"method": "full"},
    "ia3": {"method": "ia3"},
    "dora": {"r": 4, "use_dora": True},
    "rslora": {"r": 4, "use_rslora": True},
    "pissa": {"r": 4, "init_lora_weights": "pissa"},
}
RATES = {"full": 0.001, "full_again": 0.003, "ia3": 0.1}

Trained = dict[str, Path]


def model_of(folder: Path) -> LanguageModel:
    return load(ModelFolder(str(folder), folder, "f" * 64), "float32", "cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Trained:
    """The folders of two fully trained models and three adapters, of LoRA, DoRA and IA3, all on the tiny model."""
    found = {}
    lm = model_of(tiny_model)
    for number, name in enumerate(("full", "dora", "full_again", "lora", "ia3")):
        root = tmp_path_factory.mktemp(name)
        peft = METHODS.get(name.removesuffix("_again"), {"r": 4})
        training = {**STEPS, "gradient_accumulation_steps": 1, "learning_rate": RATES.get(name, 0.01)}
        config = AdapterConfig.model_validate({"peft": peft, "training": training})
        (root / "adapter").mkdir()
        rows = tokenized(TEXTS, lm.tokenizer, None)
        train(lm, config, rows, [], folder=root / "checkpoints", target=root / "adapter", seed=number)
        (root / "adapter" / "ragft.json").write_text(json.dumps({"base_fingerprint": "f" * 64}))
        found[name] = root / "adapter"
    return found


def answers(generator: LocalGenerator, folder: Path | None) -> list[str]:
    with generator.adapter(folder):
        return [answer.text for answer in generator.generate(PROMPTS)]


@pytest.fixture
def fresh(tiny_model: Path) -> Callable[[], LocalGenerator]:
    """Return a function that makes a generator over the tiny model, loaded afresh."""
    return lambda: LocalGenerator(model_of(tiny_model), 6)


def test_fully_trained_weights_and_adapters_answer_in_any_order_and_the_base_as_before(
    trained: Trained, fresh: Callable[[], LocalGenerator], tiny_model: Path
) -> None:
    """PEFT renames the base's weights when it puts an adapter beside them, and refuses IA3 beside LoRA."""
    who: list[Path | None] = [None, *trained.values()]
    own = [answers(fresh(), folder) for folder in who]
    assert len({tuple(texts) for texts in own}) == 6
    lm = model_of(tiny_model)
    before = {name: value.clone() for name, value in lm.model.state_dict().items()}
    generator = LocalGenerator(lm, 6)
    for number in (1, 0, 4, 5, 1, 0, 3, 2, 4, 5, 0, 2, 1, 5, 3, 0, 5):
        assert answers(generator, who[number]) == own[number], number
    generator.unload()
    after = lm.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_the_base_comes_back_where_an_answer_fails(trained: Trained, tiny_model: Path) -> None:
    lm = model_of(tiny_model)
    generator, weight = LocalGenerator(lm, 6), next(lm.model.parameters())
    before = weight.clone()
    with pytest.raises(KeyboardInterrupt), generator.adapter(trained["full"]):
        assert not torch.equal(weight, before)
        raise KeyboardInterrupt
    assert torch.equal(weight, before)


def test_a_fully_trained_model_is_not_counted_beside_its_base(
    trained: Trained, fresh: Callable[[], LocalGenerator]
) -> None:
    """It takes the base's place: an arm that answers with it holds one set of weights, not two."""
    generator = fresh()
    with generator.adapter(trained["full"]):
        whole = generator.peak_bytes(PROMPTS[0])
    with generator.adapter(None):
        assert generator.peak_bytes(PROMPTS[0]) == whole


def damaged(folder: Path, target: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Path:
    """Write a copy of a model folder with changed weights."""
    target.mkdir()
    for file in folder.iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    weights = target / "model.safetensors"
    save_file(change(load_file(weights)), weights, metadata={"format": "pt"})
    return target


def test_weights_that_change_nothing_or_do_not_fit_are_errors(
    trained: Trained, fresh: Callable[[], LocalGenerator], tiny_model: Path, tmp_path: Path
) -> None:
    same = damaged(trained["full"], tmp_path / "same", lambda _: load_file(tiny_model / "model.safetensors"))
    generator = fresh()
    base = answers(generator, None)
    with pytest.raises(RagftError, match="changes no logit"):
        answers(generator, same)
    config = read(trained["full"] / "config.json")
    smaller = damaged(trained["full"], tmp_path / "smaller", lambda found: found)
    (smaller / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    with pytest.raises(RagftError, match="has other weights than its base") as caught:
        answers(generator, smaller)
    assert caught.value.hint == "train it again: ragft finetune FILE"
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "ragft.json").write_text(json.dumps({"base_fingerprint": "f" * 64}))
    with pytest.raises(RagftError, match="holds neither an adapter nor a whole model"):
        answers(generator, empty)
    assert answers(generator, None) == base


# ---------------------------------------------------------------------------------------------------- through compare


def only_memory(experiment: SmallExperiment, methods: dict[str, Json]) -> SmallExperiment:
    """Make an experiment without documents: the base, and an arm for every method."""
    for key in ("index", "retrieval"):
        experiment.config.pop(key)
    experiment.config["data"].pop("documents")
    plain = {**STEPS, "gradient_accumulation_steps": 1}
    experiment.config["adapters"] = {
        name: {"recipe": "closed_book", "peft": peft, "training": {**plain, "learning_rate": RATES.get(name, 0.01)}}
        for name, peft in methods.items()
    }
    arms = {"base": {}, **{f"with_{name}": {"adapter": name} for name in methods}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [[f"with_{name}", "base"] for name in methods]}
    return experiment.save()


def said(run: Path, arm: str) -> list[str]:
    rows = [json.loads(line) for line in (run / "answers" / f"{arm}.jsonl").read_text().splitlines()]
    return [row["text"] for row in rows]


def test_compare_trains_and_asks_every_method(experiment: SmallExperiment) -> None:
    """In one process, one after the other: each must answer as itself, and the base as nobody."""
    run = only_memory(experiment, METHODS).compare()
    texts = {arm: tuple(said(run, arm)) for arm in ("base", *(f"with_{name}" for name in METHODS))}
    assert len(set(texts.values())) == len(METHODS) + 1
    metrics = read(run / "metrics.json")
    memory = {arm: metrics["arms"][arm]["memory_gb"] for arm in ("base", "with_full", "with_dora")}
    assert memory["with_full"] == pytest.approx(memory["base"], rel=0.2)  # its weights replace those of the base
    assert {name: facts["method"] for name, facts in metrics["adapters"].items()} == {
        "full": "full",
        "ia3": "ia3",
        "dora": "lora",
        "rslora": "lora",
        "pissa": "lora",
    }
