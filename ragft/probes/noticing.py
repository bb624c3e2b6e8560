"""Who noticed that a fact changed: whether an answer gives the new one, the old one, or neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ragft.arms.bench import Bench
from ragft.evaluation.scripts import is_spaceless
from ragft.probes.kit import Kit
from ragft.records import Answer, Example, Score

MEASURE = "contains"
"""The 0/1 metric in whose name the shares are estimated, whatever tells the answers apart."""

TOLD = ("new", "old", "neither")


def named(stage: str, arm: str) -> str:
    """Return the name of one arm in one stage."""
    return f"{stage}: {arm}"


def measures_of(bench: Bench, metric: str) -> tuple[str, ...]:
    """Return the metrics that tell a new answer from an old one, the deciding one first.

    Where answers are short strings, whether the answer contains a reference, and `metric` where it contains both; for
    labels their equality; for free text, and where words are not set apart by spaces, `metric` alone.
    """
    if bench.task.kind == "classification":
        return ("accuracy",)
    spaceless = any(is_spaceless(text) for example in bench.splits.changed for text in example.references)
    short = bench.task.answers_stand_in_text and not spaceless
    return tuple(dict.fromkeys((MEASURE, metric))) if short else (metric,)


@dataclass(slots=True)
class Noticed:
    """Scores by part (new, old, neither, kept, metric) and then by name."""

    parts: dict[str, dict[str, list[Score]]] = field(default_factory=dict)

    def add(self, name: str, found: Mapping[str, list[Score]]) -> None:
        """Take the scores of one name."""
        for part, scores in found.items():
            self.parts.setdefault(part, {})[name] = scores

    def of(self, part: str) -> Mapping[str, Sequence[Score]]:
        """Return the scores of one part by name."""
        return self.parts.get(part, {})

    @staticmethod
    def rule(measures: Sequence[str]) -> str:
        """Return in a sentence when an answer is the new one."""
        first = "contains" if measures[0] == MEASURE else f"scores higher ({measures[0]}) against"
        tie = "; where it contains both, the one that it is nearer to" if len(measures) > 1 else ""
        return f"An answer gives the new answer when it {first} the new references and not the old ones{tie}."


def noticed(
    kit: Kit,
    answers: Sequence[Answer],
    changed: Sequence[Example],
    kept: Sequence[Example],
    measures: Sequence[str],
    name: str,
) -> dict[str, list[Score]]:
    """Return the scores of one arm in one stage, by part and under a name.

    `new`, `old` and `neither` are 0 or 1 for each answer to a changed fact, `metric` is the kit's against the new
    references; `kept` is the first of the measures on facts that did not change.
    """
    new, same = ({example.id: example for example in part} for part in (changed, kept))
    to_new = [answer for answer in answers if answer.example_id in new]
    told = _told(kit, to_new, new, measures)
    found = {part: [_score(answer, name, one, part) for answer, one in told] for part in TOLD}
    to_same = [answer for answer in answers if answer.example_id in same]
    found["metric"] = kit.scores_of(to_new, new, name)
    found["kept"] = kit.scores_of(to_same, same, name, measures[0])
    return found


def _told(
    kit: Kit, answers: Sequence[Answer], new: Mapping[str, Example], measures: Sequence[str]
) -> list[tuple[Answer, str | None]]:
    """Return what each answer gives: `new`, `old` or `neither`, None where no measure can say."""
    old = {id_: replace(e, references=e.old_references, answerable=True) for id_, e in new.items()}
    pairs = [
        zip(kit.scores_of(answers, new, "", metric), kit.scores_of(answers, old, "", metric), strict=True)
        for metric in measures
    ]
    return [
        (answer, given([(a.value, b.value) for a, b in found]))
        for answer, found in zip(answers, zip(*pairs, strict=True), strict=True)
    ]


def given(pairs: Sequence[tuple[float | None, float | None]]) -> str | None:
    """Return what an answer gives, from its (score against the new references, against the old) by each measure.

    The first measure that tells them apart decides; one that finds neither decides as well. None where none is scored.
    """
    scored = [(a, b) for a, b in pairs if a is not None and b is not None]
    for a, b in scored:
        if a != b:
            return "new" if a > b else "old"
        if a == 0:
            return "neither"
    return "neither" if scored else None


def _score(answer: Answer, name: str, told: str | None, part: str) -> Score:
    value = None if told is None else float(told == part)
    reason = "the answer cannot be judged" if told is None else None
    return Score(name, answer.example_id, MEASURE, value, reason, answer.seed, answer.prompt)
