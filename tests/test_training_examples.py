"""Training examples: loss on exactly the completion and its end of turn, left padding, and a fair order."""

from __future__ import annotations

from collections import Counter
from math import ceil, floor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import DataError
from ragft.models.turns import end_of_turn
from ragft.training.batching import IGNORED, WINDOW, Collator, drawn_order
from ragft.training.examples import TrainingText, TrainingTokens, loss_part, tokenized, windows

CALM = settings(deadline=None, max_examples=60)
PAD, END = 0, 99


class FakeTokenizer:
    """One token per character: its code point."""

    eos_token_id = END

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(character) for character in text]}


def codes(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def tokens(id_: str, prompt: str, completion: str) -> TrainingTokens:
    return TrainingTokens(id_, codes(prompt), (*codes(completion), END))


def test_prompt_and_completion_are_tokenised_apart_and_the_end_of_turn_is_learnt() -> None:
    rows = tokenized([TrainingText("a", "Who?", "Ada"), TrainingText("b", "", "No")], FakeTokenizer(), None)
    assert rows == [tokens("a", "Who?", "Ada"), tokens("b", "", "No")]
    assert [row.length for row in rows] == [8, 3]


def test_an_answer_without_tokens_is_an_error_that_names_the_example() -> None:
    with pytest.raises(DataError, match="training example 'b' has no label tokens"):
        tokenized([TrainingText("a", "Who?", "Ada"), TrainingText("b", "Who?", "")], FakeTokenizer(), None)


def test_an_example_over_the_models_context_is_an_error_and_never_cut() -> None:
    texts = [TrainingText("a", "Who?", "Ada"), TrainingText("b", "Who??", "Ada")]
    assert [row.length for row in tokenized(texts, FakeTokenizer(), 9)] == [8, 9]
    with pytest.raises(DataError, match="training example 'b' has 9 tokens, and the model reads 8") as caught:
        tokenized(texts, FakeTokenizer(), 8)
    assert caught.value.hint == "shorten or drop the example"


def test_what_to_lower_depends_on_what_makes_the_example_long() -> None:
    for text, knob in (
        (TrainingText("a", "Who?", "Ada", "context"), "lower retrieval.top_k or index.chunking.chunk_tokens"),
        (TrainingText("a", "", "Ada was born", "documents", (1, 2, 3, 4, 5)), "lower documents.block_tokens"),
    ):
        with pytest.raises(DataError) as caught:
            tokenized([text], FakeTokenizer(), 4)
        assert str(caught.value.hint).startswith(knob)


class Merging(FakeTokenizer):
    """Puts a blank before every text, as tokenizers made with sentencepiece do, and joins `: ` into one token."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        ids = super().__call__(f" {text}", add_special_tokens=add_special_tokens)["input_ids"]
        joined = []
        for id_ in ids:
            if joined and (joined[-1], id_) == (ord("="), ord(">")):
                joined[-1] = 1000
            else:
                joined.append(id_)
        return {"input_ids": joined}


def test_a_completion_is_tokenised_as_it_stands_behind_the_prompt() -> None:
    """Tokenised alone it would begin with a blank of its own: another token than the one that is said."""
    row = tokenized([TrainingText("a", "Q: Who? A:", " Ada")], Merging(), None)[0]
    assert row.prompt == codes(" Q: Who? A:")
    assert row.completion == (*codes(" Ada"), END)


def test_a_prompt_keeps_its_tokens_where_the_completion_would_merge_with_them() -> None:
    row = tokenized([TrainingText("a", "say =", "> yes")], Merging(), None)[0]
    assert row.prompt == codes(" say =")
    assert row.completion == (*codes(" > yes"), END)


class ChatTokenizer(FakeTokenizer):
    """Ends a turn with `#`, which is not what it ends a text with."""

    chat_template = "there is one"
    all_special_ids = (ord("#"), END)

    def apply_chat_template(self, turns: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize
        assert not add_generation_prompt
        return "".join(f"{turn['role']}: {turn['content']}#\n" for turn in turns)


def test_the_end_of_a_turn_is_what_the_chat_template_ends_it_with() -> None:
    """Gemma ends a turn with another token than a text: a model taught the wrong one does not know how to stop."""
    assert end_of_turn(FakeTokenizer()) == END
    assert end_of_turn(ChatTokenizer()) == ord("#")
    assert tokenized([TrainingText("a", "Who?", "Ada")], ChatTokenizer(), None)[0].completion == codes("Ada#")


def test_a_turn_that_no_special_token_ends_ends_like_a_text() -> None:
    class Plain(ChatTokenizer):
        all_special_ids = (END,)

    assert end_of_turn(Plain()) == END


# ------------------------------------------------------------------------------------------- windows of a text


class TextTokenizer(FakeTokenizer):
    all_special_tokens = ("<end>",)

    def decode(self, ids: tuple[int, ...]) -> str:
        return "".join("<end>" if id_ == END else chr(id_) for id_ in ids)


def test_a_text_is_cut_into_windows_that_begin_with_its_title_and_end_only_at_its_end() -> None:
    found = windows("d", "T", "ABCDEFGHIJ", TextTokenizer(), 7, "documents")
    head = codes("T\n\n")
    assert [window.ids for window in found] == [
        (*head, *codes("ABCD")),
        (*head, *codes("EFGH")),
        (*head, *codes("IJ"), END),
    ]
    assert [(window.id, window.prompt, window.completion) for window in found] == [
        ("d#1", "", "T\n\nABCD"),
        ("d#2", "", "T\n\nEFGH"),
        ("d#3", "", "T\n\nIJ<end>"),
    ]
    rows = tokenized(found, TextTokenizer(), 7)
    assert [(row.prompt, row.completion) for row in rows] == [((), window.ids) for window in found]


def test_a_short_text_is_one_window_under_its_own_id_and_an_empty_one_is_none() -> None:
    assert [(w.id, w.ids) for w in windows("d", "", "ab", TextTokenizer(), 16, "replay")] == [
        ("d", (*codes("ab"), END))
    ]
    assert windows("d", "T", "", TextTokenizer(), 16, "documents") == []


def test_a_special_token_written_in_a_text_is_read_as_characters() -> None:
    only = windows("d", "", "a<end>b", TextTokenizer(), 32, "documents")[0]
    assert only.completion == "a< end>b<end>"


def test_a_title_that_fills_half_a_block_is_an_error() -> None:
    windows("d", "T" * 6, "text", TextTokenizer(), 16, "documents")
    with pytest.raises(
        DataError, match="document 'd': its title has 9 tokens, more than half of a block of 16"
    ) as caught:
        windows("d", "T" * 7, "text", TextTokenizer(), 16, "documents")
    assert "documents.block_tokens" in str(caught.value.hint)


@CALM
@given(st.text("abc \n", min_size=1, max_size=90), st.text("XYZ", max_size=4), st.integers(16, 40))
def test_nothing_of_a_text_is_lost_between_its_windows(text: str, title: str, block: int) -> None:
    found = windows("d", title, text, TextTokenizer(), block, "documents")
    head = len(title) + 2 if title else 0
    assert all(len(window.ids) <= block for window in found)
    assert all(len(window.ids) == block for window in found[:-1])
    assert [id_ for window in found for id_ in window.ids[head:]] == [*codes(text), END]


def test_what_carries_loss_is_shown_in_brackets() -> None:
    assert loss_part(TrainingText("a", "Who?\n", "Ada")) == "⟦Ada<end of turn>⟧"
    assert loss_part(TrainingText("d", "", "T\n\nab<end>", "documents", (1,))) == "⟦T\n\nab<end>⟧"


def test_no_training_examples_are_an_error() -> None:
    with pytest.raises(DataError, match="there are no training examples"):
        tokenized([], FakeTokenizer(), None)


def test_a_batch_is_padded_on_the_left_with_labels_on_the_completions_only() -> None:
    batch = Collator(PAD)([tokens("a", "Who", "Al"), tokens("b", "W", "A"), tokens("c", "Wo", "Alf")])
    a, f, h, l, o, w = map(ord, "AfhloW")  # noqa: E741
    assert batch["input_ids"].tolist() == [
        [w, h, o, a, l, END],
        [PAD, PAD, PAD, w, a, END],
        [w, o, a, l, f, END],
    ]
    assert batch["attention_mask"].tolist() == [[1] * 6, [0, 0, 0, 1, 1, 1], [1] * 6]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 1, 2], [0, 1, 2, 3, 4, 5]]
    no = IGNORED
    assert batch["labels"].tolist() == [[no, no, a, l, END], [no, no, no, a, END], [no, a, l, f, END]]


ROWS = st.lists(
    st.builds(
        TrainingTokens,
        st.just("x"),
        st.lists(st.integers(1, 50), min_size=1, max_size=9).map(tuple),
        st.lists(st.integers(1, 50), max_size=5).map(lambda ids: (*ids, END)),
    ),
    min_size=1,
    max_size=6,
)


@CALM
@given(ROWS)
def test_every_label_is_the_token_that_stands_there_and_the_first_column_has_none(rows: list[TrainingTokens]) -> None:
    batch = Collator(PAD)(rows)
    labels = batch["labels"]
    kept = batch["input_ids"][:, -labels.shape[1] :]
    has_loss = labels != IGNORED
    assert kept.shape == labels.shape
    assert not has_loss[:, 0].any()  # its logits predict the second column, and nothing predicts it
    assert torch.equal(kept[has_loss], labels[has_loss])
    assert has_loss.sum(dim=1).tolist() == [len(row.completion) for row in rows]
    for number, row in enumerate(rows):
        assert tuple(labels[number][has_loss[number]].tolist()) == row.completion
        read = batch["attention_mask"][number].bool()
        assert tuple(batch["input_ids"][number][read].tolist()) == row.prompt + row.completion
        assert batch["position_ids"][number][read].tolist() == list(range(row.length))


@CALM
@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=70),
    st.floats(0.05, 4, allow_nan=False),
    st.integers(1, 9),
    st.integers(0, 5),
)
def test_every_example_is_seen_as_often_as_there_are_epochs(
    lengths: list[int], epochs: float, batch_size: int, seed: int
) -> None:
    order = drawn_order(lengths, epochs=epochs, batch_size=batch_size, seed=seed)
    assert len(order) == max(1, round(epochs * len(lengths)))
    seen = Counter(order)
    share = len(order) / len(lengths)
    assert all(floor(share) <= seen[index] <= ceil(share) for index in range(len(lengths)))
    assert set(seen) <= set(range(len(lengths)))


def test_a_whole_epoch_of_whole_windows_is_a_permutation() -> None:
    n = 2 * WINDOW * 4
    order = drawn_order(range(1, n + 1), epochs=3, batch_size=4, seed=1)
    epochs = [order[start : start + n] for start in range(0, 3 * n, n)]
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs)
    windows = [frozenset(epoch[: n // 2]) for epoch in epochs]
    assert len({*windows, frozenset(range(n // 2))}) == 4  # drawn anew in each epoch, and never in file order


def test_the_seed_alone_decides_the_order() -> None:
    lengths = [number % 7 + 1 for number in range(50)]
    first = drawn_order(lengths, epochs=2.5, batch_size=4, seed=1)
    assert drawn_order(lengths, epochs=2.5, batch_size=4, seed=1) == first
    assert drawn_order(lengths, epochs=2.5, batch_size=4, seed=2) != first


def test_less_than_one_example_is_one_and_none_is_none() -> None:
    assert drawn_order([5, 5, 5], epochs=0.01, batch_size=2, seed=1) in ([0], [1], [2])
    assert drawn_order([], epochs=2, batch_size=2, seed=1) == []


def test_examples_of_similar_length_share_a_batch_and_batches_are_shuffled() -> None:
    n = WINDOW * 4
    lengths = list(range(n, 0, -1))
    order = drawn_order(lengths, epochs=1, batch_size=4, seed=3)
    batches = [[lengths[index] for index in order[start : start + 4]] for start in range(0, n, 4)]
    assert all(max(batch) - min(batch) == 3 for batch in batches)
    firsts = [batch[0] for batch in batches]
    assert firsts != sorted(firsts)


def test_what_is_left_of_an_epoch_comes_last_and_its_batches_are_sorted_by_length() -> None:
    order = drawn_order([1, 2, 3, 4, 5, 6, 7], epochs=1, batch_size=3, seed=1)
    assert sorted(order) == list(range(7))
    left = order[6]
    kept = [index for index in range(7) if index != left]
    assert sorted((tuple(order[:3]), tuple(order[3:6]))) == [tuple(kept[:3]), tuple(kept[3:])]


def test_copies_of_an_example_do_not_share_a_batch_where_the_epoch_is_whole() -> None:
    order = drawn_order([5] * 16, epochs=4, batch_size=8, seed=1)
    batches = [order[start : start + 8] for start in range(0, len(order), 8)]
    assert [len(set(batch)) for batch in batches] == [8] * 8
