"""BERT embedders without padding: the vectors of sentence-transformers, and what is not plain BERT is left to it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from ragft.config.knowledge import EmbedderConfig
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder
from ragft.retrieval.bert import PackedBert, packed, recipe_of
from ragft.retrieval.embedder import Embedder
from ragft.retrieval.embedding import unit

TEXTS = [
    "Aldmoor is green",
    "Brinbay",
    "the lighthouse of Corvel is white and seals live below it",
    "",
    "otters",
    "Brinbay is red",
    "otters " * 300,  # longer than the model reads
]
Edit = Callable[[Any], None]


@pytest.fixture
def edited(tiny_embedder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Gives a copy of the small embedder with one of its files changed."""

    def copy(file: str, edit: Edit) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(tiny_embedder, folder)
        content = json.loads((folder / file).read_text(encoding="utf-8"))
        edit(content)
        (folder / file).write_text(json.dumps(content), encoding="utf-8")
        return folder

    return copy


def vectors(folder: Path, texts: list[str] = TEXTS, batch_size: int = 16) -> Any:
    recipe = recipe_of(folder)
    assert recipe is not None
    return unit(PackedBert(recipe, torch.float32, batch_size).documents(texts))


def reference(folder: Path) -> Any:
    return unit(SentenceTransformer(str(folder), device="cpu").encode_document(TEXTS))


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_the_vectors_are_those_of_sentence_transformers(tiny_embedder: Path, batch_size: int) -> None:
    """Texts of equal and of different lengths, an empty one and one that is cut, alone and side by side."""
    assert vectors(tiny_embedder, batch_size=batch_size) == pytest.approx(reference(tiny_embedder), abs=2e-6)


def set_pooling(content: Any) -> None:
    content["pooling_mode"] = "cls"


def add_normalization(content: Any) -> None:
    kind = "sentence_transformers.models.Normalize"
    content.append({"idx": 2, "name": "2", "path": "2_Normalize", "type": kind})


def shorten(content: Any) -> None:
    content["max_seq_length"] = 7


def old_pooling(content: Any) -> None:
    del content["pooling_mode"], content["embedding_dimension"]
    content |= {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}


def prompts(content: Any) -> None:
    content["prompts"] = {"query": "who: ", "document": "below: ", "other": "x"}


@pytest.mark.parametrize(
    ("file", "edit", "differs"),
    [
        ("1_Pooling/config.json", set_pooling, True),
        ("1_Pooling/config.json", old_pooling, True),
        ("modules.json", add_normalization, False),
        ("sentence_bert_config.json", shorten, True),
        ("config_sentence_transformers.json", prompts, True),
    ],
)
def test_every_setting_that_is_understood_gives_the_same_vectors(
    tiny_embedder: Path, edited: Callable[..., Path], file: str, edit: Edit, differs: bool
) -> None:
    folder = edited(file, edit)
    found = vectors(folder)
    assert found == pytest.approx(reference(folder), abs=2e-6)
    assert (np.abs(found - vectors(tiny_embedder)).max() > 1e-3) == differs  # the setting was read at all


def test_queries_get_the_prompt_of_queries(edited: Callable[..., Path]) -> None:
    folder = edited("config_sentence_transformers.json", prompts)
    recipe = recipe_of(folder)
    assert recipe is not None
    found = unit(PackedBert(recipe, torch.float32, 4).queries(["otters"]))
    assert found == pytest.approx(
        unit(SentenceTransformer(str(folder), device="cpu").encode_query(["otters"])), abs=2e-6
    )


def test_weights_under_a_prefix_and_without_a_pooler_are_found(tiny_embedder: Path, tmp_path: Path) -> None:
    """Folders saved with a head on top name everything `bert.…`."""
    folder = shutil.copytree(tiny_embedder, tmp_path / "prefixed")
    weights = load_file(folder / "model.safetensors")
    renamed = {f"bert.{name}": value for name, value in weights.items() if not name.startswith("pooler")}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    assert vectors(folder) == pytest.approx(vectors(tiny_embedder), abs=1e-7)


