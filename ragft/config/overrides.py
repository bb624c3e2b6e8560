"""`--set a.b=c`: values laid over the tree of an experiment file. The tree that is given is never changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

from ragft.config.faults import Fault
from ragft.config.reading import FIRST_OVERRIDE_LINE, place_at, read_tree

_STR, _NULL, _MAP, _SEQ = (f"tag:yaml.org,2002:{name}" for name in ("str", "null", "map", "seq"))
_LINES_APART = 10_000


class _UnreachableError(Exception):
    """An override leads through something that has no keys or items of that name."""


Keys = tuple[str, ...]
Spelled = Callable[[Keys], str | None]
"""The key that a plain string stands for where a section is wanted, by the path of the section; None elsewhere."""


def apply_overrides(root: yaml.Node, overrides: Sequence[str], spelled: Spelled) -> tuple[yaml.Node, list[Fault]]:
    """Return the tree with every override laid over it, a later one over an earlier, and the faults of bad ones.

    Where the way leads through a string that is short for a section, the section is spelled out.
    """
    faults: list[Fault] = []
    laying = _Laying(spelled)
    for number, override in enumerate(overrides):
        name, line = f"--set {override}", FIRST_OVERRIDE_LINE + number * _LINES_APART
        try:
            parts, value = _parsed(override, name, line)
            root = laying.over(root, parts, value, ())
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
            faults.append(Fault(place_at(name, line), (), f"the value is not valid YAML: {problem}"))
        except _UnreachableError as error:
            faults.append(Fault(place_at(name, line), (), str(error)))
    return root, faults


def _parsed(override: str, name: str, line: int) -> tuple[Keys, yaml.Node]:
    key, equals, text = override.partition("=")
    parts = tuple(key.strip().split("."))
    if not equals or not all(parts):
        raise _UnreachableError("write it as --set dotted.key=value")
    mark = yaml.Mark(name, 0, line, 0, None, 0)
    return parts, read_tree(text, name, line) or yaml.ScalarNode(_NULL, "", mark, mark)


@dataclass(frozen=True, slots=True)
class _Laying:
    spelled: Spelled

    def over(self, node: yaml.Node | None, parts: Keys, value: yaml.Node, passed: Keys) -> yaml.Node:
        """Return the node with `value` at `parts` beneath it; what is missing or empty on the way is created."""
        if not parts:
            return value
        mark = value.start_mark
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _NULL):
            is_list = parts[0] == "0"
            node = yaml.SequenceNode(_SEQ, [], mark, mark) if is_list else yaml.MappingNode(_MAP, [], mark, mark)
        is_text = isinstance(node, yaml.ScalarNode) and node.tag == _STR and not parts[0].isdecimal()
        if is_text and (key := self.spelled(passed)) is not None:
            node = yaml.MappingNode(_MAP, [(yaml.ScalarNode(_STR, key, mark, mark), node)], mark, mark)
        if isinstance(node, yaml.MappingNode):
            return self._in_mapping(node, parts, value, passed)
        if isinstance(node, yaml.SequenceNode):
            return self._in_sequence(node, parts, value, passed)
        raise _UnreachableError(f"{'.'.join(passed)} holds one value, which has no {parts[0]!r}")

    def _in_mapping(self, node: yaml.MappingNode, parts: Keys, value: yaml.Node, passed: Keys) -> yaml.MappingNode:
        head, rest = parts[0], parts[1:]
        mark = value.start_mark
        key = yaml.ScalarNode(_STR, head, mark, mark)
        pairs = list(node.value)
        for number, (known, inner) in enumerate(pairs):
            if known.value == head:
                pairs[number] = (known if rest else key, self.over(inner, rest, value, (*passed, head)))
                break
        else:
            pairs.append((key, self.over(None, rest, value, (*passed, head))))
        return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark, node.flow_style)

    def _in_sequence(self, node: yaml.SequenceNode, parts: Keys, value: yaml.Node, passed: Keys) -> yaml.SequenceNode:
        head, rest = parts[0], parts[1:]
        items = list(node.value)
        number = int(head) if head.isascii() and head.isdigit() else -1
        if not 0 <= number <= len(items):
            raise _UnreachableError(
                f"{'.'.join(passed)} is a list of {len(items)}; {head!r} is not a number up to that"
            )
        inner = items[number] if number < len(items) else None
        items[number : number + 1] = [self.over(inner, rest, value, (*passed, head))]
        return yaml.SequenceNode(node.tag, items, node.start_mark, node.end_mark, node.flow_style)
