"""Translation of the input; passages bring terminology, or segments that were translated before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragft.config import TranslationTask
from ragft.records import Document, Example
from ragft.tasks import reading
from ragft.tasks.references import first_reference


@dataclass(frozen=True, slots=True)
class Translation:
    """The task `translation`; an instance of Task.

    chrF leads: it needs no tokenizer of the language, counts a right word in another inflection in part, and follows
    human judgement of single segments better than BLEU (Popović 2015).
    """

    source: str
    target: str
    kind: str = "translation"
    prompt: str = "translation-1"
    input_field: str = "input"
    metrics: tuple[str, ...] = ("chrf", "bleu", "terms", "answer_words")
    labels: tuple[str, ...] = ()
    answers_stand_in_text: bool = False
    can_abstain: bool = False

    @property
    def prompt_values(self) -> Mapping[str, str]:
        """Return the two languages."""
        return {"source": self.source, "target": self.target}

    @property
    def _names(self) -> tuple[str, ...]:
        return ("translation", self.target, f"{self.target} translation", f"{self.target} text")

    def queries(self, example: Example) -> tuple[str, ...]:
        """Return the input."""
        return (example.input,)

    def unaided(self, example: Example) -> str:
        """Return the input, untranslated: names and numbers alone make it score something."""
        return example.input

    def completion(self, example: Example) -> str:
        """Return the first reference; raises DataError for an example without an answer."""
        return first_reference(example, "a text can always be translated")

    def parse(self, text: str) -> str:
        """Return what was said without a lead-in such as "Here is the translation:", and quotation marks around it."""
        return reading.unquoted(reading.without_lead_in(text, self._names))

    def settled(self, said: str) -> str:
        """Return what was said, and nothing while it may still turn out to be a lead-in or a quotation."""
        return reading.settled(said, self._names, may_be_quoted=True)

    def supports(self, text: str, example: Example) -> bool:
        """Return True: an entry of a glossary holds a word of the answer, never half of it."""
        return True


def terms_of(config: TranslationTask, example: Example, gold_documents: Iterable[Document]) -> tuple[str, ...]:
    """Return the terms that must stand in a translation: those of the example, else those of its gold documents.

    The latter are what the first group of `task.term_pattern` finds, each once. Where it lists alternatives between
    semicolons, the one that a reference uses counts; a term that no reference uses is left out, or the reference itself
    would miss it.
    """
    if example.terms or config.term_pattern is None:
        return example.terms
    pattern = re.compile(config.term_pattern, re.MULTILINE)
    listed = [match.group(1) for one in gold_documents for match in pattern.finditer(one.text) if match.group(1)]
    used = (_used(entry.split(";"), example.references) for entry in listed)
    return tuple(dict.fromkeys(term for term in used if term is not None))


def _used(alternatives: Sequence[str], references: Sequence[str]) -> str | None:
    """Return the longest alternative that stands in a reference, in any case."""
    terms = sorted((term.strip() for term in alternatives if term.strip()), key=len, reverse=True)
    return next((term for term in terms if any(term.casefold() in one.casefold() for one in references)), None)
