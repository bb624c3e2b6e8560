"""The settings of training as types: `peft` and `training` of an adapter, under the names of PEFT and transformers.

What is used most stands here as fields. Every other setting of PEFT's LoraConfig and IA3Config and of transformers'
TrainingArguments passes through under its own name, checked against the installed library; what ragft decides itself
is refused with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeGuard

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    Strict,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError

from ragft.config.library_settings import Setting, errors_of, library_settings, with_settings
from ragft.config.sections import FilePath, Section, SingleItem, Words

Method = Literal["lora", "qlora", "ia3", "full"]
Tracker = Literal["tensorboard", "mlflow", "wandb", "trackio"]

DEV_LOSS = "loss"
"""What `metric_for_best_model` calls the dev loss."""

LEARNING_RATES: Mapping[Method, float] = {"lora": 2e-4, "qlora": 2e-4, "ia3": 3e-3, "full": 2e-5}
"""Peak learning rates where none is set: LoRA wants about ten times that of full tuning, IA3's vectors still more."""

MUTATING = re.compile(r"pissa|pissa_niter_\d+|olora")
"""Initialisations that take the adapter's first value out of the base weights."""

_INITS = re.compile(rf"gaussian|orthogonal|{MUTATING.pattern}")
_LORA_ONLY = ("r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "init_lora_weights", "loraplus_lr_ratio")

_FILLED_IN = "ragft fills it in"
_OTHER_ARMS = "it would change the base model, with which the other arms answer"
_STAYS = "PEFT leaves the trained copy in the base model, with which the other arms answer"
_PREPARED = "it needs a preparation of its own, which ragft does not run"
_REFUSED_PEFT = {
    **dict.fromkeys(("task_type", "peft_type", "peft_version", "auto_mapping", "inference_mode"), _FILLED_IN),
    **dict.fromkeys(("base_model_name_or_path", "revision"), "the base is the experiment's: set model.source"),
    **dict.fromkeys(("bias", "layer_replication"), _OTHER_ARMS),
    **dict.fromkeys(("modules_to_save", "trainable_token_indices"), _STAYS),
    **dict.fromkeys(("eva_config", "corda_config", "lora_ga_config", "loftq_config", "arrow_config"), _PREPARED),
    **dict.fromkeys(("kasa_config", "monteclora_config"), "it needs a term in the loss that ragft does not add"),
    **dict.fromkeys(("megatron_config", "megatron_core"), "ragft does not train through Megatron"),
    "runtime_config": "it belongs to a machine, not to an experiment",
    "load_in_4bit": "say method: qlora",
    "load_in_8bit": "say method: qlora, which holds the base in 4 bits",
}

_EVALS = "evals_per_run says how often the dev loss is measured and a checkpoint written"
_SEEDS = "set the experiment's seed, or the adapter's seeds"
_PRECISION = "precision follows model.dtype"
_LOSS_ONLY = "only the loss is gathered; a metric of generated answers is named by metric_for_best_model"
_RESUMING = "a stopped training goes on by itself when the same command runs again"
_PUSHING = "ragft sends nothing out; it writes folders that can be uploaded"
_ORDER = "ragft draws the order of the examples from the seed"
_REFUSED_TRAINING = {
    **dict.fromkeys(("output_dir", "save_on_each_node", "log_on_each_node"), "ragft chooses where files are written"),
    **dict.fromkeys(("remove_unused_columns", "label_names", "length_column_name"), "ragft makes the batches"),
    **dict.fromkeys(("group_by_length", "train_sampling_strategy", "dataloader_drop_last"), _ORDER),
    **dict.fromkeys(("eval_strategy", "eval_steps", "save_strategy", "save_steps", "save_total_limit"), _EVALS),
    **dict.fromkeys(("logging_strategy", "logging_steps", "logging_first_step"), "every step is logged"),
    **dict.fromkeys(("disable_tqdm", "log_level", "log_level_replica"), "ragft shows the progress"),
    **dict.fromkeys(("seed", "data_seed"), _SEEDS),
    **dict.fromkeys(("bf16", "fp16", "bf16_full_eval", "fp16_full_eval"), _PRECISION),
    **dict.fromkeys(("use_cpu", "no_cuda"), "set model.device"),
    **dict.fromkeys(("prediction_loss_only", "include_for_metrics", "batch_eval_metrics"), _LOSS_ONLY),
    **dict.fromkeys(("eval_do_concat_batches", "eval_use_gather_object", "eval_accumulation_steps"), _LOSS_ONLY),
    **dict.fromkeys(("resume_from_checkpoint", "ignore_data_skip", "save_only_model"), _RESUMING),
    **dict.fromkeys(("restore_callback_states_from_checkpoint", "enable_jit_checkpoint"), _RESUMING),
    **dict.fromkeys(("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy"), _PUSHING),
    **dict.fromkeys(("hub_always_push", "hub_revision"), _PUSHING),
    **dict.fromkeys(("do_train", "do_eval", "do_predict"), "`ragft finetune` trains and measures the dev loss"),
    **dict.fromkeys(("local_rank", "parallelism_config"), "the launcher says it: torchrun, or accelerate launch"),
    "auto_find_batch_size": "another batch size is another training; set per_device_train_batch_size",
    "average_tokens_across_devices": "always on: every answer token weighs the same on every device",
    "label_smoothing_factor": "the loss is the plain cross-entropy of the answers",
    "logging_nan_inf_filter": "a loss that is no number stops the training",
    "use_liger_kernel": "it rewrites the model with which the other arms answer",
    "liger_kernel_config": "it rewrites the model with which the other arms answer",
    "use_cache": "nothing is generated while the loss is computed",
    "include_num_input_tokens_seen": "ragft counts the tokens",
    "activation_checkpointing": "in ragft it is gradient_checkpointing",
    "activation_checkpointing_kwargs": "in ragft it is gradient_checkpointing_kwargs",
}


class _PassingThrough(Section):
    """A section that takes a library's further settings beside its own fields."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="wrap")
    @classmethod
    def _all_at_once(cls, raw: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Return the section; faults in its own fields and in what it passes through are raised together."""
        written = {key: value for key, value in raw.items() if key not in cls.model_fields} if _is_dict(raw) else {}
        try:
            made = handler(raw)
        except ValidationError as error:
            _raise([*map(_again, error.errors(include_url=False)), *cls._about(written, raw)])
            raise
        _raise(cls._about(written, raw) or made._together())
        return made

    @classmethod
    def _about(cls, further: Mapping[str, Any], raw: Any) -> list[InitErrorDetails]:  # noqa: ANN401 - a section as written
        """Return what is wrong with each setting that is passed through, alone."""
        raise NotImplementedError

    def _together(self) -> list[InitErrorDetails]:
        """Return what is wrong with settings that are right each by itself."""
        raise NotImplementedError

    def further(self) -> dict[str, Any]:
        """Return the settings that are passed through, by the library's names."""
        return dict(self.model_extra or {})


class PeftConfig(_PassingThrough):
    """How the model is adapted: settings of PEFT's LoraConfig and IA3Config, under their own names."""

    method: Method = "lora"
    """`lora`; `qlora`, LoRA on a base in 4 bits (CUDA only); `ia3`; or `full`, which trains all weights."""
    r: int = Field(default=16, ge=1)
    """Rank of the LoRA matrices."""
    lora_alpha: int = Field(default=32, ge=1)
    """Scale: the update is multiplied by lora_alpha / r, with use_rslora by lora_alpha / sqrt(r)."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the input of the LoRA matrices."""
    target_modules: str | Words = "all-linear"
    """Modules that get an adapter: `all-linear`, names of modules, or one regular expression."""
    use_rslora: bool = False
    """Rank-stabilised scale (Kalajdzievski 2023); worth it from r of about 64."""
    use_dora: bool = False
    """Train magnitudes apart from directions (DoRA, Liu et al. 2024); slower, and better at low ranks."""
    init_lora_weights: bool | str = True
    """First value of the matrices: true, gaussian, orthogonal, olora, pissa, or pissa_niter_N with N iterations."""
    loraplus_lr_ratio: float | None = Field(default=None, ge=1)
    """LoRA+ (Hayou et al. 2024): the B matrices learn this many times faster; off when absent."""

    @property
    def changes_the_base(self) -> bool:
        """Whether the initialisation takes its first value out of the base weights."""
        return isinstance(self.init_lora_weights, str) and bool(MUTATING.fullmatch(self.init_lora_weights))

    @classmethod
    def _about(cls, further: Mapping[str, Any], raw: Any) -> list[InitErrorDetails]:  # noqa: ANN401
        source = _SOURCE.get(raw.get("method", "lora")) if further else None
        passed = {key: value for key, value in further.items() if key not in _REFUSED_PEFT}
        known = {} if source is None else library_settings("peft", *source)
        wrong = errors_of(passed, known) if source is not None else ()
        return [*_refused(further, _REFUSED_PEFT), *wrong]

    def _together(self) -> list[InitErrorDetails]:
        errors = [*self._of_another_method(), *self._unsuitable()]
        return errors or (self._as_peft_sees_it() if self.model_extra and self.method != "full" else [])

    def _of_another_method(self) -> list[InitErrorDetails]:
        """Return an error for each setting that the chosen method has no use for."""
        foreign = {"ia3": {*_LORA_ONLY}, "full": {*_LORA_ONLY, "target_modules", *self.further()}}.get(
            self.method, set()
        )
        written = [key for key in self.model_fields_set if key in foreign - {*_REFUSED_PEFT}]
        return [_error(f"has no effect with method: {self.method}", key) for key in sorted(written)]

    def _unsuitable(self) -> list[InitErrorDetails]:
        """Return what is wrong with the initialisation, alone or together with others."""
        init, further = self.init_lora_weights, self.further()
        if isinstance(init, str) and not _INITS.fullmatch(init):
            words = "true, false, gaussian, orthogonal, olora, pissa or pissa_niter_N with a number for N"
            return [_error(f"must be {words}, not {init!r}", "init_lora_weights")]
        if not self.changes_the_base:
            return []
        if self.method == "qlora":
            return [_error(f"{init} needs the full weights, and qlora holds them in 4 bits", "init_lora_weights")]
        if self.use_dora:
            return [_error(f"an adapter with use_dora cannot be converted back from {init}", "init_lora_weights")]
        if self.use_rslora and (further.get("rank_pattern") or further.get("alpha_pattern")):
            text = f"{init} with use_rslora and rank_pattern or alpha_pattern cannot be converted for the plain base"
            return [_error(text, "init_lora_weights")]
        return []

    def _as_peft_sees_it(self) -> list[InitErrorDetails]:
        """Return PEFT's own objection to the settings together; imports PEFT, so asked only where it may have one."""
        import peft

        kind = peft.IA3Config if self.method == "ia3" else peft.LoraConfig
        try:
            kind(**self.for_peft())
        except (TypeError, ValueError, ImportError) as error:
            return [_error(f"PEFT refuses this: {error}")]
        return []

    def for_peft(self) -> dict[str, Any]:
        """Return the settings as PEFT's own configuration class takes them."""
        values = self.model_dump(exclude={"method", "loraplus_lr_ratio"})
        if not isinstance(values["target_modules"], str):
            values["target_modules"] = list(values["target_modules"])
        return values

    @model_serializer(mode="wrap")
    def _only_what_has_an_effect(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        idle = {"ia3": _LORA_ONLY, "full": (*_LORA_ONLY, "target_modules")}.get(self.method, ())
        return {key: value for key, value in handler(self).items() if key not in idle}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the section's schema with the further settings of PEFT."""
        own = handler.resolve_ref_schema(handler(schema))
        known = {**library_settings("peft", *_SOURCE["ia3"]), **library_settings("peft", *_SOURCE["lora"])}
        own.update(with_settings(own, known, _REFUSED_PEFT))
        return own


_LORA_SOURCE = ("tuners/lora/config.py", "LoraConfig")
_SOURCE = {"lora": _LORA_SOURCE, "qlora": _LORA_SOURCE, "ia3": ("tuners/ia3/config.py", "IA3Config")}


class TrainingConfig(_PassingThrough):
    """How the weights are learnt: settings of transformers' TrainingArguments, under their own names."""

    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate; when absent 2e-4 for lora and qlora, 3e-3 for ia3, 2e-5 for full."""
    num_train_epochs: float = Field(default=3.0, gt=0)
    """Passes over the training examples."""
    max_steps: int = Field(default=-1, ge=-1)
    """Optimiser steps; -1 leaves it to num_train_epochs."""
    per_device_train_batch_size: int = Field(default=8, ge=1)
    """Examples in one forward pass of one process."""
    per_device_eval_batch_size: int | None = Field(default=None, ge=1)
    """Dev examples in one forward pass; as many as in training when absent."""
    gradient_accumulation_steps: int = Field(default=2, ge=1)
    """Forward passes in one optimiser step."""
    gradient_checkpointing: bool = False
    """Keep fewer activations and compute them again: less memory, about a third slower."""
    warmup_steps: float = Field(default=0.05, ge=0)
    """Steps over which the learning rate rises; below 1, that share of all steps."""
    lr_scheduler_type: Literal[
        "linear",
        "cosine",
        "constant",
        "constant_with_warmup",
        "cosine_with_restarts",
        "cosine_with_min_lr",
        "polynomial",
        "inverse_sqrt",
        "warmup_stable_decay",
    ] = "cosine"
    """Course of the learning rate; its own settings go into lr_scheduler_kwargs."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    evals_per_run: int = Field(default=4, ge=1)
    """How often the dev loss is measured and a checkpoint written, spread evenly over the steps."""
    load_best_model_at_end: bool = True
    """Keep the checkpoint with the best metric_for_best_model instead of the last one."""
    metric_for_best_model: str = DEV_LOSS
    """What the best checkpoint is chosen by: `loss` on dev, or a task metric of generated dev answers (token_f1)."""
    greater_is_better: bool | None = None
    """Whether more of that metric is better; when absent, less for `loss` and more for all others."""
    early_stopping_patience: int | None = Field(default=None, ge=1)
    """Stop after so many measurements in a row without a better metric_for_best_model; off when absent."""
    early_stopping_threshold: float = Field(default=0.0, ge=0)
    """How much better it has to be to count."""
    report_to: Annotated[tuple[Tracker, ...], Strict(False), SingleItem()] = ()
    """Trackers that get losses and settings: tensorboard, mlflow, wandb, trackio; none by default."""
    deepspeed: FilePath | dict[str, Any] | None = None
    """DeepSpeed's configuration, or the file that holds it."""
    fsdp_config: FilePath | dict[str, Any] | None = None
    """FSDP's configuration, or the file that holds it; `fsdp` switches it on."""

    @property
    def is_greater_better(self) -> bool:
        """Whether more of metric_for_best_model is better."""
        return self.metric_for_best_model != DEV_LOSS if self.greater_is_better is None else self.greater_is_better

    @classmethod
    def _about(cls, further: Mapping[str, Any], raw: Any) -> list[InitErrorDetails]:  # noqa: ANN401
        passed = {key: value for key, value in further.items() if key not in _REFUSED_TRAINING}
        return [*_refused(further, _REFUSED_TRAINING), *(errors_of(passed, _training_arguments()) if passed else ())]

    def _together(self) -> list[InitErrorDetails]:
        if self.metric_for_best_model in ("", "eval_loss"):
            return [_error(f"say {DEV_LOSS!r} for the dev loss", "metric_for_best_model")]
        return []

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the section's schema with the further settings of TrainingArguments."""
        own = handler.resolve_ref_schema(handler(schema))
        own.update(with_settings(own, _training_arguments(), _REFUSED_TRAINING))
        return own


def _training_arguments() -> Mapping[str, Setting]:
    return library_settings("transformers", "training_args.py", "TrainingArguments")


def _refused(written: Mapping[str, Any], reasons: Mapping[str, str]) -> list[InitErrorDetails]:
    return [_error(f"cannot be set here: {reasons[key]}", key) for key in written if key in reasons]


def _error(message: str, key: str | None = None) -> InitErrorDetails:
    """Return an error in ragft's own words, at a key of the section or at the section itself."""
    kind = PydanticCustomError("value_error", "{error}", {"error": message})
    return InitErrorDetails(type=kind, loc=() if key is None else (key,), input=None)


def _is_dict(raw: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(raw, dict)


def _again(detail: ErrorDetails) -> InitErrorDetails:
    """Return an error that pydantic found as one that can be raised again beside others."""
    return InitErrorDetails(type=detail["type"], loc=detail["loc"], input=detail["input"], ctx=detail.get("ctx", {}))


def _raise(errors: list[InitErrorDetails]) -> None:
    if errors:
        raise ValidationError.from_exception_data("settings", errors)
