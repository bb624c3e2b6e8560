"""The command `finetune`: train the adapters of an experiment, or reuse those that are there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragft.arms.adapters import Adapters
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.errors import RagftError
from ragft.runs import Run


@dataclass(frozen=True, slots=True)
class TrainedAdapter:
    """One adapter after `finetune`: whether it was trained now, and its record.

    `name` ends in the training seed where the adapter has several.
    """

    name: str
    trained: bool
    record: dict[str, Any]


def wanted_adapters(bench: Bench, names: Sequence[str]) -> list[str]:
    """Return the adapters to train: the named ones, or all for none. Raises RagftError for an unknown name."""
    known = list(bench.experiment.adapters)
    for name in names:
        if name not in known:
            raise RagftError(f"the experiment has no adapter {name!r}", f"adapters: {', '.join(known) or 'none'}")
    if not known:
        raise RagftError("the experiment defines no adapters", "add data.train, or an adapters section")
    return list(dict.fromkeys(names)) or known


def finetune(bench: Bench, run: Run, names: Sequence[str] = ()) -> list[TrainedAdapter]:
    """Train the named adapters (all of them for none) and write them into the run folder.

    An adapter with the same fingerprint is reused. Raises RagftError for an unknown name.
    """
    wanted = wanted_adapters(bench, names)
    check_launch(os.environ)
    run.inputs(bench.input_files())
    bench.check(min_examples=1)
    knowledge = Knowledge(bench) if bench.documents else None
    adapters = Adapters(bench, knowledge)
    if knowledge is not None and any(adapters.config(name).reads_passages for name in wanted):
        with run.stage("index"):
            knowledge.sync()
    _say_what_a_step_is(bench, adapters, wanted)
    trained = [_train(adapters, run, name, seed) for name in wanted for seed in adapters.seeds(name)]
    run.write_json("metrics.json", {"adapters": {item.name: item.record for item in trained}})
    return trained


def check_launch(environment: Mapping[str, str]) -> None:
    """Raise RagftError where accelerate was asked for several processes and started one, which it does in silence.

    Its launcher for processors (`--cpu`) then leaves the address at which they were to meet, and no number of them.
    """
    asked = "MASTER_ADDR" in environment and any(name.startswith("ACCELERATE_") for name in environment)
    if asked and "WORLD_SIZE" not in environment:
        raise RagftError(
            "accelerate was asked for several processes and started this one alone, as it does with --cpu",
            "use torchrun --nproc_per_node 2 -m ragft finetune FILE, or accelerate launch --multi_gpu "
            "--num_processes 2 -m ragft finetune FILE, which starts two on processors too (with model.device: cpu)",
        )


def _say_what_a_step_is(bench: Bench, adapters: Adapters, names: Sequence[str]) -> None:
    """Say how many examples one optimiser step reads, where several processes train together."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    for name in names if processes > 1 else ():
        settings = adapters.config(name).training
        each, passes = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
        bench.listener.say(
            f"{name}: {processes} processes x {each} examples x {passes} passes: {processes * each * passes} in a step"
        )


def _train(adapters: Adapters, run: Run, name: str, seed: int) -> TrainedAdapter:
    title = adapters.title(name, seed)
    with run.stage(f"train {title}"):
        trained = adapters.build(name, seed)
    record = adapters.record(name, seed)
    run.link_folder(adapters.folder(name, seed), f"adapter/{title}")
    run.note(fingerprints={f"adapter:{title}": record["fingerprint"]}, prompts=[record["prompt"]])
    return TrainedAdapter(title, trained, record)
