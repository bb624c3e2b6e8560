"""Metrics of a text against references: by hand, by property, and in scripts that some of them cannot read."""

from __future__ import annotations

import math
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example as given_example
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.evaluation.metric import UnscoredError
from ragft.evaluation.metrics import ANSWER_METRICS, score_answers
from ragft.evaluation.overlap import OVERLAP_METRICS, answer_words, bleu, chrf, rouge, terms_found
from ragft.evaluation.sacre import signature
from ragft.evaluation.scripts import bleu_tokenizer, is_spaceless, latin_share, words
from ragft.records import Answer, Example

CALM = settings(deadline=None, max_examples=60)  # a busy machine is no fault of the code
JAPANESE, CHINESE, THAI = "東京都は日本の首都です", "北京是中国的首都", "กรุงเทพเป็นเมืองหลวง"
ARABIC, HINDI, KOREAN, RUSSIAN = (
    "القاهرة عاصمة مصر",
    "दिल्ली भारत की राजधानी है",
    "서울은 한국의 수도이다",
    "Москва столица России",
)


def scored(text: str, *references: str, answerable: bool = True, terms: tuple[str, ...] = ()) -> dict[str, float | str]:
    """Return what every metric of the answer's text says: its value, or the reason why it has none."""
    metrics = [name for name, metric in ANSWER_METRICS.items() if metric.source == "text"]
    answer = Answer("base", "q1", text, 5, 3, 0.1, "stop")
    example = Example("q1", "Which?", references, answerable=answerable, terms=terms)
    scores = score_answers([answer], {"q1": example}, metrics)
    return {score.metric: score.reason or "" if score.value is None else score.value for score in scores}


def test_rouge_by_hand() -> None:
    said, right = "the cat sat on the mat", ["the cat lay on a mat"]
    # Of six words each: the, cat, on, mat are shared. Of five pairs each: "the cat". In order: the cat on mat.
    assert rouge(said, right, "rouge1") == pytest.approx(4 / 6)
    assert rouge(said, right, "rouge2") == pytest.approx(1 / 5)
    assert rouge(said, right, "rougeL") == pytest.approx(4 / 6)
    assert rouge("mat cat", ["cat mat"], "rouge1") == 1.0
    assert rouge("mat cat", ["cat mat"], "rougeL") == 0.5


def test_rouge_stems_and_takes_the_best_reference() -> None:
    assert rouge("They were walking", ["they were walked"], "rouge1") == 1.0
    # Against the first: 1 of 2 and 1 of 1 words: 2/3. Against the second: 2 of 2 and 2 of 4: 2/3. Third: all.
    assert rouge("red kite", ["kite", "red kite over moor"], "rouge1") == pytest.approx(2 / 3)
    assert rouge("red kite", ["kite", "red kite over moor", "Red kite!"], "rouge1") == 1.0


def test_rouge2_cannot_judge_a_reference_of_one_word() -> None:
    with pytest.raises(UnscoredError, match="two words"):
        rouge("kite", ["Kite."], "rouge2")
    assert rouge("kite", ["Kite.", "red kite"], "rouge2") == 0.0


def test_bleu_by_hand() -> None:
    # 3/3, 2/2, 1/1 and no order 4, so the mean is over three orders; one word short of four: exp(1 - 4/3).
    assert bleu("the cat sat", ["the cat sat down"]) == pytest.approx(math.exp(1 - 4 / 3))
    # 1/2, and no pair of one: 1 / (2 * 1). The geometric mean of 1/2 and 1/2.
    assert bleu("the cat", ["the dog"]) == pytest.approx(1 / 2)
    # Both references count at once: "red" from one and "kite" from the other; the pair from neither: 1 / (2 * 1).
    assert bleu("red kite", ["red moor", "a kite"]) == pytest.approx(math.sqrt(1 / 2))
    assert bleu("the cat", ["a dog"]) == 0.0


def test_chrf_by_hand() -> None:
    # Order 1: 2 of 2 and 2 of 3. Order 2: 1 of 1 and 1 of 2. Order 3: the answer has none, so it does not count.
    recall = (2 / 3 + 1 / 2) / 2
    assert chrf("ab", ["abc"]) == pytest.approx(5 * recall / (4 + recall))
    assert chrf("ab", ["xyz", "abc", "abd"]) == pytest.approx(7 / 11)


def test_terms_by_hand() -> None:
    terms = ["acute illness", "COVID-19", "lung", "covid 19"]
    # The last is the second again, so two of three: "lung" is not in "lunge".
    assert terms_found("Covid 19, an Acute Illness; they lunge", terms) == pytest.approx(2 / 3)
    assert terms_found("acute, short illness", terms) == 0.0
    assert terms_found("", terms) == 0.0
    for nothing in ([], ["-", " "]):
        with pytest.raises(UnscoredError, match="no terms"):
            terms_found("kite", nothing)


