"""Answering speed: ragft against a plain one-at-a-time loop with transformers, on the same prompts in one run.

    python tests/benchmarks/answering_speed.py [DOCUMENTS.jsonl EXAMPLES.jsonl]

48 prompts of about 390 tokens with 24 new tokens each, made of the quick-start handbook unless files are given. Rows
are interleaved and repeated; the medians stand beside the ratio to the plain float32 loop. Also prints how many greedy
answers bfloat16 and batching change, each on its own, and what that does to token F1 against the references. The last
rows have an adapter (LoRA r 16 on all linear layers, almost zero) beside the base: as PEFT loads it, and as ragft asks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from ragft.config import FieldNames, FilesSource
from ragft.data.sources import read_sources
from ragft.evaluation.answers import token_f1
from ragft.generation.generator import Journal, ask
from ragft.generation.local import ADAPTER_RECORD, LocalGenerator
from ragft.models.language_model import LanguageModel, convert_gguf, load
from ragft.models.sources import resolve
from ragft.prompts import TEMPLATES, render
from ragft.records import Example, Passage
from ragft.tasks.qa import Qa
from ragft.workspace import Workspace

PROMPTS, NEW_TOKENS, PROMPT_TOKENS = 48, 24, 390
HANDBOOK = Path(__file__).parents[2] / "configs" / "quickstart"


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="?", type=Path, default=HANDBOOK / "documents")
    parser.add_argument("examples", nargs="?", type=Path, default=HANDBOOK / "eval.jsonl")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workspace", type=Path, default=Path(".ragft"))
    return parser.parse_args()


def build_prompts(model: LanguageModel, documents: Path, examples: Path) -> tuple[list[str], list[list[str]]]:
    """Return (prompts, references): the gold document first, then others until the prompt is long enough."""
    known = {d.id: d for d in read_sources([FilesSource(path=documents)], FieldNames(), cache_dir=None).documents}
    rows = [json.loads(line) for line in examples.read_text(encoding="utf-8").splitlines()]
    answerable = [row for row in rows if row.get("references") or row.get("answers")][:PROMPTS]
    prompts = []
    for number, row in enumerate(answerable):
        gold = (row.get("gold_document_ids") or row["gold_doc_ids"])[0]
        order = [gold, *list(known)[number:], *list(known)[:number]]
        passages = [Passage(i, i, known[i].title, known[i].text, 0, len(known[i].text)) for i in dict.fromkeys(order)]
        prompts.append(_filled(model, row["question"], passages))
    return prompts, [row.get("references") or row["answers"] for row in answerable]


def _filled(model: LanguageModel, question: str, passages: list[Passage]) -> str:
    """Return the prompt with as many whole passages as bring it nearest to `PROMPT_TOKENS`."""
    template, example = TEMPLATES["qa-short-1"], Example("asked", question, ())
    prompts = [render(model.tokenizer, template, example, passages=passages[:count]) for count in range(1, 8)]
    return min(prompts, key=lambda prompt: abs(len(model.tokenizer(prompt)["input_ids"]) - PROMPT_TOKENS))


@torch.inference_mode()
def plain_loop(model: LanguageModel, prompts: list[str]) -> list[str]:
    """Return answers one at a time, as a first script would."""
    answers = []
    network: PreTrainedModel = model.model
    for prompt in prompts:
        batch = model.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        output = network.generate(
            **batch, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=model.tokenizer.pad_token_id
        )
        new = output[0, batch["input_ids"].shape[1] :]
        answers.append(str(model.tokenizer.decode(new, skip_special_tokens=True)).strip())
    return answers


@torch.inference_mode()
def by_peft(model: LanguageModel, adapter: Path, prompts: list[str], batch_size: int) -> list[str]:
    """Return answers of PEFT's model as it is loaded by default, in batches of similar length."""
    tuned = PeftModel.from_pretrained(model.model, adapter).eval()
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    answers = [""] * len(prompts)
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        texts = [prompts[number] for number in numbers]
        batch = model.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        output = tuned.generate(
            **batch, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=model.tokenizer.pad_token_id
        )
        said = model.tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        for number, text in zip(numbers, said, strict=True):
            answers[number] = text.strip()
    tuned.unload()
    return answers


