"""The answer metrics by name, and `score_answers`, which turns answers into scores.

Must not know how an answer was made, nor which arm is expected to win.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ragft.errors import DataError, RagftError
from ragft.evaluation.answers import abstains, contains, exact_match, normalise, token_f1
from ragft.evaluation.corpus import CORPUS_METRICS
from ragft.evaluation.grounding import GROUNDING_METRICS
from ragft.evaluation.metric import AnswerMetric, Subject, UnscoredError
from ragft.evaluation.overlap import OVERLAP_METRICS
from ragft.evaluation.scripts import NO_WORDS, composed, is_spaceless, refuse_spaceless
from ragft.records import Answer, Example, Passage, Score

_Metric = Callable[[str, Sequence[str]], float]


def _knowing_abstention(metric: _Metric) -> Callable[[Subject], float]:
    """Return `metric` of composed texts, with the convention of SQuAD 2.0 (Rajpurkar et al. 2018) for abstentions.

    An unanswerable example scores 1.0 exactly if the answer abstains; an abstention on an answerable one scores 0.0.
    An accent is the same whether it is written with its letter or after it; SQuAD's own script tells them apart.
    """

    def score(subject: Subject) -> float:
        text, example = composed(subject.text), subject.example
        if not example.answerable:
            return float(abstains(text, example))
        return 0.0 if abstains(text, example) else metric(text, [composed(one) for one in example.references])

    return score


def _of_words(metric: _Metric) -> Callable[[Subject], float]:
    """Return `metric` as `_knowing_abstention` does, unscored where words cannot be told apart.

    That is where a reference is written without spaces, whatever is answered: abstentions alone would make no mean.
    """
    knowing = _knowing_abstention(_hidden(metric))

    def score(subject: Subject) -> float:
        refuse_spaceless(subject.references)
        return knowing(subject)

    return score


def _hidden(metric: _Metric) -> _Metric:
    """Return `metric`, unscored where it found nothing and yet a reference stands among words without spaces.

    Such as 1848 in an answer of Japanese. Where no reference stands in it by its letters, the answer is wrong.
    """

    def score(text: str, references: Sequence[str]) -> float:
        value = metric(text, references)
        said = normalise(text)
        if value == 0 and is_spaceless(text) and any(one and one in said for one in map(normalise, references)):
            raise UnscoredError(NO_WORDS.replace("a reference", "the answer"))
        return value

    return score


def _label_accuracy(subject: Subject) -> float:
    if not subject.example.answerable:
        return float(abstains(subject.text, subject.example))
    return float(composed(subject.text).strip() in {composed(reference).strip() for reference in subject.references})


def _abstained(subject: Subject) -> float:
    return float(abstains(subject.text, subject.example))


_ELSEWHERE = (
    AnswerMetric("gold_loglik", 1, False, None, source="likelihood"),
    AnswerMetric("gold_bits_per_byte", 1, False, None, source="likelihood", ranks=False),
    AnswerMetric("similarity", 2, False, None, source="embedder"),
    AnswerMetric("token_similarity", 1, False, None, source="embedder"),
    AnswerMetric("entailment", 1, False, None, needs_references=False, source="nli"),
    AnswerMetric("judge_correctness", 1, True, None, source="judge"),
    AnswerMetric("judge_faithfulness", 1, True, None, needs_references=False, source="judge", of_passages=True),
)
"""Metrics that something outside this package measures; their definitions stand where they are measured."""

ANSWER_METRICS: Mapping[str, AnswerMetric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            AnswerMetric("exact_match", 2, True, _knowing_abstention(exact_match)),
            AnswerMetric("token_f1", 2, False, _of_words(token_f1)),
            AnswerMetric("contains", 2, True, _of_words(contains)),
            AnswerMetric("accuracy", 2, True, _label_accuracy),
            AnswerMetric("abstained", 1, True, _abstained, needs_references=False, ranks=False),
            *OVERLAP_METRICS,
            *GROUNDING_METRICS,
            *_ELSEWHERE,
        )
    }
)


def answer_metric(name: str) -> AnswerMetric:
    """Return the answer metric called `name`; RagftError listing the known ones if there is none."""
    try:
        return ANSWER_METRICS[name]
    except KeyError:
        hint = f"known answer metrics: {', '.join(ANSWER_METRICS)}"
        raise RagftError(f"unknown answer metric {name!r}", hint) from None


def is_binary(metric: str) -> bool:
    """Return whether every value of `metric` is 0.0 or 1.0; False for a name that is not an answer metric."""
    return metric in ANSWER_METRICS and ANSWER_METRICS[metric].binary


def check_primary(metric: str, arms_without_passages: Sequence[str]) -> None:
    """Raise RagftError, saying why, unless arms may be ranked by `metric`.

    It must be known, measured on every single answer (a corpus metric is not), and higher must be better. Where it
    needs passages, no arm that could be shipped may be without: `arms_without_passages` are those that are.
    """
    hint = "choose another compare.primary_metric"
    if metric in CORPUS_METRICS:
        raise RagftError(f"{metric!r} is measured on all answers together, so arms cannot be compared by it", hint)
    found = answer_metric(metric)
    if not found.ranks:
        raise RagftError(f"{metric!r} cannot be the primary metric: more of it is not better in itself", hint)
    if found.needs_passages and arms_without_passages:
        without = f"arms without passages: {', '.join(arms_without_passages)}"
        raise RagftError(f"{metric!r} cannot be the primary metric: it is defined by the passages ({without})", hint)


def judges_some(metric: str) -> bool:
    """Return whether it lies in the nature of `metric` to judge some answers only, such as those that cite."""
    return metric in ANSWER_METRICS and (ANSWER_METRICS[metric].source != "text" or metric == "terms")


def score_answers(
    answers: Sequence[Answer],
    examples: Mapping[str, Example],
    metrics: Sequence[str],
    passages: Mapping[str, Passage] | None = None,
) -> list[Score]:
    """Return one score per answer and metric, answers in their order and metrics in theirs.

    `passages` are those that stood in prompts, by id. `accuracy` expects `Answer.text` to be the label already parsed,
    or the raw text where parsing failed (0.0). An answerable example without references is unscored, with the reason,
    and so is an answer that could not be got. Metrics that are measured elsewhere are passed over. RagftError for an
    unknown metric, DataError for an answer to an example that is not in `examples` (keys are example ids).
    """
    chosen = [metric for name in metrics if (metric := answer_metric(name)).score is not None]
    known = passages or {}
    return [
        _score(Subject(answer, example_of(answer, examples), _in_prompt(answer, known)), metric)
        for answer in answers
        for metric in chosen
    ]


def _in_prompt(answer: Answer, passages: Mapping[str, Passage]) -> tuple[Passage, ...]:
    return tuple(passages[id_] for id_ in answer.passage_ids if id_ in passages)


def example_of(answer: Answer, examples: Mapping[str, Example]) -> Example:
    """Return the example of an answer; DataError where it is not among the examples (keys are example ids)."""
    if answer.example_id not in examples:
        raise DataError(
            f"arm {answer.arm!r} answered example {answer.example_id!r}, which is not among the examples",
            "answer the current examples again: the answers belong to another version of the data",
        )
    return examples[answer.example_id]


def score_of(answer: Answer, metric: str, value: float | None, reason: str | None = None) -> Score:
    """Return a score of an answer, with the training seed and the prompt of the answer."""
    return Score(answer.arm, answer.example_id, metric, value, reason, answer.seed, answer.prompt)


def why_unscored(subject: Subject, metric: AnswerMetric) -> str | None:
    """Return why a metric cannot judge an answer whatever it says, None where it may."""
    if subject.answer.error is not None:
        return f"no answer was got: {subject.answer.error}"
    if metric.needs_references and subject.example.answerable and not subject.references:
        return "the example has no references"
    return None


def _score(subject: Subject, metric: AnswerMetric) -> Score:
    reason, value = why_unscored(subject, metric), None
    if reason is None and metric.score is not None:
        try:
            value = metric.score(subject)
        except UnscoredError as error:
            reason = str(error)
    return score_of(subject.answer, metric.name, value, reason)
