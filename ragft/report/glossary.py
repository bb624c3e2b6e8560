"""What each metric means, one sentence each, as the reports print it. Must not know how a metric is computed."""

from __future__ import annotations

import re
from collections.abc import Iterable

_METRICS = {
    "exact_match": "1 if the answer equals a reference, case, punctuation and articles aside, else 0 (SQuAD).",
    "token_f1": "Overlap of the answer's words with the best reference's, as F1 of precision and recall (SQuAD).",
    "contains": "1 if a reference stands word for word in the answer, else 0.",
    "accuracy": "1 if the answer is the right label, else 0.",
    "abstained": "1 if the answer declines to answer, else 0. Neither high nor low is good in itself.",
    "macro_f1": "F1 of each label, averaged with equal weight for every label.",
    "rouge1": "Overlap of the answer's words (stemmed) with the best reference's, as F1. Latin letters only (ROUGE-1).",
    "rouge2": "Overlap of pairs of neighbouring words with the best reference's, as F1. Latin letters only (ROUGE-2).",
    "rouge_l": "Longest common sequence of words with the best reference, as F1. Latin letters only (ROUGE-L).",
    "bleu": "Precision of word sequences up to four against all references, less for short answers; mean over answers.",
    "chrf": "Overlap of character sequences up to six with the best reference's, as F2; for any script (chrF2).",
    "corpus_bleu": "BLEU of all answers taken together, as published: not the mean of the BLEU of each.",
    "corpus_chrf": "chrF2 of all answers taken together, as published: not the mean of the chrF2 of each.",
    "terms": "Share of the terms that the example names that stand in the answer, whole words, case aside.",
    "answer_words": "Words in the answer; characters where the script has no spaces. Neither high nor low is good.",
    "gold_loglik": "Log-probability per token (nats) that the arm gives the likeliest reference. Nearer 0 is better.",
    "gold_bits_per_byte": "Bits that the arm needs for one byte of the likeliest reference. Lower is better.",
    "similarity": "How near the embedder finds the answer to the nearest reference, from 0 to 1.",
    "token_similarity": "How near the embedder finds each token to one of the nearest reference, as F1 (BERTScore).",
    "entailment": "How far the answer follows from the passages, as a model of natural language inference sees it.",
    "judge_correctness": "1 if the judge finds that the answer agrees with a reference, else 0.",
    "judge_faithfulness": "1 if the judge finds everything in the answer supported by the passages, else 0.",
    "mrr": "1 / the rank of the first gold document among the first ten, 0 if it is not; averaged over the questions.",
    "passage_mrr": "1 / the rank of the first gold passage among the first ten, 0 if it is not; averaged likewise.",
    "coverage": "Share of the questions that the arm answered at all instead of declining.",
    "groundedness": "How far the passages in the prompt support what the answer says.",
    "k_precision": "Share of the answer's words that stand in its passages.",
    "passage_support": "Share of the answer's numbers and names that stand in its passages.",
    "citation_precision": "Share of the cited passages that come from a gold document.",
    "citation_recall": "Share of the gold documents among the passages that the answer cites.",
    "wasted_citations": "Cited passages that come from no gold document, counted for each answer.",
    "invented_citations": "Numbers that the answer cites and no passage has, counted for each answer.",
}

_AT_CUTOFF = {
    "recall": "Share of the gold documents that stand among the first {k} found.",
    "precision": "Share of the first {k} places that hold a gold document.",
    "ndcg": "Gain of the gold documents among the first {k}, discounted by rank, over the best possible gain.",
    "hit": "1 if any gold document stands among the first {k}, else 0.",
    "mrr": "1 / the rank of the first gold document among the first {k}, 0 if there is none.",
    "passage_recall": "Share of the gold passages (of a gold document, holding a reference) among the first {k} found.",
    "passage_precision": "Share of the first {k} places that hold a gold passage.",
    "passage_ndcg": "Gain of the gold passages among the first {k}, discounted by rank, over the best possible gain.",
    "answer_hit": "1 if a reference stands word for word in one of the first {k} passages, else 0.",
}

TERMS = (
    ("interval", "The range of values that the data are compatible with, at the confidence level stated with it."),
    ("contrast", "The difference between two arms on the same questions. Declared: named before the run."),
    ("adjusted p", "The p-value after Holm's correction for the number of declared contrasts."),
    (
        "minimum detectable effect",
        "The difference that this many questions would find in 80 of 100 repetitions, at a significance level of 0.05.",
    ),
    ("questions needed", "How many questions the measured difference would need to be found with the same certainty."),
    ("to decide", "About how many more questions would decide between the two arms at the margin."),
    ("front", "The arms that no other arm beats both in quality and in what it takes."),
    ("margin", "The difference that you said makes no practical difference."),
    ("control", "An arm that shows a limit (the right passages, or random ones). It cannot be shipped."),
    ("not comparable", "Too many of the arm's answers were cut off, declined or lost: its mean would mislead."),
    ("latency p50", "Median time that one user waits for one answer, measured one question at a time."),
    ("truncated", "Share of the answers that were cut off at the longest length allowed."),
    ("without any model", "A constant label, the input copied, or its beginning: what any arm has to beat."),
    ("AURC", "Mean risk (1 - the metric) over all shares of answers kept, the surest first. Lower is better."),
    ("position-bound", "A judge's verdict on two answers that changed when their order did: it counts as a tie."),
)
"""The other words of the reports, each with its meaning."""


def describe(metric: str) -> str | None:
    """Return the sentence that says what `metric` means, None for a metric that is not known here."""
    if metric in _METRICS:
        return _METRICS[metric]
    found = re.fullmatch(r"([a-z_]+)@(\d+)", metric)
    if found is None or found[1] not in _AT_CUTOFF:
        return None
    return _AT_CUTOFF[found[1]].format(k=found[2])


def entries(metrics: Iterable[str]) -> list[tuple[str, str]]:
    """Return the glossary of the given metrics, each once, and of the other words of the report."""
    known = [(metric, describe(metric)) for metric in dict.fromkeys(metrics)]
    return [*((metric, text) for metric, text in known if text is not None), *TERMS]
