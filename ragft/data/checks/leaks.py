"""Is an eval input, its fact or its answer also among what an adapter is trained on, and a dev input in train?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ragft.data.checks.answers import AnswersIn
from ragft.data.checks.check import DataCheck, by_share, some
from ragft.data.checks.inputs import Item, Items, same_answer
from ragft.data.checks.near import Finder, Near
from ragft.records import Document, Example

Pairs = list[tuple[Item, Item]]
"""An item that is looked at, and the one among those that are trained on which it equals."""


def leaks(items: Items, *, allowed: bool) -> Iterator[DataCheck]:
    """Yield the checks on eval inputs that are trained on: letter for letter, and normalised, which has both kinds."""
    taught = items.taught
    if not taught:
        return
    same = _equal(items.eval, taught, lambda item: item.text)
    yield _leak_exact(same, len(items.eval))
    yield _leakage(_equal(items.eval, taught, lambda item: item.key), len(items.eval), allowed)


def _equal(items: Sequence[Item], others: Sequence[Item], key: Callable[[Item], str]) -> Pairs:
    known = {key(other): other for other in others}
    return [(item, known[key(item)]) for item in items if key(item) in known]


def _leak_exact(pairs: Pairs, n: int) -> DataCheck:
    """Return a note at most: what is wrong with these pairs is said by `leakage`, which counts them too."""
    title = "eval inputs in train, letter for letter"
    if not pairs:
        message = "no eval input stands letter for letter in train or dev"
        return DataCheck("leak_exact", title, n, 0, "ok", message)
    message = f"{len(pairs)} of {n} eval inputs stand letter for letter in train or dev; the next row counts them too"
    return DataCheck("leak_exact", title, n, len(pairs), "note", message, _ids(pairs))


def _leakage(pairs: Pairs, n: int, allowed: bool) -> DataCheck:
    title = "eval inputs in train, but for case and punctuation"
    if not pairs:
        return DataCheck("leakage", title, n, 0, "ok", "no eval input also stands in train or dev")
    message = f"{len(pairs)} of {n} eval inputs also stand in train or dev: {_named(pairs)}"
    hint = "remove them, or set data.allow_leakage: true and read the caveat"
    return DataCheck("leakage", title, n, len(pairs), "warning" if allowed else "error", message, _ids(pairs), hint)


def leak_near(items: Items, find: Finder, likeness: str) -> Iterator[DataCheck]:
    """Yield the check on eval inputs that nearly stand in train or dev; `likeness` says how that is measured.

    Those that stand there altogether are left to `leakage`. A near-duplicate with the same answer can be answered from
    memory, one with another answer (the same pattern about something else) cannot: only the first kind is a warning.
    """
    if not items.taught:
        return
    pairs = near_pairs(items.eval, items.taught, find)
    copied = [(item, other) for item, other in pairs if same_answer(item.example, other.example)]
    others = [(item, other) for item, other in pairs if not same_answer(item.example, other.example)]
    title, n = "eval inputs that are nearly one of train", len(items.eval)
    message = f"no eval input is nearly one of train or dev ({likeness})"
    if pairs:
        message = (
            f"{len(pairs)} of {n} eval inputs are nearly one of train or dev ({likeness}), {len(copied)} of them with "
            f"the same answer: {_named([*copied, *others])}"
        )
    severity = by_share(len(copied), n) if copied or not pairs else "note"
    hint = "remove those with the same answer from train: an adapter can answer them from memory" if copied else ""
    yield DataCheck("leak_near", title, n, len(pairs), severity, message, _ids(pairs), hint)


def near_pairs(items: Sequence[Item], others: Sequence[Item], find: Finder) -> Pairs:
    """Return each item with the nearest other that is nearly, and not altogether, the same."""
    known = {other.key for other in others}
    left = [item for item in items if item.key not in known]
    near: list[Near] = find([item.key for item in left], [other.key for other in others])
    return [(left[one.text], others[one.other]) for one in near]


def dev_in_train(items: Items, find: Finder | None, likeness: str) -> Iterator[DataCheck]:
    """Yield the check on dev inputs that stand in train, near ones too where a finder is given.

    The eval scores stay sound: what suffers is what dev is for, early stopping and the choice of settings.
    """
    if not (items.train and items.dev):
        return
    equal = _equal(items.dev, items.train, lambda item: item.key)
    near = near_pairs(items.dev, items.train, find) if find is not None else []
    n, found = len(items.dev), len(equal) + len(near)
    nearly = f" or nearly do ({likeness})" if find is not None else ""
    message = f"no dev inputs stand in train{nearly}"
    if found:
        how = f"{len(equal)} the same, {len(near)} nearly ({likeness})" if find is not None else "the same"
        message = (
            f"{found} of {n} dev inputs stand in train ({how}): the dev loss then sees learning by heart as learning: "
            f"{_named([*equal, *near])}"
        )
    hint = "remove them from one of the two files" if found else ""
    severity = by_share(len(equal), n) if equal or not near else "note"
    yield DataCheck("dev_in_train", "dev inputs in train", n, found, severity, message, (), hint)


def shared_facts(items: Items) -> Iterator[DataCheck]:
    """Yield the checks on facts (`data.fields.group`) that train asks about and eval or dev too, in other words.

    No more than a note: to teach a fact in one phrasing and ask for it in another is how one learns whether tuning
    teaches facts. What the scores then do not say is how an arm does on facts that it was not taught.
    """
    means = "the scores say how well a taught fact is recalled, not how an arm does on others"
    yield from _facts("leak_facts", "eval", items.eval, items.taught, "train or dev teaches", means)
    means = "the dev loss falls with facts learnt by heart"
    yield from _facts("dev_facts", "dev", items.dev, items.train, "train teaches", means)


def _facts(
    name: str, split: str, asking: Sequence[Item], teaching: Sequence[Item], who: str, means: str
) -> Iterator[DataCheck]:
    taught = {item.example.group for item in teaching if item.example.group is not None}
    grouped = [item for item in asking if item.example.group is not None]
    if not taught or not grouped:
        return
    ids = tuple(item.example.id for item in grouped if item.example.group in taught)
    message = f"no {split} example asks about a fact that {who}"
    if ids:
        message = f"{len(ids)} of {len(grouped)} {split} examples ask about a fact that {who} in other words: {means}"
    shown = ids if split == "eval" else ()
    yield DataCheck(
        name, f"facts of {split} that are taught", len(grouped), len(ids), "note" if ids else "ok", message, shown
    )


def leak_documents(examples: Sequence[Example], documents: Sequence[Document]) -> DataCheck:
    """Return the check on eval answers that stand in the documents that an adapter reads: a note, for it may be meant.

    Where a document is read in order to know what it says, the answers must stand there; where it is read for its
    style, they should not.
    """
    askable = [example for example in examples if example.references]
    read = AnswersIn(documents)
    held = [example.id for example in askable if any(read.holds(text) for text in example.references)]
    title = "eval answers in the documents that are trained on"
    message = f"no eval answer stands in the {len(documents)} documents that an adapter is trained on"
    if held:
        message = (
            f"{len(held)} of {len(askable)} eval answers stand in a document that an adapter is trained on, short ones "
            f"perhaps by chance: {some(held)}"
        )
    return DataCheck("leak_documents", title, len(askable), len(held), "note" if held else "ok", message, tuple(held))


def _ids(pairs: Pairs) -> tuple[str, ...]:
    return tuple(item.example.id for item, _ in pairs)


def _named(pairs: Pairs) -> str:
    return some([f"{item.example.id} = {other.example.id}" for item, other in pairs])
