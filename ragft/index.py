"""The command `index`: bring the index in step with the documents, and measure how well each retriever finds them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ragft.arms.bench import Bench
from ragft.arms.knowledge import IndexState, Knowledge
from ragft.arms.relevance import Relevance
from ragft.arms.retrieval_quality import (
    RetrievalQuality,
    evaluate_retrieval,
    has_gold,
    quality_facts,
    quality_rows,
    write_trec,
)
from ragft.arms.upkeep import Pruned, prune
from ragft.data.sources import SetAside
from ragft.errors import RagftError
from ragft.runs import Run


@dataclass(frozen=True, slots=True)
class IndexResult:
    """What the index holds, what changed, what was set aside, and how well each retriever finds what it should.

    `retrieval` is None where that was not asked for, or where no eval example says what is to be found.
    """

    state: IndexState
    retrieval: RetrievalQuality | None
    set_aside: tuple[SetAside, ...] = ()
    pruned: Pruned | None = None


def index(
    bench: Bench, run: Run, *, rebuild: bool = False, evaluate: bool = True, drop_unused: bool = False
) -> IndexResult:
    """Embed what is new or changed, drop what is gone, and write retrieval metrics into the run folder."""
    if not bench.experiment.data.documents:
        raise RagftError("the experiment names no documents", "add data.documents")
    run.inputs(bench.input_files())
    bench.check(min_examples=1)
    run.write_rows("set_aside.jsonl", bench.reading.set_aside)
    knowledge = Knowledge(bench)
    with run.stage("index"):
        state = knowledge.sync(rebuild=rebuild)
    run.note(fingerprints={"index": state.fingerprint})
    with run.stage("relevance"):  # here, or the first question of `rag-query` waits for it
        Relevance(bench, knowledge).floor()
    quality = None
    if evaluate and has_gold(bench):
        with run.stage("retrieve"):
            rankings = knowledge.rankings(bench.splits.eval)
        with run.stage("compare retrievers"):
            quality = evaluate_retrieval(bench, knowledge)
        run.write_rows("rankings.jsonl", rankings)
    if quality is not None:
        write_trec(run, quality)
    pruned = None
    if drop_unused:
        with run.stage("prune"):
            pruned = prune(bench.workspace, bench.experiment.index.store)
    more = {} if pruned is None else {"pruned": asdict(pruned)}
    run.write_json("metrics.json", {"index": asdict(state), **retrieval_part(quality), **more})
    return IndexResult(state, quality, bench.reading.set_aside, pruned)


def retrieval_part(quality: RetrievalQuality | None) -> dict[str, Any]:
    """Return what metrics.json and `--json` say of retrieval: a row for each metric, and the differences."""
    if quality is None:
        return {"retrieval": [], "retrievers": None}
    return {"retrieval": quality_rows(quality), "retrievers": quality_facts(quality)}
