"""Metrics that a model is asked for: the arithmetic by fakes, and a real NLI model small enough for tests."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import SmallExperiment

from ragft.arms.bench import Bench
from ragft.arms.listening import Silence
from ragft.arms.measured import (
    entailment_scores,
    hypotheses,
    likelihood_scores,
    similarity_scores,
)
from ragft.config import load_experiment
from ragft.errors import DataError, RagftError
from ragft.generation.generator import Likelihood
from ragft.models.nli import NliModel
from ragft.models.sources import ModelFolder
from ragft.records import Answer, Example, Passage, Score
from ragft.retrieval.embedding import Vectors, unit
from ragft.retrieval.vector_cache import VectorCache
from ragft.workspace import Workspace

ABSTENTION = "I don't know"


def answer(text: str, id_: str = "q", *, passages: tuple[str, ...] = (), error: str | None = None) -> Answer:
    reason = "stop" if error is None else "error"
    return Answer("rag", id_, text, 1, 1, 0.0, reason, passages, seed=3, prompt="p", error=error)  # type: ignore[arg-type]


class Scale:
    """A model whose likelihoods are written down; it notes what it was asked."""

    def __init__(self, known: dict[str, Likelihood]) -> None:
        self._known = known
        self.asked: list[list[tuple[str, str]]] = []

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[Likelihood]:
        self.asked.append(list(pairs))
        return [self._known[text] for _, text in pairs]


KNOWN = {" kite": Likelihood(-2.0, 1), " red kite": Likelihood(-3.0, 3), " näher": Likelihood(-6.0, 2)}


def weighed(scale: Scale, journal: Path, *examples: Example, error: str | None = None) -> list[Score]:
    prompts = [(answer("moor", one.id, error=error), one, f"Question {one.id}") for one in examples]
    return likelihood_scores(scale, prompts, lambda one: [f" {text}" for text in one.references], journal)


def test_likelihood_by_hand(tmp_path: Path) -> None:
    found = weighed(Scale(KNOWN), tmp_path / "j", Example("a", "?", ("kite",)), Example("b", "?", ("näher",)))
    assert [(one.example_id, one.metric) for one in found] == [
        ("a", "gold_loglik"),
        ("a", "gold_bits_per_byte"),
        ("b", "gold_loglik"),
        ("b", "gold_bits_per_byte"),
    ]
    values = [one.value for one in found]
    # "kite" is 4 bytes; "näher" is 5 letters in 6 bytes. The blank before them is the prompt's, not theirs.
    assert values == pytest.approx([-2.0, 2 / math.log(2) / 4, -6 / 2, 6 / math.log(2) / 6])
    assert {(one.arm, one.seed, one.prompt) for one in found} == {("rag", 3, "p")}


def test_each_likelihood_takes_the_reference_that_is_best_for_it(tmp_path: Path) -> None:
    loglik, bits = weighed(Scale(KNOWN), tmp_path / "j", Example("a", "?", ("kite", "red kite")))
    assert loglik.value == -3.0 / 3  # not the likelier text, but the likelier token
    assert bits.value == pytest.approx(3 / math.log(2) / 8)


def test_what_cannot_be_likely_is_unscored(tmp_path: Path) -> None:
    scale = Scale({**KNOWN, " nowhere": Likelihood(-math.inf, 1), " nothing": Likelihood(0.0, 0)})
    journal = tmp_path / "j"
    unanswerable = weighed(scale, journal, Example("a", "?", (), answerable=False))
    without = weighed(scale, journal, Example("a", "?", ()))
    failed = weighed(scale, journal, Example("a", "?", ("kite",)), error="timed out")
    assert scale.asked == []  # nobody is asked for what nobody scores
    empty = weighed(scale, journal, Example("a", "?", ("nothing",)))
    reasons = [{one.reason for one in found if one.value is None} for found in (unanswerable, without, failed, empty)]
    assert reasons == [
        {"the example is unanswerable: no reference to find likely"},
        {"the example has no references"},
        {"no answer was got: timed out"},
        {"the model gives no reference a finite likelihood"},
    ]


def test_an_impossible_reference_is_no_number_and_does_not_spoil_the_journal(tmp_path: Path) -> None:
    scale = Scale({**KNOWN, " nowhere": Likelihood(-math.inf, 1)})
    example = Example("a", "?", ("nowhere", "kite"))
    first, second = (weighed(scale, tmp_path / "j", example) for _ in range(2))
    assert first == second
    assert first[0].value == -2.0
    assert len(scale.asked) == 1


def test_a_second_run_asks_nothing_and_a_new_reference_only_for_itself(tmp_path: Path) -> None:
    journal = tmp_path / "likelihoods" / "j.jsonl"
    first = weighed(Scale(KNOWN), journal, Example("a", "?", ("kite",)))
    silent = Scale({})
    assert weighed(silent, journal, Example("a", "?", ("kite",))) == first
    assert silent.asked == []
    more = Scale(KNOWN)
    weighed(more, journal, Example("a", "?", ("kite", "red kite")))
    assert more.asked == [[("Question a", " red kite")]]
    other = Scale(KNOWN)  # the same reference behind another prompt is another question
    weighed(other, journal, Example("b", "?", ("kite",)))
    assert other.asked == [[("Question b", " kite")]]


def test_pairs_are_asked_by_batches_with_those_of_one_prompt_together(tmp_path: Path) -> None:
    scale, done = Scale(KNOWN), []
    examples = [Example("a", "?", ("kite", "red kite")), Example("long", "?", ("kite",))]
    prompts = [(answer("moor", one.id), one, f"Question {one.id}") for one in [*examples, *examples]]
    likelihood_scores(
        scale,
        prompts,
        lambda one: [f" {text}" for text in one.references],
        tmp_path / "j",
        batch_size=2,
        on_batch=done.append,
    )
    asked = [("Question long", " kite"), ("Question a", " kite"), ("Question a", " red kite")]
    assert [pair for batch in scale.asked for pair in batch] == asked  # each once, the longest prompt first
    assert (done, [len(batch) for batch in scale.asked]) == ([2, 1], [2, 1])


DIRECTIONS = {"kite": [1, 0], "bird": [3, 4], "moor": [0, 1], "anti": [-1, 0]}


class Embedder:
    """Vectors that are written down; it notes what it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def documents(self, texts: Sequence[str]) -> Vectors:
        self.given += texts
        return unit([DIRECTIONS[text] for text in texts])


