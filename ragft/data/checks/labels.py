"""The labels of a classification: which the experiment lists, which train teaches, and how they are spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ragft.data.checks.check import DataCheck, by_share, some
from ragft.data.examples import Splits

LOPSIDED = 0.8
"""Share of the commonest label from which on always saying it scores so well that arms hardly differ."""


def label_checks(splits: Splits, labels: Sequence[str]) -> Iterator[DataCheck]:
    """Yield the checks on labels; the label of an example is its first reference."""
    yield _unknown(splits, labels)
    if not any(example.references for example in splits.eval):
        return
    if splits.train:
        yield _unseen(splits)
    yield _balance(splits)


def _unknown(splits: Splits, labels: Sequence[str]) -> DataCheck:
    examples = (*splits.train, *splits.dev, *splits.eval)
    wrong = {example.id: text for example in examples for text in example.references if text not in labels}
    title = "labels that task.labels does not list"
    if not wrong:
        message = f"every label is one of {some(labels)}"
        return DataCheck("labels_unknown", title, len(examples), 0, "ok", message)
    named = some([f"{id_}: {text}" for id_, text in wrong.items()])
    message = f"{len(wrong)} of {len(examples)} examples have a label that is not among task.labels: {named}"
    hint = f"correct them, or add them to task.labels ({', '.join(labels)})"
    return DataCheck("labels_unknown", title, len(examples), len(wrong), "error", message, (), hint)


def _unseen(splits: Splits) -> DataCheck:
    taught = {example.references[0] for example in splits.train if example.references}
    labelled = [example for example in splits.eval if example.references]
    unseen = [example for example in labelled if example.references[0] not in taught]
    title, n = "labels of eval that train lacks", len(labelled)
    if not unseen:
        return DataCheck("labels_unseen", title, n, 0, "ok", "train has every label of eval")
    names = some(sorted({example.references[0] for example in unseen}))
    message = f"{len(unseen)} of {n} eval examples have a label that no example of train has: {names}"
    ids, hint = tuple(example.id for example in unseen), "add examples of these labels to train"
    return DataCheck("labels_unseen", title, n, len(unseen), by_share(len(unseen), n), message, ids, hint)


def _balance(splits: Splits) -> DataCheck:
    """Return how the labels of eval are spread; `found` counts the commonest one where it is `LOPSIDED`."""
    counts = Counter(example.references[0] for example in splits.eval if example.references)
    n, (label, most) = counts.total(), counts.most_common(1)[0]
    spread = some([f"{name} {count}" for name, count in counts.most_common()])
    message = f"always saying {label} would be right in {most / n:.0%} ({spread})"
    trained = Counter(example.references[0] for example in splits.train if example.references)
    message += f"; in train {some([f'{name} {count}' for name, count in trained.most_common()])}" if trained else ""
    title = "how the labels of eval are spread"
    if most < LOPSIDED * n:
        return DataCheck("label_balance", title, n, 0, "ok", message)
    hint = "read macro_f1 beside the accuracy: it counts every label alike"
    return DataCheck("label_balance", title, n, most, "warning", message, (), hint)
