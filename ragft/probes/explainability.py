"""The probe `explainability`: which passages answers cite, and what in them supports the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ragft.arms.knowledge import drawn
from ragft.arms.round import Asked
from ragft.arms.support import Support
from ragft.config import ExplainabilityProbe
from ragft.evaluation.answers import abstains
from ragft.evaluation.metrics import score_of
from ragft.evaluation.probing import Cell, Column, Excerpt, MarkedPassage, ProbeResult, Row, Table, cell
from ragft.probes.kit import Kit
from ragft.probes.probe import Load, Refusal
from ragft.probes.wording import estimated, listed, scored, within
from ragft.records import Answer, Estimate, Example, Passage, Score

CITING, SUPPORTED = "citing", "supported"
"""Two shares that are measured here alone."""

OF_PASSAGES = ("citation_precision", "citation_recall", "wasted_citations", "invented_citations", "k_precision")


@dataclass(frozen=True, slots=True)
class _Read:
    """What one arm said over its passages: the estimates by name, and the answers that say something."""

    name: str
    asked: Asked
    examples: Mapping[str, Example]
    means: Mapping[str, Estimate]
    """By metric; `supported right` and `supported wrong` are the share of the right and of the wrong answers."""
    saying: tuple[Answer, ...]
    values: Mapping[str, float | None]
    """The score of the first answer to each example on the metric of the probe."""

    @property
    def passages(self) -> dict[str, Passage]:
        """Every passage of its prompts, by id."""
        return {passage.id: passage for question in self.asked.questions for passage in question.passages}

    @property
    def never_cites(self) -> bool:
        """Whether no answer cites anything, a passage or an invented number."""
        return not any(answer.citations or answer.invented_citations for answer in self.asked.answers)

    @property
    def score(self) -> float:
        """Mean score of its answers, 0 where none has one."""
        values = [value for value in self.values.values() if value is not None]
        return fmean(values) if values else 0.0


@dataclass(frozen=True, slots=True)
class Explainability:
    """An instance of Probe. It looks at the answers of the comparison, and asks nothing."""

    config: ExplainabilityProbe
    kind: str = "explainability"
    title: str = "Explainability"
    asks: str = "Do answers name the passages that they come from, and does something in the passages support them?"

    def refusal(self, kit: Kit) -> Refusal | None:
        """Return why no answer can be explained by passages."""
        if self._arms(kit):
            return None
        return Refusal("no arm that it would look at reads passages", "add an arm with retrieval: index")

    def load(self, kit: Kit) -> Load:
        """Return no load: everything is there after the comparison."""
        return Load()

    def measure(self, kit: Kit) -> ProbeResult:
        """Score the citations of every arm, and look for what supports its answers."""
        arms, examples = self._arms(kit), kit.examples(self.config)
        read = [_read(kit, name, examples) for name in arms]
        excerpts = [one for arm in read for one in self._excerpts(kit, arm)]
        return kit.result(
            self,
            arms=arms,
            n_examples=len(examples),
            n_available=len(kit.bench.splits.eval),
            findings=_findings(read),
            tables=[_citations(read), _supports(kit, read)],
            excerpts=excerpts,
            notes=self._notes(kit, read, excerpts),
            measured_on=f"the answers of the comparison to {len(examples)} questions; no model was asked",
            values={one.name: {name: mean.mean for name, mean in one.means.items()} for one in read},
        )

    def _arms(self, kit: Kit) -> tuple[str, ...]:
        """Return the arms that retrieve and those with gold passages; random passages only where they are named."""
        names = kit.arms(self.config, lambda arm: arm.retrieval in ("index", "oracle"))
        return tuple(name for name in names if kit.config(name).retrieval != "none")

    def _excerpts(self, kit: Kit, one: _Read) -> list[Excerpt]:
        """Return some answers with their passages, right and wrong ones in turn, drawn by the seed."""
        seed = kit.bench.experiment.seed
        order: dict[str, Answer] = {}
        for answer in one.saying:
            order.setdefault(answer.example_id, answer)  # of several training seeds or prompts, the first
        ids = sorted(order, key=lambda id_: drawn(seed, id_))
        right = [id_ for id_ in ids if (one.values[id_] or 0) > 0]
        wrong = [id_ for id_ in ids if id_ not in right]
        chosen = _in_turn(right, wrong)[: self.config.excerpts]
        return [_excerpt(one, order[id_]) for id_ in chosen]

    def _notes(self, kit: Kit, read: Sequence[_Read], excerpts: Sequence[Excerpt]) -> list[str]:
        found = [
            "A span supports an answer if the answer stands in the passage word for word beside a word of the "
            "question, or if a sentence of it holds at least half of what the answer says, by weight. It is found by "
            "words, in the passages of the prompt, and is no proof that the model read it there.",
            "Citations are held against the gold documents. Answers that abstain are in none of these numbers.",
        ]
        silent = [one.name for one in read if not one.saying]
        found += [f"{name} says nothing but that it does not know, so there is nothing to support." for name in silent]
        if self.config.excerpts and not excerpts:
            found.append("There is no answer that could be shown with its passages.")
        return found


def _read(kit: Kit, name: str, examples: Sequence[Example]) -> _Read:
    asked, by_id = kit.asked[name].only(examples), {example.id: example for example in examples}
    saying = tuple(a for a in asked.answers if a.text.strip() and not abstains(a.text, by_id[a.example_id]))
    known = kit.scores(asked, name)
    values = {(score.example_id, score.seed, score.prompt): score.value for score in known}
    supported = _supported(asked, by_id, saying)
    right = [s for s in supported if (values[s.example_id, s.seed, s.prompt] or 0) > 0]
    wrong = [s for s in supported if values[s.example_id, s.seed, s.prompt] == 0]
    citing = [score_of(a, CITING, float(bool(a.citations or a.invented_citations))) for a in saying]
    means = {metric: _mean(kit, kit.scores(asked, name, metric), examples, metric, name) for metric in OF_PASSAGES}
    means[CITING] = _mean(kit, citing, examples, CITING, name)
    groups = {SUPPORTED: supported, f"{SUPPORTED} right": right, f"{SUPPORTED} wrong": wrong}
    means |= {title: _mean(kit, scores, examples, SUPPORTED, name) for title, scores in groups.items()}
    first = {score.example_id: score.value for score in reversed(known)}
    return _Read(name, asked, by_id, means, saying, first)


def _mean(kit: Kit, scores: Sequence[Score], examples: Sequence[Example], metric: str, name: str) -> Estimate:
    """Return the mean of one metric of one arm; of no scores, an estimate without a mean."""
    if not scores:
        return Estimate(name, metric, None, 0, 0, None)
    return kit.estimates({name: [replace(score, arm=name) for score in scores]}, examples, metric)[name]


def _supported(asked: Asked, examples: Mapping[str, Example], saying: Sequence[Answer]) -> list[Score]:
    """Return for every answer that says something whether a passage of its prompt has a span that supports it."""
    passages = {passage.id: passage for question in asked.questions for passage in question.passages}
    found = []
    for answer in saying:
        own = [passages[id_] for id_ in answer.passage_ids if id_ in passages]
        support = Support(examples[answer.example_id].input, answer.text, own)
        found.append(score_of(answer, SUPPORTED, float(any(support.spans(passage) for passage in own))))
    return found


def _in_turn(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return one of each in turn, beginning with the first, and then what is left of either."""
    both = min(len(first), len(second))
    turns = [id_ for pair in zip(first[:both], second[:both], strict=True) for id_ in pair]
    return [*turns, *first[both:], *second[both:]]


