"""The tasks: what a model is trained to say, and which answer stands in what it said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragft.config import (
    ChatTask,
    ClassificationTask,
    CustomTask,
    QaTask,
    SummarizationTask,
    TranslationTask,
    load_experiment,
)
from ragft.errors import ConfigError, DataError
from ragft.prompts import ABSTENTION, TEMPLATES, Shot, conversation, form_of
from ragft.records import Document, Example, Passage, Turn
from ragft.tasks import Task, labels_of, task_of, terms_of

CALM = settings(deadline=None, max_examples=300)
SPANISH = TranslationTask(kind="translation", source="English", target="Spanish", term_pattern=r"^Spanish: (.+)$")
OWN = CustomTask(kind="custom", prompt="{{ passages }}{{ input }}", metrics=("chrf", "abstained"))

QA = task_of(QaTask(kind="qa"))
LONG = task_of(QaTask(kind="qa", answers="long"))
SUMMARY = task_of(SummarizationTask(kind="summarization", sentences=2))
TOPIC = task_of(SummarizationTask(kind="summarization", of="passages"))
TRANSLATION = task_of(SPANISH)
CHAT = task_of(ChatTask(kind="chat"))
CUSTOM = task_of(OWN)


def classes(*labels: str) -> Task:
    return task_of(ClassificationTask(kind="classification", labels=labels))


FEVER = classes("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")
ALL = [QA, LONG, SUMMARY, TOPIC, TRANSLATION, FEVER, CHAT, CUSTOM]
NAMES = [f"{task.kind}-{task.prompt.rpartition('-')[0]}" for task in ALL]


def example(*references: str) -> Example:
    return Example("e1", "Who?", references, answerable=bool(references))


@pytest.mark.parametrize(
    ("task", "prompt", "field", "metrics", "abstains"),
    [
        (QA, "qa-short-1", "question", ("token_f1", "exact_match", "contains", "abstained"), True),
        (
            LONG,
            "qa-long-1",
            "question",
            ("rouge_l", "rouge1", "rouge2", "token_f1", "abstained", "answer_words"),
            True,
        ),
        (SUMMARY, "summary-1", "input", ("rouge_l", "rouge1", "rouge2", "chrf", "answer_words"), False),
        (TOPIC, "summary-topic-1", "topic", ("rouge_l", "rouge1", "rouge2", "chrf", "answer_words"), False),
        (TRANSLATION, "translation-1", "input", ("chrf", "bleu", "terms", "answer_words"), False),
        (FEVER, "classification-1", "input", ("accuracy",), False),
        (CHAT, "chat-1", "input", ("rouge_l", "chrf", "token_f1", "contains", "abstained", "answer_words"), True),
    ],
)
def test_a_task_has_its_own_template_input_field_and_metrics(
    task: Task, prompt: str, field: str, metrics: tuple[str, ...], abstains: bool
) -> None:
    assert TEMPLATES[task.prompt].task == task.kind
    assert (task.prompt, task.input_field, task.metrics, task.can_abstain) == (prompt, field, metrics, abstains)


def test_a_custom_task_has_the_prompt_and_the_metrics_of_its_file() -> None:
    assert form_of(OWN, CUSTOM.prompt).name == CUSTOM.prompt
    assert (CUSTOM.kind, CUSTOM.input_field, CUSTOM.metrics) == ("custom", "input", ("chrf", "abstained"))
    assert CUSTOM.can_abstain
    assert not task_of(OWN.model_copy(update={"metrics": ("chrf",)})).can_abstain


@pytest.mark.parametrize("task", ALL, ids=NAMES)
def test_the_default_prompt_asks_for_what_the_task_fills_in(task: Task) -> None:
    """A placeholder that a task does not fill would be a KeyError in the middle of a run."""
    config = OWN if task is CUSTOM else ChatTask(kind="chat")
    form = form_of(config, task.prompt) if task is CUSTOM else TEMPLATES[task.prompt]
    shots = [Shot(Example("t1", "Where?", ("Here",)), "Here")]
    passages = [Passage("d#0-4", "d", "", "Ada.", 0, 4)]
    messages = conversation(form, example("Ada"), passages=passages, shots=shots, values=task.prompt_values)
    assert [message["content"] for message in messages].count("Here") == 1
    assert "Who?" in messages[-1]["content"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Paris", "Paris"),
        ("  Paris \n", "Paris"),
        ("\n\nParis\nis the capital of France.", "Paris"),
        ("The answer is: Paris", "Paris"),
        ("the answer is Paris", "Paris"),
        ("Answer: Paris", "Paris"),
        ("ANSWER : Paris", "Paris"),
        ("A: Paris", "Paris"),
        ("The answer to the question is Paris", "Paris"),
        ("Answer to this question: Paris", "Paris"),
        ("The answer is:\nParis", "Paris"),
        ("Answer:\n\nParis\nLyon", "Paris"),
        ("Paris [2]", "Paris"),
        ("Paris [1][12], France [3].", "Paris, France."),
        ("[2]", ""),
        ("", ""),
        (" \n ", ""),
        ("The answer:", ""),
        ("A Paris", "A Paris"),
        ("Answering machines", "Answering machines"),
        ("The answer isn't known", "The answer isn't known"),
        ("Answer is in Paris", "in Paris"),
        ("An array [i]", "An array [i]"),
    ],
)
def test_an_answer_is_the_first_line_without_lead_in_and_citations(said: str, answer: str) -> None:
    assert QA.parse(said) == answer


def test_a_model_is_trained_to_say_the_first_reference_or_to_abstain() -> None:
    assert QA.completion(example("Ada", "Ada Voss")) == "Ada"
    assert QA.completion(example()) == ABSTENTION


@pytest.mark.parametrize(
    ("text", "supports"),
    [("It was Ada Voss.", True), ("It was ADA  voss!", True), ("Adas Voss", False), ("Voss, Ada", False), ("", False)],
)
def test_a_passage_supports_an_answer_that_stands_in_it_as_whole_words(text: str, supports: bool) -> None:
    assert QA.supports(text, example("Nobody", "Ada Voss")) is supports


@pytest.mark.parametrize(
    ("text", "reference", "supports"),
    [
        ("東京都は日本の首都です。", "東京都", True),  # as tokens, the passage is one word
        ("京都は古い都です。", "東京都", False),
        ("灯台は1848年に建てられた", "1848年", True),
        ("灯台は1848年に建てられた", "1848", True),
        ("灯台は1848年に建てられた", "84", False),
        ("هي القاهرة، عاصمة مصر", "القاهرة", False),  # the comma is no ASCII, so SQuAD leaves it at its word
        ("مصر عاصمتها القاهرة", "القاهرة", True),
        ("مصر عاصمتها القاهرة", "قاهرة", False),  # letters inside a word
        ("Cafe\u0301 Voss", "Caf\u00e9", True),
    ],
)
def test_a_passage_in_another_script_supports_the_answer_that_stands_in_it(
    text: str, reference: str, supports: bool
) -> None:
    assert QA.supports(text, example("Nobody", reference)) is supports


def test_no_passage_supports_a_question_without_an_answer() -> None:
    assert QA.supports("It was Ada Voss.", example()) is False


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("SUPPORTS", "SUPPORTS"),
        ("supports.", "SUPPORTS"),
        ("It Refutes the claim, and nothing SUPPORTS it", "REFUTES"),
        ("Label: not enough info", "NOT ENOUGH INFO"),
        ("**REFUTES**", "REFUTES"),
        ("SUPPORTSX then REFUTES", "REFUTES"),
        ("unSUPPORTS", "unSUPPORTS"),
        ("NOT ENOUGH  INFO", "NOT ENOUGH  INFO"),
        ("  no idea \n", "no idea"),
        ("", ""),
    ],
)
def test_a_label_is_found_as_whole_words_in_any_case_and_the_first_one_counts(said: str, label: str) -> None:
    assert FEVER.parse(said) == label


def test_of_labels_that_begin_at_one_place_the_longest_counts() -> None:
    assert classes("not", "not true").parse("That is not true") == "not true"
    assert classes("C", "C++").parse("C++") == "C++"
    assert classes("true", "not true").parse("not true") == "not true"


@pytest.mark.parametrize("labels", [("A", "a"), ("a", "A")])
def test_of_labels_that_differ_in_case_the_one_that_is_spelled_so_counts(labels: tuple[str, str]) -> None:
    assert [classes(*labels).parse(said) for said in ("a", "A")] == ["a", "A"]


def test_a_label_with_the_characters_of_a_pattern_is_taken_as_text() -> None:
    assert classes("a.c", "(b)").parse("abc (b)") == "(b)"


def test_the_prompt_lists_the_labels() -> None:
    assert FEVER.prompt_values == {"labels": "SUPPORTS, REFUTES or NOT ENOUGH INFO"}
    assert classes("yes", "no").prompt_values == {"labels": "yes or no"}


def test_a_model_is_trained_to_say_the_label() -> None:
    assert FEVER.completion(example("REFUTES")) == "REFUTES"


def test_the_labels_of_the_examples_are_taken_where_the_file_names_none() -> None:
    examples = [example("yes"), example("no", "never"), example("yes"), example()]
    assert labels_of(examples) == ("never", "no", "yes")
    none_named = ClassificationTask(kind="classification")
    assert task_of(none_named, labels_of(examples)).labels == ("never", "no", "yes")
    assert task_of(none_named.model_copy(update={"labels": ("a", "b")}), ("c", "d")).labels == ("a", "b")


def test_examples_of_one_label_are_no_classification() -> None:
    with pytest.raises(DataError, match=r"needs two labels at least, and the examples have \['yes'\]") as caught:
        _ = task_of(ClassificationTask(kind="classification"), ("yes",)).prompt_values
    assert caught.value.hint == "name the labels under task.labels"


@pytest.mark.parametrize("references", [("refutes",), ("UNKNOWN",), ()])
def test_a_label_that_the_experiment_does_not_list_is_an_error_that_names_the_example(
    references: tuple[str, ...],
) -> None:
    with pytest.raises(DataError, match=r"example 'e1': its label .* is not among task\.labels") as caught:
        FEVER.completion(example(*references))
    assert caught.value.hint == "labels: SUPPORTS, REFUTES, NOT ENOUGH INFO"


def test_any_passage_of_a_gold_document_may_be_the_evidence_of_a_label() -> None:
    assert FEVER.supports("anything", example("REFUTES"))


# ------------------------------------------------------------------------------------------------- reading free answers


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Plain words.\n\nAnd more [1].", "Plain words.\n\nAnd more."),
        ("Answer: Because.", "Because."),
        ("The answer to this question is: Because [2] of it.", "Because of it."),
        ("**Answer:** Because.", "Because."),
        # What begins a sentence stays: a short answer would lose it.
        ("The answer is simple. It rains.", "The answer is simple. It rains."),
        ("The answer is in the ratio 1:2.", "The answer is in the ratio 1:2."),
        ("A: is a grade", "A: is a grade"),
        ('"Rain" and "snow"', '"Rain" and "snow"'),
        ('"All of it."', '"All of it."'),
    ],
)
def test_a_long_answer_is_all_that_was_said_but_lead_in_and_citations(said: str, answer: str) -> None:
    assert LONG.parse(said) == answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("  We learn it.\n", "We learn it."),
        ("Summary: We learn it.", "We learn it."),
        ("**Summary:** We learn it.", "We learn it."),
        ("## Summary:\nWe learn it.", "We learn it."),
        ("TL;DR: We learn it.", "We learn it."),
        ("Here is a one-sentence summary of the text:\n\nWe learn it.", "We learn it."),
        ("Here’s a short summary: We learn it.", "We learn it."),
        ("Sure! Here is the summary:\nWe learn it.", "We learn it."),
        ("The summary is: We learn it.", "We learn it."),
        ("In summary: We learn it.", "We learn it."),
        ('"We learn it."', "We learn it."),
        ("Summary: “We don’t learn it.”", "We don’t learn it."),
        ("'We don't learn it.'", "We don't learn it."),
        ("«We learn it.»", "We learn it."),
        # Real content that only looks like a lead-in or a quotation.
        ("Here is a summary method that learns.", "Here is a summary method that learns."),
        ("Here is where it ends: nobody learns.", "Here is where it ends: nobody learns."),
        ("Here is a new method for summary evaluation: F1.", "Here is a new method for summary evaluation: F1."),
        ("Summary statistics: the mean is 3.", "Summary statistics: the mean is 3."),
        ("In summary, we learn it.", "In summary, we learn it."),
        ("Sure: nothing is.", "Sure: nothing is."),
        ('"Learning" is not "knowing"', '"Learning" is not "knowing"'),
        ("'Learning' is not 'knowing'", "'Learning' is not 'knowing'"),
        ('"Learning', '"Learning'),
        ('"', '"'),
        ("Summary:", ""),
        ("", ""),
    ],
)
def test_a_summary_is_read_without_lead_in_and_quotation_marks(said: str, answer: str) -> None:
    assert SUMMARY.parse(said) == answer
    assert TOPIC.parse(said) == answer


def test_marks_are_dropped_where_passages_are_summarised_and_kept_where_a_text_is() -> None:
    said = "Summary: It grows [2]. It ends [1]."
    assert TOPIC.parse(said) == "It grows. It ends."
    assert SUMMARY.parse(said) == "It grows [2]. It ends [1]."
    assert TOPIC.parse('"It grows." [2]') == "It grows."


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Hola.", "Hola."),
        ("Here is the translation:\n\nHola.", "Hola."),
        ("Here's the Spanish translation of the text: Hola.", "Hola."),
        ("The translation into Spanish is: Hola.", "Hola."),
        ("Spanish: Hola.", "Hola."),
        ("In Spanish: “Hola.”", "Hola."),
        ("Spanish translation: Hola.\nAdiós.", "Hola.\nAdiós."),
        ("English: Hello.", "English: Hello."),
        ("Aquí: dijo [3].", "Aquí: dijo [3]."),
        ("Spanish flu: la gripe.", "Spanish flu: la gripe."),
        ("„Hola“", "Hola"),
    ],
)
def test_a_translation_is_read_without_lead_in_and_quotation_marks(said: str, answer: str) -> None:
    assert TRANSLATION.parse(said) == answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("At noon [1], she said.\nNot before.", "At noon, she said.\nNot before."),
        ("Assistant: At noon.", "At noon."),
        ("Answer: At noon.", "At noon."),
        ("The assistant manager: Ada.", "The assistant manager: Ada."),
        ("I don't know", "I don't know"),
    ],
)
def test_an_answer_in_a_conversation_is_read_without_lead_in_and_citations(said: str, answer: str) -> None:
    assert CHAT.parse(said) == answer


def test_a_custom_answer_stays_as_it_was_said_but_for_citations() -> None:
    first_line = task_of(OWN.model_copy(update={"read": "first_line"}))
    said = "\nAnswer: row[0] and x [1].\nMore. [2]\n"
    assert CUSTOM.parse(said) == "Answer: row[0] and x.\nMore."
    assert first_line.parse(said) == "Answer: row[0] and x."
    assert (first_line.parse(" \n"), CUSTOM.settled("Answer:")) == ("", "Answer:")


WORDS = st.sampled_from(
    [
        *("Here", "is", "Here's", "the", "a", "short", "Summary", "summary", "Summary:", "translation", "of", "text:"),
        *("In", "Spanish", "Spanish:", "Sure!", "Answer:", "answer", "Answer", "Assistant:", "TL;DR:", "**Summary:**"),
        *('"Hola', 'Hola"', '"', "'it's", "it's'", "“so", "so”", "x", "one-sentence", "[1]", "end.", "course", ":"),
    ]
)
FREE = [LONG, SUMMARY, TOPIC, TRANSLATION, CHAT, CUSTOM]


@pytest.mark.parametrize("task", FREE, ids=[name for name in NAMES if "short" not in name and "class" not in name])
@CALM
@given(words=st.lists(WORDS, min_size=1, max_size=9), breaks=st.lists(st.sampled_from([" ", "\n"]), min_size=9))
def test_what_is_shown_while_a_model_speaks_is_never_taken_back(
    task: Task, words: list[str], breaks: list[str]
) -> None:
    texts = ["".join(f"{word}{gap}" for word, gap in zip(words[:n], breaks, strict=False)).rstrip() for n in range(10)]
    answer = task.parse(texts[len(words)])
    for said in texts[: len(words)]:
        settled = task.settled(said)
        assert settled in ("", said)
        assert answer.startswith(task.parse(settled)), (said, answer)


@pytest.mark.parametrize(
    ("said", "is_shown"),
    [
        ("The", False),
        ("The results", True),
        ("Here", False),
        ("Of", False),
        ("One", False),
        ("Only", True),
        ("Here is the", False),
        ("Here is the method", True),
        ("Summary of the long", False),
        ("Summary of the long text:", False),
        ("Summary of the long text: We", True),
        ('"We', False),
        ('"We" learn', True),
        ("'We don't", False),
        ("We", True),
    ],
)
def test_only_what_may_become_a_lead_in_or_a_quotation_is_held_back(said: str, is_shown: bool) -> None:
    """A task that held back all until the end would not stream."""
    assert SUMMARY.settled(said) == (said if is_shown else "")


@pytest.mark.parametrize("task", [TOPIC, CHAT])
def test_a_citation_behind_a_quotation_does_not_settle_whether_it_is_all(task: Task) -> None:
    """Read now it would be shown without its quotation marks, and get them back with the next word."""
    assert task.settled('"It grows." [2]') == ""
    assert task.settled('"It grows." [2] So') == '"It grows." [2] So'


# ------------------------------------------------------------------------------------------ what is asked and known


FOLLOW_UP = Example("e1", "And its colour?", ("green",), history=(Turn("Who?", "Ada"), Turn("Which light?", "Aldmoor")))


@pytest.mark.parametrize("task", [QA, LONG, CHAT, CUSTOM])
def test_a_follow_up_is_searched_for_alone_and_with_the_question_before(task: Task) -> None:
    assert task.queries(FOLLOW_UP) == ("And its colour?", "Which light?\nAnd its colour?")
    assert task.queries(example("Ada")) == ("Who?",)


@pytest.mark.parametrize("task", [SUMMARY, TOPIC, TRANSLATION, FEVER])
def test_a_text_is_searched_for_as_it_is(task: Task) -> None:
    assert task.queries(FOLLOW_UP) == ("And its colour?",)


def test_the_first_sentences_are_a_summary_without_a_model() -> None:
    text = "  Dr. Voss came at 5 p.m. to see it.  Was it new? It was.\n\nNobody knew."
    one, four = (task_of(SummarizationTask(kind="summarization", sentences=n)) for n in (1, 4))
    found = [task.unaided(Example("e1", text, ("x",))) for task in (one, SUMMARY, four)]
    first = "Dr. Voss came at 5 p.m. to see it."
    assert found == [first, f"{first}  Was it new?", text.strip()]


def test_a_japanese_text_has_first_sentences_too() -> None:
    assert SUMMARY.unaided(Example("e1", "灯台は緑です。港は広い。鳥がいる。", ("x",))) == "灯台は緑です。港は広い。"


def test_the_input_copied_is_a_translation_without_a_model_and_nothing_else_is_an_answer() -> None:
    assert TRANSLATION.unaided(example("Quién")) == "Who?"
    assert [task.unaided(example("x")) for task in (QA, LONG, TOPIC, FEVER, CHAT, CUSTOM)] == [None] * 6


@pytest.mark.parametrize("task", [LONG, CHAT, CUSTOM])
def test_a_free_answer_is_the_first_reference_or_the_abstention(task: Task) -> None:
    assert (task.completion(example("Ada", "Voss")), task.completion(example())) == ("Ada", ABSTENTION)


@pytest.mark.parametrize("task", [SUMMARY, TOPIC, TRANSLATION])
def test_an_unanswerable_summary_or_translation_is_an_error_that_names_the_example(task: Task) -> None:
    assert task.completion(example("Ada", "Voss")) == "Ada"
    with pytest.raises(DataError, match="example 'e1' has no references"):
        task.completion(example())


@pytest.mark.parametrize("task", [LONG, SUMMARY, TOPIC, CHAT])
def test_a_passage_with_half_the_words_of_a_reference_supports_a_free_answer(task: Task) -> None:
    reference = example("nothing", "The green light burns all night")  # 5 words beside the article
    assert task.supports("A light: green, and it burns.", reference)
    assert not task.supports("A green light.", reference)
    assert not task.supports("", reference)
    assert task.supports("A green light.", example("Green light burns high"))  # half is enough


def test_only_a_short_answer_stands_in_its_passage() -> None:
    assert [task.answers_stand_in_text for task in ALL] == [task is QA for task in ALL]
    assert [task.labels for task in ALL if task is not FEVER] == [()] * 7


# ---------------------------------------------------------------------------------------------------------- terminology


GLOSSARY = [
    Document("t1", "wash", "English: wash\nSpanish: lávate; Lave las manos; lave"),
    Document("t2", "mask", "English: mask\nSpanish: mascarilla"),
    Document("t3", "cold", "English: cold\nSpanish: resfriado\nNote: Spanish: not at the beginning"),
    Document("t4", "wash again", "Spanish: lave las manos"),
]


def test_terms_are_what_the_pattern_finds_in_the_gold_documents_and_a_reference_uses() -> None:
    asked = Example("e1", "Wash your hands, no mask.", ("Lave las manos, sin mascarillas.", "Sin más."))
    # t1: of the alternatives in the reference the longest, as it is spelled; t3 is in none; t4 is t1 in another case.
    assert terms_of(SPANISH, asked, GLOSSARY[:3]) == ("Lave las manos", "mascarilla")
    assert terms_of(SPANISH, asked, GLOSSARY[3:]) == ("lave las manos",)
    assert terms_of(SPANISH, asked, []) == ()


def test_terms_of_the_example_itself_and_a_task_without_a_pattern_stay_as_they_are() -> None:
    own = Example("e1", "Wash.", ("Lave las manos",), terms=("jabón",))
    assert terms_of(SPANISH, own, GLOSSARY) == ("jabón",)
    plain = SPANISH.model_copy(update={"term_pattern": None})
    assert terms_of(plain, Example("e1", "Wash.", ("Lave las manos",)), GLOSSARY) == ()


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        (
            "{kind: translation, source: a, target: b, term_pattern: 'x ('}",
            "task.term_pattern: is no regular expression: missing ), unterminated subpattern at position 2",
        ),
        (
            "{kind: translation, source: a, target: b, term_pattern: 'Spanish: .+'}",
            "task.term_pattern: has no group: put the target term in parentheses, such as `Spanish: (.+)`",
        ),
        (
            "{kind: classification, labels: [a]}",
            "task.labels: one label is no choice: name two or more, or none for those of the examples",
        ),
        ("{kind: classification, labels: [a, b, a]}", "task.labels: 'a' stands twice"),
        ("{kind: classification, labels: [a, ' ']}", "task.labels: a label is blank"),
    ],
)
def test_a_wrong_pattern_or_label_is_a_fault_of_the_file(tmp_path: Path, task: str, fault: str) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(f"name: x\ntask: {task}\ndata: {{eval: eval.jsonl}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    assert [found.partition(":2: ")[2] for found in caught.value.faults] == [fault]
