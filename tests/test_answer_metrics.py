"""Metrics of answers: SQuAD by hand and by property, abstention, label accuracy, the summaries of an arm."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.errors import DataError, RagftError
from ragft.evaluation.abstention import Share, summarise_abstention
from ragft.evaluation.answers import abstains, contains, exact_match, is_abstention, normalise, token_f1
from ragft.evaluation.classification import macro_f1, majority_share, summarise_classification
from ragft.evaluation.corpus import CORPUS_METRICS
from ragft.evaluation.metrics import ANSWER_METRICS, answer_metric, check_primary, is_binary, score_answers
from ragft.records import Answer, Example, Score
from ragft.report.glossary import describe

CALM = settings(deadline=None)  # a busy machine is no fault of the code
WORDS = st.lists(st.sampled_from(["red", "kite", "the", "a", "moor", "1848", "-", "É"]), max_size=8).map(" ".join)


def answer(text: str, example_id: str = "q1", arm: str = "base") -> Answer:
    return Answer(arm, example_id, text, prompt_tokens=5, output_tokens=3, seconds=0.1, finish_reason="stop")


def example(*references: str, id: str = "q1", answerable: bool = True) -> Example:
    return Example(id, "Which bird?", references, answerable=answerable)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Red-Kite!", "redkite"),
        ("an apple a day", "apple day"),
        ("Theatre and analysis", "theatre and analysis"),
        ("U.S.A.", "usa"),
        ("A.", ""),
        ("  \n ", ""),
        ("l’été", "l’été"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_token_f1_by_hand() -> None:
    # "big red kite" and "red kite moor": 2 shared; precision 2/3, recall 2/3, F1 = 2/3.
    assert token_f1("the big red kite", ["red kite, moor"]) == pytest.approx(2 / 3)
    # A repeated word counts once per repetition on the other side: 1 shared; 2 * 1 / (3 + 1) = 1/2.
    assert token_f1("red red red", ["red"]) == pytest.approx(1 / 2)


def test_each_metric_takes_its_own_best_reference() -> None:
    references = ["kite", "a red kite over the moor"]
    assert exact_match("Kite.", references) == 1.0
    assert contains("It was a kite.", references) == 1.0
    # Against the first: 2 * 1 / (3 + 1) = 1/2; against the second: 2 * 3 / (3 + 4) = 6/7.
    assert token_f1("red kite over", references) == pytest.approx(6 / 7)


def test_contains_compares_tokens_not_characters() -> None:
    assert contains("They held a party", ["art"]) == 0.0
    assert contains("Modern art, mostly", ["art"]) == 1.0
    assert contains("red and kite", ["red kite"]) == 0.0
    assert contains("kite", ["red kite"]) == 0.0


def test_a_reference_that_normalises_to_nothing_is_matched_only_by_nothing() -> None:
    for metric in (exact_match, token_f1, contains):
        assert metric("red kite", ["The"]) == 0.0
        assert metric("the", ["The"]) == 1.0
        assert metric("the", ["kite"]) == 0.0


def test_a_blank_answer_is_wrong_whatever_the_reference() -> None:
    for metric in (exact_match, token_f1, contains):
        assert metric("", ["kite"]) == 0.0
        assert metric(" \n", ["The", "!"]) == 0.0


def test_no_reference_is_an_error_not_a_zero() -> None:
    for metric in (exact_match, token_f1, contains):
        with pytest.raises(ValueError, match="at least one reference"):
            metric("kite", [])


@CALM
@given(said=WORDS, right=WORDS)
def test_metrics_stay_in_order_and_in_range(said: str, right: str) -> None:
    em, f1, inside = exact_match(said, [right]), token_f1(said, [right]), contains(said, [right])
    assert 0.0 <= em <= f1 <= 1.0
    assert em <= inside
    assert normalise(normalise(said)) == normalise(said)
    if said.strip() and right.strip():
        assert token_f1(right, [said]) == pytest.approx(f1)


@CALM
@given(said=WORDS, references=st.lists(WORDS, min_size=1, max_size=4), extra=WORDS)
def test_another_reference_never_lowers_a_score(said: str, references: list[str], extra: str) -> None:
    for metric in (exact_match, token_f1, contains):
        assert metric(said, [*references, extra]) >= metric(said, references)
        assert metric(said, references[::-1]) == metric(said, references)


@pytest.mark.parametrize(
    "text",
    [
        "I don't know",
        "I don\u2019t know.",
        "i do not know the answer to that",
        "**I don't know.**",
        '"I dont know"',
        "I'm sorry, but I don't know.",
        "Sorry, I cannot answer this question.",
        "Unfortunately, the passages do not mention the year.",
        "The provided context doesn't say.",
        "Not in the passages.",
        "It is not mentioned in the given text.",
        "The question cannot be answered from the passages.",
        "This can't be determined.",
        "There is not enough information.",
        "Insufficient information",
        "No answer",
        "No answer is given in the passage.",
        "Unknown.",
        "The answer is unknown.",
        "N/A",
        "I am not sure.",
        "I'm unable to determine the date.",
    ],
)
def test_abstentions_are_recognised(text: str) -> None:
    assert is_abstention(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "Unknown soldiers built it",
        "No answer but yes",
        "The Tomb of the Unknown",
        "Paris. I don't know more than that.",
        "I'm not sure, but probably Paris",
        "Not in the context of war but of trade",
        "I cannot tell a lie",
        "It could not be found until 1950",
        "no",
        "none",
        "I know",
        "The passage says 1848",
        "sorry",
    ],
)
def test_answers_are_not_taken_for_abstentions(text: str) -> None:
    assert not is_abstention(text)


def test_a_reference_that_reads_like_an_abstention_makes_it_an_answer() -> None:
    assert not abstains("unknown", example("Unknown"))
    (score,) = score_answers([answer("unknown")], {"q1": example("Unknown")}, ["exact_match"])
    assert score.value == 1.0


@pytest.mark.parametrize("metric", ["exact_match", "token_f1", "contains", "accuracy"])
def test_unanswerable_examples_reward_exactly_the_abstention(metric: str) -> None:
    examples = {"q1": example(answerable=False)}
    texts = ["I don’t know.", "Paris", ""]
    scores = score_answers([answer(text) for text in texts], examples, [metric])
    assert [score.value for score in scores] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("metric", ["exact_match", "token_f1", "contains"])
def test_an_abstention_on_an_answerable_example_is_wrong_even_if_words_overlap(metric: str) -> None:
    examples = {"q1": example("the answer", "I know")}
    (score,) = score_answers([answer("I do not know the answer")], examples, [metric])
    assert score.value == 0.0


def test_accuracy_compares_labels_whole_and_keeps_case() -> None:
    examples = {"q1": example("SUPPORTS")}
    texts = ["SUPPORTS", " SUPPORTS\n", "supports", "I think SUPPORTS", ""]
    scores = score_answers([answer(text) for text in texts], examples, ["accuracy"])
    assert [score.value for score in scores] == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_scores_carry_the_ids_and_come_in_order() -> None:
    examples = {"q1": example("kite"), "q2": example("moor", id="q2")}
    scores = score_answers([answer("moor", "q2"), answer("I don't know", "q1")], examples, ["contains", "abstained"])
    assert scores == [
        Score("base", "q2", "contains", 1.0),
        Score("base", "q2", "abstained", 0.0),
        Score("base", "q1", "contains", 0.0),
        Score("base", "q1", "abstained", 1.0),
    ]


def test_an_answerable_example_without_references_is_unscored_with_a_reason() -> None:
    scores = score_answers([answer("kite")], {"q1": example()}, ["token_f1", "abstained"])
    assert scores == [
        Score("base", "q1", "token_f1", None, "the example has no references"),
        Score("base", "q1", "abstained", 0.0),
    ]


def test_an_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(RagftError, match="'f1'") as caught:
        score_answers([], {}, ["f1"])
    assert caught.value.hint is not None
    assert all(name in caught.value.hint for name in ANSWER_METRICS)


def test_an_answer_to_a_foreign_example_is_an_error() -> None:
    with pytest.raises(DataError, match="'q9'"):
        score_answers([answer("kite", "q9")], {"q1": example("kite")}, ["contains"])


def test_registry_says_version_and_which_metrics_are_binary() -> None:
    assert answer_metric("token_f1").version == 2
    binary = [name for name, metric in ANSWER_METRICS.items() if is_binary(name) and metric.source == "text"]
    assert binary == ["exact_match", "contains", "accuracy", "abstained"]
    assert not is_binary("recall@5")
    assert not is_binary("macro_f1")


def test_every_metric_has_its_sentence_in_the_glossary() -> None:
    assert [name for name in (*ANSWER_METRICS, *CORPUS_METRICS) if describe(name) is None] == []


def test_an_answer_that_was_not_got_is_unscored_and_says_why() -> None:
    lost = Answer("base", "q1", "", 0, 0, 0.1, "error", error="429 Too Many Requests", prompt="plain", seed=3)
    (score,) = score_answers([lost], {"q1": example("kite")}, ["exact_match"])
    reason = "no answer was got: 429 Too Many Requests"
    assert score == Score("base", "q1", "exact_match", None, reason, 3, "plain")


def test_metrics_that_are_measured_elsewhere_are_passed_over() -> None:
    assert score_answers([answer("kite")], {"q1": example("kite")}, ["similarity", "gold_loglik"]) == []


@pytest.mark.parametrize("metric", ["abstained", "answer_words", "gold_bits_per_byte"])
def test_a_metric_of_which_more_is_not_better_cannot_be_the_primary_one(metric: str) -> None:
    with pytest.raises(RagftError, match=f"'{metric}' cannot be the primary metric: more of it") as caught:
        check_primary(metric, [])
    assert caught.value.hint == "choose another compare.primary_metric"


@pytest.mark.parametrize("metric", ["k_precision", "entailment", "judge_faithfulness"])
def test_a_metric_of_passages_ranks_only_arms_that_have_some(metric: str) -> None:
    check_primary(metric, [])
    with pytest.raises(RagftError, match=r"defined by the passages \(arms without passages: base, finetuned\)"):
        check_primary(metric, ["base", "finetuned"])
    check_primary("chrf", ["base", "finetuned"])


def test_a_corpus_metric_or_an_unknown_one_cannot_be_the_primary_one() -> None:
    with pytest.raises(RagftError, match="'macro_f1' is measured on all answers together"):
        check_primary("macro_f1", [])
    with pytest.raises(RagftError, match="unknown answer metric 'f1'"):
        check_primary("f1", [])


def test_abstention_summary_by_hand() -> None:
    examples = {id: example("kite", id=id) for id in ("a", "b", "c")}
    examples |= {id: example(id=id, answerable=False) for id in ("u", "v")}
    said = {"a": "kite", "b": "moor", "c": "I don't know", "u": "kite", "v": "I don't know"}
    answers = [answer(text, id) for id, text in said.items()] + [answer("I don't know", "a", arm="other")]
    scores = score_answers(answers, examples, ["exact_match", "token_f1"])
    summary = summarise_abstention("base", answers, scores, examples, "exact_match")
    assert summary.coverage == Share(3 / 5, 5)  # a, b, u answer
    assert summary.accuracy_on_answered == Share(1 / 3, 3)  # a right; b wrong; u wrong, for it should abstain
    assert summary.answered_though_unanswerable == Share(1 / 2, 2)
    assert summary.abstained_though_answerable == Share(1 / 3, 3)


def test_abstention_summary_of_nothing_is_none_not_zero() -> None:
    examples = {"q1": example("kite")}
    nothing = summarise_abstention("base", [], [], examples, "exact_match")
    assert nothing.coverage == nothing.accuracy_on_answered == Share(None, 0)
    answers = [answer("I don't know")]
    silent = summarise_abstention("base", answers, score_answers(answers, examples, ["contains"]), examples, "contains")
    assert (silent.coverage, silent.accuracy_on_answered) == (Share(0.0, 1), Share(None, 0))
    assert silent.answered_though_unanswerable == Share(None, 0)


def test_abstention_summary_refuses_foreign_answers() -> None:
    with pytest.raises(DataError, match="'q1'"):
        summarise_abstention("base", [answer("kite")], [], {}, "exact_match")


def test_macro_f1_by_hand() -> None:
    expected = ["yes", "yes", "yes", "no"]
    predicted = ["yes", "no", "gibberish", "no"]
    summary = summarise_classification(predicted, expected, ["yes", "no"])
    yes, no = summary.labels
    # yes: 1 of 1 predicted right, 1 of 3 found: F1 = 2 * 1 / (1 + 3). no: 1 of 2, 1 of 1: F1 = 2 * 1 / (2 + 1).
    assert [yes.precision, yes.recall, yes.f1, yes.support] == pytest.approx([1.0, 1 / 3, 0.5, 3])
    assert [no.precision, no.recall, no.f1, no.support] == pytest.approx([0.5, 1.0, 2 / 3, 1])
    assert summary.macro_f1 == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert majority_share(expected) == 3 / 4
    assert (summary.n, summary.n_unparsed) == (4, 1)


def test_classification_of_nothing_and_misuse() -> None:
    assert macro_f1([], [], ["yes"]) is None
    assert majority_share([]) is None
    with pytest.raises(ValueError, match="1 predictions for 2"):
        macro_f1(["yes"], ["yes", "no"], ["yes", "no"])
    for labels in ([], ["yes", "yes"]):
        with pytest.raises(ValueError, match="labels"):
            macro_f1(["yes"], ["yes"], labels)


LABELS = ["yes", "no", "maybe"]


@CALM
@given(pairs=st.lists(st.tuples(st.sampled_from([*LABELS, "?"]), st.sampled_from(LABELS)), min_size=1, max_size=30))
def test_classification_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    predicted, expected = [p for p, _ in pairs], [e for _, e in pairs]
    summary = summarise_classification(predicted, expected, LABELS)
    reference = metrics.precision_recall_fscore_support(expected, predicted, labels=LABELS, zero_division=0)
    ours = [(scores.precision, scores.recall, scores.f1, scores.support) for scores in summary.labels]
    assert ours == [pytest.approx(row) for row in zip(*reference, strict=True)]
    macro = metrics.f1_score(expected, predicted, labels=LABELS, average="macro", zero_division=0)
    assert summary.macro_f1 == pytest.approx(macro)
