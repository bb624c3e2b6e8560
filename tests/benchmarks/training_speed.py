"""Training throughput against TRL's SFTTrainer: tokens per second, losses, peak memory, share of the hardware's rate.

    python tests/benchmarks/training_speed.py --data FOLDER --peer PYTHON [--repeats 3]

FOLDER holds `documents.jsonl` and `train.jsonl`; PYTHON has trl. Both sides get the same model, tokens, order, batch,
learning rate, schedule (constant), steps and first adapter (its A matrices are compared); each run is a process of its
own, and the sides take turns. TRL runs as it does by default (weights in float32, bf16=True), and once more with
the one setting that made it faster here: weights in bfloat16. About ten minutes on two quiet cores.

`tokens/s` counts every token of every example and no padding, on both sides: the user's measure. Where examples of a
batch begin alike ragft reads that beginning once; `read/s` counts what went through the model, and the floating-point
rate counts that alone. Seconds of ragft include its checkpoint; TRL writes none.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_utils import set_seed

from ragft.config import AdapterConfig
from ragft.models.language_model import LanguageModel, convert_gguf, load
from ragft.models.sources import resolve
from ragft.prompts import TEMPLATES, render
from ragft.records import Example, Passage
from ragft.training.batching import drawn_order
from ragft.training.examples import TrainingText, TrainingTokens, tokenized
from ragft.training.methods import adapted
from ragft.training.packing import PackedCollator
from ragft.training.running import train
from ragft.workspace import Workspace

SEED, BATCH, LEARNING_RATE = 1, 8, 2e-4
PEFT = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}
STEPS = {"closed-book": 10, "with passage": 3}
TIMES, SHARE = 3.0, 0.5
"""The goals: times TRL's tokens per second, and share of the rate of a large matrix product."""

FAR = 0.05
"""Nats between mean losses that count as equal; TRL with float32 and with bfloat16 weights are up to 0.04 apart."""

SIDE = 4096
"""Rows and columns of the large matrix product."""


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", type=Path, help="the python that has trl; without it only ragft is measured")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--workspace", type=Path, default=Path(".ragft"))
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure one case after the other, the sides in turn, and print medians."""
    options = read_arguments()
    if options.job is not None:
        print(json.dumps(train_job(options.workspace, json.loads(options.job.read_text(encoding="utf-8")))))
        return
    model = loaded(options.workspace)
    print(f"SmolLM2-135M-Instruct, LoRA r 16 on all linear layers, batch {BATCH}, {model.dtype}, {model.device.type}")
    print(f"{torch.get_num_threads()} threads; medians of {options.repeats}")
    with tempfile.TemporaryDirectory() as folder:
        for case in options.cases:
            rows = build_rows(model, options.data, case)
            job = write_job(model, rows, Path(folder) / "job.json")
            report(case, rows, work(model, rows), run_all(options, model, job, Path(folder)))


def loaded(workspace: Path) -> LanguageModel:
    """Return the packaged model in the machine's best precision."""
    prepared = Workspace(workspace.resolve()).prepare()
    return load(resolve("smollm2-135m-instruct", None, prepared, convert_gguf), "auto", "auto")


def build_rows(model: LanguageModel, data: Path, case: str) -> list[TrainingTokens]:
    """Return the examples of one case; `train` draws their order from the seed."""
    documents = {row["id"]: row for row in read_jsonl(data / "documents.jsonl")}
    texts = []
    for row in read_jsonl(data / "train.jsonl")[: STEPS[case] * BATCH * 2 : 2]:
        gold = documents[row["gold_doc_ids"][0]]
        passage = Passage(gold["id"], gold["id"], gold["title"], gold["text"], 0, len(gold["text"]))
        passages = [passage] if case == "with passage" else []
        example = Example(row["id"], row["question"], tuple(row["answers"]))
        prompt = render(model.tokenizer, TEMPLATES["qa-short-1"], example, passages=passages)
        texts.append(TrainingText(row["id"], prompt, row["answers"][0]))
    return tokenized(texts, model.tokenizer, None)


