"""The embedder on a real sentence-transformers folder: order, length, prompts, precision, several processes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from ragft.config.knowledge import EmbedderConfig
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder
from ragft.retrieval.embedder import Embedder
from ragft.retrieval.embedding import unit
from ragft.retrieval.placement import place_of, precision_of

TEXTS = ["Aldmoor is green", "Brinbay", "the lighthouse of Corvel is white and seals live below it", "", "otters"]
FULL = EmbedderConfig(dtype="float32", device="cpu", batch_size=2)


def folder_of(path: Path, fingerprint: str = "f") -> ModelFolder:
    return ModelFolder("tiny", path, fingerprint)


def test_vectors_are_unit_float32_in_the_order_of_the_texts(tiny_embedder: Path) -> None:
    """Texts are embedded by length; each must still get its own vector, as when it is embedded alone."""
    embedder, told = Embedder(folder_of(tiny_embedder), FULL), []
    found = embedder.documents(TEXTS, told.append)
    assert (found.dtype, found.shape, sum(told)) == (np.float32, (5, 32), 5)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    alone = np.concatenate([embedder.documents([text]) for text in TEXTS])
    assert found == pytest.approx(alone, abs=1e-5)
    bare = SentenceTransformer(str(tiny_embedder), device="cpu").encode(TEXTS)
    assert found == pytest.approx(unit(bare), abs=1e-5)


def test_no_texts_give_no_vectors(tiny_embedder: Path) -> None:
    assert len(Embedder(folder_of(tiny_embedder), FULL).documents([])) == 0


@pytest.fixture
def prompted(tiny_embedder: Path, tmp_path: Path) -> Path:
    """The same model with a prompt for queries and one for documents."""
    folder = tmp_path / "prompted"
    shutil.copytree(tiny_embedder, folder)
    settings = folder / "config_sentence_transformers.json"
    config = json.loads(settings.read_text(encoding="utf-8"))
    config["prompts"] = {"query": "question: ", "document": "passage: "}
    settings.write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_queries_and_documents_get_their_own_prompt(tiny_embedder: Path, prompted: Path) -> None:
    plain, with_prompts = Embedder(folder_of(tiny_embedder), FULL), Embedder(folder_of(prompted), FULL)
    assert with_prompts.queries(["otters"]) == pytest.approx(plain.documents(["question: otters"]), abs=1e-5)
    assert with_prompts.documents(["otters"]) == pytest.approx(plain.documents(["passage: otters"]), abs=1e-5)


def test_the_identity_is_what_the_vectors_depend_on(tiny_embedder: Path, prompted: Path) -> None:
    first = Embedder(folder_of(tiny_embedder), FULL).identity
    assert Embedder(folder_of(tiny_embedder), replace_config(batch_size=7)).identity == first
    assert Embedder(folder_of(tiny_embedder), replace_config(dtype="bfloat16")).identity != first
    assert Embedder(replace(folder_of(tiny_embedder), fingerprint="g"), FULL).identity != first
    assert Embedder(folder_of(prompted), FULL).identity != first


def replace_config(**changes: object) -> EmbedderConfig:
    return EmbedderConfig.model_validate({**FULL.model_dump(exclude_none=True), **changes})


def test_bfloat16_vectors_are_float32_and_close(tiny_embedder: Path) -> None:
    full = Embedder(folder_of(tiny_embedder), FULL).documents(TEXTS)
    half = Embedder(folder_of(tiny_embedder), replace_config(dtype="bfloat16")).documents(TEXTS)
    assert half.dtype == np.float32
    assert not np.array_equal(half, full)
    assert (half * full).sum(axis=1) == pytest.approx(np.ones(5), abs=1e-2)


@pytest.mark.parametrize(
    ("can", "expected"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16), ({}, torch.float32)],
)
def test_auto_is_bfloat16_only_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, can: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    assert precision_of("auto", torch.device("cpu")) == expected
    assert precision_of("float32", torch.device("cpu")) == torch.float32


def test_a_device_that_is_not_there_is_an_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RagftError, match="index.embedder.device is 'cuda', and this machine has none"):
        place_of("cuda")


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RagftError, match="cannot load tiny as an embedding model"):
        Embedder(folder_of(tmp_path), FULL)


@pytest.mark.slow
def test_several_processes_give_the_same_vectors(tiny_embedder: Path) -> None:
    several = Embedder(folder_of(tiny_embedder), replace_config(processes=2))
    try:
        found = several.documents(TEXTS * 5)
        assert several.queries(["otters"]).shape == (1, 32)
    finally:
        several.close()
    assert found == pytest.approx(Embedder(folder_of(tiny_embedder), FULL).documents(TEXTS * 5), abs=1e-5)
