"""The command `export`: an adapter, or its merged model, as a folder that can be uploaded or handed on as it is.

What leaves holds weights, tokenizer, settings and a model card: no path of this machine, no secret, no training text.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ragft import jsonl
from ragft.arms.adapters import RECORD
from ragft.errors import RagftError
from ragft.models.sources import ModelFolder
from ragft.training.card import CARD, Measured, Merged, card, serving_notes

OWN = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt", CARD)
"""What an export writes, and removes before it writes anew."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: the folder, its files, and for a merged model its precision and largest logit change."""

    folder: Path
    files: tuple[str, ...]
    merged: Merged | None


def export(
    adapter: Path,
    base: ModelFolder,
    target: Path,
    *,
    merge: bool = False,
    force: bool = False,
    measured: Measured | None = None,
) -> Exported:
    """Write the adapter in a folder, or the model that it makes of its base, ready for `huggingface-cli upload`.

    Raises RagftError where `target` is not empty and `force` is not given (other files in it then stay), and where
    `base` is not the model that the adapter was trained on.
    """
    record = record_of(adapter)
    _check_base(record, base)
    _cleared(target, force)
    merged = write_merged(adapter, base, target, record) if merge else None
    if merged is None:
        _write_adapter(adapter, base, target, record)
    _without_paths(target)
    text = card(record, merged=merged, measured=measured, serving=[] if merged else serving_notes(target))
    jsonl.write_text(target / CARD, text)
    files = tuple(sorted(path.name for path in target.iterdir() if path.is_file()))
    return Exported(target, files, merged)


def record_of(adapter: Path) -> dict[str, Any]:
    """Return the record beside an adapter; raises RagftError for a folder without one."""
    try:
        found: dict[str, Any] = json.loads((adapter / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RagftError(f"{adapter} holds no adapter that ragft trained", "train it: ragft finetune FILE") from None
    if "base" not in found:
        raise RagftError(f"{adapter} was trained by an older ragft", "train it again: ragft finetune FILE")
    return found


def write_merged(adapter: Path, base: ModelFolder, target: Path, record: Mapping[str, Any]) -> Merged:
    """Write the base model with the adapter added into its weights, with a card; returns how it went."""
    from ragft.training.merging import merge

    result = merge(base.path, adapter, target)
    merged = Merged(result.dtype, result.largest_change)
    jsonl.write_text(target / CARD, card(record, merged=merged))
    return merged


def _check_base(record: Mapping[str, Any], base: ModelFolder) -> None:
    if record["base_fingerprint"] != base.fingerprint:
        raise RagftError(
            f"{base.source} is not the model that the adapter was trained on "
            f"({base.fingerprint[:12]}, and it was {record['base_fingerprint'][:12]})",
            "bring that model back, or train the adapter again: ragft finetune FILE",
        )


def _cleared(target: Path, force: bool) -> None:
    """Make the folder, without the files of an earlier export; whatever else lies in it stays."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()) and not force:
            raise RagftError(f"{target} is not empty", "choose another folder, or overwrite with --force")
        for pattern in OWN:
            for path in target.glob(pattern):
                path.unlink()
    except OSError as error:
        raise RagftError(f"cannot write to {target}: {error.strerror}", "choose another folder with --to") from None


def _write_adapter(adapter: Path, base: ModelFolder, target: Path, record: Mapping[str, Any]) -> None:
    """Copy the weights, name the base model as others know it, and lay its tokenizer beside them."""
    from ragft.models.language_model import load_tokenizer

    for path in sorted(adapter.iterdir()):
        if path.is_file() and path.name not in (CARD, RECORD):
            shutil.copyfile(path, target / path.name)
    config = target / "adapter_config.json"
    if config.exists():
        values = json.loads(config.read_text(encoding="utf-8"))
        jsonl.write_json(config, {**values, "base_model_name_or_path": record["base"]["name"]})
    load_tokenizer(base).save_pretrained(target)
    kept = {key: value for key, value in record.items() if key != "training"}
    jsonl.write_json(target / RECORD, {**kept, "base_source": record["base"]["name"]})


def _without_paths(folder: Path) -> None:
    """Replace every path of this machine in the folder's settings by its last part."""
    for path in folder.glob("*.json"):
        if path.name != "tokenizer.json":  # a vocabulary: large, and no setting
            values = json.loads(path.read_text(encoding="utf-8"))
            cleaned = _cleaned(values)
            if cleaned != values:
                jsonl.write_json(path, cleaned)


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case str() if Path(value).is_absolute() and len(Path(value).parts) > 2:  # not a token such as /think
            return Path(value).name
        case list():
            return [_cleaned(item) for item in value]
        case dict():
            return {key: _cleaned(item) for key, item in value.items()}
        case _:
            return value


def measured_in(run: Path, adapter: str) -> Measured | None:
    """Return what the arms with an adapter reached in a `compare` run, None where the run compared nothing."""
    try:
        comparison = json.loads((run / "comparison.json").read_text(encoding="utf-8"))
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except OSError:
        return None
    arms = {name for name, arm in config["compare"]["arms"].items() if arm.get("adapter") == adapter}
    rows = [row for row in comparison["estimates"] if row["arm"] in arms and row["interval"] is not None]
    if not rows:
        return None
    ends = [{**row, "low": row["interval"]["low"], "high": row["interval"]["high"]} for row in rows]
    return Measured(max(row["n"] for row in rows), rows[0]["interval"]["level"], tuple(ends))
