"""Every metric against the reference implementation of its field, on hundreds of real texts and labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ragft.evaluation.classification import majority_share, summarise_classification
from ragft.evaluation.corpus import corpus_estimates
from ragft.evaluation.metrics import score_answers
from ragft.evaluation.sacre import signature
from ragft.records import Answer, Example

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the data sets do not lie beside the checkout"),
]


def rows(name: str, file: str, n: int) -> list[dict[str, Any]]:
    with (DATA / name / file).open(encoding="utf-8") as lines:
        return [json.loads(line) for _, line in zip(range(n), lines, strict=False)]


def pairs_of(name: str, n: int, said: Callable[[dict[str, Any]], str]) -> tuple[list[Answer], dict[str, Example]]:
    chosen = rows(name, "eval.jsonl", n)
    answers = [Answer("a", row["id"], said(row), 1, 1, 0.1, "stop") for row in chosen]
    return answers, {row["id"]: Example(row["id"], "", tuple(row["answers"])) for row in chosen}


def summaries() -> tuple[list[Answer], dict[str, Example]]:
    """Return the first sentence of 300 abstracts as answers, against one to five summaries each."""
    texts = {row["id"]: row["text"] for row in rows("summ-scitldr", "documents.jsonl", 10**6)}
    return pairs_of("summ-scitldr", 300, lambda row: texts[row["input_doc_id"]].split(". ")[0])


def translations() -> tuple[list[Answer], dict[str, Example]]:
    """Return the English of 300 segments as answers, against their Spanish: names and numbers agree, little else."""
    return pairs_of("trans-tico19-enes", 300, lambda row: row["input"])


def values(answers: Sequence[Answer], examples: dict[str, Example], metric: str) -> list[float]:
    scores = score_answers(answers, examples, [metric])
    assert all(score.value is not None for score in scores)
    return [score.value for score in scores if score.value is not None]


def streams(answers: Sequence[Answer], examples: dict[str, Example]) -> list[list[str | None]]:
    references = [examples[answer.example_id].references for answer in answers]
    return [[of[k] if k < len(of) else None for of in references] for k in range(max(map(len, references)))]


@pytest.mark.parametrize("source", [summaries, translations])
def test_rouge_is_that_of_rouge_score(source: Callable[[], tuple[list[Answer], dict[str, Example]]]) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    answers, examples = source()
    for metric, kind in (("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rouge_l", "rougeL")):
        scorer = RougeScorer([kind], use_stemmer=True)
        right = [scorer.score_multi(examples[a.example_id].references, a.text)[kind].fmeasure for a in answers]
        assert values(answers, examples, metric) == right, metric
        assert 0.01 < sum(right) / len(right) < 0.5  # neither all alike nor all apart


@pytest.mark.parametrize("source", [summaries, translations])
def test_bleu_and_chrf_are_those_of_sacrebleu(source: Callable[[], tuple[list[Answer], dict[str, Example]]]) -> None:
    from sacrebleu.metrics import BLEU, CHRF

    answers, examples = source()
    for metric, scorer in (("bleu", BLEU(effective_order=True)), ("chrf", CHRF())):
        right = [scorer.sentence_score(a.text, examples[a.example_id].references).score / 100 for a in answers]
        assert values(answers, examples, metric) == pytest.approx(right, abs=1e-12), metric
    clusters = {id: id for id in examples}
    for metric, scorer in (("corpus_bleu", BLEU()), ("corpus_chrf", CHRF())):
        (found,) = corpus_estimates(
            answers, examples, clusters, metrics=[metric], labels=(), resamples=100, level=0.95, seed=1
        )
        whole = scorer.corpus_score([a.text for a in answers], streams(answers, examples))  # type: ignore[arg-type]
        assert found.mean == pytest.approx(whole.score / 100, abs=1e-9), metric
        assert signature(metric, [e.references for e in examples.values()]) == str(scorer.get_signature())
        assert found.interval is not None
        assert found.interval.low < found.mean < found.interval.high


def test_labels_are_counted_as_scikit_learn_counts_them() -> None:
    """Every claim that has a number in it is called refuted, and every tenth answer is no label."""
    metrics = pytest.importorskip("sklearn.metrics")
    chosen = rows("fact-fm2", "eval.jsonl", 400)
    labels = ["SUPPORTS", "REFUTES"]
    said = [
        "I think so" if i % 10 == 0 else labels[any(letter.isdigit() for letter in row["claim"])]
        for i, row in enumerate(chosen)
    ]
    right = [row["answers"][0] for row in chosen]
    summary = summarise_classification(said, right, labels)
    table = metrics.precision_recall_fscore_support(right, said, labels=labels, zero_division=0)
    assert [(one.precision, one.recall, one.f1, one.support) for one in summary.labels] == [
        pytest.approx(row) for row in zip(*table, strict=True)
    ]
    answers = [Answer("a", row["id"], text, 1, 1, 0.1, "stop") for row, text in zip(chosen, said, strict=True)]
    examples = {row["id"]: Example(row["id"], "", tuple(row["answers"])) for row in chosen}
    (found,) = corpus_estimates(
        answers,
        examples,
        {id: id for id in examples},
        metrics=["macro_f1"],
        labels=labels,
        resamples=100,
        level=0.95,
        seed=1,
    )
    assert found.mean == pytest.approx(
        metrics.f1_score(right, said, labels=labels, average="macro", zero_division=0), abs=1e-12
    )
    share = sum(values(answers, examples, "accuracy")) / 400
    assert share == pytest.approx(metrics.accuracy_score(right, said))
    assert (summary.n, summary.n_unparsed) == (400, 40)
    assert majority_share(right) == max(right.count(label) for label in labels) / 400
