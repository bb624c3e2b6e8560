"""The packaged models themselves: they arrive through pip, are converted once, and know what they ought to know."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ragft.config import EmbedderConfig
from ragft.generation.local import LocalGenerator
from ragft.models.language_model import convert_gguf, load, load_tokenizer
from ragft.models.sources import PACKAGED, ModelFolder, resolve
from ragft.models.tokens import fast_tokenizer
from ragft.prompts import render, template
from ragft.records import Example
from ragft.retrieval.embedder import Embedder
from ragft.workspace import Workspace

ABSENT = [packaged.pip_line for packaged in PACKAGED.values() if importlib.util.find_spec(packaged.module) is None]

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(bool(ABSENT), reason=f"THE PACKAGED MODELS ARE NOT TESTED: {'; '.join(ABSENT)}"),
]


def never(folder: Path, file: str, target: Path) -> None:
    raise AssertionError(f"{file} is converted a second time")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("packaged") / ".ragft").prepare()


@pytest.fixture(scope="session")
def smollm(workspace: Workspace) -> ModelFolder:
    """The packaged language model, converted once for the session (about half a minute)."""
    return resolve("smollm2-135m-instruct", None, workspace, convert_gguf)


@pytest.fixture
def minilm(workspace: Workspace) -> ModelFolder:
    return resolve("all-minilm-l6-v2", None, workspace, never)


def test_the_language_model_is_converted_once(smollm: ModelFolder, workspace: Workspace) -> None:
    assert resolve("smollm2-135m-instruct", None, workspace, never) == smollm
    assert smollm.fingerprint == PACKAGED["smollm2-135m-instruct"].sha256
    assert {"config.json", "model.safetensors", "tokenizer.json", "ragft.json"} <= {
        p.name for p in smollm.path.iterdir()
    }


def test_it_knows_the_capital_of_france(smollm: ModelFolder) -> None:
    lm = load(smollm, "float32", "cpu")
    prompt = render(lm.tokenizer, template("qa-short-1", "qa"), Example("e1", "What is the capital of France?", ()))
    answer, continued = LocalGenerator(lm, 24).generate([prompt, "The capital of France is"])
    assert "Paris" in answer.text
    assert answer.finish_reason == "stop"
    assert continued.text.startswith("Paris")


def test_its_prompts_are_chat_turns_that_end_with_its_end_of_turn(smollm: ModelFolder) -> None:
    tokenizer = load_tokenizer(smollm)
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.padding_side == "left"
    prompt = render(tokenizer, template("qa-short-1", "qa"), Example("e1", "Who?", ()))
    assert prompt.startswith("<|im_start|>system\nYou answer questions")
    assert prompt.endswith("Question: Who?<|im_end|>\n<|im_start|>assistant\n")


def test_related_texts_lie_closer_than_unrelated_ones(minilm: ModelFolder) -> None:
    embedder = Embedder(minilm, EmbedderConfig())
    texts = ["The ferry leaves the harbour at noon.", "A cake needs flour, sugar and eggs.", "Taxes are due in April."]
    questions = ["When does the boat depart?", "What are the ingredients for baking?", "When must I pay the state?"]
    similar = embedder.queries(questions) @ embedder.documents(texts).T
    assert [row.argmax() for row in similar] == [0, 1, 2]
    assert similar.diagonal().min() > 0.25


def test_vectors_have_length_one_and_come_in_the_order_of_the_texts(minilm: ModelFolder) -> None:
    embedder = Embedder(minilm, EmbedderConfig(batch_size=2))
    texts = [f"word {'and more ' * (17 * number % 9)}{number}" for number in range(19)]
    done: list[int] = []
    vectors = embedder.documents(texts, on_batch=done.append)
    assert vectors.shape == (19, 384)
    assert (vectors**2).sum(axis=1) == pytest.approx([1.0] * 19, abs=1e-5)
    assert sum(done) == 19
    for number in (0, 7, 18):
        assert embedder.documents([texts[number]])[0] == pytest.approx(vectors[number], abs=1e-5)


def test_what_the_embedder_reads_is_known_without_loading_it(minilm: ModelFolder) -> None:
    embedder, found = Embedder(minilm, EmbedderConfig()), fast_tokenizer(minilm.path)
    assert found is not None
    assert found[1] == embedder.max_tokens == 256