def _excerpt(one: _Read, answer: Answer) -> Excerpt:
    example, passages = one.examples[answer.example_id], one.passages
    own = [passages[id_] for id_ in answer.passage_ids if id_ in passages]
    support = Support(example.input, answer.text, own)
    return Excerpt(
        arm=one.name,
        example_id=example.id,
        question=example.input,
        answer=answer.text,
        score=one.values[example.id],
        passages=tuple(
            MarkedPassage(
                title=passage.title,
                text=passage.text,
                spans=tuple((span.start, span.end) for span in support.spans(passage)),
                cited=passage.id in answer.citations,
            )
            for passage in own
        ),
    )


def _citations(read: Sequence[_Read]) -> Table:
    """Return how each arm cites. Where it never does, there is no precision to show."""
    columns = (
        Column("answers that cite", "share"),
        Column("citation precision", "share"),
        Column("citation recall", "share"),
        Column("wasted, per answer", "number"),
        Column("invented, per answer", "number"),
    )
    metrics = (CITING, *OF_PASSAGES[:4])
    rows = tuple(Row(one.name, tuple(cell(one.means[metric]) for metric in metrics)) for one in read)
    note = (
        "Precision: the share of the citations that name a gold document. Recall: the share of the gold documents "
        "among the passages that are cited. Wasted: citations of passages of other documents. Invented: numbers that "
        "no passage has."
    )
    return Table("citations", "Citations", "arm", columns, rows, note)


