"""BERTScore by the configured embedder: the arithmetic by hand, the vectors of tokens, and what a run does with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import SmallExperiment, eval_rows, news, read
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from ragft.arms.measured import UNREAD, similarity_scores, token_similarity_scores
from ragft.config.knowledge import EmbedderConfig
from ragft.evaluation.token_matching import TokenVectors, matching_f1
from ragft.jsonl import read_rows
from ragft.models.sources import ModelFolder
from ragft.models.tokens import fast_tokenizer, unknown_share
from ragft.records import Answer, Example, Score
from ragft.retrieval.bert import PackedBert
from ragft.retrieval.embedder import Embedder
from ragft.retrieval.embedding import unit
from ragft.retrieval.sentence import SentenceModel

FULL = EmbedderConfig(dtype="float32", device="cpu", batch_size=2)
DIRECTIONS = {"kite": [1, 0], "bird": [3, 4], "moor": [0, 1], "anti": [-1, 0]}


def token_vectors(text: str) -> TokenVectors:
    rows = [DIRECTIONS[word] for word in text.split() if word in DIRECTIONS]
    return unit(rows) if rows else np.empty((0, 2), dtype=np.float32)


class Tokens:
    """Vectors of words that are written down; it notes the texts that it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[TokenVectors]:
        self.given += texts
        return [token_vectors(text) for text in texts]


def answer(text: str, id_: str = "q", error: str | None = None) -> Answer:
    return Answer("base", id_, text, 1, 1, 0.0, "stop" if error is None else "error", error=error)


def scored(tokens: Tokens, journal: Path, said: Sequence[Answer], *examples: Example) -> list[Score]:
    return token_similarity_scores(tokens, said, {one.id: one for one in examples}, journal)


@pytest.mark.parametrize(
    ("said", "right", "precision", "recall"),
    [
        ("kite moor", "kite", (1 + 0) / 2, 1 / 1),  # moor finds nothing like it in the reference
        ("kite", "kite moor", 1 / 1, (1 + 0) / 2),
        ("bird", "kite moor", 0.8, (0.6 + 0.8) / 2),  # bird is 0.6 of kite and 0.8 of moor
        ("moor kite", "kite moor", 1.0, 1.0),  # the order says nothing, as in the paper
    ],
)
def test_the_f1_by_hand(said: str, right: str, precision: float, recall: float) -> None:
    found = matching_f1(token_vectors(said), token_vectors(right))
    assert found == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-6)


@pytest.mark.parametrize(("said", "right"), [("anti", "kite"), ("", "kite"), ("kite", ""), ("", "")])
def test_opposite_or_absent_tokens_are_worth_nothing(said: str, right: str) -> None:
    assert matching_f1(token_vectors(said), token_vectors(right)) == 0.0


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(DIRECTIONS)), max_size=5), st.lists(st.sampled_from(list(DIRECTIONS)), max_size=5))
def test_it_is_a_share_and_the_same_from_both_sides(first: list[str], second: list[str]) -> None:
    one, other = token_vectors(" ".join(first)), token_vectors(" ".join(second))
    assert 0.0 <= matching_f1(one, other) <= 1.0
    assert matching_f1(one, other) == pytest.approx(matching_f1(other, one))
    assert matching_f1(one, one) == pytest.approx(1.0 if first else 0.0)


def test_the_best_reference_counts_and_what_needs_no_model_is_settled_without(tmp_path: Path) -> None:
    tokens, unanswerable = Tokens(), Example("u", "?", (), answerable=False)
    said = [answer("bird"), answer(" "), answer("I don't know"), answer("I don't know", "u"), answer("kite", "u")]
    said += [answer("", error="timed out"), answer("kite", "n")]
    found = scored(
        tokens, tmp_path / "j", said, Example("q", "?", ("kite", "moor")), unanswerable, Example("n", "?", ())
    )
    assert [one.value for one in found] == pytest.approx([0.8, 0, 0, 1, 0, None, None])
    assert [one.reason for one in found[5:]] == ["no answer was got: timed out", "the example has no references"]
    assert sorted(tokens.given) == ["bird", "kite", "moor"]


def test_a_second_run_embeds_nothing_and_a_new_answer_only_itself(tmp_path: Path) -> None:
    example, first, second, third = Example("q", "?", ("kite",)), Tokens(), Tokens(), Tokens()
    before = scored(first, tmp_path / "j", [answer("bird")], example)
    assert scored(second, tmp_path / "j", [answer("bird")], example) == before
    scored(third, tmp_path / "j", [answer("bird"), answer("moor")], example)
    assert (second.given, sorted(third.given)) == ([], ["kite", "moor"])


TEXTS = ["Aldmoor is green", "otters", "", "Brinbay is red", "the lighthouse of Corvel is white", "otters " * 300]