def test_terms_in_scripts_without_spaces_stand_anywhere_and_others_beside_them() -> None:
    assert terms_found(JAPANESE, ["首都", "COVID-19"]) == 1 / 2
    assert terms_found("COVID-19の感染者", ["covid-19", "感染"]) == 1.0
    # Vowel signs are marks, not letters: taken for gaps they would let the syllable stand in the word.
    assert terms_found("किताब", ["क"]) == 0.0


def test_answer_words_counts_letters_where_there_are_no_spaces() -> None:
    assert answer_words("  The red\nkite, 1848. ") == 4
    assert answer_words(ARABIC) == 3
    assert answer_words("東京都、です。") == 5
    assert answer_words("") == 0


def test_an_unanswerable_example_rewards_exactly_the_abstention() -> None:
    judged = ("rouge1", "rouge2", "rouge_l", "bleu", "chrf")
    for text, value in (("I don't know.", 1.0), ("Paris", 0.0), ("", 0.0)):
        found = scored(text, answerable=False)
        assert [found[name] for name in judged] == [value] * 5
        assert found["terms"] == "the example names no terms"


def test_a_translation_may_begin_as_an_abstention_does() -> None:
    found = scored("I don't know if he comes", "I am not certain if he comes")
    assert found["chrf"] == pytest.approx(chrf("I don't know if he comes", ["I am not certain if he comes"]))
    assert isinstance(found["chrf"], float)
    assert found["chrf"] > 0.3


def test_an_empty_answer_is_wrong_and_not_unscored() -> None:
    for text in ("", " \n"):
        found = scored(text, "the red kite", terms=("kite",))
        assert found == dict.fromkeys(found, 0.0)


@pytest.mark.parametrize(
    ("reference", "tokenizer", "n_words"),
    [(JAPANESE, "char", 11), (CHINESE, "zh", 8), (THAI, "char", 20), ("အောင်ဆန်းစုကြည်", "char", 15)],
)
def test_scripts_without_spaces_go_through_the_metrics_of_characters(
    reference: str, tokenizer: str, n_words: int
) -> None:
    found = scored(reference, reference)
    right = {name: found[name] for name in ("exact_match", "accuracy", "bleu", "chrf")}
    assert right == dict.fromkeys(right, 1.0)
    assert found["answer_words"] == n_words
    for name in ("token_f1", "contains", "rouge1", "rouge2", "rouge_l"):
        assert "use chrf" in str(found[name]), name
    assert bleu_tokenizer([[reference]]) == tokenizer
    # Blanks and abstentions would be the only values there are, and pass for the mean of all.
    assert {"use chrf" in str(scored(text, reference)["token_f1"]) for text in ("", "I don't know")} == {True}


@pytest.mark.parametrize("reference", [ARABIC, HINDI, KOREAN, RUSSIAN])
def test_other_scripts_with_spaces_go_through_all_but_rouge(reference: str) -> None:
    found = scored(reference, reference)
    right = {name: found[name] for name in ("exact_match", "token_f1", "contains", "accuracy", "bleu", "chrf")}
    assert right == dict.fromkeys(right, 1.0)
    for name in ("rouge1", "rouge2", "rouge_l"):
        assert "use chrf" in str(found[name]), name
    assert bleu_tokenizer([[reference]]) == "13a"


def test_values_in_arabic_and_japanese_by_hand() -> None:
    arabic = scored("عاصمة مصر", ARABIC)
    # Two of two words, two of three.
    assert arabic["token_f1"] == pytest.approx(2 * 2 / (2 + 3))
    assert arabic["contains"] == 0.0
    assert arabic["bleu"] == pytest.approx(math.exp(1 - 3 / 2))
    japanese = scored("東京です", "東京都です")
    # By character: 4/4, 2/3 (東京, です), 0/2 -> 1 / (2 * 2), 0/1 -> 1 / (4 * 1); one of five too short.
    assert japanese["bleu"] == pytest.approx((2 / 3 / 4 / 4) ** (1 / 4) * math.exp(1 - 5 / 4))
    # Recall by order: 4/5, 2/4, 0/3, 0/2, precision 4/4, 2/3, 0/2, 0/1; the answer has no order 5.
    precision, recall = (1 + 2 / 3) / 4, (4 / 5 + 2 / 4) / 4
    assert japanese["chrf"] == pytest.approx(5 * precision * recall / (4 * precision + recall))


def test_an_answer_in_another_script_than_its_reference_is_wrong_not_beyond_judgement() -> None:
    # Unscored, an arm that falls into Chinese would lose its failures from its mean.
    found = scored(CHINESE, "Beijing is the capital")
    for name in ("exact_match", "token_f1", "contains", "rouge1", "rouge2", "rouge_l", "bleu", "chrf"):
        assert found[name] == 0.0, name


