"""The probe `context`: how many passages, where the gold one stands, and what retrieval and reading each cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ragft.arms.bench import Bench
from ragft.arms.round import Asked
from ragft.config import ContextProbe, with_values
from ragft.errors import RagftError
from ragft.evaluation.probing import Cell, Chart, Column, Curve, ProbeResult, Row, Table, cell, difference_cell, point
from ragft.probes.kit import Kit
from ragft.probes.probe import Condition, Load, Refusal
from ragft.probes.wording import change, doubt, listed, scored
from ragft.records import Example, Passage, Score

POSITIONS = ("first", "middle", "last")


@dataclass(frozen=True, slots=True)
class Context:
    """An instance of Probe."""

    config: ContextProbe
    kind: str = "context"
    title: str = "Context"
    asks: str = "How many passages, in which order, and is it retrieval or reading that loses the answers?"

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why no arm can be looked at."""
        if not self._arms(kit):
            return Refusal("no arm retrieves passages", "add an arm with retrieval: index")
        return None

    def load(self, kit: Kit) -> Load:
        """Return the load of every number of passages, of perfect retrieval, and of every place of the gold passage."""
        conditions = [*self._numbers(kit), self._oracles(kit)]
        placed = _with_passages(kit, self.config.position_of, self._with_gold(kit))
        conditions += [Condition(f"gold {where}", placed, self._arms(kit)) for where in POSITIONS]
        return replace(kit.load_of(conditions), arms=len(self._arms(kit)))

    def measure(self, kit: Kit) -> ProbeResult:
        """Ask the arms with every number of passages, with gold passages alone, and with a gold one in every place."""
        arms, examples, found = self._arms(kit), kit.examples(self.config), _Found()
        self._by_number(kit, found)
        self._by_part(kit, found)
        self._by_position(kit, found)
        return kit.result(
            self,
            arms=arms,
            n_examples=len(examples),
            n_available=len(kit.bench.splits.eval),
            findings=found.findings,
            charts=found.charts,
            tables=found.tables,
            notes=found.notes,
        )

    def _arms(self, kit: Kit) -> tuple[str, ...]:
        return kit.arms(self.config, lambda arm: arm.retrieval == "index")

    def _numbers(self, kit: Kit) -> list[Condition]:
        examples = kit.examples(self.config)
        return [
            Condition(f"{k} passages", _with_passages(kit, k, examples), self._arms(kit))
            for k in sorted(set(self.config.passages))
        ]

    def _by_number(self, kit: Kit, found: _Found) -> None:
        """Add the curve of every arm over the number of passages."""
        examples, arms = kit.examples(self.config), self._arms(kit)
        scores: dict[str, list[Score]] = {}
        fits = []
        for k, condition in zip(sorted(set(self.config.passages)), self._numbers(kit), strict=True):
            try:
                told = kit.ask(condition)
            except RagftError as error:
                found.notes.append(f"{condition.label} could not be asked: {error}.")
                continue
            fits.append(k)
            scores |= {f"{arm} {k}": kit.scores(told.asked[arm], f"{arm} {k}") for arm in arms}
        if not fits:
            return
        means = kit.estimates(scores, examples)
        curves = tuple(Curve(arm, tuple(point(k, str(k), means[f"{arm} {k}"]) for k in fits)) for arm in arms)
        found.charts.append(
            Chart(
                "passages", f"{kit.metric} by number of passages", "passages", kit.metric, curves, log_x=len(fits) > 2
            )
        )
        # The first finding stands for the probe where probes are listed: that of the best arm.
        for arm in sorted(arms, key=lambda arm: max(means[f"{arm} {k}"].mean or 0.0 for k in fits), reverse=True):
            found.findings += self._best(kit, arm, fits, scores)

    def _best(self, kit: Kit, arm: str, fits: Sequence[int], scores: Mapping[str, Sequence[Score]]) -> list[str]:
        """Return which number of passages is best for an arm, and what the other end costs."""
        means = kit.estimates({str(k): _renamed(scores[f"{arm} {k}"], str(k)) for k in fits}, kit.bench.splits.eval)
        known = {k: mean for k in fits if (mean := means[str(k)].mean) is not None}
        if len(known) < 2:
            return []
        best = max(known, key=lambda k: (known[k], -k))
        other = min(known, key=lambda k: (known[k], k))
        if known[best] == known[other]:
            return [f"{arm} scores {kit.metric} {scored(known[best])} with {listed([str(k) for k in known])} passages."]
        pairs = kit.contrasts(scores, kit.bench.splits.eval, [(f"{arm} {best}", f"{arm} {other}")])
        most = f"{best} passage{'s' if best > 1 else ''} ({kit.metric} {scored(known[best])})"
        return [f"{arm} is best with {most} and worst with {other}: {change(pairs[0])}{doubt(pairs[0])}."]

    def _oracles(self, kit: Kit) -> Condition:
        """Return the arms with gold passages in the place of what they retrieve."""
        bench, twins = kit.twins(self._arms(kit), "with-gold", retrieval="oracle")
        return Condition("gold passages", bench.stressed(eval=self._with_gold(kit)), tuple(twins.values()))

    def _with_gold(self, kit: Kit) -> tuple[Example, ...]:
        return tuple(e for e in kit.examples(self.config) if e.gold_document_ids and e.answerable)

    def _by_part(self, kit: Kit, found: _Found) -> None:
        """Add what retrieval and what reading cost: score on hits and misses, and with gold passages alone."""
        arms, examples = self._arms(kit), self._with_gold(kit)
        if not examples:
            found.notes.append("No example names a gold document, so retrieval and reading cannot be told apart.")
            return
        own = kit.ask(Condition("as configured", kit.bench.stressed(eval=examples), arms))
        oracles = self._oracles(kit)
        told, twin = kit.ask(oracles), dict(zip(arms, oracles.arms, strict=True))
        rows = []
        for arm in arms:
            hits = _hits(own.asked[arm])
            mine = kit.scores(own.asked[arm], arm)
            scores = {
                arm: mine,
                "hit": _renamed([s for s in mine if s.example_id in hits], "hit"),
                "miss": _renamed([s for s in mine if s.example_id not in hits], "miss"),
                "oracle": kit.scores(told.asked[twin[arm]], "oracle"),
            }
            means = kit.estimates(scores, examples)
            lost = kit.contrasts(scores, examples, [("oracle", arm)])
            best = means["oracle"].mean
            cells = [cell(means[name]) for name in (arm, "hit", "miss", "oracle")]
            rows.append(Row(arm, (*cells, difference_cell(lost), Cell(None if best is None else 1 - best))))
            if lost and best is not None:
                found.findings.append(
                    f"Retrieval costs {arm} {change(lost[0])}{doubt(lost[0])}; reading costs it {scored(1 - best)} "
                    f"more, for with gold passages alone it scores {scored(best)}."
                )
        columns = (
            Column("as retrieved"),
            Column("given a hit"),
            Column("given a miss"),
            Column("gold passages"),
            Column("lost by retrieval", "signed"),
            Column("lost by reading"),
        )
        note = (
            "A hit has a passage of a gold document in its prompt. Lost by retrieval is the paired difference between "
            "gold passages and those retrieved; lost by reading is what gold passages leave to 1."
        )
        found.tables.append(Table("parts", "What retrieval and what reading cost", "arm", columns, tuple(rows), note))

    def _by_position(self, kit: Kit, found: _Found) -> None:
        """Add the score by the place of the gold passage among retrieved passages of other documents."""
        examples, count = self._with_gold(kit), self.config.position_of
        if not examples:
            return
        # The names of places are those of the prompt, from its beginning.
        contexts = {where: _placed(kit, examples, count, where) for where in POSITIONS}
        arms, rows = self._arms(kit), []
        for arm in arms:
            scores = {w: kit.scores(kit.asked_with(arm, contexts[w], examples), w) for w in POSITIONS}
            means = kit.estimates(scores, examples)
            moved = kit.contrasts(scores, examples, [("first", "last")])
            rows.append(Row(arm, (*(cell(means[w]) for w in POSITIONS), difference_cell(moved))))
            if moved:
                found.findings.append(
                    f"With the gold passage first rather than last of {count}, {arm} changes by {change(moved[0])}"
                    f"{doubt(moved[0])}."
                )
        columns = (*(Column(f"gold {where}") for where in POSITIONS), Column("first less last", "signed"))
        title = f"{kit.metric} by the place of the gold passage among {count}"
        found.tables.append(Table("positions", title, "arm", columns, tuple(rows)))