def test_the_vectors_are_those_of_the_models_last_layer(tiny_embedder: Path) -> None:
    """Those of [CLS] and [SEP] are left out, also where a text is cut: it ends with [SEP], too."""
    found = Embedder(ModelFolder("tiny", tiny_embedder, "f"), FULL).tokens(TEXTS)
    states = SentenceTransformer(str(tiny_embedder), device="cpu").encode(TEXTS, output_value="token_embeddings")
    assert [len(rows) for rows in found] == [3, 1, 0, 3, 6, 126]  # 128 that the model reads, less two
    for rows, theirs in zip(found, states, strict=True):
        assert rows == pytest.approx(unit(theirs[1:-1].numpy()), abs=1e-5)


def test_both_ways_to_run_a_model_give_the_same_tokens(tiny_embedder: Path) -> None:
    import torch

    from ragft.retrieval.bert import recipe_of

    recipe = recipe_of(tiny_embedder)
    assert recipe is not None
    packed = PackedBert(recipe, torch.float32, 2).tokens(TEXTS)
    other = SentenceModel(tiny_embedder, torch.device("cpu"), torch.float32, 2, 1).tokens(TEXTS)
    for one, two in zip(packed, other, strict=True):
        assert one == pytest.approx(two, abs=1e-5)


@pytest.fixture
def asked_for(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment with two arms and the metric."""
    arms = {"base": {}, "rag": {"retrieval": "index"}}
    experiment.config["adapters"] = {}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [], "metrics": ["token_similarity"]}
    return experiment.save()


def test_a_comparison_has_it_for_every_arm(asked_for: SmallExperiment) -> None:
    run = asked_for.compare()
    rows = [row for row in read(run / "metrics.json")["metrics"] if row["metric"] == "token_similarity"]
    assert [(row["arm"], row["n"]) for row in rows] == [("base", 12), ("rag", 12)]
    values = [row["value"] for _, row in read_rows(run / "scores.jsonl") if row["metric"] == "token_similarity"]
    assert all(0 <= value <= 1 for value in values)
    assert len(set(values)) > 2


def test_an_embedding_server_is_refused_before_anything_is_built(asked_for: SmallExperiment) -> None:
    asked_for.config["index"]["embedder"] |= {"endpoint": "http://127.0.0.1:9/v1"}
    result = asked_for.save().run("compare")
    assert result.exit_code == 1
    assert "needs the vector of every token" in " ".join(news(result.stderr).split())
    assert not (asked_for.workspace / "answers").exists() or not list((asked_for.workspace / "answers").iterdir())


def test_a_tokenizer_says_which_texts_it_cannot_read(tiny_embedder: Path) -> None:
    """Two different texts of unknown pieces alone have the same vector: one word of Thai is every word of Thai."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    found = fast_tokenizer(tiny_embedder)
    assert found is not None
    tokenizer, embedder = found[0], Embedder(ModelFolder("tiny", tiny_embedder, "f"), FULL)
    assert unknown_share(tokenizer, "Aldmoor is green") == 0.0
    assert unknown_share(tokenizer, "Aldmoor is 緑") == pytest.approx(1 / 3)
    assert (unknown_share(tokenizer, "กรุงเทพ"), unknown_share(tokenizer, "")) == (1.0, 0.0)
    one, other = embedder.documents(["กรุงเทพ", "القاهرة"])
    assert one == pytest.approx(other)
    every_byte = Tokenizer(models.BPE())
    every_byte.pre_tokenizer = pre_tokenizers.ByteLevel()
    assert unknown_share(every_byte, "กรุงเทพ") == 0.0


def test_a_reference_that_the_embedder_does_not_read_is_unscored_in_both_likenesses(tmp_path: Path) -> None:
    """Else every answer in that script would be perfect. An answer in it to a readable reference is just wrong."""
    example, tokens = Example("q", "?", ("kite", "緑")), Tokens()
    said = [answer("緑"), answer("I don't know")]
    found = token_similarity_scores(tokens, said, {"q": example}, tmp_path / "j", reads=str.isascii)
    found += similarity_scores(lambda texts: unit([[1, 0] for _ in texts]), said, {"q": example}, reads=str.isascii)
    assert {(one.value, one.reason) for one in found} == {(None, UNREAD)}
    assert tokens.given == []
    (wrong,) = token_similarity_scores(tokens, said[:1], {"q": Example("q", "?", ("kite",))}, tmp_path / "j")
    assert wrong.value == 0.0


def test_a_run_on_text_that_the_embedder_does_not_read_says_so(asked_for: SmallExperiment) -> None:
    rows = [{**row, "references": ["緑色です"] if row["references"] else []} for row in eval_rows()]
    asked_for.rows("eval", rows)
    run = asked_for.compare("compare.metrics=[similarity,token_similarity]", "compare.primary_metric=chrf")
    scores = [row for _, row in read_rows(run / "scores.jsonl") if "similarity" in row["metric"]]
    told = {(row["metric"], row["reason"]) for row in scores if row["value"] is None}
    assert told == {("similarity", UNREAD), ("token_similarity", UNREAD)}
    assert sum(row["value"] is None for row in scores) == 2 * 2 * 10  # the two unanswerable questions are judged
