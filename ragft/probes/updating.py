"""What an update of the documents brings about: labels to be made again, facts that it leaves alone, an index in step.

The seconds of bringing an index in step belong to the first time: its vectors are known afterwards. So they are kept
in the workspace, by what the index held before and after.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ragft import jsonl, provenance
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge
from ragft.evaluation.answers import normalise
from ragft.records import Document, Example
from ragft.retrieval.store import row_id


@dataclass(frozen=True, slots=True)
class Relabelled:
    """Training and dev examples as an update leaves them.

    `again` of `labels` got new references. `left` are about a changed fact and have other references than its old ones,
    such as a question that asks the other way round: nobody but the user can mend them.
    """

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    again: int
    left: int

    @property
    def labels(self) -> int:
        """How many labelled examples there are."""
        return len(self.train) + len(self.dev)


def relabelled(train: Sequence[Example], dev: Sequence[Example], changed: Sequence[Example]) -> Relabelled:
    """Return the examples with the new references of the facts that changed.

    An example is about a changed fact when it has the group of one of `changed`; where one of the two has no group,
    when it has the same gold document and exactly its old references. Its references become the new ones where one of
    them is an old one, compared as SQuAD does.
    """
    facts = _Facts(changed)
    again = left = 0
    parts: list[tuple[Example, ...]] = []
    for part in (train, dev):
        found = []
        for example in part:
            about = facts.about(example)
            new = next((fact for fact in about if _texts(example.references) & _texts(fact.old_references)), None)
            again += new is not None
            left += bool(about) and new is None
            found.append(example if new is None else _with_labels_of(example, new))
        parts.append(tuple(found))
    return Relabelled(parts[0], parts[1], again, left)


class _Facts:
    """The changed facts, by group and by gold document."""

    def __init__(self, changed: Sequence[Example]) -> None:
        self._by_group: dict[str, list[Example]] = defaultdict(list)
        self._by_document: dict[str, list[Example]] = defaultdict(list)
        for example in changed:
            if example.group is not None:
                self._by_group[example.group].append(example)
            for document in example.gold_document_ids:
                self._by_document[document].append(example)

    def about(self, example: Example) -> list[Example]:
        """Return the changed facts that an example is about."""
        if example.group is not None and example.group in self._by_group:
            return self._by_group[example.group]
        beside = [fact for document in example.gold_document_ids for fact in self._by_document.get(document, ())]
        return [
            fact
            for fact in beside
            if (example.group is None or fact.group is None)
            and _texts(example.references) == _texts(fact.old_references)
        ]


def _texts(references: Iterable[str]) -> set[str]:
    return {normalise(reference) for reference in references}


def _with_labels_of(example: Example, new: Example) -> Example:
    return replace(example, references=new.references, answerable=new.answerable)


def touched_documents(bench: Bench) -> frozenset[str]:
    """Return the ids of the documents that the update changes or adds."""
    before = {document.id: document for document in bench.documents}
    return frozenset(new.id for new in bench.updated_documents if _differs(before.get(new.id), new))


def _differs(old: Document | None, new: Document) -> bool:
    return old is None or (old.title, old.text) != (new.title, new.text)


def kept_facts(bench: Bench) -> tuple[Example, ...]:
    """Return the examples whose answers the update leaves alone: the user's, else those of eval that it cannot reach.

    Of eval are left out the unanswerable ones, those whose gold documents were updated, and the changed facts.
    """
    splits = bench.splits
    changed = {example.id for example in splits.changed}
    if splits.unchanged:
        found = [example for example in splits.unchanged if example.answerable]
    else:
        touched, groups = touched_documents(bench), {e.group for e in splits.changed if e.group is not None}
        inputs = {example.input for example in splits.changed}
        found = [
            example
            for example in splits.eval
            if example.answerable
            and touched.isdisjoint((*example.gold_document_ids, example.input_document_id))
            and example.group not in groups
            and example.input not in inputs
        ]
    return tuple(replace(one, id=f"unchanged {one.id}") if one.id in changed else one for one in found)


@dataclass(frozen=True, slots=True)
class IndexUpdate:
    """What bringing an index in step with an update took.

    `embedded` passages are new or changed, of `passages` that there are now. `earlier` says that an earlier command
    measured it.
    """

    seconds: float
    embedded: int
    passages: int
    earlier: bool = False


class IndexStep:
    """The index of the documents before the update, brought in step with them after it.

    Both benches name the same collection.
    """

    def __init__(self, before: Bench, after: Bench) -> None:
        self._before = before
        self._after = after

    def known(self) -> IndexUpdate | None:
        """Return what it took when it was measured on this machine, None where it never was."""
        path = self._path
        if not path.exists():
            return None
        row = next(row for _, row in jsonl.read_rows(path))
        return IndexUpdate(float(row["seconds"]), int(row["embedded"]), int(row["passages"]), earlier=True)

    def expected_s(self) -> float:
        """Return about how many seconds it takes to measure it, 0 where it was."""
        if self.known() is not None:
            return 0.0
        before = {row_id(passage) for passage in self._before.passages}
        fresh = sum(row_id(passage) not in before for passage in self._after.passages)
        return 1.0 + len(self._before.passages) / 500 + fresh / 30

    def take(self) -> IndexUpdate:
        """Bring the index in step, and return what that took: comparing, embedding what is new, writing it.

        The first time, what is new is embedded even where its vectors are known, else the time would mean nothing.
        Reading and cutting the documents, and loading the embedder, are not counted.
        """
        after, known = Knowledge(self._after), self.known()
        if known is not None:
            after.sync()
            return known
        Knowledge(self._before).sync()
        _ready = (self._after.embedder, self._after.reranker)  # loaded before the clock starts
        began = time.perf_counter()
        state = after.sync(anew=True)
        _searchable = after.retriever  # the index of words is made again here, where retrieval has one
        seconds = time.perf_counter() - began
        report = state.report
        embedded = 0 if report is None else report.added + report.changed
        found = IndexUpdate(seconds, embedded, state.passages)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.write_rows(self._path, [asdict(found)])
        return found

    @property
    def _path(self) -> Path:
        machine = provenance.hardware()
        indexes = [Knowledge(bench, planning=True).fingerprint for bench in (self._before, self._after)]
        key = provenance.fingerprint([*indexes, machine["processor"], machine["cores"]])
        return self._after.workspace.update_path(key)