def order_of(rows: list[TrainingTokens]) -> list[int]:
    """Return the order in which `train` reads the examples, for the other side to read them in the same."""
    return drawn_order([row.length for row in rows], epochs=1, batch_size=BATCH, seed=SEED)


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write_job(model: LanguageModel, rows: list[TrainingTokens], file: Path) -> Path:
    """Write what both sides train on."""
    job = {
        "rows": [{"id": row.id, "prompt": row.prompt, "completion": row.completion} for row in rows],
        "order": order_of(rows),
        "batch": BATCH,
        "learning_rate": LEARNING_RATE,
        "peft": PEFT,
        "seed": SEED,
        "bf16": model.dtype == torch.bfloat16,
        "device": model.device.type,
    }
    file.write_text(json.dumps(job), encoding="utf-8")
    return file


def run_all(options: argparse.Namespace, model: LanguageModel, job: Path, folder: Path) -> dict[str, list[Any]]:
    """Return what every run of every side printed."""
    own = [sys.executable, __file__, "--data", options.data, "--workspace", options.workspace, "--job", job]
    sides, once = {"ragft": own}, {}
    if options.peer is not None:
        peer = Path(__file__).parent / "peers" / "trl_sft.py"
        sides["TRL"] = [options.peer, peer, model.folder.path, job, folder / "trl"]
        once["TRL bf16"] = [*sides["TRL"], "--bf16-weights"]
    found: dict[str, list[Any]] = {name: [] for name in {**sides, **once}}
    for number in range(options.repeats):
        for name, command in {**sides, **(once if number == 0 else {})}.items():
            done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def train_job(workspace: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Train as `ragft finetune` does; returns seconds, losses, peak memory, and the rate of a matrix product."""
    model = loaded(workspace)
    rows = [TrainingTokens(row["id"], tuple(row["prompt"]), tuple(row["completion"])) for row in job["rows"]]
    settings = {
        "per_device_train_batch_size": job["batch"],
        "gradient_accumulation_steps": 1,
        "num_train_epochs": 1,
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "evals_per_run": 1,
    }
    config = AdapterConfig.model_validate({"peft": job["peft"], "training": settings})
    set_seed(job["seed"])
    with adapted(model, config.peft) as network:
        pairs = [pair for pair in network.named_parameters() if "lora_A" in pair[0]]
        start = sum(float(weight.detach().double().abs().sum()) for _, weight in pairs)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints, target = Path(folder) / "checkpoints", Path(folder) / "adapter"
        result = train(model, config, rows, [], folder=checkpoints, target=target, seed=job["seed"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    losses = [row["loss"] for row in result.history if "loss" in row]
    rate = matrix_rate(model.dtype, model.device)
    dtype = str(model.dtype).removeprefix("torch.")
    return {
        "seconds": result.seconds,
        "losses": losses,
        "peak_bytes": peak,
        "matrix_rate": rate,
        "dtype": dtype,
        "start": start,
    }


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Return the floating-point operations per second of a large matrix product (median of seven)."""
    a, b = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        (a @ b)[0, 0].item()  # the number must be there, or a GPU would still be computing
        seconds.append(time.perf_counter() - started)
    return 2 * SIDE**3 / statistics.median(seconds[1:])


def work(model: LanguageModel, rows: list[TrainingTokens]) -> tuple[int, float]:
    """Return (tokens read, floating-point operations) of one pass over the examples, forward and backward.

    With P weights in linear layers below the head, Q in adapters, V x H in the head: a token that is read costs 2 P for
    the forward pass and 2 P for the gradients of activations (frozen weights get none), and 6 Q for the adapters, whose
    own gradients are the third part. A kept position costs 4 V H. A pair of query and key costs 12 times the width of
    all heads in every layer (two products forward, four backward). Pairs that are masked, the second making of the
    attention weights, norms and activations are not counted: they are overhead.
    """
    network: Any = model.model
    config, head = network.config, network.get_output_embeddings()
    linear = [part for part in network.modules() if isinstance(part, torch.nn.Linear) and part is not head]
    frozen = sum(part.weight.numel() for part in linear)
    adapters = sum(PEFT["r"] * (part.in_features + part.out_features) for part in linear)  # type: ignore[operator]
    width = config.num_attention_heads * (config.hidden_size // config.num_attention_heads)
    rows = [rows[index] for index in order_of(rows)]
    n_read, total = 0, 0.0
    for start in range(0, len(rows), BATCH):
        batch = PackedCollator()(rows[start : start + BATCH])
        shared, lengths = int(batch["shared"]), batch["lengths"].tolist()
        pairs = shared * (shared + 1) / 2 + sum(n * shared + n * (n + 1) / 2 for n in lengths)
        read = batch["input_ids"].shape[1]
        n_read += read
        total += read * (4 * frozen + 6 * adapters) + len(batch["kept"]) * 4 * head.weight.numel()
        total += pairs * 12 * width * config.num_hidden_layers
    return n_read, total


def report(case: str, rows: list[TrainingTokens], needed: tuple[int, float], found: dict[str, list[Any]]) -> None:
    """Print one line a side, how near ragft comes to the matrix product, and whether the goals are met."""
    tokens, (read, operations) = sum(row.length for row in rows), needed
    size = f"{len(rows)} examples of {min(r.length for r in rows)}-{max(r.length for r in rows)} tokens"
    print(f"\n{case}: {size}, {tokens:,} tokens; ragft reads {read:,}, {operations / read / 1e9:.2f} GFLOP each")
    print(f"{'':10} {'tokens/s':>9} {'(range)':>12} {'read/s':>7} {'weights':>9}", end=" ")
    print(f"{'first loss':>11} {'last loss':>10} {'mean loss':>10} {'peak GB':>8}")
    for name, runs in found.items():
        if runs:
            print_side(name, runs, tokens, read if name == "ragft" else tokens)
    rate = statistics.median(run["matrix_rate"] for run in found["ragft"])
    reached = operations / middle(found["ragft"], "seconds")
    print(f"{reached / 1e9:.0f} GFLOP/s of {rate / 1e9:.0f} in a {SIDE} x {SIDE} product")
    verdict(f"{reached / rate:.0%} of the matrix product (goal {SHARE:.0%})", reached >= SHARE * rate)
    if "TRL" in found:
        print_goals(found)


def print_side(name: str, runs: list[Any], tokens: int, read: int) -> None:
    """Print the medians of one side."""
    speeds = sorted(tokens / run["seconds"] for run in runs)
    first, last = (statistics.median(run["losses"][place] for run in runs) for place in (0, -1))
    spread = f"{speeds[0]:.0f}-{speeds[-1]:.0f}"
    seconds, peak = middle(runs, "seconds"), middle(runs, "peak_bytes") / 1e9
    print(f"{name:10} {tokens / seconds:9.0f} {spread:>12} {read / seconds:7.0f} {runs[0]['dtype']:>9}", end=" ")
    print(f"{first:11.4f} {last:10.4f} {mean_loss(runs):10.4f} {peak:8.2f}")


def print_goals(found: dict[str, list[Any]]) -> None:
    """Print how ragft stands to TRL, against TRL's faster setting too."""
    own, peer = found["ragft"], found["TRL"]
    equal = abs(own[0]["start"] / peer[0]["start"] - 1) < 1e-3
    print(f"the adapters begin {'equal' if equal else 'DIFFERENT'}")
    for name in ("TRL", "TRL bf16"):
        times = middle(found[name], "seconds") / middle(own, "seconds")
        verdict(f"{times:.2f} times the tokens per second of {name} (goal {TIMES:.0f})", times >= TIMES)
    less = middle(own, "peak_bytes") / middle(peer, "peak_bytes")
    verdict(f"{less:.2f} times the peak memory of TRL (goal 1 or less)", less <= 1)
    apart = mean_loss(own) - mean_loss(peer)
    verdict(f"mean loss {apart:+.4f} nats from TRL's (goal within {FAR})", abs(apart) <= FAR)


def verdict(text: str, is_met: bool) -> None:
    """Print one goal."""
    print(f"{'met   ' if is_met else 'MISSED'} {text}")


def middle(runs: list[Any], key: str) -> float:
    """Return the median of one measurement."""
    return float(statistics.median(run[key] for run in runs))


def mean_loss(runs: list[Any]) -> float:
    """Return the mean loss of all steps, in the median run."""
    return statistics.median(statistics.fmean(run["losses"]) for run in runs)


if __name__ == "__main__":
    main()
