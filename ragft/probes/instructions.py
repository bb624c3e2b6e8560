"""Instructions that a program can check: to keep to a length or a form, and to decline what nobody can know."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ragft import jsonl
from ragft.evaluation.answers import is_abstention
from ragft.probes.general_text import SHIPPED

InstructionKind = Literal["one_word", "three_items", "upper_case", "json", "refusal"]

MOST_WORDS = 4
"""Words that an item of a list has at most; a sentence with two commas is no list of three."""

_BULLET = re.compile(r"^\s*(?:\d+\s*[.)]|[-*•])\s*")
_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One prompt with the check that its reply has to pass; `key` is that of the JSON that it asks for."""

    id: str
    kind: InstructionKind
    prompt: str
    key: str = ""


def shipped_instructions() -> tuple[Instruction, ...]:
    """Return the instructions that come with ragft."""
    return tuple(Instruction(**row) for _, row in jsonl.read_rows(SHIPPED / "instructions.jsonl"))


def followed(instruction: Instruction, reply: str, *, cut_off: bool) -> bool:
    """Return whether a reply does as it was told; one that had to be cut off has kept to no length."""
    if cut_off and instruction.kind in ("one_word", "three_items"):
        return False
    return _CHECKS[instruction.kind](instruction, reply.strip())


def _one_word(_: Instruction, reply: str) -> bool:
    return len(reply.split()) == 1 and any(letter.isalpha() for letter in reply)


def _three_items(_: Instruction, reply: str) -> bool:
    """Return whether there are three items of a few words: one on each line, or all on one between commas."""
    lines = [line for line in reply.splitlines() if line.strip()]
    items = re.split(r",\s*(?:and\s+)?", lines[0]) if len(lines) == 1 else lines
    bare = [_BULLET.sub("", item).strip(" .,") for item in items]
    return len(bare) == 3 and all(0 < len(item.split()) <= MOST_WORDS and not item.endswith(":") for item in bare)


def _upper_case(_: Instruction, reply: str) -> bool:
    return reply.isupper()


def _json(instruction: Instruction, reply: str) -> bool:
    """Return whether the reply is a JSON object with the key and a value, in a code block or not."""
    match = _FENCE.match(reply)
    try:
        found = json.loads(match.group(1) if match else reply)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get(instruction.key) not in (None, "", "...")


def _refusal(_: Instruction, reply: str) -> bool:
    return is_abstention(reply)


_CHECKS: Mapping[InstructionKind, Callable[[Instruction, str], bool]] = {
    "one_word": _one_word,
    "three_items": _three_items,
    "upper_case": _upper_case,
    "json": _json,
    "refusal": _refusal,
}
