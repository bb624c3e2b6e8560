"""What the page's question explorer reads: every question, every arm's answer and each passage once, as JSON.

Documents and answers are hostile text. The JSON stands in a script element that browsers never run, with every
character escaped that could end the element or a line of script; the explorer shows it through textContent alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from ragft.records import Answer, Example, FinishReason, Score
from ragft.report.arm_rows import arm_kind, other_metrics
from ragft.report.contents import ReportData
from ragft.report.escaping import script_json


def explorer_json(data: ReportData) -> Markup:
    """Return the explorer's data as JSON that may stand inside a script element of any page."""
    return script_json(_payload(data))


def _payload(data: ReportData) -> dict[str, Any]:
    metrics = [data.primary_metric, *(name for name in other_metrics(data) if _is_scored(data, name))]
    passages = _Passages(data)
    scores = _by_answer(data.scores)
    arms = []
    for arm in data.arms:
        answers = {answer.example_id: answer for answer in reversed(data.answers[arm.name])}  # the first of each
        rows = [_answer(answers.get(example.id), metrics, scores, passages) for example in data.examples]
        seeds = len(data.seed_means(arm.name)) or 1
        asked = {"seeds": seeds, "prompts": len(data.prompt_means(arm.name)) or 1}
        arms.append({"name": arm.name, "kind": arm_kind(data, arm), **asked, "answers": rows})
    return {
        "metrics": metrics,
        "arms": arms,
        "examples": [_example(example) for example in data.examples],
        "passages": passages.rows,
    }


def _by_answer(scores: Iterable[Score]) -> dict[tuple[str, str, str], Score]:
    """Return the score of each answer and metric; where several seeds or prompts did, their mean stands for them."""
    found: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        found.setdefault((score.arm, score.example_id, score.metric), []).append(score)
    return {key: of_answer[0] if len(of_answer) == 1 else _mean(of_answer) for key, of_answer in found.items()}


def _mean(scores: Sequence[Score]) -> Score:
    values = [score.value for score in scores if score.value is not None]
    return replace(scores[0], value=sum(values) / len(values), reason=None) if values else scores[0]


def _is_scored(data: ReportData, metric: str) -> bool:
    return any(score.metric == metric for score in data.scores)


class _Passages:
    """The passages that answers name, each stored once; one whose text the run does not hold has null for it."""

    def __init__(self, data: ReportData) -> None:
        self._known = {passage.id: passage for passage in data.passages}
        self._places: dict[str, int] = {}
        self.rows: list[list[str | None]] = []

    def place(self, id: str) -> int:
        """Return where the passage stands in `rows`, adding it if it is new."""
        if id not in self._places:
            self._places[id] = len(self.rows)
            found = self._known.get(id)
            self.rows.append(
                [id, None, None, None] if found is None else [id, found.document_id, found.title, found.text]
            )
        return self._places[id]


def _example(example: Example) -> list[Any]:
    """Return id, input, references, gold documents, answerable or not, variant, and any turns that came before."""
    row: list[Any] = [
        example.id,
        example.input,
        example.references,
        example.gold_document_ids,
        int(example.answerable),
        example.variant,
    ]
    return [*row, [[turn.input, turn.output] for turn in example.history]] if example.history else row


_ENDS: Mapping[FinishReason, int] = {"stop": 0, "length": 1, "error": 2}
"""How an answer ended, as the explorer knows it: by itself, cut off, or not got at all."""


def _answer(
    answer: Answer | None, metrics: list[str], scores: Mapping[tuple[str, str, str], Score], passages: _Passages
) -> list[Any] | None:
    """Return text, scores, passages, cited passages, tokens in and out, seconds, how it ended, and any reason."""
    if answer is None:
        return None
    found = [scores.get((answer.arm, answer.example_id, metric)) for metric in metrics]
    row = [
        answer.text,
        [None if score is None or score.value is None else round(score.value, 4) for score in found],
        [passages.place(id) for id in answer.passage_ids],
        [passages.place(id) for id in answer.citations],
        answer.prompt_tokens,
        answer.output_tokens,
        round(answer.seconds, 3),
        _ENDS[answer.finish_reason],
    ]
    reason = found[0].reason if found[0] is not None and found[0].value is None else None
    reason = answer.error or reason
    return row if reason is None else [*row, reason]
