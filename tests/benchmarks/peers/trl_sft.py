"""TRL's SFTTrainer on given tokens: prints seconds, losses and peak memory as JSON.

    python trl_sft.py MODEL_FOLDER JOB.json SCRATCH_FOLDER [--bf16-weights] [--padding-free]

Without options it trains as TRL does by default: weights in float32, bf16=True (autocast), padded batches. Runs in an
environment of its own: pip install trl peft torch. The examples come in the order in which the other side reads them,
sorted by length within windows, so TRL pads as little as the other side would. Padding-free batches are slower than
padded ones on a processor, because the mask of the joined row is as long as it is wide.
"""

import argparse
import json
import resource
import time
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("job", type=Path)
    parser.add_argument("scratch")
    parser.add_argument("--bf16-weights", action="store_true")
    parser.add_argument("--padding-free", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Train as TRL's documentation shows, with the loss on completions only."""
    options = read_arguments()
    job = json.loads(options.job.read_text(encoding="utf-8"))
    set_seed(job["seed"])
    rows = [job["rows"][index] for index in job["order"]]
    masks = [[0] * len(row["prompt"]) + [1] * len(row["completion"]) for row in rows]
    ids = [row["prompt"] + row["completion"] for row in rows]
    config = SFTConfig(
        output_dir=options.scratch,
        per_device_train_batch_size=job["batch"],
        gradient_accumulation_steps=1,
        num_train_epochs=1,
        learning_rate=job["learning_rate"],
        lr_scheduler_type="constant",
        warmup_steps=0,
        weight_decay=0.0,
        max_length=None,
        completion_only_loss=True,
        padding_free=options.padding_free,
        model_init_kwargs={"dtype": "bfloat16"} if options.bf16_weights else None,
        train_sampling_strategy="sequential",
        bf16=job["bf16"],
        use_cpu=job["device"] == "cpu",
        gradient_checkpointing=False,  # TRL's default; it would be slower still, and take less memory
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=job["seed"],
    )
    trainer = SFTTrainer(
        model=options.model,
        args=config,
        train_dataset=Dataset.from_dict({"input_ids": ids, "completion_mask": masks}),
        processing_class=AutoTokenizer.from_pretrained(options.model),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **job["peft"]),
    )
    first = sum(float(weight.detach().double().abs().sum()) for name, weight in weights(trainer) if "lora_A" in name)
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    dtype = str(next(trainer.model.parameters()).dtype).removeprefix("torch.")
    print(json.dumps({"seconds": seconds, "losses": losses, "peak_bytes": peak, "dtype": dtype, "start": first}))


def weights(trainer: SFTTrainer) -> list:
    """Return the weights that are trained, with their names."""
    return [pair for pair in trainer.model.named_parameters() if pair[1].requires_grad]


if __name__ == "__main__":
    main()
