"""What is trained: the model wrapped by PEFT, its base in 4 bits, or all of its weights; and how each is saved.

Every method leaves the base weights as it found them, because the other arms answer with them. Knows nothing of
batches, steps or checkpoints.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, assert_never

import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from peft.utils import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as FEEDFORWARD
from transformers import BitsAndBytesConfig

from ragft.config import PeftConfig
from ragft.errors import RagftError
from ragft.models.language_model import LanguageModel, auto_class, reads_apart

INITIAL = "initial"
"""Name of the folder for an adapter's first value, where the initialisation took it out of the base weights."""


def check_hardware(peft: PeftConfig, device: torch.device) -> None:
    """Raise RagftError where this machine cannot train by the method: QLoRA needs CUDA and bitsandbytes."""
    if peft.method != "qlora":
        return
    if device.type != "cuda":
        raise RagftError(
            f"method: qlora holds the base in 4 bits on a CUDA GPU, and this training runs on {device.type}",
            "use method: lora (training.gradient_checkpointing: true saves memory), or a machine with a CUDA GPU",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise RagftError("method: qlora needs the package bitsandbytes", "pip install bitsandbytes")


@contextmanager
def adapted(language_model: LanguageModel, peft: PeftConfig) -> Iterator[Any]:
    """Give the model ready to train, and make the base what it was when the block ends, however it ends.

    The weights that are trained are float32. Raises RagftError for a method that this machine cannot run, and for
    target modules that the model lacks.
    """
    check_hardware(peft, language_model.device)
    base: Any = language_model.model
    before = _copied(base) if peft.method == "full" or peft.changes_the_base else None
    model = None
    try:
        match peft.method:
            case "full":
                model = _cast(base, torch.float32).requires_grad_(True)
            case "lora" | "ia3":
                model = _wrapped(base, peft)
            case "qlora":
                model = _wrapped(_in_4_bits(language_model), peft)
            case _:
                assert_never(peft.method)
        yield model
    finally:
        if isinstance(model, PeftModel) and peft.method != "qlora":
            model.unload()
        if before is not None:
            for name, weight in base.named_parameters():
                weight.data = before[name].to(weight.device)
        base.eval().requires_grad_(False)


def _copied(model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401 - a transformers model
    return {name: weight.detach().to("cpu", copy=True) for name, weight in model.named_parameters()}


def _cast(model: Any, dtype: torch.dtype) -> Any:  # noqa: ANN401 - a transformers model
    """Return the model with its weights in another precision; buffers, such as rotary frequencies, keep theirs."""
    for weight in model.parameters():
        weight.data = weight.data.to(dtype)
    return model


def _wrapped(base: Any, peft: PeftConfig) -> Any:  # noqa: ANN401 - a PeftModel
    kind = IA3Config if peft.method == "ia3" else LoraConfig
    task = "SEQ_2_SEQ_LM" if reads_apart(base) else "CAUSAL_LM"
    values = peft.for_peft() | (_ia3_targets(base, peft) if peft.method == "ia3" else {})
    try:
        return get_peft_model(base, kind(task_type=task, **values))
    except ValueError as error:
        names = sorted({name.rsplit(".", 1)[-1] for name, part in base.named_modules() if _is_linear(part)})
        raise RagftError(f"peft.target_modules: {error}", f"linear modules of the model: {', '.join(names)}") from None


def _ia3_targets(base: Any, peft: PeftConfig) -> dict[str, Any]:  # noqa: ANN401 - a transformers model
    """Return IA3's targets by name: PEFT writes `all-linear` into the adapter in a form that it cannot read again."""
    if peft.target_modules != "all-linear":
        return {}
    head = base.get_output_embeddings()
    names = {name.rsplit(".", 1)[-1] for name, part in base.named_modules() if _is_linear(part) and part is not head}
    known = FEEDFORWARD.get(base.config.model_type, [])
    given = peft.further().get("feedforward_modules", [name for name in known if name in names])
    return {"target_modules": sorted(names), "feedforward_modules": given}


def _is_linear(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"  # GPT-2's own kind of linear


def _in_4_bits(language_model: LanguageModel) -> Any:  # noqa: ANN401 - a transformers model
    """Return a second copy of the base in 4 bits (NF4, Dettmers et al. 2023); the first one answers later."""
    compute = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    quantised = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute
    )
    path = language_model.folder.path
    model = auto_class(path).from_pretrained(
        path, quantization_config=quantised, device_map={"": 0}, local_files_only=True
    )
    prepare: Any = prepare_model_for_kbit_training
    return prepare(model, use_gradient_checkpointing=False)


def keep_initial(model: Any, peft: PeftConfig, folder: Path) -> None:  # noqa: ANN401 - a PeftModel
    """Write an adapter's first value into `folder`, where the initialisation took it out of the base weights.

    Without it the adapter would only be right on the changed base, which nobody has. A resumed training computes the
    same first value again, and writes it again.
    """
    if not peft.changes_the_base:
        return
    config = model.peft_config["default"]
    init, config.init_lora_weights = config.init_lora_weights, True
    model.save_pretrained(folder / INITIAL)
    config.init_lora_weights = init


def save(model: Any, language_model: LanguageModel, peft: PeftConfig, initial: Path, target: Path) -> None:  # noqa: ANN401
    """Write what was trained into `target`, usable on the plain base: an adapter, or a whole model folder.

    An adapter whose initialisation changed the base is written as the difference to its first value, which doubles r.
    """
    if peft.method == "full":
        _cast(model, language_model.dtype).save_pretrained(target)
        language_model.tokenizer.save_pretrained(target)
        return
    if not peft.changes_the_base:
        model.save_pretrained(target)
        return
    with tempfile.TemporaryDirectory(dir=initial) as copy:  # PEFT writes a config of its own into the folder
        for file in (initial / INITIAL).iterdir():
            (Path(copy) / file.name).write_bytes(file.read_bytes())
        model.save_pretrained(target, path_initial_model_for_weight_conversion=copy)
