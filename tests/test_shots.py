"""Few-shot examples: the same ones for the same seed, the nearest ones by likeness, and never the answer itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import SmallExperiment
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.arms.bench import Bench
from ragft.arms.listening import Silence
from ragft.arms.shots import Shots
from ragft.config import ChatTask, ClassificationTask, QaTask, load_experiment
from ragft.data.examples import Splits
from ragft.errors import DataError
from ragft.prompts import Shot
from ragft.records import Example, Turn
from ragft.retrieval.embedder import Embedder
from ragft.retrieval.embedding import Vectors, unit
from ragft.retrieval.vector_cache import VectorCache
from ragft.tasks import Task, task_of
from ragft.workspace import Workspace

WORDS = ("light", "harbour", "ferry", "otter", "bell", "storm")
CALM = settings(deadline=None, max_examples=40)


class CountsWords:
    """Embeds a text by how often each of six words stands in it, and remembers what it was asked to embed."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def queries(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return unit([[text.split().count(word) for word in WORDS] for text in texts])

    def documents(self, texts: Sequence[str]) -> Vectors:
        raise AssertionError("an example is asked, and stands in no index")


class FakeBench:
    """The part of a bench that shots need; `embedder` is None where nothing may be embedded."""

    def __init__(self, train: Sequence[Example], folder: Path, seed: int = 17, task: Task | None = None) -> None:
        self.experiment = SimpleNamespace(seed=seed)
        self.task = task or task_of(QaTask(kind="qa"))
        self.splits = Splits(tuple(train), (), ())
        self.listener = Silence()
        self.vectors = VectorCache(folder, "counts-words")
        self.embedder = CountsWords()


def example(id_: str, text: str, group: str | None = None) -> Example:
    return Example(id_, text, (f"answer {id_}",), group=group)


def plain(count: int) -> list[Example]:
    return [example(f"t{number}", f"question {number}") for number in range(count)]


def ids(chosen: list[list[Shot]]) -> list[list[str]]:
    return [[shot.example.id for shot in shots] for shots in chosen]


def test_no_shots_read_no_examples() -> None:
    broken: Any = SimpleNamespace()
    assert Shots(broken).chosen(0, "similarity", plain(2)) == [[], []]


@pytest.mark.parametrize(("n_train", "count"), [(10, 3), (300, 3), (300, 8), (3, 5)])
@pytest.mark.parametrize("seed", [17, 18])
def test_without_groups_the_draw_is_random_sample_of_the_seed(
    tmp_path: Path, seed: int, n_train: int, count: int
) -> None:
    """Another draw would be other prompts: every answer of an earlier version would have to be asked again."""
    train = plain(n_train)
    expected = [one.id for one in random.Random(seed).sample(train, min(count, n_train))]
    bench: Any = FakeBench(train, tmp_path, seed)
    asked = [example("e1", "where?"), example("e2", "when?")]
    assert ids(Shots(bench).chosen(count, "seed", asked)) == [expected, expected]


def test_a_shot_is_a_training_example_with_what_a_model_is_trained_to_say(tmp_path: Path) -> None:
    bench: Any = FakeBench([Example("t0", "Who?", (), answerable=False)], tmp_path)
    [[shot]] = Shots(bench).chosen(1, "seed", [example("e1", "where?")])
    assert shot == Shot(bench.splits.train[0], "I don't know")
    classes = task_of(ClassificationTask(kind="classification", labels=("a", "b")))
    wrong: Any = FakeBench(plain(1), tmp_path, task=classes)
    with pytest.raises(DataError, match="example 't0'"):
        Shots(wrong).chosen(1, "seed", [example("e1", "where?")])


def test_the_next_one_drawn_takes_the_place_of_an_example_that_gives_the_answer_away(tmp_path: Path) -> None:
    train = [example("t0", "A  LIGHT?"), example("t1", "b", "fact1"), *plain(20)[2:]]
    shots = Shots(bench_of(train, tmp_path))
    [everybody] = ids(shots.chosen(20, "seed", [example("e0", "other")]))
    [others, same_input, same_fact] = ids(
        shots.chosen(20, "seed", [example("e0", "x"), example("e1", "a light?"), example("e2", "c", "fact1")])
    )
    assert others == everybody
    assert same_input == [id_ for id_ in everybody if id_ != "t0"]
    assert same_fact == [id_ for id_ in everybody if id_ != "t1"]
    first = everybody[0]
    [three] = ids(shots.chosen(3, "seed", [example("e3", next(one.input for one in train if one.id == first))]))
    [usual] = ids(shots.chosen(3, "seed", [example("e0", "x")]))
    # Where the excluded one is not among the first three nothing moves; where it is, one more is drawn behind them.
    assert (three == usual) == (first not in usual)
    assert len(set(three)) == 3
    assert first not in three


def bench_of(train: Sequence[Example], folder: Path) -> Any:
    return FakeBench(train, folder)


