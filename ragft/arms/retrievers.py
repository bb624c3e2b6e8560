"""Retrievers side by side over one index: dense, BM25, hybrid, and the experiment's own where it is another.

The rankings are only measured here. What an arm reads comes from `Knowledge`, and always from the experiment's own
retriever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from ragft import jsonl, provenance
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge, query_key, search_fused
from ragft.config.knowledge import RetrievalConfig
from ragft.evaluation.retrieval import DEPTH
from ragft.records import Example, RankedPassage, Ranking
from ragft.retrieval.fusion import fused
from ragft.retrieval.retriever import Retriever

Kind = Literal["dense", "bm25", "hybrid"]
KINDS: tuple[Kind, ...] = ("dense", "bm25", "hybrid")

VERSION = 1
"""Rises whenever the rankings below could change, so that those of an older version are not read."""

PAGE = 64
"""Questions that are embedded, searched for and written down at once."""

Ranked = list[RankedPassage]


def plain(config: RetrievalConfig, kind: Kind) -> RetrievalConfig:
    """Return the settings of a kind with nothing behind it: no reranker, diversity, filter or lowest score."""
    off: dict[str, Any] = {"reranker": None, "mmr": None, "filter": {}, "min_score": None}
    return config.model_copy(update={"kind": kind, **off})


def title(config: RetrievalConfig) -> str:
    """Return the name of a retriever, such as "hybrid" or "dense+reranker+filter"."""
    steps = {
        "reranker": config.reranker is not None,
        "mmr": config.mmr is not None,
        "filter": bool(config.filter),
        "min_score": config.min_score is not None,
    }
    return "+".join([config.kind, *(name for name, is_on in steps.items() if is_on)])


class SideBySide:
    """Ranks the same questions with every retriever, each as deep as the metrics look.

    The first ten documents of a ranking may need far more than ten passages. A ranking with fewer documents is asked
    for again with twice as many passages, and what is new goes behind what was there, until it has ten or there are
    no more: so it begins as the arms see it, and never ends too early.
    """

    def __init__(self, bench: Bench, knowledge: Knowledge) -> None:
        """Keep the bench and its knowledge; nothing is searched yet."""
        self._bench = bench
        self._knowledge = knowledge
        self._config = bench.experiment.retrieval
        self._asked = max(self._config.candidates, knowledge.depth)
        """Passages of each list that are fused: as many as where an arm asks for hybrid."""

    @property
    def configured(self) -> str:
        """Name of the experiment's own retriever."""
        return title(self._config)

    @property
    def kind(self) -> Kind:
        """The kind that it is or adds something to."""
        return self._config.kind

    def rankings(self, examples: Sequence[Example]) -> dict[str, list[Ranking]]:
        """Return the rankings of the examples by the name of the retriever, the three kinds first."""
        found = self._written({"kinds": self._plain_settings("hybrid")}, examples, self._of_kinds)
        if self.configured not in KINDS:
            own = {"own": self._config.model_dump(mode="json"), "reranker": self._reranker}
            found |= self._written(own, examples, self._own)
        return found

    def _plain_settings(self, kind: Kind) -> dict[str, Any]:
        return plain(self._config, kind).model_dump(mode="json", exclude={"top_k"})

    @property
    def _reranker(self) -> str | None:
        folder = self._bench.reranker_folder
        return None if folder is None else folder.fingerprint

    def _written(
        self,
        settings: Mapping[str, Any],
        examples: Sequence[Example],
        ask: Callable[[Sequence[Example]], dict[str, list[Ranked]]],
    ) -> dict[str, list[Ranking]]:
        """Return rankings by retriever and example; those that no earlier command wrote down are asked for in pages."""
        knowledge = self._knowledge
        identity = [knowledge.fingerprint, "side by side", VERSION, DEPTH, self._asked, settings]
        path = self._bench.workspace.rankings_path(provenance.fingerprint(identity))
        self._knowledge.refer(path)
        known = {row["input_sha256"]: row["ranked"] for page in jsonl.read_journal(path) for row in page["page"]}
        by_input = {self._key(example): example for example in examples}
        missing = [key for key in by_input if key not in known]
        with self._bench.listener.work("Comparing retrievers", len(missing), "questions") as work:
            for start in range(0, len(missing), PAGE):
                keys = missing[start : start + PAGE]
                found = ask([by_input[key] for key in keys])
                rows = [{name: _pairs(ranked[n]) for name, ranked in found.items()} for n in range(len(keys))]
                jsonl.append_row(
                    path,
                    {"page": [{"input_sha256": k, "ranked": row} for k, row in zip(keys, rows, strict=True)]},
                )
                known.update(zip(keys, rows, strict=True))
                work.advance(len(keys))
        names = known[next(iter(by_input))] if by_input else {}
        return {
            name: [self._ranking(example, known[self._key(example)][name]) for example in examples] for name in names
        }

    def _key(self, example: Example) -> str:
        return query_key(self._knowledge.queries(example))

    def _ranking(self, example: Example, pairs: Sequence[tuple[str, float]]) -> Ranking:
        ranked = tuple(RankedPassage(self._knowledge.passage(id_), float(score)) for id_, score in pairs)
        return Ranking(example.id, ranked, 0.0)

    def _of_kinds(self, examples: Sequence[Example]) -> dict[str, list[Ranked]]:
        """Return the three rankings of each example; hybrid is made of the other two, so it costs no search."""
        queries, config = [self._knowledge.queries(example) for example in examples], self._config
        dense, _ = search_fused(self._retrievers["dense"], queries, self._asked, config.rrf_k)
        words, _ = search_fused(self._retrievers["bm25"], queries, self._asked, config.rrf_k)
        weights = (config.weights.dense, config.weights.bm25)
        both = [fused(pair, weights, config.rrf_k, 2 * self._asked) for pair in zip(dense, words, strict=True)]
        first = {"dense": dense, "bm25": words, "hybrid": both}
        return {kind: self._deepened(self._retrievers[kind], queries, first[kind], self._asked) for kind in KINDS}

    @cached_property
    def _retrievers(self) -> dict[Kind, Retriever]:
        return {kind: self._knowledge.retriever_for(plain(self._config, kind)) for kind in KINDS}

    def _own(self, examples: Sequence[Example]) -> dict[str, list[Ranked]]:
        """Return the rankings of the experiment's own retriever, as an arm reads them."""
        knowledge = self._knowledge
        first = [list(ranking.passages) for ranking in knowledge.rankings(examples)]
        queries = [knowledge.queries(example) for example in examples]
        return {self.configured: self._deepened(knowledge.retriever, queries, first, knowledge.depth)}

    def _deepened(
        self, retriever: Retriever, queries: Sequence[Sequence[str]], rankings: Sequence[Ranked], asked: int
    ) -> list[Ranked]:
        total, wanted = len(self._bench.passages), min(DEPTH, self._knowledge.documents)

        def deeper(query: Sequence[str]) -> Callable[[int], Ranked]:
            return lambda count: search_fused(retriever, [query], count, self._config.rrf_k)[0][0]

        return [
            _cut(deepened(ranked, asked, wanted, total, deeper(query)), wanted)
            for query, ranked in zip(queries, rankings, strict=True)
        ]


def deepened(ranked: Ranked, asked: int, wanted: int, total: int, ask: Callable[[int], Ranked]) -> Ranked:
    """Return the ranking with passages of `wanted` documents at least, or all that there are.

    `asked` is how many passages it was asked for (fewer came only if there are no more), `total` how many there are;
    `ask` ranks again to a greater number. The order of what was there stays.
    """
    found, last = list(ranked), ranked
    while len(last) >= asked and asked < total and len(_documents(found)) < wanted:
        asked = min(2 * asked, total)
        last = ask(asked)
        known = {item.passage.id for item in found}
        found += [item for item in last if item.passage.id not in known]
    return found


def _documents(ranked: Sequence[RankedPassage]) -> set[str]:
    return {item.passage.document_id for item in ranked}


def _cut(ranked: Ranked, wanted: int) -> Ranked:
    """Return as much of the ranking as the metrics look at: its first ten passages and its first ten documents."""
    seen: set[str] = set()
    for position, item in enumerate(ranked, start=1):
        seen.add(item.passage.document_id)
        if len(seen) >= wanted and position >= DEPTH:
            return ranked[:position]
    return ranked


def _pairs(ranked: Ranked) -> list[tuple[str, float]]:
    return [(item.passage.id, item.score) for item in ranked]
