"""What the base could do and what is left of it with each adapter: shares with intervals, and what became of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragft.probes.kit import Kit
from ragft.probes.quiz import METRICS, PARTS, Part, Quiz
from ragft.probes.weights import BASE, Weights
from ragft.records import ContrastResult, Estimate, Score

FEW = 10
"""Known facts below which the share that is kept says little."""


@dataclass(frozen=True, slots=True)
class Transition:
    """How many facts the base knew and did not know, by what the tuned model makes of them.

    `declined` of the lost ones are answered with an abstention: not shown to be forgotten, but not said either.
    """

    kept: int
    lost: int
    gained: int
    unknown: int
    declined: int = 0


@dataclass(frozen=True, slots=True)
class Abilities:
    """What was asked of the base and of each adapter.

    `shares` are of right replies, by part and name, the base's under BASE; `changes` the paired differences to the
    base. `kept` is the share of the facts `known` by the base that an adapter still knows, `transitions` counts facts
    by the title of weights. `kinds` are the shares by kind of instruction and of passage, by name.
    """

    shares: Mapping[Part, Mapping[str, Estimate]]
    changes: Mapping[Part, Mapping[str, ContrastResult]]
    known: frozenset[str]
    kept: Mapping[str, Estimate]
    transitions: Mapping[str, Transition]
    kinds: Mapping[str, Mapping[str, Estimate]]


def abilities_of(kit: Kit, quiz: Quiz, base: Weights, tuned: Sequence[Weights]) -> Abilities:
    """Ask the base and every adapter all questions, and return what they could do."""
    scores = {part: quiz.scores(part, [base, *tuned]) for part in PARTS}
    names = list(dict.fromkeys(one.name for one in tuned))
    pairs = [(name, BASE) for name in names]
    known = known_facts(scores["facts"][BASE])
    changes = {
        part: {one.first: one for one in kit.contrasts(scores[part], quiz.examples(part), pairs, METRICS[part])}
        for part in PARTS
    }
    return Abilities(
        shares={part: kit.estimates(scores[part], quiz.examples(part), METRICS[part]) for part in PARTS},
        changes=changes,
        known=known,
        kept=kept_facts(kit, quiz, known, {name: scores["facts"][name] for name in names}),
        transitions={
            one.title: _transition(
                quiz, known, [s for s in scores["facts"][one.name] if s.seed == one.seed], quiz.declined(one)
            )
            for one in tuned
        },
        kinds=_by_kind(kit, quiz, scores),
    )


def known_facts(scores: Sequence[Score]) -> frozenset[str]:
    """Return the questions that were answered right."""
    return frozenset(score.example_id for score in scores if score.value == 1.0)


def kept_facts(
    kit: Kit, quiz: Quiz, known: frozenset[str], scores: Mapping[str, Sequence[Score]]
) -> dict[str, Estimate]:
    """Return the share of the known facts that is answered right, by name."""
    of_known = {name: [one for one in mine if one.example_id in known] for name, mine in scores.items()}
    return kit.estimates(of_known, quiz.examples("facts"), METRICS["facts"])


def _transition(quiz: Quiz, known: frozenset[str], scores: Sequence[Score], declined: frozenset[str]) -> Transition:
    after = known_facts(scores)
    kept, lost, gained = len(known & after), len(known - after), len(after - known)
    unknown = len(quiz.facts) - kept - lost - gained
    return Transition(kept, lost, gained, unknown, declined=len((known - after) & declined))


def _by_kind(
    kit: Kit, quiz: Quiz, scores: Mapping[Part, Mapping[str, Sequence[Score]]]
) -> dict[str, dict[str, Estimate]]:
    """Return the share of right replies by kind and name, kinds in the order of the questions."""
    kinds: dict[Part, dict[str, str]] = {
        "instructions": {one.id: one.kind for one in quiz.instructions},
        "reading": {one.example.id: one.kind for one in quiz.reading},
    }
    found: dict[str, dict[str, Estimate]] = {}
    for part, kind_of in kinds.items():
        for kind in dict.fromkeys(kind_of.values()):
            mine = {name: [s for s in of if kind_of[s.example_id] == kind] for name, of in scores[part].items()}
            found[kind] = kit.estimates(mine, quiz.examples(part), METRICS[part])
    return found
