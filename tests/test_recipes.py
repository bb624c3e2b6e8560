"""Recipes of adapters: which texts a model reads, in which form and how often, and that they are asked as trained."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SmallExperiment, read, write_experiment
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft import jsonl
from ragft.arms.adapters import Adapters
from ragft.arms.asking import Asking
from ragft.arms.bench import Bench
from ragft.arms.knowledge import Knowledge, drawn
from ragft.arms.listening import Silence
from ragft.arms.recipes import Recipe, Recipes, sketch, weighted
from ragft.config import AdapterConfig, load_experiment
from ragft.config.schema import DataConfig
from ragft.data.examples import load_splits
from ragft.errors import ConfigError, DataError
from ragft.prompts import ABSTENTION, as_said
from ragft.training.examples import tokenized
from ragft.training.replay import budget, from_files, from_model
from ragft.workspace import Workspace

CALM = settings(deadline=None, max_examples=60)
Make = Callable[..., Recipe]


def bench_of(experiment: SmallExperiment) -> Bench:
    loaded = load_experiment(experiment.file)
    return Bench(loaded.experiment, Workspace(experiment.workspace).prepare(), Silence())


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_embedder: Path) -> SmallExperiment:
    """The small experiment with its index in step, and nothing trained."""
    experiment = write_experiment(tmp_path_factory.mktemp("recipes") / "experiment", tiny_model, tiny_embedder)
    Knowledge(bench_of(experiment)).sync()
    return experiment


@pytest.fixture
def bench(indexed: SmallExperiment) -> Bench:
    return bench_of(indexed)


@pytest.fixture
def make(bench: Bench) -> Make:
    """Return a function that makes the recipe of an adapter with the given settings."""
    knowledge = Knowledge(bench)

    def made(**values: Any) -> Recipe:
        return Recipes(bench, knowledge).recipe(AdapterConfig.model_validate(values))

    return made


def kinds(recipe: Recipe) -> list[tuple[str, str]]:
    return [(text.id, text.kind) for text in recipe.train]


def abstaining(recipe: Recipe) -> list[str]:
    return [text.id for text in recipe.train if text.completion == ABSTENTION]


TITLES = "The harbour of"
ALL = [f"t{n:02}" for n in range(12)]


# ---------------------------------------------------------------------------------------- which texts, and how often


def test_closed_book_reads_every_example_once_without_passages(make: Make) -> None:
    recipe = make(recipe="closed_book")
    assert kinds(recipe) == [(id_, "closed_book") for id_ in ALL]
    assert [text.completion for text in recipe.train][:2] == ["green", "red"]
    assert abstaining(recipe) == ["t10", "t11"]
    assert not any(TITLES in text.prompt for text in recipe.train)
    assert [text.id for text in recipe.dev] == ["d0", "d1", "d2", "d3"]
    assert (recipe.labels, recipe.dev_labels, recipe.to_write) == (12, 4, 0)


@pytest.mark.parametrize(("share", "places"), [(0.0, 0), (0.5, 6), (0.8, 10), (1.0, 12)])
def test_context_lays_a_gold_passage_in_the_stated_share(make: Make, bench: Bench, share: float, places: int) -> None:
    recipe = make(recipe="context", context={"gold_share": share})
    order = sorted(ALL, key=lambda id_: drawn(17, "gold", id_))
    expected = set(order[:places]) - {"t10", "t11"}
    titles = {document.id: document.title for document in bench.documents}
    gold = {e.id: titles[e.gold_document_ids[0]] for e in bench.splits.train if e.gold_document_ids}
    assert {text.id for text in recipe.train if gold.get(text.id, "nothing") in text.prompt} == expected
    assert all(text.prompt.count(TITLES) == 2 for text in recipe.train)  # top_k, with a gold one or without
    assert abstaining(recipe) == ["t10", "t11"]


def test_an_example_without_its_gold_passage_may_teach_to_abstain(make: Make) -> None:
    recipe = make(recipe="context", context={"gold_share": 0.5, "without_gold": "abstain"})
    order = sorted(ALL, key=lambda id_: drawn(17, "gold", id_))
    assert abstaining(recipe) == sorted({*order[6:], "t10", "t11"})


def test_mixed_reads_each_example_in_one_form(make: Make) -> None:
    for share, count in ((0.5, 6), (0.25, 3), (0.9, 11)):  # 0.9 * 12 = 10.8: places 0 to 10 lie below it
        recipe = make(recipe="mixed", mixed={"context_share": share})
        assert [text.id for text in recipe.train] == ALL
        with_passages = {text.id for text in recipe.train if text.kind == "context"}
        assert with_passages == set(sorted(ALL, key=lambda id_: drawn(17, "mixed", id_))[:count])
        assert all((TITLES in text.prompt) == (text.kind == "context") for text in recipe.train)


def test_both_forms_of_each_example_are_two_parts(make: Make) -> None:
    recipe = make(recipe={"closed_book": 1, "context": 1})
    assert kinds(recipe) == [(id_, "closed_book") for id_ in ALL] + [(id_, "context") for id_ in ALL]
    assert [text.kind for text in recipe.dev] == ["closed_book"] * 4 + ["context"] * 4
    assert (recipe.labels, recipe.dev_labels) == (12, 4)  # a label is paid for once, however often it is read


def test_a_part_alone_is_the_same_as_its_name(make: Make) -> None:
    assert make(recipe={"context": 1}) == make(recipe="context")


def test_weights_say_how_often_a_part_is_read(make: Make) -> None:
    recipe = make(recipe={"closed_book": 2.5, "documents": 0.2})
    counts = Counter(kinds(recipe))
    assert sum(count for (_, kind), count in counts.items() if kind == "closed_book") == 30
    assert sorted(count for (_, kind), count in counts.items() if kind == "closed_book") == [2] * 6 + [3] * 6
    assert [count for (_, kind), count in counts.items() if kind == "documents"] == [1, 1]


@CALM
@given(st.integers(0, 30), st.floats(0, 5, allow_nan=False), st.integers(0, 9))
def test_a_larger_weight_keeps_what_a_smaller_one_reads(n: int, weight: float, seed: int) -> None:
    keys = [drawn(seed, str(item)) for item in range(n)]
    found = weighted(range(n), weight, keys)
    assert len(found) == n * int(weight) + round(weight % 1 * n)
    assert len(set(found)) == len(found)
    assert {item for _, item in found} <= {item for _, item in weighted(range(n), weight + 0.5, keys)}


def test_documents_are_read_whole_under_their_titles(make: Make, bench: Bench) -> None:
    recipe = make(recipe="documents", documents={"block_tokens": 24})
    end = bench.local.tokenizer.eos_token
    for document in bench.documents:
        head = f"{document.title}\n\n"
        mine = [text for text in recipe.train if text.id.partition("#")[0] == document.id]
        assert len(mine) > 1
        assert all(text.prompt == "" and text.completion.startswith(head) for text in mine)
        assert all(len(text.ids) <= 24 for text in mine)
        assert "".join(text.completion.removeprefix(head) for text in mine) == document.text + end
    assert (recipe.dev, recipe.labels, recipe.dev_labels) == ((), 0, 0)


def test_plain_text_carries_loss_on_every_token_and_no_chat_template(make: Make, bench: Bench) -> None:
    rows = tokenized(make(recipe="documents").train, bench.local.tokenizer, None)
    assert len(rows) == 10
    assert all(row.prompt == () for row in rows)
    assert bench.local.tokenizer.decode(rows[0].completion) == (
        "The harbour of Aldmoor\n\nThe lighthouse of Aldmoor is green. It was built in 1911. "
        "Below it live many otters.<|im_end|>"
    )


def test_the_limit_counts_labelled_examples(make: Make) -> None:
    recipe = make(recipe={"closed_book": 1, "context": 1, "documents": 1}, limit=5)
    assert Counter(text.kind for text in recipe.train) == {"closed_book": 5, "context": 5, "documents": 10}
    assert recipe.labels == 5
    more = make(recipe="closed_book", limit=7)
    assert {text.id for text in recipe.train if text.kind == "closed_book"} < {text.id for text in more.train}


# ------------------------------------------------------------------------------------------------------- abstaining


def test_an_abstention_share_that_the_data_have_changes_nothing(make: Make) -> None:
    assert make(abstention_share=2 / 12) == make()


def test_too_many_that_abstain_are_left_out(make: Make) -> None:
    assert abstaining(make(abstention_share=0.0)) == []
    recipe = make(abstention_share=0.1)  # 1 of 11
    assert len(abstaining(recipe)) == 1
    assert recipe.labels == 11


def test_gold_passages_are_withheld_where_too_few_abstain(make: Make, bench: Bench) -> None:
    recipe = make(recipe="context", context={"gold_share": 1.0}, abstention_share=0.5)
    assert [text.id for text in recipe.train] == ALL
    found = abstaining(recipe)
    assert len(found) == 6
    assert {"t10", "t11"} < set(found)
    gold = {e.id: f"The harbour of {e.gold_document_ids[0].title()}" for e in bench.splits.train if e.gold_document_ids}
    for text in recipe.train:
        assert (gold.get(text.id, "nothing") in text.prompt) == (text.id not in found)


def test_questions_that_lack_their_gold_passage_abstain_first(make: Make) -> None:
    before = make(recipe="context", context={"gold_share": 0.5})
    after = make(recipe="context", context={"gold_share": 0.5}, abstention_share=4 / 12)
    changed = [one.id for one, other in zip(before.train, after.train, strict=True) if one != other]
    assert len(changed) == 2
    assert [text.prompt for text in before.train] == [text.prompt for text in after.train]  # none was withheld anew


def test_a_share_that_the_recipe_cannot_give_is_an_error(make: Make) -> None:
    with pytest.raises(DataError) as caught:
        make(recipe="closed_book", abstention_share=0.25)
    assert caught.value.message == (
        "abstention_share 0.25 needs 1 more questions that teach to abstain, "
        "and the recipe has 0 whose gold passages could be withheld"
    )
    assert "recipe: context" in str(caught.value.hint)


# ------------------------------------------------------------------------------------------------------ general text


def test_replayed_text_is_the_stated_share_of_all_tokens(make: Make, bench: Bench, tmp_path: Path) -> None:
    general = tmp_path / "general.txt"
    general.write_text("The sea is wide and the boats are many. " * 400)
    replay = {"path": str(general), "share": 0.25}
    recipe = make(replay=replay, documents={"block_tokens": 32})
    rows = tokenized(recipe.train, bench.local.tokenizer, None)
    replayed = sum(row.length for row, text in zip(rows, recipe.train, strict=True) if text.kind == "replay")
    trained = sum(row.length for row in rows) - replayed
    assert budget(trained, 0.25) == round(trained / 3)
    assert budget(trained, 0.25) <= replayed < budget(trained, 0.25) + 32
    assert recipe.labels == 12
    assert make(replay=replay, documents={"block_tokens": 32}) == recipe


def test_too_little_general_text_is_an_error_and_never_repeated(make: Make, tmp_path: Path) -> None:
    general = tmp_path / "general.txt"
    general.write_text("The sea is wide.")
    with pytest.raises(
        DataError, match=r"general.txt: \d+ tokens of general text, and the adapter's replay.share asks"
    ):
        make(replay={"path": str(general)})


def test_general_text_in_rows_and_files_that_are_no_text(bench: Bench, tmp_path: Path) -> None:
    rows, bad, missing = tmp_path / "general.jsonl", tmp_path / "bad.txt", tmp_path / "missing.txt"
    jsonl.write_rows(rows, [{"text": "The sea is wide."}, {"text": "Boats are many."}])
    bad.write_bytes(b"\xff\xfe\x00")
    found = from_files([rows], bench.local.tokenizer, 64, 12, seed=1)
    assert sorted(text.id for text in found) == ["general.jsonl:1", "general.jsonl:2"]
    for path, message in ((bad, "not UTF-8 text"), (missing, "cannot be read: No such file")):
        with pytest.raises(DataError, match=message):
            from_files([path], bench.local.tokenizer, 64, 5, seed=1)
    jsonl.write_rows(rows, [{"body": "The sea"}])
    with pytest.raises(DataError, match="general.jsonl:1: no 'text'"):
        from_files([rows], bench.local.tokenizer, 64, 5, seed=1)


def test_the_base_model_writes_the_text_that_is_replayed(make: Make, bench: Bench) -> None:
    """Its text is drawn by the seed and leaves the generator that training draws from as it was."""
    recipe = make(replay={})
    trained = sum(row.length for row in tokenized(recipe.train, bench.local.tokenizer, None))
    assert recipe.to_write == budget(trained, 0.1) == round(trained / 9)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = from_model(bench.local.bare, 16, 50, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert 50 <= sum(len(text.ids) for text in first) < 66
    assert all(0 < len(text.ids) <= 16 and text.prompt == "" for text in first)
    assert from_model(bench.local.bare, 16, 50, seed=3) == first
    assert from_model(bench.local.bare, 16, 50, seed=4) != first


# -------------------------------------------------------------------------------------------- asked as it was trained


@pytest.fixture(scope="module", params=["chat template", "no chat template"])
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_embedder: Path
) -> Bench:
    """The bench of an experiment whose model has a chat template, and of one whose model has none."""
    folder = tmp_path_factory.mktemp("either")
    model = Path(shutil.copytree(tiny_model, folder / "model"))
    if request.param == "no chat template":
        (model / "chat_template.jinja").unlink()
    bench = bench_of(write_experiment(folder / "experiment", model, tiny_embedder))
    assert bool(bench.local.tokenizer.chat_template) == (request.param == "chat template")
    Knowledge(bench).sync()
    return bench


@pytest.mark.parametrize("name", ["closed_book", "mixed"])
def test_a_trained_prompt_is_asked_byte_for_byte(either: Bench, name: str) -> None:
    knowledge = Knowledge(either)
    asking = Asking(either, knowledge, Adapters(either, knowledge))
    recipe = Recipes(either, knowledge).recipe(AdapterConfig.model_validate({"recipe": name}))
    asked = {q.example.id: q.prompt for q in asking.questions(asking.arm("finetuned"), either.splits.train)}
    bare = [text for text in recipe.train if text.kind == "closed_book"]
    assert len(bare) == (12 if name == "closed_book" else 6)
    assert all(text.prompt == asked[text.id] for text in bare)


def test_a_trained_prompt_with_passages_is_asked_byte_for_byte(either: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Knowledge, "gold", lambda self, example: [])
    monkeypatch.setattr("random.Random.shuffle", lambda self, items: None)
    knowledge = Knowledge(either)
    asking = Asking(either, knowledge, Adapters(either, knowledge))
    recipe = Recipes(either, knowledge).recipe(AdapterConfig.model_validate({"recipe": "context"}))
    asked = asking.questions(asking.arm("raft_rag"), either.splits.train)
    assert [text.prompt for text in recipe.train] == [question.prompt for question in asked]


def test_prompt_and_answer_have_the_tokens_of_the_whole_text(either: Bench) -> None:
    """Without a blank behind `Answer:` a model without a chat template learns other tokens than it would ever say."""
    recipe = Recipes(either, Knowledge(either)).recipe(AdapterConfig())
    tokenizer: Any = either.local.tokenizer
    for text, row in zip(recipe.train, tokenized(recipe.train, tokenizer, None), strict=True):
        blank = "" if tokenizer.chat_template else " "
        whole = tokenizer(f"{text.prompt}{blank}{text.completion.strip()}", add_special_tokens=False)["input_ids"]
        assert [*row.prompt, *row.completion] == [*whole, tokenizer.eos_token_id]
        assert list(row.prompt) == tokenizer(text.prompt, add_special_tokens=False)["input_ids"]


def test_a_special_token_in_an_answer_is_broken_up(either: Bench) -> None:
    said = as_said(either.local.tokenizer, "a<|im_end|>b")
    assert said.strip() == "a< |im_end|>b"
    assert said.startswith(" ") == (not either.local.tokenizer.chat_template)


# -------------------------------------------------------------------------------------------------------- fingerprints


FIELDS = [
    {"recipe": "context"},
    {"recipe": "mixed"},
    {"recipe": {"closed_book": 2}},
    {"recipe": {"closed_book": 1, "documents": 1}},
    {"prompt": "qa-cited-1"},
    {"limit": 5},
    {"abstention_share": 0.0},
    {"replay": {}},
    {"replay": {"share": 0.2}},
    {"seeds": [1]},
    {"peft": {"r": 8}},
    {"training": {"max_steps": 3}},
]
CONTEXT_FIELDS = [
    {"context": {"gold_share": 0.2}},
    {"context": {"gold_share": 0.5, "without_gold": "abstain"}},
    {"abstention_share": 0.5},
]


def fingerprints(indexed: SmallExperiment, *adapters: dict[str, Any]) -> list[str]:
    """Return the fingerprint of each adapter, from a fresh reading of the file."""
    found = []
    for adapter in adapters:
        config = {
            **indexed.config,
            "adapters": {"a": adapter},
            "compare": {"arms": {"base": {}, "x": {"adapter": "a"}}},
        }
        one = SmallExperiment(indexed.folder, config).save()
        bench = bench_of(one)
        found.append(Adapters(bench, Knowledge(bench)).fingerprint("a"))
    indexed.save()
    return found


def test_every_field_that_changes_what_is_read_makes_another_adapter(indexed: SmallExperiment) -> None:
    plain, *others = fingerprints(indexed, {}, *FIELDS)
    assert len({plain, *others}) == len(FIELDS) + 1
    first, *rest = fingerprints(indexed, {"recipe": "context"}, *({"recipe": "context", **f} for f in CONTEXT_FIELDS))
    assert len({first, *rest}) == len(CONTEXT_FIELDS) + 1
    mixed = [{"recipe": "mixed"}, {"recipe": "mixed", "mixed": {"context_share": 0.8}}]
    blocks = [{"recipe": "documents"}, {"recipe": "documents", "documents": {"block_tokens": 24}}]
    assert len(set(fingerprints(indexed, *mixed, *blocks))) == 4


def test_what_changes_nothing_reuses(indexed: SmallExperiment) -> None:
    same = [{}, {}, {"recipe": {"closed_book": 1}}, {"context": {"gold_share": 0.1}}, {"limit": 12}, {"replay": None}]
    assert len(set(fingerprints(indexed, *same))) == 1


# ---------------------------------------------------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("recipe: closd_book", "recipe: must be one of closed_book, context, mixed, documents, not 'closd_book'"),
        ("recipe: {documnts: 1}", "recipe.documnts: unknown key; did you mean adapters.a.recipe.documents?"),
        ("recipe: {documents: -1}", "recipe.documents: must be a number of at least 0, not -1"),
        ("recipe: {documents: 0}", "recipe: every kind of training example is left out"),
        ("mixed: {context_share: 1}", "mixed.context_share: must be a number above 0 and below 1, not 1"),
        ("documents: {block_tokens: 3}", "documents.block_tokens: must be a whole number of at least 16, not 3"),
        ("replay: {share: 2}", "replay.share: must be a number above 0 and below 1, not 2"),
        ("replay: {path: ''}", "replay.path: must be a path, not empty"),
        ("abstention_share: 1.0", "abstention_share: must be a number of at least 0 and below 1, not 1.0"),
    ],
)
def test_every_fault_of_a_recipe_has_its_line(indexed: SmallExperiment, line: str, fault: str, tmp_path: Path) -> None:
    file = tmp_path / "faulty.yaml"
    data = "data:\n  documents: d.jsonl\n  train: t.jsonl\n  eval: e.jsonl\n"
    file.write_text(f"name: x\ntask: qa\n{data}adapters:\n  a:\n    {line}\n")
    with pytest.raises(ConfigError) as caught:
        load_experiment(file)
    assert len(caught.value.faults) == 1
    assert f"faulty.yaml:9: adapters.a.{fault}" in caught.value.faults[0]


def test_two_ways_to_abstain_are_a_fault() -> None:
    with pytest.raises(ValueError, match="both say who abstains; drop one"):
        AdapterConfig.model_validate({"abstention_share": 0.1, "context": {"without_gold": "abstain"}})


def test_the_standard_arms_of_an_adapter_follow_its_recipe(tmp_path: Path) -> None:
    """Asking an adapter without passages that has only ever read with them would measure nothing."""
    file = tmp_path / "e.yaml"
    data = "data:\n  documents: d.jsonl\n  train: t.jsonl\n  eval: e.jsonl\n"
    adapters = "  a: {recipe: mixed}\n  b: {recipe: {context: 1}}\n  c: {recipe: {context: 1, documents: 1}}\n"
    file.write_text(f"name: x\ntask: qa\n{data}adapters:\n{adapters}")
    arms = load_experiment(file).experiment.compare.arms
    assert [(name, arm.retrieval) for name, arm in arms.items() if arm.adapter] == [
        ("a", "none"),
        ("a_rag", "index"),
        ("b_rag", "index"),
        ("c", "none"),
        ("c_rag", "index"),
    ]


def test_a_recipe_in_one_line() -> None:
    found = AdapterConfig.model_validate({"recipe": {"documents": 1, "closed_book": 2.5}})
    assert found.recipe_text == "2.5 closed_book + documents"
    assert (found.reads_labels, found.reads_passages, found.reads_documents) == (True, False, True)
    assert AdapterConfig().recipe_text == "closed_book"
    assert not AdapterConfig.model_validate({"recipe": "documents"}).reads_labels


# --------------------------------------------------------------------------------------------------- groups of a fact


@CALM
@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=30), st.integers(0, 99), st.floats(0.05, 0.45))
def test_the_phrasings_of_a_fact_stay_together_in_splits(facts: list[str], seed: int, share: float) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "train.jsonl"
        rows = [
            {"id": f"q{n}", "question": f"Who {n}?", "references": ["x"], "fact_id": f} for n, f in enumerate(facts)
        ]
        jsonl.write_rows(path, rows)
        data = DataConfig.model_validate({"train": str(path), "eval": str(path), "dev_share": share})
        splits = load_splits(data, "question", seed)
    train, dev = ({example.group for example in part} for part in (splits.train, splits.dev))
    assert train.isdisjoint(dev)
    assert len(splits.train) + len(splits.dev) == len(facts)
    assert train
    assert bool(dev) == (len(set(facts)) > 1)


# ----------------------------------------------------------------------------------------------------------- training


def test_documents_and_questions_are_trained_together_and_reused(experiment: SmallExperiment) -> None:
    adapter = {
        "recipe": {"documents": 1, "closed_book": 2},
        "replay": {"share": 0.1},
        "documents": {"block_tokens": 32},
        "peft": {"r": 4},
        "training": {
            **experiment.config["adapters"]["closed_book"]["training"],
            "num_train_epochs": 1,
            "max_steps": -1,
        },
    }
    experiment.config["adapters"] = {"both": adapter}
    experiment.config["compare"]["arms"] = {"base": {}, "both": {"adapter": "both"}}
    experiment.config["compare"]["contrasts"] = [["both", "base"]]
    experiment.save()
    first = experiment.json("finetune")
    record = read(Path(first["run"]) / "adapter" / "both" / "ragft.json")
    assert record["recipe"] == "2 closed_book + documents"
    assert {kind: count["texts"] for kind, count in record["kinds"].items()}["closed_book"] == 24
    assert record["kinds"]["documents"]["tokens"] == record["kinds"]["documents"]["label_tokens"]
    share = record["kinds"]["replay"]["tokens"] / sum(count["tokens"] for count in record["kinds"].values())
    assert share == pytest.approx(0.1, abs=0.03)
    assert record["training"]["examples_seen"] == sum(count["texts"] for count in record["kinds"].values())
    assert (record["examples"], record["dev_examples"]) == (12, 4)
    again = experiment.json("finetune")
    assert [item["trained"] for item in (*first["adapters"], *again["adapters"])] == [True, False]


def test_a_sketch_counts_by_kind(make: Make, bench: Bench) -> None:
    recipe = make(recipe={"closed_book": 1, "documents": 1})
    first, second = sketch(recipe, bench.local.tokenizer)
    rows = tokenized(recipe.train, bench.local.tokenizer, None)
    assert [(one.kind, one.texts, one.sample.id) for one in (first, second)] == [
        ("closed_book", 12, "t00"),
        ("documents", 10, "aldmoor"),
    ]
    assert first.tokens == sum(row.length for row in rows[:12])
    assert first.label_tokens == sum(len(row.completion) for row in rows[:12])
    assert second.tokens == second.label_tokens == sum(row.length for row in rows[12:])
