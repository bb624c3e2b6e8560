"""Every prompt template, named, and the one place where a prompt becomes text.

Training and answering both call `conversation`, so a model is never trained on one text and asked with another. The
text of the templates is in `templates`, a template of the user's own in `custom`, and how messages are put together in
`rendering`.
"""

from __future__ import annotations

from ragft.config import CustomTask
from ragft.config import Task as TaskConfig
from ragft.errors import RagftError
from ragft.prompts.custom import CustomTemplate, columns_of
from ragft.prompts.rendering import (
    ChatTokenizer,
    Form,
    Message,
    Shot,
    as_said,
    conversation,
    defused,
    render,
    rendered,
)
from ragft.prompts.templates import ABSTENTION, TEMPLATES, Template, numbered, template

__all__ = [
    "ABSTENTION",
    "TEMPLATES",
    "ChatTokenizer",
    "CustomTemplate",
    "Form",
    "Message",
    "Shot",
    "Template",
    "as_said",
    "columns_of",
    "conversation",
    "defused",
    "form_of",
    "numbered",
    "render",
    "rendered",
    "template",
]


def form_of(config: TaskConfig, name: str) -> Form:
    """Return the prompt template of that name for a task; a custom task has one, that of its own file.

    Raises RagftError where the task has none of that name.
    """
    if not isinstance(config, CustomTask):
        return template(name, config.kind)
    own = CustomTemplate.of(config)
    if name != own.name:
        raise RagftError(
            f"there is no prompt template {name!r} for the task 'custom'",
            "the prompt of a custom task is task.prompt: leave `prompt` out of arms and adapters",
        )
    return own
