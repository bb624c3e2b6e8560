"""The command `finetune`: train the adapters of an experiment, or reuse those that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragft.arms.adapters import Adapters
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.errors import RagftError
from ragft.runs import Run


@dataclass(frozen=True, slots=True)
class TrainedAdapter:
    """One adapter after `finetune`: whether it was trained now, and its record."""

    name: str
    trained: bool
    record: dict[str, Any]


def finetune(bench: Bench, run: Run, names: Sequence[str] = ()) -> list[TrainedAdapter]:
    """Train the named adapters (all of them for none) and write them into the run folder.

    An adapter with the same fingerprint is reused. Raises RagftError for an unknown name.
    """
    wanted = list(names) or list(bench.experiment.adapters)
    for name in wanted:
        if name not in bench.experiment.adapters:
            known = ", ".join(bench.experiment.adapters) or "none"
            raise RagftError(f"the experiment has no adapter {name!r}", f"adapters: {known}")
    if not wanted:
        raise RagftError("the experiment defines no adapters", "add data.train, or an adapters section")
    run.inputs(bench.input_files())
    bench.check(min_examples=1)
    knowledge = Knowledge(bench) if bench.documents else None
    adapters = Adapters(bench, knowledge)
    if knowledge is not None and any(adapters.config(name).recipe == "context" for name in wanted):
        with run.stage("index"):
            knowledge.sync()
    trained = [_train(adapters, run, name) for name in wanted]
    run.write_json("metrics.json", {"adapters": {item.name: item.record for item in trained}})
    return trained


def _train(adapters: Adapters, run: Run, name: str) -> TrainedAdapter:
    with run.stage(f"train {name}"):
        trained = adapters.build(name)
    record = adapters.record(name)
    run.link_folder(adapters.folder(name), f"adapter/{name}")
    run.note(fingerprints={f"adapter:{name}": record["fingerprint"]}, prompts=[record["prompt"]])
    return TrainedAdapter(name, trained, record)
