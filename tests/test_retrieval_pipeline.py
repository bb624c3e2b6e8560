"""Retrievers as a configuration names them, over a real store: what a question finds, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragft.config.knowledge import EmbedderConfig, RetrievalConfig, StoreConfig
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder
from ragft.records import Passage
from ragft.retrieval.bm25 import Bm25Index, bm25_name
from ragft.retrieval.embedding import OnBatch, Vectors, silent, unit
from ragft.retrieval.pruning import InUse, Places, drop, unused
from ragft.retrieval.retriever import needs, retriever_of
from ragft.retrieval.store import PassageStore, passages_fingerprint
from ragft.retrieval.vector_cache import VectorCache


class Clock:
    """Embeds a text by the last number in it, as an angle in degrees."""

    identity = "clock"

    def documents(self, texts: Sequence[str], on_batch: OnBatch = silent) -> Vectors:
        angles = np.radians([float(text.split()[-1]) for text in texts])
        on_batch(len(texts))
        return unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))

    def queries(self, texts: Sequence[str]) -> Vectors:
        return self.documents(texts)


class Longest:
    """Prefers long texts, and remembers what it was asked."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.pairs += pairs
        return [float(len(text)) for _, text in pairs]


def passage(id_: str, text: str, title: str = "", **metadata: Any) -> Passage:
    return Passage(id_, id_, title, text, 0, len(text), metadata)


PASSAGES = [
    passage("near", "red 10", lang="en"),
    passage("twin", "blue 10.5", lang="de"),
    passage("mid", "otter otter 40", lang="de"),
    passage("far", "a long text on an otter at 90", title="Far", lang="en"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PassageStore:
    made = PassageStore(tmp_path_factory.mktemp("chroma"), "a" * 64, "clock")
    made.sync(PASSAGES, Clock().documents)
    return made


@pytest.fixture(scope="module")
def bm25(tmp_path_factory: pytest.TempPathFactory) -> Bm25Index:
    return Bm25Index.opened(tmp_path_factory.mktemp("bm25"), passages_fingerprint("clock", PASSAGES), PASSAGES)


@pytest.fixture
def ask(store: PassageStore, bm25: Bm25Index) -> Any:
    def asked(query: str, top_k: int = 4, **config: Any) -> list[tuple[str, float]]:
        reranker = Longest() if config.pop("rerank", False) else None
        if reranker is not None:
            config["reranker"] = "some/model"
        retriever = retriever_of(RetrievalConfig.model_validate(config), Clock(), store, bm25, reranker)
        rankings, seconds = retriever.search([query, query], top_k)
        assert rankings[0] == rankings[1]  # the same question finds the same, whatever is asked beside it
        assert seconds > 0
        return [(item.passage.id, item.score) for item in rankings[0]]

    return asked


def ids(found: list[tuple[str, float]]) -> list[str]:
    return [id_ for id_, _ in found]


def test_dense_goes_by_angle_and_bm25_by_words(ask: Any) -> None:
    assert ids(ask("otter 0")) == ["near", "twin", "mid", "far"]
    assert ask("otter 0")[0][1] == pytest.approx(np.cos(np.radians(10)), abs=1e-6)
    assert ids(ask("otter 0", kind="bm25")) == ["mid", "far"]


def test_hybrid_by_hand(ask: Any) -> None:
    """Dense ranks near, twin, mid, far; words rank mid, far. rrf_k 60, weights 1 and 2."""
    expected = {"mid": 1 / 63 + 2 / 61, "far": 1 / 64 + 2 / 62, "near": 1 / 61, "twin": 1 / 62}
    found = ask("otter 0", kind="hybrid", weights={"dense": 1.0, "bm25": 2.0})
    assert ids(found) == ["mid", "far", "near", "twin"]
    assert dict(found) == pytest.approx(expected)
    assert ids(ask("otter 0", kind="hybrid", weights={"dense": 1.0, "bm25": 0.0})) == ["near", "twin", "mid", "far"]


def test_hybrid_fuses_more_than_it_returns(ask: Any) -> None:
    """With one candidate of each list, `mid` would stand only in one of them."""
    assert ids(ask("otter 0", top_k=1, kind="hybrid", candidates=4)) == ["mid"]


@pytest.mark.parametrize("kind", ["dense", "bm25", "hybrid"])
def test_a_filter_holds_for_every_kind_and_is_filled_up(ask: Any, kind: str) -> None:
    assert set(ids(ask("otter 0", top_k=2, kind=kind, filter={"lang": "de"}))) <= {"twin", "mid"}
    assert ids(ask("otter 0", top_k=1, kind=kind, filter={"lang": ["de", "fr"]})) != []
    assert ask("otter 0", kind=kind, filter={"lang": "fr"}) == []


def test_a_reranker_orders_the_candidates_by_its_own_scores(ask: Any) -> None:
    found = ask("otter 0", top_k=2, rerank=True)
    assert found == [("far", float(len("Far\na long text on an otter at 90"))), ("mid", 14.0)]
    assert ids(ask("otter 0", top_k=2, rerank=True, candidates=2)) == ["twin", "near"]  # only candidates are read


def test_the_lowest_score_is_on_the_scale_of_the_last_step(ask: Any) -> None:
    assert ids(ask("otter 0", min_score=0.98)) == ["near", "twin"]
    assert ids(ask("otter 0", rerank=True, min_score=10.0)) == ["far", "mid"]
    assert ids(ask("otter 0", kind="hybrid", min_score=1 / 61 + 1e-6)) == ["mid", "far"]
    assert ask("otter 0", min_score=1.1) == []


def test_diversity_leaves_out_the_twin(ask: Any) -> None:
    assert ids(ask("otter 0", top_k=2)) == ["near", "twin"]
    assert ids(ask("otter 0", top_k=2, mmr=0.4))[1] != "twin"
    assert ids(ask("otter 0", top_k=4, mmr=1.0)) == ids(ask("otter 0", top_k=4))
    assert ids(ask("otter 0", top_k=2, kind="bm25", mmr=0.5)) == ["mid", "far"]


def test_no_question_and_no_place_find_nothing(store: PassageStore, ask: Any) -> None:
    retriever = retriever_of(RetrievalConfig(), Clock(), store, None, None)
    assert retriever.search([], 3) == ([], pytest.approx(0, abs=1))
    assert ask("otter 0", top_k=0) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, (True, False, False)),
        ({"kind": "bm25"}, (False, True, False)),
        ({"kind": "bm25", "mmr": 0.5}, (True, True, False)),
        ({"kind": "hybrid", "reranker": "some/model"}, (True, True, True)),
    ],
)
def test_what_a_retriever_needs_is_asked_for(config: dict[str, Any], expected: tuple[bool, bool, bool]) -> None:
    """BM25 alone must not load an embedder; and a missing part is an error, never a retriever that leaves it out."""
    parsed = RetrievalConfig.model_validate(config)
    found = needs(parsed)
    assert (found.vectors, found.bm25, found.reranker) == expected
    with pytest.raises(ValueError, match=r"needs|given"):
        retriever_of(parsed, None, None, None, None)


