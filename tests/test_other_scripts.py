"""Japanese and Arabic through every metric there is: each either gives the value that it should, or says why it cannot.

A metric that is added must be named here, so that nobody forgets to ask what it makes of another script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragft.arms.judging import Judging
from ragft.arms.measured import (
    entailment_scores,
    likelihood_scores,
    similarity_scores,
    token_similarity_scores,
)
from ragft.config.judging import JudgeConfig
from ragft.evaluation.agreement import Sampling
from ragft.evaluation.corpus import CORPUS_METRICS, corpus_estimates
from ragft.evaluation.metrics import ANSWER_METRICS, score_answers
from ragft.generation.generator import Generation, Likelihood
from ragft.prompts.judging import TASKS
from ragft.records import Answer, Example, Passage, Score
from ragft.retrieval.embedding import Vectors, unit


@dataclass(frozen=True)
class Script:
    """A question in one script with a right answer and a wrong one, and a passage that holds the right one."""

    question: str
    right: str
    wrong: str
    passage: str
    term: str
    label: str
    refused: frozenset[str]


ROUGE = frozenset({"rouge1", "rouge2", "rouge_l"})
JAPANESE = Script(
    question="灯台はいつ建てられましたか。",
    right="灯台は1848年に建てられました。",
    wrong="港は広い。",
    passage="アルドムーアの灯台は1848年に建てられました。",
    term="灯台",
    label="支持",
    refused=ROUGE | {"token_f1", "contains", "k_precision"},  # spaces part no words, and ROUGE deletes all letters
)
ARABIC = Script(
    question="متى بنيت المنارة؟",
    right="بنيت المنارة عام ١٨٤٨.",
    wrong="الميناء واسع",
    passage="بنيت المنارة عام ١٨٤٨ على الصخرة",
    term="المنارة",
    label="يؤيد",
    refused=ROUGE,
)
SCRIPTS = pytest.mark.parametrize("script", [JAPANESE, ARABIC], ids=["japanese", "arabic"])

ONE = {
    *("exact_match", "token_f1", "contains", "accuracy", "bleu", "chrf", "terms", *ROUGE),
    *("k_precision", "passage_support", "citation_precision", "citation_recall"),
    *("similarity", "token_similarity", "entailment", "judge_correctness", "judge_faithfulness"),
}
"""Metrics that give a right answer, grounded and cited, 1."""
OTHERS = {"abstained", "answer_words", "wasted_citations", "invented_citations", "gold_loglik", "gold_bits_per_byte"}


def example_of(script: Script) -> Example:
    return Example("q", script.question, (script.right,), gold_document_ids=("d",), terms=(script.term,))


def answer_of(text: str) -> Answer:
    return Answer("rag", "q", text, 1, 1, 0.0, "stop", ("p",), citations=("p",))


class Model:
    """Stands for everything that is asked: it finds the right answer likely, entailed, and right."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[Likelihood]:
        return [Likelihood(-6.0, 4) for _ in pairs]

    def entails(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        return [said.strip("。.") in given for given, said in pairs]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        return unit([[1, 0] if text == self._script.right else [0, 1] for text in texts])

    def tokens(self, texts: Sequence[str]) -> list[Vectors]:
        return [self.vectors([text] * 3) for text in texts]

    def prompt(self, messages: Sequence[dict[str, str]]) -> str:
        return str(messages[-1]["content"])

    def known(self, prompts: Sequence[str]) -> int:
        return 0

    def ask(self, prompts: Sequence[str]) -> list[Generation]:
        said = ["yes" if self._script.wrong not in prompt else "no" for prompt in prompts]
        return [Generation(f"VERDICT: {word}", 1, 1, 0.0, "stop") for word in said]


def everything(script: Script, text: str, folder: Path) -> dict[str, Score]:
    """Return what every metric of single answers says of an answer."""
    model, answer, example = Model(script), answer_of(text), example_of(script)
    examples, passages = {"q": example}, {"p": Passage("p", "d", "", script.passage, 0, len(script.passage))}
    scores = score_answers([answer], examples, list(ANSWER_METRICS), passages)
    prompts = [(answer, example, script.question)]
    scores += likelihood_scores(model, prompts, lambda one: one.references, folder / "l")
    scores += similarity_scores(model.vectors, [answer], examples)
    scores += token_similarity_scores(model.tokens, [answer], examples, folder / "t")
    scores += entailment_scores(model, [answer], examples, passages, folder / "e")
    config = JudgeConfig(model="j", asks=("correctness", "faithfulness"))
    judging = Judging(model, config, TASKS["qa"], Sampling(100, 0.95, 1), 0.05)
    scores += judging.of([answer], examples, passages)[0]
    return {score.metric: score for score in scores}


def test_every_metric_is_asked() -> None:
    assert set(ANSWER_METRICS) == ONE | OTHERS
    assert set(CORPUS_METRICS) == {"corpus_bleu", "corpus_chrf", "macro_f1"}


@SCRIPTS
def test_a_right_answer_is_right_by_every_metric_that_reads_the_script(script: Script, tmp_path: Path) -> None:
    found = everything(script, script.right, tmp_path)
    assert set(found) == set(ANSWER_METRICS)
    values = {name: found[name].value for name in ONE - script.refused}
    assert values == pytest.approx(dict.fromkeys(values, 1.0))
    assert [found[name].value for name in ("abstained", "wasted_citations", "invented_citations")] == [0, 0, 0]
    n_letters = 16 if script is JAPANESE else 4  # by letters and digits where there are no words
    assert found["answer_words"].value == n_letters
    assert found["gold_loglik"].value == -6.0 / 4
    assert found["gold_bits_per_byte"].value == pytest.approx(6 / math.log(2) / len(script.right.encode()))


@SCRIPTS
def test_a_wrong_answer_is_wrong_by_every_metric_that_reads_the_script(script: Script, tmp_path: Path) -> None:
    found = everything(script, script.wrong, tmp_path)
    grounded = {"citation_precision", "citation_recall"}  # a wrong answer can cite the right passage
    for name in ONE - script.refused - grounded - {"passage_support"}:
        assert found[name].value is not None
        assert found[name].value < 0.3, name
    assert found["passage_support"].reason == "the answer holds no number and no name"


@SCRIPTS
def test_what_cannot_be_read_is_refused_with_a_reason(script: Script, tmp_path: Path) -> None:
    for text in (script.right, script.wrong):
        found = everything(script, text, tmp_path / text)
        assert {name: found[name].value for name in script.refused} == dict.fromkeys(script.refused)
        reasons = {str(found[name].reason) for name in script.refused}
        assert all("a-z" in reason or "without spaces" in reason for reason in reasons)


@SCRIPTS
def test_metrics_of_all_answers_together_read_the_script(script: Script) -> None:
    examples = {"a": Example("a", "?", (script.right,)), "b": Example("b", "?", (script.label,))}
    said = [Answer("x", id, text, 1, 1, 0.0, "stop") for id, text in (("a", script.right), ("b", f"{script.label} "))]
    found = corpus_estimates(
        said, examples, {"a": "a", "b": "b"}, metrics=CORPUS_METRICS, labels=(), resamples=50, level=0.9, seed=1
    )
    assert {one.metric: one.mean for one in found} == {name: pytest.approx(1.0) for name in CORPUS_METRICS}
