"""What the settings classes of PEFT and transformers accept, read off their source without importing them.

Importing PEFT takes seconds and brings torch; its settings are a dataclass whose fields, types and help texts stand in
one file. Knows nothing of which settings ragft lets through.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Optional, Union

from pydantic import TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

_TYPES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (str, int, float, bool, list, dict, tuple)},
    **{"Any": Any, "Literal": Literal, "Optional": Optional, "Union": Union, "None": None},
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a library's settings class: what it accepts, and the library's own words about it."""

    accepts: Any
    help: str


class _Names(dict[str, Any]):
    """The names in an annotation; a class of the library's own stands for the section that it is made from."""

    def __missing__(self, name: str) -> Any:  # noqa: ANN401 - a type
        return dict[str, Any]


@cache
def library_settings(package: str, file: str, class_name: str) -> Mapping[str, Setting]:
    """Return the fields of a settings class by name, in the order of the source; base classes are not followed.

    `file` is relative to the folder of the installed `package`. LookupError where there is no such class.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise LookupError(f"{package} is not installed")
    tree = ast.parse((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return dict(_fields(node))
    raise LookupError(f"{package}/{file} defines no {class_name}")


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, Setting]]:
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            yield line.target.id, Setting(_type(line.annotation), _help(line.value))


def _type(annotation: ast.expr) -> Any:  # noqa: ANN401 - a type
    source = compile(ast.Expression(annotation), "<annotation>", "eval")
    return eval(
        source, {"__builtins__": {}}, _Names(_TYPES)
    )  # the annotation of an installed library, names bound above


def _help(value: ast.expr | None) -> str:
    """Return the `help` in the metadata of a dataclass field, empty where it has none that is plain text."""
    for part in ast.walk(value) if value is not None else ():
        if isinstance(part, ast.Dict):
            for key, inner in zip(part.keys, part.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "help" and isinstance(inner, ast.Constant):
                    return str(inner.value)
    return ""


def errors_of(values: Mapping[str, Any], settings: Mapping[str, Setting]) -> Iterator[InitErrorDetails]:
    """Yield an error for each value whose name the library does not know or whose type it does not accept."""
    for name, value in values.items():
        if name not in settings:
            yield InitErrorDetails(type="extra_forbidden", loc=(name,), input=value)
            continue
        try:
            TypeAdapter(settings[name].accepts).validate_python(value, strict=True)
        except ValidationError:
            yield InitErrorDetails(type=PydanticCustomError("library_value", "wrong"), loc=(name,), input=value)


def with_settings(
    schema: dict[str, Any], settings: Mapping[str, Setting], without: Iterable[str] = ()
) -> dict[str, Any]:
    """Return a section's JSON Schema with the library's settings as further keys."""
    left_out = {*without, *schema["properties"]}
    further = {name: _described(setting) for name, setting in settings.items() if name not in left_out}
    return {**schema, "properties": {**schema["properties"], **further}, "additionalProperties": False}


def _described(setting: Setting) -> dict[str, Any]:
    schema: dict[str, Any] = TypeAdapter(setting.accepts).json_schema()
    return {**schema, "description": setting.help} if setting.help else schema