@dataclass(slots=True)
class _Found:
    findings: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _with_passages(kit: Kit, count: int, examples: tuple[Example, ...]) -> Bench:
    bench = kit.bench
    return bench.variant(with_values(bench.experiment, {"retrieval.top_k": count})).stressed(eval=examples)


def _renamed(scores: Sequence[Score], name: str) -> list[Score]:
    return [replace(score, arm=name) for score in scores]


def _hits(asked: Asked) -> set[str]:
    """Return the examples that had a passage of a gold document in their prompt."""
    return {
        question.example.id
        for question in asked.questions
        if any(passage.document_id in question.example.gold_document_ids for passage in question.passages)
    }


def _placed(kit: Kit, examples: Sequence[Example], count: int, where: str) -> dict[str, list[Passage]]:
    """Return `count` passages for each example: a gold one at a place, and what retrieval finds of other documents."""
    knowledge = kit.round.knowledge
    assert knowledge is not None
    found = {}
    for example, ranking in zip(examples, knowledge.rankings(examples), strict=True):
        gold = knowledge.gold(example)[0]
        avoided = {*example.gold_document_ids, example.input_document_id}
        others = [item.passage for item in ranking.passages if item.passage.document_id not in avoided][: count - 1]
        place = {"first": 0, "middle": len(others) // 2, "last": len(others)}[where]
        found[example.id] = [*others[:place], gold, *others[place:]]
    return found