@pytest.fixture(scope="module")
def cross_encoder(tiny_embedder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder with random weights, and the tokenizer of the small embedder."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("models") / "tiny-cross"
    config = AutoConfig.from_pretrained(tiny_embedder)
    config.num_labels = 1
    torch.manual_seed(5)
    model = BertForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_embedder).save_pretrained(folder)
    return folder


def test_a_cross_encoder_scores_each_pair_as_it_does_alone(cross_encoder: Path) -> None:
    from sentence_transformers import CrossEncoder

    from ragft.retrieval.reranker import CrossEncoderReranker

    reranker = CrossEncoderReranker(ModelFolder("tiny", cross_encoder, "f"), EmbedderConfig(batch_size=2))
    pairs = [("otters", "otters live below it"), ("otters", "it"), ("the lighthouse", "it was built in 1911")]
    found = reranker.scores(pairs)
    bare = CrossEncoder(str(cross_encoder), device="cpu")
    assert found == pytest.approx([float(bare.predict([pair])[0]) for pair in pairs], abs=1e-5)
    assert len(set(found)) == 3
    assert reranker.scores([]) == []


def test_a_model_that_does_not_rank_is_refused(cross_encoder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from ragft.retrieval.reranker import CrossEncoderReranker

    config = BertConfig.from_pretrained(cross_encoder, num_labels=3)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(cross_encoder).save_pretrained(tmp_path)
    with pytest.raises(RagftError, match="gives 3 scores to a pair, expected one"):
        CrossEncoderReranker(ModelFolder("nli", tmp_path, "f"), EmbedderConfig())
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(RagftError, match="cannot load nli as a cross-encoder"):
        CrossEncoderReranker(ModelFolder("nli", tmp_path, "f"), EmbedderConfig())


def test_what_nothing_refers_to_is_listed_and_dropped_and_the_rest_stays(tmp_path: Path) -> None:
    places = Places(tmp_path / "chroma", tmp_path / "bm25", tmp_path / "vectors", StoreConfig())
    assert unused(places, InUse([], [], [])) == []
    assert not (tmp_path / "chroma").exists()  # looking makes nothing
    for name in ("a" * 64, "b" * 64):
        PassageStore(places.chroma, name, "clock").sync(PASSAGES, Clock().documents)
        Bm25Index.opened(places.bm25, name, PASSAGES)
        VectorCache(places.vectors, name).documents(["text 1"], Clock().documents)
    in_use = InUse(["a" * 64], ["a" * 64], ["a" * 64])
    found = unused(places, in_use)
    assert [(item.kind, item.name) for item in found] == [
        ("bm25", bm25_name("b" * 64)),
        ("collection", f"ragft-{'b' * 32}"),
        ("vectors", f"{'b' * 32}.sqlite3"),
    ]
    assert found[1].size == 4
    assert found[0].size > 0
    drop(places, found)
    drop(places, found)  # what is gone is passed over
    assert unused(places, in_use) == []
    assert len(PassageStore(places.chroma, "a" * 64, "clock")) == 4
    assert len(VectorCache(places.vectors, "a" * 64)) == 1
    assert (places.bm25 / bm25_name("a" * 64)).exists()
