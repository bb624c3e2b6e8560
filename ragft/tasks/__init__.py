"""The tasks: per task its prompt, parsing, metrics and defaults, in one module each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from ragft.config import (
    ChatTask,
    ClassificationTask,
    CustomTask,
    QaTask,
    SummarizationTask,
    TranslationTask,
)
from ragft.config import Task as TaskConfig
from ragft.tasks.chat import Chat
from ragft.tasks.classification import Classification, labels_of
from ragft.tasks.custom import Custom
from ragft.tasks.qa import LongQa, Qa
from ragft.tasks.summarization import Summarization, TopicSummarization
from ragft.tasks.task import Task
from ragft.tasks.translation import Translation, terms_of

__all__ = ["Task", "labels_of", "task_of", "terms_of"]


def task_of(config: TaskConfig, labels: Sequence[str] = ()) -> Task:
    """Return the task that the experiment file names; `labels` are those of the examples, where it names none."""
    match config:
        case QaTask():
            return LongQa() if config.answers == "long" else Qa()
        case SummarizationTask():
            return Summarization(config.sentences) if config.of == "input" else TopicSummarization(config.sentences)
        case TranslationTask():
            return Translation(config.source, config.target)
        case ClassificationTask():
            return Classification(config.labels or tuple(labels))
        case ChatTask():
            return Chat()
        case CustomTask():
            return Custom.of(config)
        case _:
            assert_never(config)
