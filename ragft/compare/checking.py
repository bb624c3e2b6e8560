"""The checks of the data as a comparison makes them: shown and written down as they are made, before what is costly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ragft.arms.asking import Arm
from ragft.arms.bench import Bench
from ragft.arms.models import LocalModel
from ragft.arms.round import Asked, Round
from ragft.data.checks import CheckedData, DataCheck, conclude, known_check, length_check
from ragft.evaluation.metrics import score_answers
from ragft.runs import Run


class Checking:
    """Every check that ran so far; an error stops the command once it stands in checks.json and on the screen."""

    def __init__(self, bench: Bench, run: Run) -> None:
        self._bench = bench
        self._run = run
        self._checks: tuple[DataCheck, ...] = ()

    @property
    def checked(self) -> CheckedData:
        """Every check so far."""
        return CheckedData(self._checks)

    def data(self) -> None:
        """Check documents and examples; raises DataError or NotComparableError for what would spoil the comparison."""
        self._add(self._bench.examine(min_examples=self._bench.experiment.compare.min_examples), every=True)

    def lengths(self, one: Round, arms: Sequence[Arm]) -> None:
        """Check that the prompts of every arm, and their answers, fit the contexts of the models that are here."""
        by_model: dict[str | None, dict[str, list[int]]] = {}
        examples = self._bench.splits.eval
        for arm in arms:
            model = self._bench.model(arm.model)
            if isinstance(model, LocalModel):
                prompts = [question.prompt for question in one.variants(arm, examples)[0].questions]
                by_model.setdefault(arm.model, {})[arm.name] = [model.count(prompt) for prompt in prompts]
        ids, longest = [example.id for example in examples], self._bench.experiment.generation.max_new_tokens
        for name, lengths in by_model.items():
            model = self._bench.model(name)
            limit = model.context_tokens if isinstance(model, LocalModel) else None
            self._add([length_check(lengths, limit, longest, ids)])

    def known(self, asked: Mapping[str, Asked], metric: str) -> None:
        """Check, for every bare arm, that its model does not know the answers already."""
        examples = {example.id: example for example in self._bench.splits.eval}
        for name, one in asked.items():
            values = [s.value for s in score_answers(one.answers, examples, [metric]) if s.value is not None]
            mean = sum(values) / len(values) if values else None
            threshold = self._bench.experiment.data.checks.known_score
            self._add([known_check(name, metric, mean, len(values), threshold)])

    def _add(self, checks: Sequence[DataCheck], *, every: bool = False) -> None:
        self._checks = (*self._checks, *checks)
        self._run.write_json("checks.json", {"checks": [asdict(check) for check in self._checks]})
        shown = [check for check in checks if every or check.severity != "ok"]
        if shown:
            self._bench.listener.checks(shown)
        conclude(checks)