def _supports(kit: Kit, read: Sequence[_Read]) -> Table:
    """Return how many answers have a span in their passages that supports them."""
    columns = (
        Column("answers with a supporting span", "share"),
        Column("of the right ones", "share"),
        Column("of the wrong ones", "share"),
        Column("words of the answer in the passages", "share"),
        Column("answers that say something", "count"),
    )
    metrics = (SUPPORTED, f"{SUPPORTED} right", f"{SUPPORTED} wrong", "k_precision")
    rows = tuple(
        Row(one.name, (*(cell(one.means[metric]) for metric in metrics), Cell(len(one.saying)))) for one in read
    )
    note = f"Right is an answer that scores above 0 on {kit.metric}, wrong one that scores 0."
    return Table("support", "Support in the passages", "arm", columns, rows, note)


def _findings(read: Sequence[_Read]) -> list[str]:
    """Return what of the answers can be explained, in sentences: support first, then citations; the best arm first."""
    saying = sorted((one for one in read if one.saying), key=lambda one: one.score, reverse=True)
    silent = [one.name for one in saying if one.never_cites]
    found = [_support_told(one) for one in saying]
    found += [_citing_told(one) for one in saying if not one.never_cites]
    if silent:
        verb = "never cite a passage: their" if len(silent) > 1 else "never cites a passage: its"
        found.append(f"{listed(silent)} {verb} citation precision is undefined, and recall is 0.")
    return found


def _support_told(one: _Read) -> str:
    """Return how many answers have support, and whether right ones have it more often than wrong ones."""
    every, right, wrong = (one.means[f"{SUPPORTED}{group}"] for group in ("", " right", " wrong"))
    told = f"{scored(every.mean)} of the answers of {one.name} have a supporting span{within(every.interval)}"
    if right.mean is None or wrong.mean is None:
        return f"{told}."
    split = f"{scored(right.mean)} of the {right.n} that score above 0 and {scored(wrong.mean)} of the {wrong.n} others"
    return f"{told}: {split}{_apart(right, wrong)}."


def _apart(right: Estimate, wrong: Estimate) -> str:
    """Return whether a span tells right answers from wrong ones: that their intervals lie apart."""
    if right.interval is None or wrong.interval is None:
        return ""
    if right.interval.low > wrong.interval.high:
        return ", so a span speaks for an answer"
    return "" if wrong.interval.low > right.interval.high else ", whose intervals overlap"


def _citing_told(one: _Read) -> str:
    precision, recall, citing = (one.means[name] for name in (*OF_PASSAGES[:2], CITING))
    found = [f"{one.name} cites in {estimated(citing)} of its answers"]
    if precision.mean is not None:
        found.append(f"precision {estimated(precision)} over {precision.n} of them")
    if recall.mean is not None:
        found.append(f"recall {estimated(recall)} over the {recall.n} with a gold document among their passages")
    return f"{'; '.join(found)}."
