"""Metrics of an answer against the passages that it was given: groundedness and citations, without a judge.

They say whether an answer keeps to its passages, never whether it is right. Must not know how passages were found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from ragft.evaluation.answers import abstains, normalise
from ragft.evaluation.claims import claims_of
from ragft.evaluation.metric import AnswerMetric, Subject, UnscoredError
from ragft.evaluation.scripts import is_spaceless
from ragft.records import Passage

_ONE = r"\[\d{1,3}(?:[ ,;]+\d{1,3})*\]"
_MARK = re.compile(rf"[ \t]*{_ONE}(?:[ \t]*{_ONE})*(?=[.,;:!?]?(?:\s|$))|({_ONE})")
"""A citation such as [2] or [2, 3]; the group is one that words may touch on both sides. Marks are taken out before
words are counted, else their numbers would be among them."""


def without_marks(text: str) -> str:
    """Return the text without citation marks such as [2]."""
    return _MARK.sub(lambda mark: " " if mark[1] else "", text)


def as_read(passage: Passage) -> str:
    """Return title and text of a passage, which is what the model read."""
    return f"{passage.title}: {passage.text}" if passage.title else passage.text


def _k_precision(subject: Subject) -> float:
    """Return the share of the answer's tokens that stand in the passages (K-Precision, Adlakha et al. 2023).

    As the authors' code has it: all passages are one text, tokens are SQuAD's, multisets are intersected (a word said
    twice must stand there twice), and an answer without tokens scores 0. Not theirs: the title is part of a passage,
    citation marks are none of the answer, and abstentions are left out.
    """
    given = _given(subject)
    if is_spaceless(subject.text) or is_spaceless(given):
        raise UnscoredError("answer or passages are written without spaces, so their words cannot be told apart")
    said = Counter(normalise(without_marks(subject.text)).split())
    shared = said & Counter(normalise(given).split())
    return shared.total() / said.total() if said else 0.0


def _passage_support(subject: Subject) -> float:
    """Return the share of the answer's distinct numbers and names that stand in the passages.

    What counts as a number or a name, and when two are the same, is said at `claims_of`.
    """
    said = claims_of(without_marks(subject.text))
    if not said.count:
        raise UnscoredError("the answer holds no number and no name")
    return said.found_in(_given(subject)) / said.count


def _citation_precision(subject: Subject) -> float:
    """Return the share of the cited passages that come from a gold document; an invented number is a wrong one."""
    cited = _cited(subject)
    total = len(cited) + subject.answer.invented_citations
    if not total:
        raise UnscoredError("the answer cites nothing")
    return sum(_is_gold(passage, subject) for passage in cited) / total


def _citation_recall(subject: Subject) -> float:
    """Return the share of the gold documents in the prompt that are cited; what was not retrieved cannot be cited."""
    due = {passage.document_id for passage in subject.passages if _is_gold(passage, subject)}
    if not due:
        raise UnscoredError("no gold document was among its passages")
    return len(due & {passage.document_id for passage in _cited(subject)}) / len(due)


def _wasted_citations(subject: Subject) -> float:
    """Return how many of the cited passages come from no gold document."""
    return float(sum(not _is_gold(passage, subject) for passage in _cited(subject)))


def _invented_citations(subject: Subject) -> float:
    """Return how many numbers the answer cites that no passage has."""
    return float(subject.answer.invented_citations)


def _given(subject: Subject) -> str:
    """Return all passages of the prompt as one text; a mark such as [2] in them is a citation of their own."""
    return without_marks("\n".join(as_read(passage) for passage in subject.passages))


def _cited(subject: Subject) -> list[Passage]:
    """Return the cited passages, each once however often it is cited."""
    by_id = {passage.id: passage for passage in subject.passages}
    return [by_id[id_] for id_ in dict.fromkeys(subject.answer.citations) if id_ in by_id]


def _is_gold(passage: Passage, subject: Subject) -> bool:
    return passage.document_id in subject.example.gold_document_ids


def _with_passages(metric: Callable[[Subject], float]) -> Callable[[Subject], float]:
    """Return `metric` for answers that were given passages and do not abstain; others are unscored."""

    def score(subject: Subject) -> float:
        if not subject.answer.passage_ids:
            raise UnscoredError("the arm gave it no passages")
        if len(subject.passages) < len(subject.answer.passage_ids):
            # Half of the passages would make a grounded answer look invented.
            raise UnscoredError("passages of its prompt are no longer there")
        if abstains(subject.text, subject.example):
            raise UnscoredError("the answer abstains")
        return metric(subject)

    return score


def _against_gold(metric: Callable[[Subject], float]) -> Callable[[Subject], float]:
    """Return `metric` for examples that have gold documents; others are unscored."""

    def score(subject: Subject) -> float:
        if not subject.example.gold_document_ids:
            raise UnscoredError("the example has no gold documents")
        return metric(subject)

    return _with_passages(score)


def _metric(name: str, score: Callable[[Subject], float], *, ranks: bool = True) -> AnswerMetric:
    return AnswerMetric(name, 1, False, score, needs_references=False, source="passages", ranks=ranks)


GROUNDING_METRICS: tuple[AnswerMetric, ...] = (
    _metric("k_precision", _with_passages(_k_precision)),
    _metric("passage_support", _with_passages(_passage_support)),
    _metric("citation_precision", _against_gold(_citation_precision)),
    _metric("citation_recall", _against_gold(_citation_recall)),
    _metric("wasted_citations", _against_gold(_wasted_citations), ranks=False),
    _metric("invented_citations", _with_passages(_invented_citations), ranks=False),
)
"""Shares from 0 to 1, and two counts for each answer; none is defined for an answer that was given no passages."""
