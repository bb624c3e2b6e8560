"""What every section of the experiment file is made of: strictness, shorthands, names and anchored paths.

Nothing here knows a particular key. Values are never coerced: `'5'` is no number and `true` is no 1, so that the
loader accepts nothing that the published JSON Schema refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Words = Annotated[tuple[str, ...], Strict(False)]
Pair = Annotated[tuple[str, str], Strict(False)]


class Section(BaseModel):
    """A part of the experiment file: frozen, an unknown key is an error, and an empty part has every default."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, raw: object) -> object:
        return {} if raw is None else raw


def _not_empty(value: object) -> object:
    if value == "":
        raise ValueError("must be a path, not empty")
    return value


def _anchored(path: Path, info: ValidationInfo) -> Path:
    """Return the path made absolute by the folder in the validation context, or as it is when there is none."""
    folder = (info.context or {}).get("folder")
    if folder is None:
        return path
    try:
        anchored: Path = folder / path.expanduser()
    except RuntimeError:
        raise ValueError(f"the home folder of {path.parts[0]!r} is not known") from None
    return anchored


def _anchored_source(source: str, info: ValidationInfo) -> str:
    first = source.split("/", maxsplit=1)[0]
    is_path = first in (".", "..") or first.startswith("~") or Path(source).is_absolute()
    return str(_anchored(Path(source), info)) if is_path else source


FilePath = Annotated[Path, Strict(False), BeforeValidator(_not_empty), AfterValidator(_anchored)]
"""A path; the loader makes it absolute through the validation context `{"folder": ...}`."""

ModelSource = Annotated[str, Field(min_length=1), AfterValidator(_anchored_source)]
"""A Hub id or a packaged model's name, kept as it is, or a folder (begins with `/`, `./`, `../` or `~`), anchored."""


SHORT_FOR = "x-short-for"
"""In the derived schema, beside a section that a plain string may stand for: the key of which it is the value."""


@dataclass(frozen=True, slots=True)
class Shorthand:
    """Lets a plain string stand for a section in which only `key` is given.

    `kind` is what a section is taken for that names no kind, where there are several kinds.
    """

    key: str
    kind: str | None = None

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the section's own schema behind a step that turns a string into a mapping."""
        return core_schema.no_info_before_validator_function(self._spelled_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the union of the section and of the strings that may stand for it."""
        section = handler(schema)
        variants = [handler.resolve_ref_schema(variant) for variant in section.get("oneOf", [section])]
        short = [v["properties"][self.key] for v in variants if set(v.get("required", ())) <= {self.key}]
        return {"anyOf": [*short, section], SHORT_FOR: self.key}

    def _spelled_out(self, value: object) -> object:
        section = {self.key: value} if isinstance(value, str) else {} if value is None else value
        if self.kind is not None and isinstance(section, dict) and "kind" not in section:
            return {"kind": self.kind, **section}
        return section


@dataclass(frozen=True, slots=True)
class SingleItem:
    """Lets one item stand for a list of one, and nothing for an empty list."""

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the list's own schema behind a step that turns one item into a list."""
        return core_schema.no_info_before_validator_function(self._listed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the union of the list, of one item, and of nothing."""
        items = handler(schema)
        return {"anyOf": [items, items["items"], {"type": "null"}]}

    def _listed(self, value: object) -> object:
        if value is None:
            return []
        return [value] if isinstance(value, str | dict) else value
