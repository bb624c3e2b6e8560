"""What a judge said of a comparison, and whether it may decide."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ragft.arms.bench import Bench
from ragft.arms.judging import judged
from ragft.compare.gathering import passages_of
from ragft.compare.made import Made
from ragft.data.checks import DataFinding
from ragft.evaluation.judging import JudgeReport, caveats, deciding_metric, judge_rows
from ragft.records import Score


@dataclass(slots=True)
class Judgement:
    """The scores that a judge gave and its report; `notes` are sentences that a reader of the verdict must know."""

    scores: list[Score]
    report: JudgeReport
    otherwise: str
    notes: list[str] = field(default_factory=list)

    def deciding(self, primary: str) -> str:
        """Return the metric that decides: the task's own where the judge, whose metric was to, may not."""
        metric, gave_way = deciding_metric(self.report, primary, self.otherwise)
        self.notes += [gave_way] if gave_way else []
        return metric

    def note(self, rows: dict[str, Any]) -> None:
        """Put the judge into the rows of metrics.json, and what a reader must know of it among the findings."""
        rows["judge"] = judge_rows(self.report)
        notes = (*caveats(self.report), *self.notes)
        rows["data"]["findings"] += [asdict(DataFinding("judge", note)) for note in notes]


def judgement(bench: Bench, made: Made) -> Judgement | None:
    """Return what the judge of the experiment says, None without one; a second run asks nothing."""
    answers = [answer for asked in made.asked.values() for answer in asked.answers]
    examples = {example.id: example for example in bench.splits.eval}
    found = judged(bench, answers, examples, passages_of(made.asked))
    return None if found is None else Judgement(*found, otherwise=bench.task.metrics[0])
