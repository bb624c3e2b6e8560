"""Metrics of a text against reference texts: ROUGE, BLEU, chrF, terms, and the length of an answer.

An unanswerable example scores 1.0 exactly if the answer abstains. On an answerable one the text is scored as it stands:
a phrase of abstention shares little with a reference, and a translation may well begin with one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ragft.evaluation.answers import abstains
from ragft.evaluation.metric import AnswerMetric, Subject, UnscoredError
from ragft.evaluation.sacre import bleu_scorer, chrf_scorer
from ragft.evaluation.scripts import bleu_tokenizer, is_spaceless, latin_share, words

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

_HALF = 0.5
_OTHER_LETTERS = "ROUGE reads the letters a-z and digits alone, which are less than half of {}: use chrf"

References = Sequence[str]


def rouge(answer: str, references: References, kind: str) -> float:
    """Return the F-measure of ROUGE `kind` ("rouge1", "rouge2", "rougeL") with the reference that gives the best.

    Google's rouge-score with Porter's stemmer (Lin 2004). UnscoredError where a reference is mostly in letters that its
    tokenizer deletes, where the answer is and yet something of it matched (what was deleted is missing from its
    precision), and for rouge2 where no reference has two words. A blank answer scores 0.0.
    """
    if any(latin_share(reference) < _HALF for reference in references):
        raise UnscoredError(_OTHER_LETTERS.format("a reference"))
    if kind == "rouge2" and all(len(_rouge_tokens(reference)) < 2 for reference in references):
        raise UnscoredError("no reference has two words")
    best = _rouge(answer, tuple(references))[kind] if answer.strip() else 0.0
    if best > 0 and latin_share(answer) < _HALF:
        raise UnscoredError(_OTHER_LETTERS.format("the answer"))
    return best


@cache
def _rouge_scorer() -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer  # seconds: it brings nltk, which brings what it can find

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)


@lru_cache(maxsize=4096)
def _rouge_tokens(text: str) -> list[str]:
    from rouge_score.tokenize import tokenize

    tokens: list[str] = tokenize(text, None)
    return tokens


@lru_cache(maxsize=256)  # the three kinds are asked one after the other and share their tokens
def _rouge(answer: str, references: tuple[str, ...]) -> dict[str, float]:
    return {kind: score.fmeasure for kind, score in _rouge_scorer().score_multi(references, answer).items()}


def bleu(answer: str, references: References) -> float:
    """Return sacrebleu's sentence BLEU / 100 against all references at once, 0.0 for a blank answer.

    Exponential smoothing (Chen and Cherry 2014, method 3) and effective order, so that an answer of fewer than four
    tokens can score; the tokenizer goes by the script of the references (`bleu_tokenizer`).
    """
    if not answer.strip():
        return 0.0
    scorer = bleu_scorer(bleu_tokenizer([references]), sentences=True)
    # exp(log(100)) is a little more than 100.
    return min(1.0, scorer.sentence_score(answer, list(references)).score / 100)


def chrf(answer: str, references: References) -> float:
    """Return sacrebleu's sentence chrF2 / 100 with the reference that gives the best, 0.0 for a blank answer.

    F of character n-grams up to six, recall weighing twice as much as precision (Popović 2015). For any script.
    """
    return min(1.0, float(chrf_scorer().sentence_score(answer, list(references)).score) / 100)


def terms_found(answer: str, terms: Sequence[str]) -> float:
    """Return the share of the distinct `terms` that stand in the answer, as whole words in their order.

    Case, punctuation and hyphens do not count ("COVID-19" is in "covid 19"); inflected forms are not found. A term in a
    script without spaces is found wherever its characters stand. UnscoredError without a term.
    """
    named = {tuple(words(term)): term for term in terms}
    named.pop((), None)
    if not named:
        raise UnscoredError("the example names no terms")
    said = words(answer)
    return sum(_stands_in(said, term) for term in named) / len(named)


def _stands_in(said: Sequence[str], term: tuple[str, ...]) -> bool:
    if is_spaceless("".join(term)):
        return "".join(term) in "".join(said)
    return f" {' '.join(term)} " in f" {' '.join(said)} "


def answer_words(answer: str) -> float:
    """Return the number of words of an answer, as spaces part them; of its letters in a script without spaces."""
    return float(sum(map(len, words(answer))) if is_spaceless(answer) else len(answer.split()))


def _knowing_unanswerable(metric: Callable[[str, References], float]) -> Callable[[Subject], float]:
    def score(subject: Subject) -> float:
        if not subject.example.answerable:
            return float(abstains(subject.text, subject.example))
        return metric(subject.text, subject.references)

    return score


def _rouge_metric(name: str, kind: str) -> AnswerMetric:
    return AnswerMetric(name, 1, False, _knowing_unanswerable(lambda text, references: rouge(text, references, kind)))


def _terms(subject: Subject) -> float:
    return terms_found(subject.text, subject.example.terms)


OVERLAP_METRICS: tuple[AnswerMetric, ...] = (
    _rouge_metric("rouge1", "rouge1"),
    _rouge_metric("rouge2", "rouge2"),
    _rouge_metric("rouge_l", "rougeL"),
    AnswerMetric("bleu", 1, False, _knowing_unanswerable(bleu)),
    AnswerMetric("chrf", 1, False, _knowing_unanswerable(chrf)),
    AnswerMetric("terms", 1, False, _terms, needs_references=False),
    AnswerMetric(
        "answer_words", 1, False, lambda subject: answer_words(subject.text), needs_references=False, ranks=False
    ),
)
"""The metrics of this module, each a share from 0 to 1 except `answer_words`."""