def test_what_stands_in_an_answer_without_spaces_cannot_be_told_to_be_a_word() -> None:
    found = scored("1848年に建てられました", "1848")
    for name in ("token_f1", "contains", "rouge1", "rouge_l"):
        assert "the answer" in str(found[name]), name
    assert found["exact_match"] == 0.0
    assert scored("1848年に建てられました", "1911")["contains"] == 0.0
    assert scored("それは 1848 年です", "1848")["contains"] == 1.0


def test_an_accent_is_the_same_in_one_character_or_two() -> None:
    apart = unicodedata.normalize("NFD", "Café créole")
    found = scored(apart, "Café créole", terms=("créole",))
    for name in ("exact_match", "token_f1", "contains", "accuracy", "terms"):
        assert found[name] == 1.0, name
    # sacrebleu gets the text as it is, so that its numbers are those of its own command.
    assert found["chrf"] != 1.0


def test_shares_of_letters_at_their_bounds() -> None:
    # Three of nine letters are Han: a third.
    assert is_spaceless("abcdef東京都")
    assert not is_spaceless("abcdefg東京都")
    assert not is_spaceless("42 ... !")
    assert latin_share("Über-Öl 42") == pytest.approx(6 / 8)
    assert latin_share("!?") == 0.0
    assert words("L'été: COVID-19の感染") == ["l", "été", "covid", "19", "の感染"]


def test_every_letter_without_spaces_is_known_and_no_other() -> None:
    """Unicode's own table of scripts, by the package `regex`; letters of no script in particular may be either."""
    regex = pytest.importorskip("regex")
    scripts = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Tibetan", "Myanmar", "Khmer")
    ours = regex.compile("|".join(rf"\p{{Script={name}}}" for name in scripts))
    shared = regex.compile(r"\p{Script=Common}|\p{Script=Inherited}|\P{Assigned}")
    letters = (chr(code) for code in range(sys.maxunicode + 1) if chr(code).isalpha())
    wrong = [
        f"U+{ord(one):04X}"
        for one in letters
        if is_spaceless(one) != bool(ours.fullmatch(one)) and not shared.fullmatch(one)
    ]
    assert wrong == []


def test_the_signature_is_sacrebleus_and_names_the_tokenizer() -> None:
    version = pytest.importorskip("sacrebleu").__version__
    assert signature("bleu") == f"nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:{version}"
    assert signature("chrf") == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"
    three = [[JAPANESE, JAPANESE], [JAPANESE]]
    assert signature("corpus_bleu", three) == f"nrefs:var|case:mixed|eff:no|tok:char|smooth:exp|version:{version}"
    mixed = signature("bleu", [[CHINESE], ["Peking"]])
    assert mixed == f"nrefs:1|case:mixed|eff:yes|tok:13a/zh|smooth:exp|version:{version}"
    assert signature("rouge1") is None


TEXTS = st.lists(
    st.sampled_from(["red", "kite", "the", "moors", "1848", "-", "É", "東京", "عاصمة", "."]), min_size=1, max_size=8
).map(" ".join)
OF_REFERENCES = [metric for metric in OVERLAP_METRICS if metric.ranks and metric.name != "terms"]


@CALM
@given(said=TEXTS, references=st.lists(TEXTS, min_size=1, max_size=4))
@given_example(said="kite", references=["kite"])
def test_values_lie_between_0_and_1_and_the_order_of_references_moves_none(said: str, references: list[str]) -> None:
    found, turned = scored(said, *references), scored(said, *references[::-1])
    for metric in OF_REFERENCES:
        value = found[metric.name]
        assert value == turned[metric.name], metric.name
        assert isinstance(value, str) or 0.0 <= value <= 1.0, metric.name


@CALM
@given(text=TEXTS, other=TEXTS)
def test_an_answer_that_equals_a_reference_is_right(text: str, other: str) -> None:
    found = scored(text, other, text)
    for metric in OF_REFERENCES:
        value = found[metric.name]
        if metric.name == "rouge2" and sum(word.isascii() for word in words(text)) < 2:
            continue  # one word, as far as ROUGE reads, has no pair
        assert isinstance(value, str) or value == pytest.approx(1.0), metric.name
    assert found["bleu"] == pytest.approx(1.0)


def test_no_metric_is_loaded_before_it_is_asked() -> None:
    """rouge-score brings nltk, and that pandas and scikit-learn: seconds that `ragft --help` must not take."""
    code = "import sys, ragft.evaluation.metrics; print({'rouge_score', 'nltk', 'sacrebleu'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
