"""The examples themselves: enough of them, said once and without contradiction, references that can be matched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from ragft.data.checks.check import TOO_FEW, DataCheck, by_share, some
from ragft.data.checks.inputs import Item, Items, same_answer
from ragft.data.examples import Splits
from ragft.records import Example


def too_few(examples: Sequence[Example], least: int) -> DataCheck:
    """Return the check that there are enough eval examples to compare arms."""
    n, title = len(examples), "number of eval examples"
    if n >= least:
        return DataCheck(TOO_FEW, title, n, 0, "ok", f"{n} eval examples; at least {least} are needed")
    message = f"{n} eval examples are too few to compare arms (compare.min_examples is {least})"
    return DataCheck(TOO_FEW, title, n, n, "error", message, (), "add eval examples")


def repeats(items: Sequence[Item]) -> DataCheck:
    """Return the check on eval inputs that stand more than once: they count double in every mean."""
    first: dict[str, str] = {}
    repeated = tuple(
        item.example.id for item in items if first.setdefault(item.key, item.example.id) != item.example.id
    )
    title = "eval inputs that stand more than once"
    if not repeated:
        return DataCheck("repeats", title, len(items), 0, "ok", "every eval input stands once")
    message = f"{len(repeated)} eval inputs stand more than once"
    return DataCheck("repeats", title, len(items), len(repeated), "warning", message, repeated)


def contradictions(items: Items) -> DataCheck:
    """Return the check on inputs that stand twice with answers that do not agree.

    One of them is wrong, or the input does not say enough to tell the two apart. Only for tasks with one right answer:
    two translations of a sentence, or two summaries, do not contradict each other.
    """
    n = len(items.eval)
    pairs = list(_contradicting(items.eval))
    trained = sum(1 for split in (items.train, items.dev) for _ in _contradicting(split))
    message = "no input of eval, train or dev has two answers that contradict each other"
    if pairs:
        named = some([f"{item.example.id} and {other.example.id}" for item, other in pairs])
        message = f"{len(pairs)} of {n} eval inputs stand twice with answers that do not agree: {named}"
        message += f", and {trained} of train and dev" if trained else ""
    elif trained:
        message = f"{trained} inputs of train or dev stand twice with answers that do not agree"
    severity = by_share(len(pairs), n) if pairs or not trained else "note"
    ids = tuple(item.example.id for item, _ in pairs)
    hint = "drop the wrong one, or say in the input what tells the two apart" if pairs or trained else ""
    return DataCheck("contradictions", "the same input, another answer", n, len(pairs), severity, message, ids, hint)


def _contradicting(items: Iterable[Item]) -> Iterator[tuple[Item, Item]]:
    """Yield each item with the first one of the same input, where no answer fits both."""
    first: dict[str, Item] = {}
    for item in items:
        other = first.setdefault(item.key, item)
        if not same_answer(item.example, other.example):
            yield item, other


def unanswerable(splits: Splits) -> DataCheck:
    """Return the share of eval examples that cannot be answered; a warning where they are most of them."""
    n, ids = len(splits.eval), tuple(example.id for example in splits.eval if not example.answerable)
    title = "eval examples that cannot be answered"
    if not ids:
        return DataCheck("unanswerable", title, n, 0, "ok", "every eval example has an answer")
    message = f"{len(ids)} of {n} eval examples cannot be answered ({len(ids) / n:.0%})"
    if 2 * len(ids) > n:
        message += ": the scores measure abstaining more than answering"
        return DataCheck("unanswerable", title, n, len(ids), "warning", message, ids)
    if splits.train and all(example.answerable for example in splits.train):
        message += ", and no example of train is such: nothing teaches an adapter to abstain"
    return DataCheck("unanswerable", title, n, len(ids), "note", message, ids)


def references(
    examples: Sequence[Example], max_new_tokens: int | None, n_tokens: Callable[[str], int]
) -> Iterator[DataCheck]:
    """Yield the checks on references without a letter or digit, and on those that an answer has no room for."""
    answerable = [example for example in examples if example.references]
    blank = tuple(example.id for example in answerable if not any(_has_word(text) for text in example.references))
    title, message = "references without a letter or digit", "every eval example has a reference in words"
    if blank:
        message = (
            f"{len(blank)} of {len(answerable)} eval examples have no reference with a letter or digit: metrics that "
            f"ignore punctuation cannot tell right from wrong there: {some(blank)}"
        )
    severity = by_share(len(blank), len(answerable))
    yield DataCheck("blank_references", title, len(answerable), len(blank), severity, message, blank)
    if max_new_tokens is not None:
        yield _long_references(answerable, max_new_tokens, n_tokens)


def _has_word(text: str) -> bool:
    return re.search(r"[^\W_]", text) is not None


def _long_references(examples: Sequence[Example], room: int, n_tokens: Callable[[str], int]) -> DataCheck:
    shortest = [(example.id, min(n_tokens(text) for text in example.references)) for example in examples]
    long = tuple(id_ for id_, tokens in shortest if tokens > room)
    title, n = "references longer than an answer may be", len(examples)
    if not long:
        message = f"every eval example has a reference of at most {room} tokens (generation.max_new_tokens)"
        return DataCheck("long_references", title, n, 0, "ok", message)
    message = (
        f"{len(long)} of {n} eval examples have no reference of at most {room} tokens (generation.max_new_tokens), the "
        f"longest {max(tokens for _, tokens in shortest)}: no arm can say them in full: {some(long)}"
    )
    hint = "raise generation.max_new_tokens"
    return DataCheck("long_references", title, n, len(long), by_share(len(long), n), message, long, hint)
