"""How related a question must be to the documents before a model is asked: as related as the experiment's own are.

A question about something else still has a nearest passage, and a small model answers from it. What "near" means is
different for every embedder and collection, so it is measured: on questions whose answers stand in the documents.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ragft import jsonl, provenance
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge, drawn
from ragft.config.variants import with_values
from ragft.records import Example, RankedPassage

LEAST = 20
"""Examples with gold documents that a floor needs: of fewer, the lowest says little."""

MOST = 200
"""Examples that are embedded for a floor at most: a second or two on two cores."""

PERCENTILE = 1.0

PLAIN = {"retrieval.kind": "dense", "retrieval.reranker": None, "retrieval.mmr": None, "retrieval.min_score": None}


@dataclass(frozen=True, slots=True)
class Floor:
    """The cosine to the nearest passage that all but the least related of `questions` examples reach."""

    cosine: float
    questions: int


class Relevance:
    """Compares questions with the experiment's own by the cosine to their nearest passage."""

    def __init__(self, bench: Bench, knowledge: Knowledge) -> None:
        self._bench = bench
        self._knowledge = knowledge

    @property
    def applies(self) -> bool:
        """Whether the retriever embeds questions; BM25 scores have no scale that questions share."""
        return self._bench.experiment.retrieval.kind != "bm25"

    def floor(self) -> Floor | None:
        """Return the floor, kept in the workspace by index, filter and questions; None where there can be none.

        It is the 1st percentile, taken downwards (never between two values), of the cosine between each drawn example
        and the passage nearest to it: no more than one in a hundred of the questions themselves lies below it.
        """
        examples = self._drawn if self.applies else []
        if len(examples) < LEAST:
            return None
        path = self._path(examples)
        self._knowledge.refer(path)
        if path.exists():
            return Floor(**json.loads(path.read_text(encoding="utf-8")))
        found = [item.score for item in self.nearest_to_each([example.input for example in examples]) if item]
        if len(found) < LEAST:
            return None
        floor = Floor(float(np.percentile(found, PERCENTILE, method="lower")), len(found))
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.write_json(path, asdict(floor))
        return floor

    def nearest(self, queries: Sequence[str]) -> RankedPassage | None:
        """Return the passage with the highest cosine to any of the queries; None where the filter leaves none."""
        found = [item for item in self.nearest_to_each(queries) if item is not None]
        return max(found, key=lambda item: item.score, default=None)

    def nearest_to_each(self, queries: Sequence[str]) -> list[RankedPassage | None]:
        """Return the nearest passage of each query by cosine; None where the filter leaves none."""
        rankings = self._dense.rankings([Example("query", query, (), answerable=False) for query in queries])
        return [ranking.passages[0] if ranking.passages else None for ranking in rankings]

    @cached_property
    def _dense(self) -> Knowledge:
        """The same passages ranked by cosine alone; the experiment's own rankings where they are that."""
        retrieval = self._bench.experiment.retrieval
        # With maximal marginal relevance the first passage is still the nearest one.
        if retrieval.kind == "dense" and retrieval.reranker is None and retrieval.min_score is None:
            return self._knowledge
        return Knowledge(self._bench.variant(with_values(self._bench.experiment, PLAIN)))

    @cached_property
    def _drawn(self) -> list[Example]:
        """The examples that answers in the documents are known for, at most `MOST`, drawn by the seed."""
        splits, seed = self._bench.splits, self._bench.experiment.seed
        known = [e for e in (*splits.train, *splits.dev, *splits.eval) if e.gold_document_ids and e.answerable]
        return sorted(known, key=lambda example: (drawn(seed, "relevance", example.id), example.id))[:MOST]

    def _path(self, examples: Sequence[Example]) -> Path:
        identity = {
            "index": self._knowledge.fingerprint,
            "embedder": self._bench.embedder_identity,
            "filter": self._bench.experiment.retrieval.model_dump(mode="json")["filter"],
            "questions": [example.input for example in examples],
            "code": provenance.code_fingerprint("arms/relevance.py"),
        }
        return self._bench.workspace.relevance_path(provenance.fingerprint(identity))