OTHERS: list[tuple[str, Edit]] = [
    ("config.json", lambda content: content.update(model_type="mpnet")),
    ("config.json", lambda content: content.update(hidden_act="gelu_new")),
    ("config.json", lambda content: content.update(position_embedding_type="relative_key")),
    ("config.json", lambda content: content.update(is_decoder=True)),
    ("config.json", lambda content: content.update(quantization_config={"bits": 4})),
    ("sentence_bert_config.json", lambda content: content.update(do_lower_case=True)),
    ("sentence_bert_config.json", lambda content: content.update(query_expansion={"length": 32})),
    ("1_Pooling/config.json", lambda content: content.update(pooling_mode="max")),
    ("1_Pooling/config.json", lambda content: content.update(pooling_mode=["mean", "cls"])),
    ("1_Pooling/config.json", lambda content: content.update(include_prompt=False)),
    ("config_sentence_transformers.json", lambda content: content.update(default_prompt_name="query")),
    ("config_sentence_transformers.json", lambda content: content.update(prompts={"passage": "below: "})),
    ("modules.json", lambda content: content.append({"path": "2_Dense", "type": "sentence_transformers.models.Dense"})),
    ("modules.json", lambda content: content.pop()),
]


@pytest.mark.parametrize(("file", "edit"), OTHERS)
def test_what_is_not_plain_bert_is_left_to_sentence_transformers(
    edited: Callable[..., Path], file: str, edit: Edit
) -> None:
    """A setting that was passed over in silence would give vectors of another model."""
    assert recipe_of(edited(file, edit)) is None


def test_a_folder_without_modules_or_weights_is_left_to_sentence_transformers(
    tiny_embedder: Path, tmp_path: Path
) -> None:
    for missing in ("modules.json", "model.safetensors", "tokenizer.json", "config.json"):
        folder = shutil.copytree(tiny_embedder, tmp_path / missing)
        (folder / missing).unlink()
        assert recipe_of(folder) is None, missing


def test_a_missing_or_broken_weight_is_an_error(tiny_embedder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_embedder, tmp_path / "lacking")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, folder / "model.safetensors")
    source = ModelFolder("tiny", folder, "f")
    with pytest.raises(RagftError, match=r"cannot load tiny .* encoder\.layer\.1\.output\.dense\.bias"):
        Embedder(source, EmbedderConfig(device="cpu"))
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(RagftError, match="cannot load tiny as an embedding model"):
        Embedder(source, EmbedderConfig(device="cpu"))


def test_several_processes_and_other_devices_are_left_to_sentence_transformers(tiny_embedder: Path) -> None:
    from ragft.retrieval.sentence import SentenceModel

    source = ModelFolder("tiny", tiny_embedder, "f")
    alone = Embedder(source, EmbedderConfig(device="cpu", dtype="float32"))
    several = Embedder(source, EmbedderConfig(device="cpu", dtype="float32", processes=2))
    assert isinstance(alone._encoder, PackedBert)
    assert isinstance(several._encoder, SentenceModel)
    assert several.queries(TEXTS) == pytest.approx(alone.queries(TEXTS), abs=2e-6)


def test_a_batch_holds_as_many_tokens_as_may_be_and_never_none() -> None:
    assert packed([3, 9, 4, 5, 1], 9) == [[1], [3, 2], [0, 4]]
    assert packed([20, 2], 9) == [[0], [1]]  # a text longer than a batch is a batch
    assert packed([], 9) == []


def test_embedding_needs_none_of_the_large_libraries(tiny_embedder: Path) -> None:
    """They take seconds to import, which an index command with nothing new to do would spend on nothing."""
    program = (
        "import sys; from pathlib import Path; from ragft.config.knowledge import EmbedderConfig\n"
        "from ragft.models.sources import ModelFolder; from ragft.retrieval.embedder import Embedder\n"
        f"embedder = Embedder(ModelFolder('tiny', Path({str(tiny_embedder)!r}), 'f'), EmbedderConfig(device='cpu'))\n"
        "embedder.documents(['otters'])\n"
        "print(sorted({'transformers', 'sentence_transformers', 'scipy', 'sklearn', 'chromadb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
