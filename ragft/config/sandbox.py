"""Jinja's sandbox for the prompts that an experiment file brings along: what they may do, and how much of it.

An experiment file may come from anybody, so a prompt reaches nothing but the values that it is given: no attribute
that begins with an underscore, no file, no other template, no function that changes a value. Chance is left out too
(`lipsum` and the filter `random`), because a model must be asked with the very text that it was trained on. Bounded are
the steps of one rendering (ranges and calls), the length of its text, repeated text, and powers. Not bounded: filters
that pad a text, such as `center`, and loops within loops over a long input; Ctrl-C ends those.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import MAX_RANGE, ImmutableSandboxedEnvironment

MAX_CHARACTERS = 1_000_000
"""Longest text of one rendering; far beyond what a model reads."""

_COUNT = "_steps_"


class PromptSandbox(ImmutableSandboxedEnvironment):
    """The environment of all prompts of experiment files; blocks leave no blank lines, as in chat templates."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        # Unoptimised: constants would be worked out while a file is checked, and 'x' | center(10 ** 10) is one.
        super().__init__(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, optimized=False)
        self.globals.pop("lipsum")
        self.filters.pop("random")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        """Return left * right unless it repeats a text too often; raises SecurityError for that and for powers."""
        size = _repeated(left, right) if operator == "*" else MAX_RANGE + 1
        if size > MAX_RANGE:
            raise SecurityError(f"the operator {operator} would make more than {MAX_RANGE:,} characters or digits")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return what a function of the template returns; raises SecurityError where they make too many steps."""
        made = super().call(context, called, *args, **kwargs)
        steps: list[int] = context.parent[_COUNT]
        steps[0] += len(made) + 1 if isinstance(made, range) else 1
        if steps[0] > MAX_RANGE:
            raise SecurityError(f"more than {MAX_RANGE:,} steps")
        return made


def _repeated(left: object, right: object) -> int:
    """Return the length of a text or list that is repeated, 0 for a product of numbers."""
    sized, number = (right, left) if isinstance(left, int) else (left, right)
    return len(sized) * number if isinstance(sized, str | list | tuple) and isinstance(number, int) else 0


@cache
def _sandbox() -> PromptSandbox:
    return PromptSandbox()


@cache
def _compiled(text: str) -> Any:  # noqa: ANN401 - a Jinja template
    return _sandbox().from_string(text)


def fault_of(text: str) -> str | None:
    """Return why a text is no Jinja template, with the line of the text; None where it is one."""
    try:
        _compiled(text)
        others = list(meta.find_referenced_templates(_sandbox().parse(text)))
    except TemplateSyntaxError as error:
        return f"line {error.lineno} of the template: {error.message}"
    except (RecursionError, SyntaxError):
        return "the template is nested too deeply"
    return "the template takes in another file, which a prompt cannot" if others else None


def names_in(text: str) -> frozenset[str]:
    """Return the variables that a template is to be given."""
    sandbox = _sandbox()
    return frozenset(meta.find_undeclared_variables(sandbox.parse(text)) - set(sandbox.globals))


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Return the text of a template, without the blank lines around it.

    Raises SecurityError and UndefinedError (both TemplateError) for what the sandbox refuses and for an unknown name,
    and whatever an expression raises, such as TypeError.
    """
    pieces, length = [], 0
    for piece in _compiled(text).generate({**values, _COUNT: [0]}):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_CHARACTERS:
            raise SecurityError(f"more than {MAX_CHARACTERS:,} characters")
    return "".join(pieces).strip()