def test_similarity_by_hand() -> None:
    examples = {"q": Example("q", "?", ("kite", "moor")), "r": Example("r", "?", ("kite",))}
    said = [answer("bird"), answer("bird", "r"), answer("anti", "r"), answer("kite", "r"), answer("moor", "r")]
    found = similarity_scores(Embedder().documents, said, examples)
    # bird = (0.6, 0.8): nearer to moor than to kite; anti points away from kite, which is 0, not -1.
    assert [one.value for one in found] == pytest.approx([0.8, 0.6, 0.0, 1.0, 0.0], abs=1e-6)
    assert all(one.value is not None and 0 <= one.value <= 1 for one in found)


def test_similarity_of_abstentions_blanks_and_failures_needs_no_embedder() -> None:
    examples = {
        "q": Example("q", "?", ("kite",)),
        "u": Example("u", "?", (), answerable=False),
        "n": Example("n", "?", ()),
    }
    said = [
        answer(" "),
        answer(ABSTENTION),
        answer(ABSTENTION, "u"),
        answer("kite", "u"),
        answer("kite", "n"),
        answer("", error="timed out"),
    ]
    embedder = Embedder()
    found = similarity_scores(embedder.documents, said, examples)
    assert [one.value for one in found] == [0.0, 0.0, 1.0, 0.0, None, None]
    assert [one.reason for one in found[4:]] == ["the example has no references", "no answer was got: timed out"]
    assert embedder.given == []


