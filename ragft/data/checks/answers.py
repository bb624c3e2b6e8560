"""Where answers stand: in gold documents, which should hold them, and in documents that are trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from ragft.data.checks.check import DataCheck, by_share, some
from ragft.data.checks.inputs import normalised, parts_words, stands_in
from ragft.data.examples import Splits
from ragft.records import Document, Example

Supports = Callable[[str, Example], bool]
"""Whether a text holds an answer to an example."""


def gold_checks(
    documents: Sequence[Document], splits: Splits, supports: Supports | None, *, evidence: bool = True
) -> Iterator[DataCheck]:
    """Yield the checks on gold documents; none without documents, and the last only where answers stand in text.

    `evidence` says that answers come out of documents.
    """
    if not documents:
        return
    known = {document.id: document for document in documents}
    yield _gold_missing(known, (*splits.train, *splits.dev, *splits.eval))
    yield _no_gold(splits.eval, grave=evidence)
    if supports is not None:
        yield _gold_lacks_answer(known, splits, supports)


def _gold_missing(known: Mapping[str, Document], examples: Sequence[Example]) -> DataCheck:
    named = [(example.id, gold) for example in examples for gold in example.gold_document_ids]
    lost = [f"{id_} -> {gold}" for id_, gold in named if gold not in known]
    title = "gold document ids without a document"
    if not lost:
        message = f"every gold document id is among the {len(known)} documents"
        return DataCheck("gold_missing", title, len(named), 0, "ok", message)
    message = f"{len(lost)} gold document ids are not among the {len(known)} documents: {some(lost)}"
    return DataCheck(
        "gold_missing", title, len(named), len(lost), "error", message, (), "add the documents, or correct the ids"
    )


def _no_gold(examples: Sequence[Example], *, grave: bool) -> DataCheck:
    """Find answerable eval examples without gold documents: no oracle context, no retrieval metric for them.

    Not looked at where the input is itself a document. A sentence to be translated may well hold no term of the
    glossary, so that is `grave` only where answers come out of documents.
    """
    answerable = [example for example in examples if example.answerable and example.input_document_id is None]
    bare = tuple(example.id for example in answerable if not example.gold_document_ids)
    title = "eval examples without gold documents"
    if not bare:
        message = "every answerable eval example names a gold document"
        return DataCheck("no_gold", title, len(answerable), 0, "ok", message)
    message = f"{len(bare)} answerable eval examples name no gold document: retrieval is not measured on them"
    return DataCheck("no_gold", title, len(answerable), len(bare), "warning" if grave else "note", message, bare)


def _gold_lacks_answer(known: Mapping[str, Document], splits: Splits, supports: Supports) -> DataCheck:
    """Find eval examples none of whose gold documents holds a reference: not even the oracle can answer from them."""
    looked_at = [example for example in splits.eval if _has_gold(known, example)]
    lacking = _lacking(known, looked_at, supports)
    trained = [example for example in (*splits.train, *splits.dev) if _has_gold(known, example)]
    also = _lacking(known, trained, supports)
    title = "gold documents without the answer"
    message = "a gold document of every eval example holds a reference"
    if lacking:
        message = (
            f"{len(lacking)} of {len(looked_at)} eval examples have no gold document that holds a reference, so that "
            f"reading cannot answer them in the words of the reference: {some(lacking)}"
        )
    if also:
        message += f"; of train and dev it is {len(also)} of {len(trained)}"
    severity = "note" if also and not lacking else by_share(len(lacking), len(looked_at))
    hint = "correct the gold ids, or add a reference in the words of the document" if lacking or also else ""
    return DataCheck("gold_lacks_answer", title, len(looked_at), len(lacking), severity, message, tuple(lacking), hint)


def _has_gold(known: Mapping[str, Document], example: Example) -> bool:
    return bool(example.references) and any(gold in known for gold in example.gold_document_ids)


def _lacking(known: Mapping[str, Document], examples: Sequence[Example], supports: Supports) -> list[str]:
    def held(example: Example) -> bool:
        documents = [known[gold] for gold in example.gold_document_ids if gold in known]
        texts = [f"{document.title}\n{document.text}" for document in documents]
        if any(supports(text, example) for text in texts):
            return True
        # A metric may join what a dash or an apostrophe parts ("1986—when", "Tyndale's"): that text holds the answer.
        keys = [normalised(text) for text in texts]
        return any(stands_in(normalised(reference), key) for reference in example.references for key in keys)

    return [example.id for example in examples if not held(example)]


class AnswersIn:
    """Says which answers stand in some documents, as whole words without case and punctuation.

    Documents are looked up by the rarest word of an answer, so that ten thousand answers in a hundred thousand
    documents take seconds.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self._texts = [normalised(f"{document.title} {document.text}") for document in documents]
        self._with_word: dict[str, list[int]] = defaultdict(list)
        for position, text in enumerate(self._texts):
            for word in set(text.split()):
                self._with_word[word].append(position)

    def holds(self, answer: str) -> bool:
        """Return whether the answer stands in one of the documents; an answer without a word never does."""
        key = normalised(answer)
        likely = self._texts
        if key and parts_words(key):
            rarest = min((self._with_word.get(word, []) for word in key.split()), key=len)
            likely = [self._texts[position] for position in rarest]
        return any(stands_in(key, text) for text in likely)
