"""What a judge's replies are worth: verdicts read strictly, agreement with people, preferences counted in both orders.

Sees texts, verdicts and labels; must not know which model judged, nor how it was asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from ragft.evaluation.agreement import Agreement, Sampling
from ragft.evaluation.intervals import SMALL_N, are_singletons, bootstrap_interval, wilson_interval
from ragft.evaluation.metric import UnscoredError
from ragft.evaluation.resampling import cluster_totals, resampled_means
from ragft.records import Interval

JudgeQuestion = Literal["correctness", "faithfulness"]
QUESTIONS: tuple[JudgeQuestion, ...] = get_args(JudgeQuestion)
Preferred = Literal["first", "second", "tie"]

_METRIC = "judge_"
_SHOWN = 80
"""Characters of a last line that a reason quotes."""


class UnreadableError(UnscoredError):
    """A judge replied, and its reply holds no verdict."""


def read_verdict(said: str, *, cut_off: bool = False) -> bool:
    """Return the verdict of a reply whose last line that is not blank is `VERDICT: yes` or `VERDICT: no`.

    The case of yes and no does not matter, and bold type (`**VERDICT: yes**`) says nothing else; anything more on the
    line does. A reply that was cut off has no verdict, for `VERDICT: no` may have been going to be `VERDICT: not sure`.
    Raises UnreadableError, which says what stood there instead.
    """
    return _last_word(said, ("yes", "no"), cut_off=cut_off) == "yes"


def read_preference(said: str, *, cut_off: bool = False) -> Preferred:
    """Return which of two answers a reply prefers; its last line is `VERDICT: A`, `VERDICT: B` or `VERDICT: tie`.

    As strict as `read_verdict`, and raises as it does.
    """
    places: dict[str, Preferred] = {"a": "first", "b": "second", "tie": "tie"}
    return places[_last_word(said, tuple(places), cut_off=cut_off)]


def _last_word(said: str, words: Sequence[str], *, cut_off: bool) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        raise UnreadableError("the judge's verdict could not be read: it said nothing")
    if cut_off:
        raise UnreadableError("the judge's verdict could not be read: it was cut off at compare.judge.max_new_tokens")
    found = re.fullmatch(r"VERDICT: (\w+)", lines[-1].replace("**", ""))
    if found is None or found[1].lower() not in words:
        raise UnreadableError(f"the judge's verdict could not be read: its last line is {lines[-1][:_SHOWN]!r}")
    return found[1].lower()


@dataclass(frozen=True, slots=True)
class PreferenceReport:
    """How often a judge prefers the answers of `first` to those of `second`, over the `n` examples that it compared.

    Each was shown in both orders. A win or a loss is one that both orders gave; where they differ, in whatever way, the
    example is position-bound and counts as a tie, as do answers that are the same. `win_share` is (wins + ties / 2) / n
    with `interval`. `n_unreadable` examples had a reply without a verdict, `n_missing` lacked an answer or a reply.
    """

    first: str
    second: str
    n: int
    wins: int
    ties: int
    losses: int
    win_share: float | None
    interval: Interval | None
    n_position_bound: int
    n_identical: int
    n_unreadable: int
    n_missing: int

    @property
    def position_bound(self) -> float | None:
        """Share of the examples shown to the judge whose verdict changed with the order; None of none."""
        shown = self.n - self.n_identical
        return self.n_position_bound / shown if shown else None


Outcome = Literal["win", "loss", "tie", "position_bound", "identical", "unreadable", "missing"]


def outcome_of(forward: Preferred, swapped: Preferred) -> Outcome:
    """Return what two verdicts say of the first of two answers; in `swapped` it was the one that was shown second."""
    back: dict[Preferred, Preferred] = {"first": "second", "second": "first", "tie": "tie"}
    if back[swapped] != forward:
        return "position_bound"
    named: dict[Preferred, Outcome] = {"first": "win", "second": "loss", "tie": "tie"}
    return named[forward]


def preference_report(
    first: str, second: str, outcomes: Sequence[Outcome], clusters: Sequence[str], sampling: Sampling
) -> PreferenceReport:
    """Return the count of the outcomes of two arms, one by example, with the interval of the win share."""
    worth = {"win": 1.0, "loss": 0.0, "tie": 0.5, "position_bound": 0.5, "identical": 0.5}
    told = [(worth[one], cluster) for one, cluster in zip(outcomes, clusters, strict=True) if one in worth]
    values = [value for value, _ in told]
    counts = Counter(outcomes)
    return PreferenceReport(
        first=first,
        second=second,
        n=len(values),
        wins=counts["win"],
        ties=counts["tie"] + counts["position_bound"] + counts["identical"],
        losses=counts["loss"],
        win_share=sum(values) / len(values) if values else None,
        interval=_share_interval(values, [cluster for _, cluster in told], sampling),
        n_position_bound=counts["position_bound"],
        n_identical=counts["identical"],
        n_unreadable=counts["unreadable"],
        n_missing=counts["missing"],
    )


def _share_interval(values: Sequence[float], clusters: Sequence[str], sampling: Sampling) -> Interval | None:
    """Return the interval of a win share, where a tie is half a win.

    Wilson for fewer than 300 independent examples, and on the number of clusters where all values are equal, as for
    other shares; ties vary less than wins and losses with the same mean, so it is rather too wide than too narrow.
    Otherwise the cluster bootstrap.
    """
    if not values:
        return None
    n_clusters, share = len(set(clusters)), sum(values) / len(values)
    if len(set(values)) == 1 or (are_singletons(clusters) and len(values) < SMALL_N):
        return wilson_interval(share * n_clusters, n_clusters, sampling.level)
    sums, sizes = cluster_totals(values, clusters)
    rng = np.random.default_rng(sampling.seed)
    means = resampled_means(sums[:, None], sizes[:, None], sampling.resamples, rng)[:, 0]
    return bootstrap_interval(values, clusters, means=means, level=sampling.level)


@dataclass(frozen=True, slots=True)
class QuestionReport:
    """What became of one question to the judge, over all answers.

    `n_verdicts` answers have a verdict of the judge, `n_settled` were decided without it (abstentions, blank answers),
    `n_unreadable` got a reply without a verdict, `n_failed` no reply, and of `n_unscored` there was nothing to ask.
    `n_labels` of the people's labels are for this question, `n_outdated` of them for an answer that has changed since.
    """

    question: JudgeQuestion
    n_verdicts: int
    n_settled: int
    n_unreadable: int
    n_failed: int
    n_unscored: int
    n_labels: int = 0
    n_outdated: int = 0
    agreement: Agreement | None = None

    @property
    def lost_share(self) -> float:
        """Share of the answers it was asked about of which there is no verdict; 0.0 where it was asked about none."""
        lost = self.n_unreadable + self.n_failed
        return lost / (lost + self.n_verdicts) if lost else 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge said of one answer; with a `label` added, such a row is a person's label of that same text."""

    arm: str
    example_id: str
    question: JudgeQuestion
    text: str
    said: str
    value: float | None
    seed: int | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What a judge did and how far it may be trusted.

    `model` is its name in the experiment file and `prompts` name what it was asked with. `asked` prompts were put to it
    now, and `reused` were answered by an earlier command. A question whose kappa is under `min_kappa`, or of which a
    larger share than `max_lost_share` got no verdict, decides nothing.
    """

    model: str
    prompts: tuple[str, ...]
    min_kappa: float
    max_lost_share: float
    questions: tuple[QuestionReport, ...]
    preferences: tuple[PreferenceReport, ...]
    asked: int
    reused: int
    judgements: tuple[Judgement, ...] = field(default=(), repr=False)

    def trusted(self, one: QuestionReport) -> bool | None:
        """Return whether the judge agrees well enough with people on a question, None where nobody checked."""
        return None if not one.n_labels else self._distrust(one) is None

    def why_not(self, one: QuestionReport) -> str | None:
        """Return why the judge's verdicts on a question must not decide, without a full stop; None where they may."""
        name = f"the judge {self.model} may not decide on {one.question}"
        if not one.n_verdicts + one.n_settled:
            return f"{name}: it has no verdict on any answer"
        if one.lost_share > self.max_lost_share:
            lost, asked = one.n_unreadable + one.n_failed, one.n_unreadable + one.n_failed + one.n_verdicts
            return f"{name}: {lost} of {asked} answers have no verdict that could be read"
        distrust = self._distrust(one) if one.n_labels else None
        return None if distrust is None else f"{name}: {distrust}"

    def _distrust(self, one: QuestionReport) -> str | None:
        found = one.agreement
        if found is None:
            return f"none of the {one.n_labels} labels is for an answer that it judged"
        if found.kappa is None or found.one_sided:
            return f"kappa is undefined: all {found.n} labels say the same, so agreeing with them shows nothing"
        if found.kappa < self.min_kappa:
            said = f"{_kappa_words(found.kappa, found.interval)} on {found.n} labelled answers"
            return f"it agrees too little with people, {said}; at least {self.min_kappa:g} is required"
        return None