@pytest.mark.parametrize("by", ["seed", "similarity"])
@CALM
@given(data=st.data())
def test_no_two_shots_tell_one_fact_and_none_tells_the_examples_own(tmp_path_factory: Any, by: Any, data: Any) -> None:
    words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
    groups = st.sampled_from([None, "f1", "f2", "f3"])
    rows = data.draw(st.lists(st.tuples(words, groups), min_size=1, max_size=12))
    train = [example(f"t{number}", text, group) for number, (text, group) in enumerate(rows)]
    asked = example("e1", data.draw(words), data.draw(groups))
    count = data.draw(st.integers(1, 6))
    bench = bench_of(train, tmp_path_factory.mktemp("vectors"))
    [shots] = Shots(bench).chosen(count, by, [asked])
    told = [shot.example for shot in shots]
    facts = [one.group for one in (*told, asked) if one.group]
    assert len(facts) == len(set(facts))
    assert len({one.input for one in (*told, asked)}) == len(told) + 1
    # As many as asked for, unless every other one tells what a chosen one or the example tells.
    left = [one for one in train if one.group not in facts and one.input not in {o.input for o in (*told, asked)}]
    assert len(told) == count or not left


SEA = [
    example("t0", "bell storm storm"),
    example("t1", "light harbour"),
    example("t2", "light light harbour"),
    example("t3", "otter"),
    example("t4", "light", "keeper"),
    example("t5", "harbour light"),
]


def test_by_similarity_the_nearest_stand_last(tmp_path: Path) -> None:
    """The cosines to "light": t4 1, t2 2/sqrt(5) = 0.894, t1 and t5 1/sqrt(2) = 0.707 each, the others 0.

    Equally near ones go by their place in the file: t1 is chosen before t5, and stands nearer to the question.
    """
    shots = Shots(bench_of(SEA, tmp_path))
    asked = [example("e1", "light ?"), example("e2", "light ?", "keeper"), example("e3", "the light harbour .")]
    assert ids(shots.chosen(3, "similarity", asked)) == [["t1", "t2", "t4"], ["t5", "t1", "t2"], ["t2", "t5", "t1"]]
    assert ids(shots.chosen(9, "similarity", asked[:1])) == [["t3", "t0", "t5", "t1", "t2", "t4"]]


def test_pages_of_examples_are_chosen_for_as_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [example(f"e{number}", f"{word} {other} ?") for number, word in enumerate(WORDS) for other in WORDS]
    whole = Shots(bench_of(SEA, tmp_path)).chosen(2, "similarity", asked)
    monkeypatch.setattr("ragft.arms.shots._PAGE", 5)
    assert Shots(bench_of(SEA, tmp_path)).chosen(2, "similarity", asked) == whole
    assert len(whole) == 36


def test_nothing_is_embedded_twice_nor_in_a_second_run(tmp_path: Path) -> None:
    asked = [example("e1", "light ?"), example("e2", "storm ?"), example("e3", "light ?")]
    bench = bench_of(SEA, tmp_path)
    shots = Shots(bench)
    first = shots.chosen(2, "similarity", asked)
    shots.chosen(3, "similarity", asked)
    assert sorted(bench.embedder.asked) == sorted({one.input for one in (*SEA, *asked)})
    again = bench_of(SEA, tmp_path)
    assert Shots(again).chosen(2, "similarity", asked) == first
    assert again.embedder.asked == []


def test_a_text_that_is_asked_has_another_vector_than_the_same_text_in_the_index(tmp_path: Path) -> None:
    """Some embedders put "query: " before a question: under one key the one vector would pass for the other."""
    from ragft.retrieval.vector_cache import VectorCache

    in_index = np.eye(6, dtype=np.float32)[[5] * len(SEA)]
    VectorCache(tmp_path, "counts-words").documents([one.input for one in SEA], lambda texts: in_index[: len(texts)])
    assert ids(Shots(bench_of(SEA, tmp_path)).chosen(1, "similarity", [example("e1", "otter ?")])) == [["t3"]]


def test_a_follow_up_is_compared_with_the_question_before_it(tmp_path: Path) -> None:
    bench = bench_of(SEA, tmp_path)
    bench.task = task_of(ChatTask(kind="chat"))
    asked = replace(example("e1", "and its name ?"), history=(Turn("which otter ?", "that one"),))
    assert ids(Shots(bench).chosen(1, "similarity", [asked])) == [["t3"]]
    assert "which otter ?\nand its name ?" in bench.embedder.asked


def test_an_experiment_without_documents_has_similar_shots(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real embedder and workspace; the second time nothing is loaded or embedded."""
    del experiment.config["data"]["documents"]
    experiment.config["compare"]["arms"] = {"few_shot": {"shots": 2, "shots_by": "similarity"}}
    experiment.config["compare"]["contrasts"] = []
    del experiment.config["adapters"]
    experiment.save()
    asked = [Example("e1", "Which colour has Corvel ?", ("white",)), Example("e2", "who rules corvel?", ())]
    first = _chosen(experiment, asked)
    assert first[0][-1].example.input == "Which colour has Corvel?"  # all its words, and a blank more
    assert "Who rules Corvel?" not in [shot.example.input for shot in first[1]]
    monkeypatch.setattr(Embedder, "queries", None)
    assert _chosen(experiment, asked) == first


def _chosen(experiment: SmallExperiment, asked: Sequence[Example]) -> list[list[Shot]]:
    bench = Bench(load_experiment(experiment.file).experiment, Workspace(experiment.workspace).prepare(), Silence())
    try:
        return Shots(bench).chosen(2, "similarity", asked)
    finally:
        bench.close()
