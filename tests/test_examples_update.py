"""`data.update`: second versions of documents in the place of the first, and the examples whose answers they change."""

from __future__ import annotations

import pytest
from conftest import SmallExperiment, documents, question
from harbour_update import changed_rows, second_version, update
from probe_kits import bench_of

from ragft.errors import DataError


def test_documents_are_replaced_by_their_id_and_new_ones_come_last(experiment: SmallExperiment) -> None:
    new = {"id": "kelmouth", "title": "The harbour of Kelmouth", "text": "The lighthouse of Kelmouth is striped."}
    update(experiment).rows("documents-v2", [*second_version(), new])
    bench = bench_of(experiment)
    before = {document.id: document for document in bench.documents}
    after = {document.id: document for document in bench.updated_documents}
    assert list(after) == [*(row["id"] for row in documents()), "kelmouth"]
    assert "is green" in before["aldmoor"].text
    assert "is pink" in after["aldmoor"].text
    assert after["corvel"] == before["corvel"]
    assert "kelmouth" not in before


def test_the_experiment_itself_does_not_see_the_update(experiment: SmallExperiment) -> None:
    plain = bench_of(experiment)
    assert plain.updated_documents == plain.documents
    assert (plain.splits.changed, plain.splits.unchanged) == ((), ())
    updated = bench_of(update(experiment))
    assert updated.documents == plain.documents
    assert updated.splits.eval == plain.splits.eval
    assert updated.splits.train == plain.splits.train


def test_old_answers_are_read_beside_the_new_ones(experiment: SmallExperiment) -> None:
    splits = bench_of(update(experiment)).splits
    found = [(example.references, example.old_references) for example in splits.changed]
    assert found == [(("pink",), ("green",)), (("gold",), ("red",)), (("silver",), ("black",))]
    assert [example.id for example in splits.unchanged] == ["u-corvel", "u-elmsund"]
    assert all(example.old_references == () for example in (*splits.eval, *splits.train, *splits.unchanged))


def test_old_answers_may_be_one_text_under_a_foreign_name(experiment: SmallExperiment) -> None:
    rows = [
        {**{k: v for k, v in row.items() if k != "old_references"}, "was": row["old_references"][0]}
        for row in changed_rows()
    ]
    update(experiment).rows("changed", rows)
    experiment.config["data"]["fields"] = {"old_references": "was"}
    found = bench_of(experiment).splits.changed
    assert [example.old_references for example in found] == [("green",), ("red",), ("black",)]


def test_an_update_may_lack_old_answers_and_unchanged_facts(experiment: SmallExperiment) -> None:
    update(experiment).rows("changed", [question("c1", "Which colour has Aldmoor?", "pink", "aldmoor")])
    del experiment.config["data"]["update"]["unchanged"]
    splits = bench_of(experiment).splits
    assert splits.changed[0].old_references == ()
    assert splits.unchanged == ()


def test_a_changed_example_without_an_answer_is_a_fault_at_its_line(experiment: SmallExperiment) -> None:
    rows = changed_rows()
    rows[1]["references"] = []
    update(experiment).rows("changed", rows)
    with pytest.raises(DataError, match=r"changed\.jsonl:2"):
        _ = bench_of(experiment).splits


def test_every_file_of_the_update_is_an_input(experiment: SmallExperiment) -> None:
    names = [path.name for path in bench_of(update(experiment)).input_files()]
    assert {"documents-v2.jsonl", "changed.jsonl", "unchanged.jsonl"} <= set(names)
    assert len(names) == len(set(names))


def test_an_update_without_changed_examples_is_a_fault(experiment: SmallExperiment) -> None:
    update(experiment).config["data"]["update"].pop("changed")
    result = experiment.save().run("validate")
    assert result.exit_code == 1
    assert "data.update.changed" in result.output
