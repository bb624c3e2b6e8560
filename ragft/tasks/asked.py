"""What a retriever is asked for an example."""

from __future__ import annotations

from ragft.records import Example


def with_question_before(example: Example) -> tuple[str, ...]:
    """Return the input and, after another turn, the question before and the input together.

    "And its colour?" means nothing by itself, and a question that changes the subject is no part of the one before: so
    both are asked, and their rankings fused.
    """
    before = example.history[-1:]
    return (example.input, *(f"{turn.input}\n{example.input}" for turn in before))
