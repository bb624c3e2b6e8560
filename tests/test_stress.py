"""An experiment whose documents and examples a probe has replaced: everything follows, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace

from conftest import SmallExperiment
from probe_kits import asked_kit, bench_of

from ragft.arms.knowledge import Knowledge
from ragft.arms.round import Round
from ragft.probes.probe import Condition
from ragft.records import Document


def test_other_documents_make_other_passages_and_another_index(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment)
    fewer = bench.stressed(documents=bench.documents[:4])
    assert len(bench.passages) == 10
    assert [passage.document_id for passage in fewer.passages] == [document.id for document in bench.documents[:4]]
    assert Knowledge(fewer).collection != Knowledge(bench).collection
    again = bench.stressed(documents=bench.documents[:4])
    assert Knowledge(again).fingerprint == Knowledge(fewer).fingerprint


def test_versions_of_one_knowledge_base_share_a_collection(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment)
    first = bench.stressed(documents=bench.documents, collection="changing")
    second = bench.stressed(documents=bench.documents[:9], collection="changing")
    assert Knowledge(first).collection == Knowledge(second).collection != Knowledge(bench).collection
    assert Knowledge(first).fingerprint != Knowledge(second).fingerprint


def test_bringing_the_second_version_in_step_embeds_only_what_changed(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment)
    Knowledge(bench.stressed(documents=bench.documents, collection="changing")).sync()
    changed = replace(bench.documents[0], text="The lighthouse of Aldmoor is pink.")
    documents = (changed, *bench.documents[1:9], Document("new", "New", "Nothing lives here."))
    report = Knowledge(bench.stressed(documents=documents, collection="changing")).sync().report
    assert report is not None
    assert (report.added + report.changed, report.unchanged) == (2, 8)
    bench.close()


def test_examples_are_replaced_and_the_rest_stays(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment)
    other = bench.stressed(eval=bench.splits.eval[:3]).stressed(train=bench.splits.train[:5])
    assert len(other.splits.eval) == 3
    assert len(other.splits.train) == 5
    assert other.splits.dev == bench.splits.dev
    assert other.documents is bench.documents


def test_labels_of_a_classification_do_not_shrink_with_its_examples(experiment: SmallExperiment) -> None:
    from conftest import Json

    rows: list[Json] = [
        {"id": f"r{n}", "input": f"Aldmoor {n}", "references": [label], "gold_document_ids": ["aldmoor"]}
        for n, label in enumerate(("yes", "no", "maybe") * 4)
    ]
    for split in ("train", "dev", "eval"):
        experiment.rows(
            split, [{**row, "id": f"{split}{row['id']}", "input": f"{split} {row['input']}"} for row in rows]
        )
    experiment.config["task"] = "classification"
    bench = bench_of(experiment)
    fewer = bench.stressed(train=bench.splits.train[:1], dev=(), eval=bench.splits.eval[:1])
    assert set(fewer.labels) == {"yes", "no", "maybe"}


def test_adapters_of_the_experiment_answer_under_stress(experiment: SmallExperiment) -> None:
    with asked_kit(experiment) as kit:
        bench = kit.bench.stressed(documents=kit.bench.documents[:5], eval=kit.bench.splits.eval[:4])
        told = kit.ask(Condition("fewer documents", bench, ("raft_rag",)))
        assert told.trained == ()
        assert told.round.adapters is kit.round.adapters
        assert told.index is not None
        assert told.index.documents == 5
        known = {document.id for document in bench.documents}
        assert {p.document_id for q in told.asked["raft_rag"].questions for p in q.passages} <= known
        own = Round(bench, kit.run) if kit.run else None
        assert own is not None
        assert own.adapters.fingerprint("closed_book") == kit.round.adapters.fingerprint("closed_book")
