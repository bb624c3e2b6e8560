"""The command `index`: bring the index in step with the documents, and measure retrieval on the gold documents."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ragft.arms.bench import Bench
from ragft.arms.knowledge import IndexState, Knowledge
from ragft.arms.measuring import retrieval_estimates
from ragft.data.sources import SetAside
from ragft.errors import RagftError
from ragft.records import Estimate
from ragft.runs import Run


@dataclass(frozen=True, slots=True)
class IndexResult:
    """What the index holds, what changed, what was set aside, and how well it finds gold documents.

    `retrieval` is empty where no example names a gold document.
    """

    state: IndexState
    retrieval: tuple[Estimate, ...]
    set_aside: tuple[SetAside, ...] = ()


def index(bench: Bench, run: Run, *, rebuild: bool = False, evaluate: bool = True) -> IndexResult:
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
    estimates: tuple[Estimate, ...] = ()
    if evaluate and any(example.gold_document_ids for example in bench.splits.eval):
        with run.stage("retrieve"):
            rankings = knowledge.rankings(bench.splits.eval)
        estimates = retrieval_estimates(bench, rankings)
        run.write_rows("rankings.jsonl", rankings)
    run.write_json("metrics.json", {"index": asdict(state), "retrieval": [asdict(item) for item in estimates]})
    return IndexResult(state, estimates, bench.reading.set_aside)
