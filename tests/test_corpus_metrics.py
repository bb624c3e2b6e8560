"""Corpus BLEU, corpus chrF and macro F1 of an arm: by hand, against sacrebleu and scikit-learn, and their intervals."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import DataError, RagftError
from ragft.evaluation.classification import macro_f1
from ragft.evaluation.corpus import CORPUS_METRICS, corpus_estimates
from ragft.records import Answer, Estimate, Example

CALM = settings(deadline=None, max_examples=60)  # a busy machine is no fault of the code
WORDS = ["red", "kite", "the", "moor", "1848", "Ouse.", "well-known"]


def answer(
    id: str, text: str, *, arm: str = "a", seed: int | None = None, prompt: str | None = None, error: str | None = None
) -> Answer:
    return Answer(arm, id, text, 5, 3, 0.1, "error" if error else "stop", seed=seed, prompt=prompt, error=error)


def examples_of(references: Sequence[Sequence[str]]) -> dict[str, Example]:
    return {f"q{i}": Example(f"q{i}", "Which?", tuple(of)) for i, of in enumerate(references)}


def estimates(
    answers: Sequence[Answer],
    examples: Mapping[str, Example],
    clusters: Mapping[str, str] | None = None,
    *,
    metrics: Sequence[str] = ("corpus_bleu",),
    labels: Sequence[str] = (),
    resamples: int = 200,
) -> list[Estimate]:
    own = clusters or {id: id for id in examples}
    return corpus_estimates(
        answers, examples, own, metrics=metrics, labels=labels, resamples=resamples, level=0.95, seed=3
    )


def estimate(texts: Sequence[str], references: Sequence[Sequence[str]], metric: str, **more: Sequence[str]) -> Estimate:
    answers = [answer(f"q{i}", text) for i, text in enumerate(texts)]
    (found,) = estimates(answers, examples_of(references), metrics=[metric], **more)
    return found


def test_corpus_bleu_by_hand() -> None:
    texts = ["the cat sat on mats", "a dog ran off"]
    references = [["the cat sat on the mat"], ["a dog ran off"]]
    # First: 4/5, 3/4, 2/3, 1/2 of its sequences; second: 4/4, 3/3, 2/2, 1/1. Nine words for ten.
    precisions = (8 / 9) * (6 / 7) * (4 / 5) * (2 / 3)
    found = estimate(texts, references, "corpus_bleu")
    assert found.mean == pytest.approx(precisions ** (1 / 4) * math.exp(1 - 10 / 9), abs=1e-12)
    assert (found.n, found.n_unscored) == (2, 0)


def test_corpus_bleu_smooths_what_no_sequence_of_a_length_matches() -> None:
    # 2/4; then 0/3 and 0/2 and 0/1 count as 1 / (2 * 3), 1 / (4 * 2), 1 / (8 * 1).
    found = estimate(["red moor kite hill"], [["kite over moor crag"]], "corpus_bleu")
    assert found.mean == pytest.approx((2 / 4 / 6 / 8 / 8) ** (1 / 4), abs=1e-12)
    assert estimate(["red"], [["kite"]], "corpus_bleu").mean == 0.0
    assert estimate(["red kite"], [["red kite"]], "corpus_bleu").mean == 0.0  # as sacrebleu: no sequence of four


def test_corpus_chrf_by_hand() -> None:
    # Order 1: 2 + 1 of 2 + 1, and of 3 + 1. Order 2: 1 of 1, and of 2. No answer has an order 3.
    recall = (3 / 4 + 1 / 2) / 2
    assert estimate(["ab", "c"], [["abc"], ["c"]], "corpus_chrf").mean == pytest.approx(5 * recall / (4 + recall))


def test_macro_f1_by_hand() -> None:
    texts, references = ["yes", "no", "Perhaps so", " no\n"], [["yes"], ["yes"], ["yes"], ["no"]]
    # yes: 2 * 1 / (1 said + 3 right). no: 2 * 1 / (2 + 1). What is no label is a miss, and no false alarm.
    found = estimate(texts, references, "macro_f1", labels=["yes", "no"])
    assert found.mean == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.mean == macro_f1([text.strip() for text in texts], ["yes", "yes", "yes", "no"], ["yes", "no"])
    # Without labels in the file they are those of the references.
    assert estimate(texts, references, "macro_f1").mean == found.mean
    # A label that nobody says and nothing has counts as 0, as in scikit-learn.
    assert estimate(texts, references, "macro_f1", labels=["yes", "no", "x"]).mean == pytest.approx(7 / 12 * 2 / 3)


TEXTS = st.lists(st.sampled_from([*WORDS, "東京", "عاصمة"]), max_size=9).map(" ".join)
PAIRS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=8)


@CALM
@given(pairs=PAIRS)
def test_values_are_those_of_sacrebleu(pairs: list[tuple[str, list[str]]]) -> None:
    """Blank texts, several references, and a number of them that differs, included."""
    from sacrebleu.metrics import BLEU, CHRF

    from ragft.evaluation.scripts import bleu_tokenizer

    texts, references = [text for text, _ in pairs], [of for _, of in pairs]
    streams = [[of[k] if k < len(of) else None for of in references] for k in range(max(map(len, references)))]
    tokenizer = bleu_tokenizer(references)
    for metric, scorer in (("corpus_bleu", BLEU(tokenize=tokenizer)), ("corpus_chrf", CHRF())):
        right = scorer.corpus_score(texts, streams).score / 100  # type: ignore[arg-type]
        assert estimate(texts, references, metric).mean == pytest.approx(right, abs=1e-9), metric


@CALM
@given(pairs=st.lists(st.tuples(st.sampled_from("abc?"), st.sampled_from("abc")), min_size=1, max_size=20))
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    said, right = [one for one, _ in pairs], [one for _, one in pairs]
    reference = metrics.f1_score(right, said, labels=["a", "b", "c"], average="macro", zero_division=0)
    found = estimate(said, [[one] for one in right], "macro_f1", labels=["a", "b", "c"])
    assert found.mean == pytest.approx(reference, abs=1e-12)


def many(n: int, *, rng: random.Random, right: float) -> tuple[list[str], list[list[str]]]:
    references = [[" ".join(rng.choices(WORDS, k=8))] for _ in range(n)]
    texts = [of[0] if rng.random() < right else " ".join(rng.choices(WORDS, k=6)) for of in references]
    return texts, references


def test_the_interval_is_of_the_metric_in_draws_of_whole_clusters() -> None:
    """Two clusters are drawn twice the one, twice the other, or both: the widest interval reaches to either alone."""
    texts, references = many(6, rng=random.Random(1), right=0.4)
    answers = [answer(f"q{i}", text) for i, text in enumerate(texts)]
    clusters = {f"q{i}": "x" if i < 4 else "y" for i in range(6)}
    for metric in ("corpus_bleu", "corpus_chrf"):
        (found,) = estimates(answers, examples_of(references), clusters, metrics=[metric])
        alone = sorted(
            estimate(texts[part], references[part], metric).mean or 0.0 for part in (slice(0, 4), slice(4, 6))
        )
        assert found.interval is not None
        assert [found.interval.low, found.interval.high] == pytest.approx(alone, abs=1e-9), metric


def test_the_interval_agrees_with_sacrebleu_on_drawn_corpora() -> None:
    from sacrebleu.metrics import CHRF

    draw = random.Random(5)
    texts, references = many(40, rng=draw, right=0.5)
    answers = [answer(f"q{i}", text) for i, text in enumerate(texts)]
    (found,) = estimates(answers, examples_of(references), metrics=["corpus_chrf"], resamples=4000)
    scorer, values = CHRF(), []
    for _ in range(240):
        rows = draw.choices(range(40), k=40)
        values.append(scorer.corpus_score([texts[i] for i in rows], [[references[i][0] for i in rows]]).score / 100)
    values.sort()
    assert found.interval is not None
    # Its quantiles lie a little further out (40 clusters: by 4.5 % of the half width), and 240 draws are few.
    assert [found.interval.low, found.interval.high] == pytest.approx([values[5], values[234]], abs=0.03)
    assert found.interval.method == "cluster bootstrap (expanded percentile)"


def test_clusters_that_agree_within_make_the_interval_wider() -> None:
    texts, references = many(1, rng=random.Random(2), right=0.0)
    said = [references[0][0] if i < 20 else texts[0] for i in range(40)]
    answers, examples = [answer(f"q{i}", text) for i, text in enumerate(said)], examples_of(references * 40)
    (alone,) = estimates(answers, examples)
    (together,) = estimates(answers, examples, {f"q{i}": f"c{i // 10}" for i in range(40)})
    assert alone.mean == together.mean
    assert alone.interval is not None
    assert together.interval is not None
    assert together.interval.high - together.interval.low > 2 * (alone.interval.high - alone.interval.low)


def test_a_label_that_a_draw_misses_does_not_count_as_zero_there() -> None:
    """One example in forty has the rare label: more than a third of the draws miss it, and all answers are right."""
    right = ["common"] * 39 + ["rare"]
    found = estimate(right, [[one] for one in right], "macro_f1")
    assert found.interval is not None
    assert (found.mean, found.interval.low) == (1.0, 1.0)


def test_one_cluster_has_a_value_and_no_interval() -> None:
    (found,) = estimates([answer("q0", "a red kite flew")], examples_of([["a red kite flew"]]))
    assert (found.mean, found.interval) == (1.0, None)


def test_what_cannot_be_judged_is_counted_and_left_out() -> None:
    examples = examples_of([["a red kite flew"], ["over the moor today"], [], ["yes"]])
    said = [
        answer("q0", "a red kite flew"),
        answer("q1", "", error="timed out"),
        answer("q2", "whatever"),
        answer("q3", ""),
    ]
    (found,) = estimates(said, examples)
    assert (found.n, found.n_unscored) == (2, 2)
    # A blank answer is a wrong one: four of the five words are there.
    assert found.mean == pytest.approx(math.exp(1 - 5 / 4))
    (nothing,) = estimates(said[1:3], examples)
    assert nothing == Estimate("a", "corpus_bleu", None, 0, 2, None)


def test_seeds_are_averaged_over_the_examples_that_all_have() -> None:
    examples = examples_of([["a red kite flew"], ["over the moor today"], ["the well is deep"]])
    right = ["a red kite flew", "over the moor today", "the well is deep"]
    answers = [answer(f"q{i}", text, seed=2) for i, text in enumerate(right)]
    answers += [answer("q0", right[0], seed=1), answer("q1", "nothing of it at", seed=1)]
    (found,) = estimates(answers, examples)
    # Seed 1: four of eight words, three of six pairs, two of four threes, one of two fours: half of each.
    assert found.seed_means == pytest.approx((0.5, 1.0))
    assert found.mean == pytest.approx(0.75)
    assert (found.n, found.n_unscored, found.prompt_means) == (2, 1, ())
    assert found.interval is not None
    assert found.interval.method.endswith("seeds and prompts as they are")


def test_prompts_are_averaged_and_shown() -> None:
    examples = examples_of([["a red kite flew"], ["over the moor today"]])
    answers = [answer("q0", "a red kite flew", prompt="plain"), answer("q1", "over the moor today", prompt="plain")]
    answers += [answer("q0", "a red kite flew", prompt="blunt"), answer("q1", "nothing of it at", prompt="blunt")]
    (found,) = estimates(answers, examples)
    assert found.prompt_means == (("plain", 1.0), ("blunt", pytest.approx(0.5)))
    assert (found.mean, found.seed_means) == (pytest.approx(0.75), ())


def test_neither_order_nor_another_arm_moves_a_number() -> None:
    texts, references = many(30, rng=random.Random(7), right=0.5)
    examples = examples_of(references)
    first = [answer(f"q{i}", text) for i, text in enumerate(texts)]
    second = [answer(f"q{i}", text.upper(), arm="b") for i, text in enumerate(texts)]
    both = estimates([*first, *second], examples, metrics=CORPUS_METRICS)
    assert [(e.arm, e.metric) for e in both] == [(arm, metric) for arm in "ab" for metric in CORPUS_METRICS]
    assert estimates(first[::-1], examples, metrics=CORPUS_METRICS[:2]) == both[:2]


def test_what_is_wrong_is_named() -> None:
    examples = examples_of([["kite"]])
    with pytest.raises(RagftError, match="'corpus_rouge'"):
        estimates([answer("q0", "kite")], examples, metrics=["corpus_rouge"])
    with pytest.raises(DataError, match="'q9'"):
        estimates([answer("q9", "kite")], examples)
    with pytest.raises(DataError, match="answered twice"):
        estimates([answer("q0", "kite")] * 2, examples)
    with pytest.raises(DataError, match="no cluster"):
        estimates([answer("q0", "kite")], examples, {"q1": "x"})