def may_decide(report: JudgeReport, metric: str) -> str | None:
    """Return why arms may not be ranked by `metric`, a sentence without its full stop; None where they may.

    A metric that is not the judge's may always. The judge's may unless people's labels speak against it, or too many
    answers have no verdict; where nobody has labelled anything it may, and `caveats` says that it is unchecked.
    """
    if not metric.startswith(_METRIC):
        return None
    for one in report.questions:
        if metric == f"{_METRIC}{one.question}":
            return report.why_not(one)
    return f"the judge {report.model} was not asked for {metric.removeprefix(_METRIC)}"


def deciding_metric(report: JudgeReport, primary: str, default: str) -> tuple[str, str | None]:
    """Return the metric that decides: `primary`, or `default` where `primary` is the judge's and may not.

    With it comes the sentence that says so, without its full stop, or None where nothing had to give way.
    """
    if may_decide(report, primary) is None:
        return primary, None
    return default, f"{default} decides in the place of {primary}, which may not"


def caveats(report: JudgeReport) -> tuple[str, ...]:
    """Return what a reader of the judge's verdicts must know, each a sentence without its full stop."""
    notes: list[str] = []
    for one in report.questions:
        why, found = report.why_not(one), one.agreement
        if why is not None:
            notes.append(why)
        elif not one.n_labels:
            notes.append(f"nobody checked the judge {report.model} on {one.question}: name compare.judge.human_labels")
        elif found and found.interval and found.interval.low < report.min_kappa:
            said = f"{_kappa_words(found.kappa or 0.0, found.interval)} on {found.n} labelled answers"
            notes.append(f"whether the judge {report.model} agrees with people on {one.question} is not sure: {said}")
        if one.n_outdated:
            notes.append(
                f"{one.n_outdated} of {one.n_labels} labels of {one.question} are for answers that changed since"
            )
    return (*notes, *_order_notes(report))


def _order_notes(report: JudgeReport) -> list[str]:
    """Return where the judge follows the order of two answers rather than what they say, more often than not."""
    return [
        f"between {one.first} and {one.second} the judge {report.model} changed its verdict with the order of the "
        f"answers in {one.n_position_bound} of {one.n - one.n_identical} cases"
        for one in report.preferences
        if one.position_bound is not None and one.position_bound > 0.5
    ]


def _kappa_words(kappa: float, interval: Interval | None) -> str:
    return f"kappa {kappa:.2f}" + (f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else "")


def judge_rows(report: JudgeReport) -> dict[str, Any]:
    """Return the report as plain values for metrics.json; what the judge said of each answer stands elsewhere."""
    return {
        "model": report.model,
        "prompts": list(report.prompts),
        "min_kappa": report.min_kappa,
        "max_lost_share": report.max_lost_share,
        "asked": report.asked,
        "reused": report.reused,
        "questions": [
            {
                **asdict(one),
                "lost_share": one.lost_share,
                "trusted": report.trusted(one),
                "why_not": report.why_not(one),
            }
            for one in report.questions
        ],
        "preferences": [{**asdict(one), "position_bound": one.position_bound} for one in report.preferences],
        "caveats": list(caveats(report)),
    }
