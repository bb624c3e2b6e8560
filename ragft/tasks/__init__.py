"""The tasks: per task its prompt, parsing, metrics and defaults, in one module each."""

from __future__ import annotations

from typing import assert_never

from ragft.config import ClassificationTask, QaTask
from ragft.config import Task as TaskConfig
from ragft.tasks.classification import Classification
from ragft.tasks.qa import Qa
from ragft.tasks.task import Task

__all__ = ["Task", "task_of"]


def task_of(config: TaskConfig) -> Task:
    """Return the task that the experiment file names."""
    match config:
        case QaTask():
            return Qa()
        case ClassificationTask(labels=labels):
            return Classification(labels)
        case _:
            assert_never(config)
