"""What to say about an unknown key: the name that ragft has for it, where it stands, or what stands there instead."""

from __future__ import annotations

from collections.abc import Sequence

from ragft.config.faults import Location, dotted
from ragft.config.wording import nearest

_PEFT, _TRAINING = "adapters.<name>.peft", "adapters.<name>.training"

FOREIGN_NAMES = {
    **dict.fromkeys(("lora_r", "lora_rank", "rank"), f"{_PEFT}.r"),
    **dict.fromkeys(("alpha", "lora_alpha"), f"{_PEFT}.lora_alpha"),
    **dict.fromkeys(("dropout", "lora_dropout"), f"{_PEFT}.lora_dropout"),
    **dict.fromkeys(("lora_target_modules", "modules"), f"{_PEFT}.target_modules"),
    **dict.fromkeys(("lr", "learning_rate"), f"{_TRAINING}.learning_rate"),
    **dict.fromkeys(("epochs", "num_epochs", "n_epochs", "max_epochs"), f"{_TRAINING}.num_train_epochs"),
    **dict.fromkeys(("train_batch_size", "micro_batch_size"), f"{_TRAINING}.per_device_train_batch_size"),
    **dict.fromkeys(("grad_accum", "gradient_accumulation"), f"{_TRAINING}.gradient_accumulation_steps"),
    **dict.fromkeys(("warmup", "warmup_ratio", "num_warmup_steps"), f"{_TRAINING}.warmup_steps"),
    **dict.fromkeys(("scheduler", "lr_scheduler"), f"{_TRAINING}.lr_scheduler_type"),
    **dict.fromkeys(("chunk_size", "chunk_length", "max_chunk_size"), "index.chunking.chunk_tokens"),
    **dict.fromkeys(("chunk_overlap", "overlap"), "index.chunking.overlap_tokens"),
    **dict.fromkeys(("topk", "k", "similarity_top_k", "n_results", "num_results"), "retrieval.top_k"),
    **dict.fromkeys(("embedding_model", "embedding", "embeddings", "embed_model"), "index.embedder.source"),
    **dict.fromkeys(("model_name_or_path", "base_model", "model_name", "model_id", "llm"), "model.source"),
    **dict.fromkeys(("torch_dtype", "precision"), "model.dtype"),
    **dict.fromkeys(("max_tokens", "max_length", "max_output_tokens"), "generation.max_new_tokens"),
    **dict.fromkeys(("dataset", "train_file", "train_data", "training_data"), "data.train"),
    **dict.fromkeys(("validation", "val", "validation_file", "dev_file"), "data.dev"),
    **dict.fromkeys(("questions", "test", "test_file", "test_data", "eval_file", "eval_data"), "data.eval"),
    **dict.fromkeys(("corpus", "docs", "knowledge_base"), "data.documents"),
    **dict.fromkeys(("metric", "metrics"), "compare.primary_metric"),
    **dict.fromkeys(("systems", "variants"), "compare.arms"),
}
"""Names that users bring from other tools, with ragft's dotted key, wherever in the file they stand."""

_IN_SECTION = {
    ("documents", "id"): "data.fields.document_id",
    ("documents", "title"): "data.fields.document_title",
    ("documents", "text"): "data.fields.document_text",
    ("training", "batch_size"): f"{_TRAINING}.per_device_train_batch_size",
    ("chunking", "strategy"): "index.chunking.kind",
    ("chunking", "method"): "index.chunking.kind",
    ("chunking", "max_tokens"): "index.chunking.chunk_tokens",
    ("chunking", "size"): "index.chunking.chunk_tokens",
    ("embedder", "model"): "index.embedder.source",
    ("embedder", "name"): "index.embedder.source",
    ("index", "model"): "index.embedder.source",
    ("model", "name"): "model.source",
    ("model", "path"): "model.source",
    ("retrieval", "n"): "retrieval.top_k",
}
"""Names that mean something particular in one section, looked up before the others."""

_GREEDY = "there is no such key: decoding is greedy in every arm, so that they are compared alike"
_NOT_KEYS = {
    **dict.fromkeys(("temperature", "top_p", "do_sample", "num_beams"), _GREEDY),
    "<<": "YAML merge keys are not read; write the keys out",
}
_MOST_PLACES = 3


def about_unknown_key(location: Location, siblings: Sequence[str], all_keys: Sequence[str]) -> str:
    """Return what is wrong with the unknown key at this location, and what to write instead."""
    key = str(location[-1])
    if key in _NOT_KEYS:
        return _NOT_KEYS[key]
    section = next((part for part in reversed(location[:-1]) if isinstance(part, str)), "")
    known_as = _IN_SECTION.get((section, key)) or FOREIGN_NAMES.get(key.lower().replace("-", "_"))
    if known_as:
        return f"unknown key; in ragft it is {_named(known_as, location)}"
    if key in siblings:
        return "unknown key of this kind; another `kind` has it"
    places = [_named(place, location) for place in _shallowest(all_keys, key)]
    if 0 < len(places) <= _MOST_PLACES:
        return f"unknown key here; it belongs at {' or '.join(places)}"
    near = nearest(key, siblings)
    if near:
        return f"unknown key; did you mean {dotted((*location[:-1], near))}?"
    return f"unknown key; the keys here are {', '.join(siblings)}" if siblings else "unknown key"


def _shallowest(all_keys: Sequence[str], key: str) -> list[str]:
    """Return the dotted keys that end in `key`; of several in one section of the file, those that lie least deep."""
    places = [place for place in all_keys if place.rpartition(".")[2] == key]
    return [place for place in places if not any(_is_shallower(other, place) for other in places)]


def _is_shallower(key: str, than: str) -> bool:
    return key.partition(".")[0] == than.partition(".")[0] and key.count(".") < than.count(".")


def _named(key: str, location: Location) -> str:
    """Return the dotted key with the name of the adapter or arm that the location is in."""
    section = key.partition(".<name>")[0]
    parts = tuple(section.split("."))
    is_inside = location[: len(parts)] == parts and len(location) > len(parts) + 1
    return key.replace("<name>", str(location[len(parts)])) if is_inside else key