def by_ragft(model: LanguageModel, prompts: list[str], batch_size: int, adapter: Path | None = None) -> list[str]:
    """Return answers as ragft asks: journaled, in batches of similar length."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "answers.jsonl")
        generator = LocalGenerator(model, NEW_TOKENS)
        with generator.adapter(adapter):
            answers = ask(generator, prompts, journal, batch_size=batch_size)
        generator.unload()
        return [answer.text for answer in answers]


def write_adapter(model: LanguageModel, fingerprint: str, folder: Path) -> Path:
    """Write a LoRA adapter that changes next to nothing, so that its answers are about as long as the base's."""
    tuned = get_peft_model(model.model, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=1e-3, generator=torch.Generator().manual_seed(17))
    tuned.save_pretrained(folder)
    tuned.unload()
    (folder / ADAPTER_RECORD).write_text(json.dumps({"base_fingerprint": fingerprint}), encoding="utf-8")
    return folder


def main() -> None:
    """Run every row in turn, repeat, and print medians."""
    options = read_arguments()
    workspace = Workspace(options.workspace.resolve()).prepare()
    folder = resolve("smollm2-135m-instruct", None, workspace, convert_gguf)
    full, half = load(folder, "float32", "cpu"), load(folder, "bfloat16", "cpu")
    prompts, references = build_prompts(full, options.documents, options.examples)
    lengths = [len(full.tokenizer(prompt)["input_ids"]) for prompt in prompts]
    size = f"{len(prompts)} prompts of {statistics.mean(lengths):.0f} tokens, {NEW_TOKENS} new"
    print(f"{size}; medians of {options.repeats}")
    temporary = tempfile.TemporaryDirectory()
    adapter = write_adapter(full, folder.fingerprint, Path(temporary.name) / "adapter")
    rows: dict[str, Callable[[], list[str]]] = {
        "plain loop, float32": lambda: plain_loop(full, prompts),
        "plain loop, bfloat16": lambda: plain_loop(half, prompts),
        "ragft, float32, batches of 8": lambda: by_ragft(full, prompts, 8),
        "ragft, bfloat16, batches of 8": lambda: by_ragft(half, prompts, 8),
        "ragft, bfloat16, batches of 16": lambda: by_ragft(half, prompts, 16),
        "ragft, bfloat16, batches of 32": lambda: by_ragft(half, prompts, 32),
        "adapter, PEFT, bfloat16, 32": lambda: by_peft(half, adapter, prompts, 32),
        "adapter, ragft, bfloat16, 32": lambda: by_ragft(half, prompts, 32, adapter),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    answers: dict[str, list[str]] = {}
    for _ in range(options.repeats):
        for name, run in rows.items():
            started = time.perf_counter()
            answers[name] = run()
            seconds[name].append(time.perf_counter() - started)
    temporary.cleanup()
    report(seconds, answers, references)


def report(seconds: dict[str, list[float]], answers: dict[str, list[str]], references: list[list[str]]) -> None:
    """Print one line a row: questions per second, ratio, answers changed, token F1."""
    first, parse = next(iter(seconds)), Qa().parse
    base = statistics.median(seconds[first])
    print(f"{'':32} {'questions/s':>12} {'ratio':>6} {'changed':>8} {'token F1':>9}")
    for name, times in seconds.items():
        middle = statistics.median(times)
        changed = statistics.fmean(one != other for one, other in zip(answers[name], answers[first], strict=True))
        f1 = statistics.fmean(token_f1(parse(a), r) for a, r in zip(answers[name], references, strict=True))
        print(f"{name:32} {len(references) / middle:12.2f} {base / middle:6.2f} {changed:8.0%} {f1:9.3f}")
    for name, other in (
        ("plain loop, float32", "ragft, float32, batches of 8"),
        ("plain loop, bfloat16", "ragft, bfloat16, batches of 8"),
        ("ragft, bfloat16, batches of 8", "ragft, bfloat16, batches of 16"),
        ("ragft, bfloat16, batches of 8", "ragft, bfloat16, batches of 32"),
        ("adapter, PEFT, bfloat16, 32", "adapter, ragft, bfloat16, 32"),
    ):
        changed = statistics.fmean(a != b for a, b in zip(answers[name], answers[other], strict=True))
        print(f"answers that differ: {name} against {other}: {changed:.0%}")


if __name__ == "__main__":
    main()
