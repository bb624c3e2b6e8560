"""The JSON Schema of the experiment file, for editors: it accepts whatever the loader accepts, shorthands included."""

from __future__ import annotations

from typing import Any

from ragft.config.schema import Experiment

_REFERENCE = "#/$defs/Variable"
_CLOSED_TYPES = ("integer", "number", "boolean")
_ABOUT = ("description", "default")


def experiment_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an experiment file.

    It is wider than the loader in one respect: text with `${` in it stands for any single value.
    """
    derived = Experiment.model_json_schema()
    sections = derived.pop("$defs")
    defaulted = {f"#/$defs/{name}" for name, section in sections.items() if not section.get("required")}
    published: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ragft experiment",
        **_published(derived, defaulted),
    }
    published["$defs"] = {name: _published(section, defaulted) for name, section in sections.items()}
    published["$defs"]["Variable"] = {
        "type": "string",
        "pattern": r"\$\{",
        "description": "Text with ${VAR} or ${VAR:-default}, filled in from the environment.",
    }
    return published


def _published(node: dict[str, Any], defaulted: set[str]) -> dict[str, Any]:
    """Return a node of the derived schema, and all beneath it, as it is published."""
    node = {key: value for key, value in node.items() if key not in ("title", "discriminator")}
    for key in ("properties", "patternProperties"):
        if key in node:
            node[key] = {name: _published(inner, defaulted) for name, inner in node[key].items()}
    for key in ("anyOf", "oneOf", "prefixItems"):
        if key in node:
            node[key] = [_published(inner, defaulted) for inner in node[key]]
    if "items" in node:
        node["items"] = _published(node["items"], defaulted)
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
    return _widened(node, defaulted)


def _widened(node: dict[str, Any], defaulted: set[str]) -> dict[str, Any]:
    """Return the node with the other things that the loader takes in its place: a variable, or nothing at all."""
    if node.get("$ref") in defaulted:
        return _either(node, {"type": "null"})
    if "patternProperties" in node:
        return _either({**node, "additionalProperties": False}, {"type": "null"})
    is_closed = node.get("type") in _CLOSED_TYPES or not node.keys().isdisjoint(("enum", "const", "pattern"))
    return _either(node, {"$ref": _REFERENCE}) if is_closed else node


def _either(node: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    about = {key: node[key] for key in _ABOUT if key in node}
    rest = {key: value for key, value in node.items() if key not in _ABOUT}
    return {"anyOf": [rest, other], **about}
