"""A language model as a judge: which answers it is asked about, what it said of them, and how far that may be trusted.

An answer about which there is nothing to ask is settled by rule, and what would be asked twice is asked once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragft.arms.human_labels import HumanLabel, read_labels
from ragft.arms.judging_model import Asks, JudgingModel
from ragft.config.judging import JudgeConfig, JudgeQuestion
from ragft.errors import DataError
from ragft.evaluation.agreement import Agreement, Sampling, agreement_of
from ragft.evaluation.answers import abstains
from ragft.evaluation.clustering import clusters
from ragft.evaluation.judging import (
    Judgement,
    JudgeReport,
    Outcome,
    PreferenceReport,
    QuestionReport,
    UnreadableError,
    outcome_of,
    preference_report,
    read_preference,
    read_verdict,
)
from ragft.evaluation.metric import Subject
from ragft.evaluation.metrics import answer_metric, score_of, why_unscored
from ragft.evaluation.scripts import composed
from ragft.generation.generator import Generation
from ragft.prompts import Message
from ragft.prompts.judging import (
    CORRECTNESS,
    FAITHFULNESS,
    PREFERENCE,
    correctness,
    faithfulness,
    preference,
    task_words,
)
from ragft.records import Answer, Example, Passage, Score

if TYPE_CHECKING:
    from pathlib import Path

    from ragft.arms.bench import Bench

TEMPLATES: Mapping[JudgeQuestion, str] = {"correctness": CORRECTNESS.name, "faithfulness": FAITHFULNESS.name}


def check_judge(bench: Bench) -> None:
    """Raise DataError, before anything is asked, for labels of a judge that cannot be used."""
    settings = bench.experiment.compare.judge
    if settings is not None:
        _labels(bench, settings.human_labels)


def _labels(bench: Bench, path: Path | None) -> list[HumanLabel]:
    if path is None:
        return []
    return read_labels(path, bench.experiment.compare.arms, {example.id for example in bench.splits.eval})


def judged(
    bench: Bench, answers: Sequence[Answer], examples: Mapping[str, Example], passages: Mapping[str, Passage]
) -> tuple[list[Score], JudgeReport] | None:
    """Return the judge's scores of all answers and what is to be known of it; None where no judge is configured.

    `passages` are those that stood in prompts, by id.
    """
    compare = bench.experiment.compare
    if compare.judge is None:
        return None
    judging = Judging(
        asks=JudgingModel(bench, compare.judge),
        settings=compare.judge,
        task=task_words(bench.task.kind, bench.task.prompt_values),
        sampling=Sampling(compare.resamples, compare.confidence, bench.experiment.seed),
        max_lost_share=compare.limits.failed_share,
    )
    return judging.of(answers, examples, passages, _labels(bench, compare.judge.human_labels))


@dataclass(frozen=True, slots=True)
class _Item:
    """One question about one answer: what the judge is asked, or what is known without it."""

    question: JudgeQuestion
    subject: Subject
    messages: tuple[Message, ...] | None = None
    value: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two answers to one example, the same question in both orders; or what came of them without asking."""

    example: Example
    forward: tuple[Message, ...] = ()
    swapped: tuple[Message, ...] = ()
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What was found about an item: its score, the reply that it rests on, and why that could not be used."""

    item: _Item
    value: float | None
    reason: str | None
    said: str | None = None
    lost: str | None = None
    """`unreadable` or `failed` where the judge was asked and there is no verdict."""

    @property
    def by_judge(self) -> bool:
        """Whether the judge itself gave it."""
        return self.said is not None and self.value is not None


@dataclass(frozen=True, slots=True)
class Judging:
    """Puts answers to a judge; `task` says in words what the answers were to do."""

    asks: Asks
    settings: JudgeConfig
    task: str
    sampling: Sampling
    max_lost_share: float

    def of(
        self,
        answers: Sequence[Answer],
        examples: Mapping[str, Example],
        passages: Mapping[str, Passage],
        labels: Sequence[HumanLabel] = (),
    ) -> tuple[list[Score], JudgeReport]:
        """Return a score for every answer and question, and the report; everything is asked in one go."""
        subjects = [_subject(answer, examples, passages) for answer in answers]
        items = [self._item(question, one) for question in dict.fromkeys(self.settings.asks) for one in subjects]
        pairs = {names: self._pairs(*names, answers, examples) for names in dict.fromkeys(self.settings.preferences)}
        asked = [item.messages for item in items if item.messages]
        asked += [one for found in pairs.values() for pair in found for one in (pair.forward, pair.swapped) if one]
        prompts = list(dict.fromkeys(self.asks.prompt(messages) for messages in asked))
        reused = self.asks.known(prompts)
        replies = dict(zip(prompts, self.asks.ask(prompts), strict=True)) if prompts else {}
        verdicts = [self._verdict(item, replies) for item in items]
        report = JudgeReport(
            model=self.settings.model,
            prompts=self._prompt_names,
            min_kappa=self.settings.min_kappa,
            max_lost_share=self.max_lost_share,
            questions=tuple(
                self._question(one, verdicts, labels, examples) for one in dict.fromkeys(self.settings.asks)
            ),
            preferences=tuple(self._preference(names, found, replies, examples) for names, found in pairs.items()),
            asked=len(prompts) - reused,
            reused=reused,
            judgements=tuple(_judgement(one) for one in verdicts if one.said is not None),
        )
        return [_score(one) for one in verdicts], report

    @property
    def _prompt_names(self) -> tuple[str, ...]:
        names = [TEMPLATES[question] for question in dict.fromkeys(self.settings.asks)]
        return (*names, PREFERENCE.name) if self.settings.preferences else tuple(names)

    def _item(self, question: JudgeQuestion, subject: Subject) -> _Item:
        found = _settled(question, subject)
        if isinstance(found, str):
            return _Item(question, subject, reason=found)
        if found is not None:
            return _Item(question, subject, value=found)
        match question:
            case "correctness":
                messages = correctness(self.task, subject.example, subject.text)
            case "faithfulness":
                messages = faithfulness(self.task, subject.example, subject.passages, subject.text)
        return _Item(question, subject, tuple(messages))

    def _verdict(self, item: _Item, replies: Mapping[str, Generation]) -> _Verdict:
        if item.messages is None:
            return _Verdict(item, item.value, item.reason)
        reply = replies[self.asks.prompt(item.messages)]
        if reply.finish_reason == "error":
            return _Verdict(item, None, f"the judge could not be asked: {reply.error}", lost="failed")
        try:
            value = float(read_verdict(reply.text, cut_off=reply.finish_reason == "length"))
        except UnreadableError as error:
            return _Verdict(item, None, str(error), reply.text, "unreadable")
        return _Verdict(item, value, None, reply.text)

    def _question(
        self,
        question: JudgeQuestion,
        verdicts: Sequence[_Verdict],
        labels: Sequence[HumanLabel],
        examples: Mapping[str, Example],
    ) -> QuestionReport:
        own = [one for one in verdicts if one.item.question == question]
        named = [label for label in labels if label.question == question]
        found = [(label, _labelled(label, own)) for label in named]
        return QuestionReport(
            question=question,
            n_verdicts=sum(one.by_judge for one in own),
            n_settled=sum(one.said is None and one.value is not None for one in own),
            n_unreadable=sum(one.lost == "unreadable" for one in own),
            n_failed=sum(one.lost == "failed" for one in own),
            n_unscored=sum(one.value is None and one.lost is None for one in own),
            n_labels=len(named),
            n_outdated=sum(verdict is None for _, verdict in found),
            agreement=self._agreement([(label, one) for label, one in found if one and one.by_judge], examples),
        )

    def _agreement(
        self, both: Sequence[tuple[HumanLabel, _Verdict]], examples: Mapping[str, Example]
    ) -> Agreement | None:
        """Return the agreement on answers that the judge itself judged: what a rule settled says nothing of it."""
        cluster = clusters(list(examples.values()))
        return agreement_of(
            [label.label for label, _ in both],
            [one.value == 1.0 for _, one in both],
            [cluster[label.example_id] for label, _ in both],
            self.sampling,
        )

    def _pairs(
        self, first: str, second: str, answers: Sequence[Answer], examples: Mapping[str, Example]
    ) -> list[_Pair]:
        """Return the examples that both arms were asked; of an arm with several seeds or prompts, its first answers."""
        of_first, of_second = _first_answers(first, answers), _first_answers(second, answers)
        shared = [id_ for id_ in of_first if id_ in of_second]
        return [self._pair(of_first[id_], of_second[id_], examples[id_]) for id_ in shared]

    def _pair(self, one: Answer, other: Answer, example: Example) -> _Pair:
        if one.error is not None or other.error is not None:
            return _Pair(example, outcome="missing")
        if one.text.strip() == other.text.strip():
            return _Pair(example, outcome="identical")
        forward = preference(self.task, example, one.text, other.text)
        return _Pair(example, tuple(forward), tuple(preference(self.task, example, other.text, one.text)))

    def _preference(
        self,
        names: tuple[str, str],
        pairs: Sequence[_Pair],
        replies: Mapping[str, Generation],
        examples: Mapping[str, Example],
    ) -> PreferenceReport:
        cluster = clusters(list(examples.values()))
        outcomes = [self._outcome(pair, replies) for pair in pairs]
        return preference_report(*names, outcomes, [cluster[pair.example.id] for pair in pairs], self.sampling)

    def _outcome(self, pair: _Pair, replies: Mapping[str, Generation]) -> Outcome:
        if pair.outcome is not None:
            return pair.outcome
        both = [replies[self.asks.prompt(messages)] for messages in (pair.forward, pair.swapped)]
        if any(reply.finish_reason == "error" for reply in both):
            return "missing"
        try:
            forward, swapped = (read_preference(one.text, cut_off=one.finish_reason == "length") for one in both)
        except UnreadableError:
            return "unreadable"
        return outcome_of(forward, swapped)


def _subject(answer: Answer, examples: Mapping[str, Example], passages: Mapping[str, Passage]) -> Subject:
    if answer.example_id not in examples:
        raise DataError(
            f"arm {answer.arm!r} answered example {answer.example_id!r}, which is not among the examples",
            "answer the current examples again: the answers belong to another version of the data",
        )
    given = tuple(passages[id_] for id_ in answer.passage_ids if id_ in passages)
    return Subject(answer, examples[answer.example_id], given)


def _settled(question: JudgeQuestion, subject: Subject) -> float | str | None:
    """Return the score that needs no judge, or why there is nothing to judge; None where the judge is to be asked.

    Abstentions follow SQuAD 2.0 (Rajpurkar et al. 2018): right on an unanswerable example, wrong on another. A blank
    answer is wrong. Both claim nothing, so they can be neither faithful nor unfaithful to passages.
    """
    reason = why_unscored(subject, answer_metric(f"judge_{question}"))
    if reason is not None:
        return reason
    is_abstention = abstains(composed(subject.text), subject.example)
    match question:
        case "correctness":
            if not subject.example.answerable:
                return float(is_abstention)
            return 0.0 if is_abstention or not subject.text.strip() else None
        case "faithfulness":
            return _why_not_faithful(subject, is_abstention=is_abstention)


def _why_not_faithful(subject: Subject, *, is_abstention: bool) -> str | None:
    if not subject.answer.passage_ids:
        return "the arm gave it no passages"
    if len(subject.passages) < len(subject.answer.passage_ids):
        return "passages of its prompt are no longer there"
    if is_abstention:
        return "the answer abstains"
    return None if subject.text.strip() else "the answer says nothing"


def _score(one: _Verdict) -> Score:
    return score_of(one.item.subject.answer, f"judge_{one.item.question}", one.value, one.reason)


def _judgement(one: _Verdict) -> Judgement:
    answer = one.item.subject.answer
    return Judgement(
        arm=answer.arm,
        example_id=answer.example_id,
        question=one.item.question,
        text=answer.text,
        said=one.said or "",
        value=one.value,
        seed=answer.seed,
        prompt=answer.prompt,
    )


def _first_answers(arm: str, answers: Sequence[Answer]) -> dict[str, Answer]:
    """Return an arm's answers by example; of several to one example the first."""
    found: dict[str, Answer] = {}
    for answer in answers:
        if answer.arm == arm:
            found.setdefault(answer.example_id, answer)
    return found


def _labelled(label: HumanLabel, verdicts: Sequence[_Verdict]) -> _Verdict | None:
    """Return the verdict on the answer that was labelled, None where the arm no longer gives that answer.

    A label without a text is for the arm's first answer, where training seeds or prompts gave it several.
    """
    own = (
        one
        for one in verdicts
        if (answer := one.item.subject.answer).arm == label.arm and answer.example_id == label.example_id
    )
    return next((one for one in own if label.text is None or label.text.strip() == one.item.subject.text.strip()), None)
