"""Which examples are not independent evidence: they are drawn together."""

from __future__ import annotations

from collections.abc import Sequence

from ragft.records import Example


def cluster_of(example: Example) -> str:
    """Return what the example is drawn with: its input's or its first gold document, else its group, else itself."""
    if example.input_document_id is not None:
        return f"document:{example.input_document_id}"
    if example.gold_document_ids:
        return f"document:{example.gold_document_ids[0]}"
    return f"group:{example.group}" if example.group else f"example:{example.id}"


def clusters(examples: Sequence[Example]) -> dict[str, str]:
    """Return example id -> cluster; questions on one document are not independent evidence."""
    return {example.id: cluster_of(example) for example in examples}