def test_similarity_embeds_every_text_once_over_two_runs(tmp_path: Path) -> None:
    cache, embedder = VectorCache(tmp_path, "fake"), Embedder()
    examples = {"q": Example("q", "?", ("kite", "moor"))}
    for said in (["bird", "bird", "kite"], ["bird", "anti"]):
        similarity_scores(
            lambda texts: cache.documents(texts, embedder.documents), [answer(text) for text in said], examples
        )
    cache.close()
    assert sorted(embedder.given) == ["anti", "bird", "kite", "moor"]


def test_answers_to_foreign_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'q'"):
        similarity_scores(Embedder().documents, [answer("kite")], {})
    with pytest.raises(DataError, match="'q'"):
        entailment_scores(Reader(), [answer("kite")], {}, {}, tmp_path / "j")


class Reader:
    """Holds a sentence for entailed if all its words stand in the premise; it notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def entails(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        self.asked += pairs
        return [set(said.strip(".").lower().split()) <= set(given.lower().split()) for given, said in pairs]


GREEN = Passage("g", "d", "Aldmoor", "the lighthouse is green", 0, 23)
BIRDS = Passage("b", "e", "", "many herons live below the lighthouse", 0, 37)
PASSAGES = {"g": GREEN, "b": BIRDS}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lighthouse is green. Many herons live below. It is tall.", 2 / 3),
        ("Many herons live below [2]. The lighthouse is green [1].", 1.0),
        ("The green lighthouse is below herons.", 0.0),  # only both passages together hold it
    ],
)
def test_entailment_by_hand(text: str, expected: float, tmp_path: Path) -> None:
    said = [answer(text, passages=("g", "b"))]
    (found,) = entailment_scores(Reader(), said, {"q": Example("q", "?", ("green",))}, PASSAGES, tmp_path / "j")
    assert found == Score("rag", "q", "entailment", expected, None, 3, "p")


def test_entailment_leaves_out_what_it_cannot_judge(tmp_path: Path) -> None:
    reader = Reader()
    said = [
        answer(ABSTENTION, passages=("g",)),
        answer("It is green."),
        answer(" ...", passages=("g",)),
        answer("It is green.", passages=("g", "gone")),
        answer("", passages=("g",), error="timed out"),
    ]
    found = entailment_scores(reader, said, {"q": Example("q", "?", ())}, PASSAGES, tmp_path / "j")
    assert [one.reason for one in found] == [
        "the answer abstains",
        "the arm gave it no passages",
        "the answer holds no sentence",
        "passages of its prompt are no longer there",
        "no answer was got: timed out",
    ]
    assert (reader.asked, {one.value for one in found}) == ([], {None})


def test_a_few_words_are_judged_behind_their_question(tmp_path: Path) -> None:
    example, reader = Example("q", "Which colour is it?", ("green",)), Reader()
    entailment_scores(reader, [answer("green [1]", passages=("g",))], {"q": example}, PASSAGES, tmp_path / "j")
    assert reader.asked == [("Aldmoor: the lighthouse is green", "Which colour is it? green")]
    assert hypotheses("It is green.", example) == ["It is green."]
    assert hypotheses("green\nred", example) == ["green", "red"]
    assert hypotheses("one two three four five six", example) == ["one two three four five six"]


def test_a_second_run_judges_nothing(tmp_path: Path) -> None:
    said, examples = [answer("It is green.", passages=("g", "b"))] * 2, {"q": Example("q", "?", ())}
    first, second = Reader(), Reader()
    found = [entailment_scores(one, said, examples, PASSAGES, tmp_path / "j") for one in (first, second)]
    assert found[0] == found[1]
    assert (len(first.asked), len(second.asked)) == (2, 0)


LABELS = ("contradiction", "entailment", "neutral")


def write_nli(folder: Path, embedder: Path, labels: Sequence[str], bias: Sequence[float]) -> ModelFolder:
    """Write a two-layer BERT for pairs with random weights; `bias` is that of its logits."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(embedder)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    torch.manual_seed(5)
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor(list(bias)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelFolder("tiny-nli", folder, "print")


PAIRS = [("The lighthouse of Aldmoor is green.", "It is green."), ("Many herons live there. " * 40, "It is red.")]


@pytest.mark.parametrize(
    "labels", [LABELS, ("ENTAILMENT", "neutral", "contradiction"), ("not_entailment", "entailment")]
)
def test_the_label_is_found_by_its_name_wherever_it_stands(
    labels: tuple[str, ...], tmp_path: Path, tiny_embedder: Path
) -> None:
    place = [label.lower() for label in labels].index("entailment")
    for winner in range(len(labels)):
        bias = [9.0 if number == winner else 0.0 for number in range(len(labels))]
        model = NliModel(write_nli(tmp_path / str(winner), tiny_embedder, labels, bias), "cpu")
        assert model.entails(PAIRS) == [winner == place] * 2  # the second pair is longer than the model reads
    assert model.entails([]) == []


def test_a_model_that_is_not_for_inference_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = ModelFolder("org/ranker", tmp_path, "org/ranker@1234")
    for config, named in (({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, "LABEL_0, LABEL_1"), ({}, "none named")):
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(RagftError, match=rf"org/ranker has no label 'entailment' among its labels \({named}\)"):
            NliModel(folder, "cpu")
    (tmp_path / "config.json").write_text("[", encoding="utf-8")
    with pytest.raises(RagftError, match="config.json cannot be read"):
        NliModel(folder, "cpu")


def test_a_folder_without_weights_is_refused_when_it_is_asked(tmp_path: Path) -> None:
    config = {"model_type": "bert", "id2label": {"0": "neutral", "1": "entailment"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = NliModel(ModelFolder("org/nli", tmp_path, "org/nli@1234"), "cpu")
    # Part of a file name: the fingerprint of a Hub model is org/name@revision.
    assert re.fullmatch("[0-9a-f]{64}", model.identity)
    with pytest.raises(RagftError, match="cannot load org/nli as a cross-encoder"):
        model.entails([("a", "b")])


def test_the_order_of_premise_and_hypothesis_reaches_the_model(tmp_path: Path, tiny_embedder: Path) -> None:
    model = NliModel(write_nli(tmp_path / "m", tiny_embedder, LABELS, (0, 0, 0)), "cpu")
    raw = model._model.predict([PAIRS[0], PAIRS[0][::-1]], show_progress_bar=False)
    assert not np.allclose(raw[0], raw[1])
    assert model.entails([PAIRS[0]]) == [bool(raw[0].argmax() == 1)]


def similarity_in(experiment: SmallExperiment) -> tuple[list[Score], int]:
    """Return a score by the experiment's embedder in a new process's place, and how many texts it embedded."""
    loaded = load_experiment(experiment.file).experiment
    bench = Bench(loaded, Workspace(experiment.workspace).prepare(), Silence())
    embedder, given = bench.embedder, []

    def documents(texts: Sequence[str]) -> Vectors:
        given.extend(texts)
        return embedder.documents(texts)

    bench.__dict__["embedder"] = SimpleNamespace(documents=documents)
    examples = {"q": Example("q", "?", ("green",))}
    scores = similarity_scores(bench.embed, [answer("green otters")], examples)
    bench.close()
    return scores, len(given)


def test_the_workspace_remembers_what_the_experiment_embedded(experiment: SmallExperiment) -> None:
    (first, embedded), (second, again) = similarity_in(experiment), similarity_in(experiment)
    assert (embedded, again) == (2, 0)
    assert first == second
    assert first[0].value is not None
    assert 0 <= first[0].value < 1
