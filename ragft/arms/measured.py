"""Answer metrics that a model must be asked for: likelihood of the references, likeness to them, entailment.

One arm's answers in, one score for each out. What was asked is kept on disk, so a second run asks no model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ragft import jsonl
from ragft.evaluation.answers import abstains
from ragft.evaluation.claims import sentences
from ragft.evaluation.grounding import as_read, without_marks
from ragft.evaluation.metric import Subject
from ragft.evaluation.metrics import answer_metric, example_of, score_of, why_unscored
from ragft.evaluation.token_matching import matching_f1
from ragft.generation.generator import Likelihood, Weighs
from ragft.provenance import sha256_text
from ragft.records import Answer, Example, Passage, Score
from ragft.retrieval.embedding import Vectors

LOGLIK, BITS, ENTAILMENT = "gold_loglik", "gold_bits_per_byte", "entailment"
SIMILARITY, TOKEN_SIMILARITY = "similarity", "token_similarity"

SHORT_WORDS = 5
"""An answer of no more words, and no full stop, is no sentence; it says something only together with its question."""

Pair = tuple[str, str]
Embed = Callable[[Sequence[str]], Vectors]
"""Unit vectors of texts, in their order: the embedder behind a cache."""

EmbedTokens = Callable[[Sequence[str]], Sequence[Vectors]]
"""Unit vectors of the tokens of texts, in their order."""

Reads = Callable[[str], bool]
"""Says whether the embedder knows the letters of a text."""

UNREAD = "the embedder does not know the letters of a reference: name one for its language under index.embedder"

OnBatch = Callable[[int], None]
"""Is told how many more pairs are done."""


class Nli(Protocol):
    """Something that tells whether a text follows from another."""

    def entails(self, pairs: Sequence[Pair]) -> list[bool]:
        """Return whether each (premise, hypothesis) is an entailment, in order."""
        ...


def likelihood_scores(
    weighs: Weighs,
    prompts: Sequence[tuple[Answer, Example, str]],
    completion: Callable[[Example], Sequence[str]],
    journal_path: Path,
    *,
    batch_size: int = 16,
    on_batch: OnBatch = lambda _: None,
) -> list[Score]:
    """Return gold_loglik and gold_bits_per_byte of every prompt: how likely the arm finds what would have been right.

    `gold_loglik` is the log-probability of a reference behind the prompt in nats per token; `gold_bits_per_byte` is
    -log2 of its probability by UTF-8 byte (without the white space around it), which does not depend on how a model
    cuts words, so models can be compared by it. Each takes the reference that is best for it. The token that ends an
    answer is counted in neither. `completion` gives every reference as it stands behind a prompt. An unanswerable
    example is unscored: how likely one phrase of refusal is says nothing of knowledge, and `abstained` counts refusals.

    `journal_path` must belong to one model with one adapter: pairs of prompt and completion that it holds are not asked
    again, whatever arm they come from.
    """
    texts = {example.id: [text for text in completion(example) if text.strip()] for _, example, _ in _gold(prompts)}
    pairs = [(prompt, text) for _, example, prompt in _gold(prompts) for text in texts[example.id]]
    rows = _remembered(
        pairs,
        journal_path,
        lambda batch: [_as_row(one) for one in weighs.likelihoods(batch)],
        batch_size,
        on_batch,
    )
    scores = []
    for answer, example, prompt in prompts:
        known = [(text, rows.get((prompt, text))) for text in texts.get(example.id, ())]
        likely = [(text, Likelihood(**row)) for text, row in known if row is not None and row["logprob"] is not None]
        scores += _gold_scores(answer, example, likely)
    return scores


def _as_row(likelihood: Likelihood) -> jsonl.Row:
    """Return a likelihood as the journal keeps it: JSON knows no infinity, the log of what a model finds impossible."""
    logprob = likelihood.logprob if math.isfinite(likelihood.logprob) else None
    return {"logprob": logprob, "tokens": likelihood.tokens}


def _gold(prompts: Sequence[tuple[Answer, Example, str]]) -> list[tuple[Answer, Example, str]]:
    """Return the prompts whose examples have something that would be right to say."""
    return [item for item in prompts if item[0].error is None and item[1].answerable and item[1].references]


def _gold_scores(answer: Answer, example: Example, likely: Sequence[tuple[str, Likelihood]]) -> list[Score]:
    reason = _why_unscored(answer, example, LOGLIK)
    if reason is None and not example.answerable:
        reason = "the example is unanswerable: no reference to find likely"
    usable = [(text, one) for text, one in likely if one.tokens > 0]
    if reason is None and not usable:
        reason = "the model gives no reference a finite likelihood"
    if reason is not None:
        return [score_of(answer, metric, None, reason) for metric in (LOGLIK, BITS)]
    loglik = max(one.logprob / one.tokens for _, one in usable)
    bits = min(-one.logprob / math.log(2) / len(text.strip().encode()) for text, one in usable)
    return [score_of(answer, LOGLIK, loglik), score_of(answer, BITS, bits)]


def _reads_all(_: str) -> bool:
    return True


def similarity_scores(
    embed: Embed, answers: Sequence[Answer], examples: Mapping[str, Example], *, reads: Reads = _reads_all
) -> list[Score]:
    """Return the likeness of every answer to its nearest reference: the cosine of their vectors, 0 where negative.

    Whole texts are compared by one vector each, so a wrong number or a missing "not" hardly lowers it. The vectors are
    the configured embedder's, which reads only the beginning of a long text; values of different embedders cannot be
    compared. A blank answer and an abstention score 0, and an unanswerable example 1 exactly if the answer abstains.
    An example with a reference that the embedder does not read is unscored: any two such texts are alike to it.
    """
    told = [(answer, example_of(answer, examples)) for answer in answers]
    near = _near(told, SIMILARITY, reads)
    texts = list(dict.fromkeys(text for answer, example in near for text in (answer.text, *example.references)))
    vectors = dict(zip(texts, np.asarray(embed(texts), dtype=np.float64), strict=True)) if texts else {}

    def value(answer: Answer, example: Example) -> float:
        best = max(float(vectors[answer.text] @ vectors[reference]) for reference in example.references)
        return min(1.0, max(0.0, best))

    return [_scored(answer, example, SIMILARITY, value, reads) for answer, example in told]


def token_similarity_scores(
    embed: EmbedTokens,
    answers: Sequence[Answer],
    examples: Mapping[str, Example],
    journal_path: Path,
    *,
    reads: Reads = _reads_all,
    batch_size: int = 64,
    on_batch: OnBatch = lambda _: None,
) -> list[Score]:
    """Return how near the tokens of every answer come to those of its nearest reference: BERTScore's F1.

    `matching_f1` is the definition. The vectors are those of the last layer of the configured embedder, where the
    authors choose a layer for each model by human judgements: values cannot be held against published ones, nor against
    those of another embedder. What `similarity_scores` says of blanks, abstentions, long texts and texts that the
    embedder does not read holds here too.

    `journal_path` must belong to one embedder: pairs that it holds are not compared again.
    """
    told = [(answer, example_of(answer, examples)) for answer in answers]
    near = _near(told, TOKEN_SIMILARITY, reads)
    pairs = [(right, answer.text) for answer, example in near for right in example.references]
    rows = _remembered(pairs, journal_path, lambda batch: _matched(embed, batch), batch_size, on_batch)

    def value(answer: Answer, example: Example) -> float:
        return max(float(rows[right, answer.text]["f1"]) for right in example.references)

    return [_scored(answer, example, TOKEN_SIMILARITY, value, reads) for answer, example in told]


def _matched(embed: EmbedTokens, pairs: Sequence[Pair]) -> list[jsonl.Row]:
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    vectors = dict(zip(texts, embed(texts), strict=True))
    return [{"f1": matching_f1(vectors[said], vectors[right])} for right, said in pairs]


def _near(told: Sequence[tuple[Answer, Example]], metric: str, reads: Reads) -> list[tuple[Answer, Example]]:
    """Return the answers that must be held against their references to know what they score."""
    return [(a, e) for a, e in told if _plain_value(a, e) is None and _why_unlike(a, e, metric, reads) is None]


def _why_unlike(answer: Answer, example: Example, metric: str, reads: Reads) -> str | None:
    """Return why an answer cannot be likened to its references; the references alone decide, as for other metrics."""
    reason = _why_unscored(answer, example, metric)
    return UNREAD if reason is None and not all(map(reads, example.references)) else reason


def _scored(
    answer: Answer, example: Example, metric: str, value: Callable[[Answer, Example], float], reads: Reads
) -> Score:
    reason = _why_unlike(answer, example, metric, reads)
    if reason is not None:
        return score_of(answer, metric, None, reason)
    plain = _plain_value(answer, example)
    return score_of(answer, metric, value(answer, example) if plain is None else plain)


def _plain_value(answer: Answer, example: Example) -> float | None:
    """Return what needs no model: the convention of SQuAD 2.0 for abstentions, and 0 for nothing said."""
    declined = abstains(answer.text, example)
    if not example.answerable:
        return float(declined)
    return 0.0 if declined or not answer.text.strip() else None


def entailment_scores(
    nli: Nli,
    answers: Sequence[Answer],
    examples: Mapping[str, Example],
    passages: Mapping[str, Passage],
    journal_path: Path,
    *,
    batch_size: int = 32,
    on_batch: OnBatch = lambda _: None,
) -> list[Score]:
    """Return the share of each answer's sentences that some passage of its prompt entails.

    After TRUE (Honovich et al. 2022) and ALCE (Gao et al. 2023), whose judge reads passage and sentence; here every
    passage is read alone, so what only two passages together say is not entailed. An answer of a few words and no full
    stop is put behind its question, as ALCE does with listed answers. Abstentions, answers without passages and answers
    that hold no sentence are unscored.

    `journal_path` must belong to one model: pairs that it holds are not judged again.
    """
    told = [(answer, example_of(answer, examples)) for answer in answers]
    asked = {place: _entailed_by(answer, example, passages) for place, (answer, example) in enumerate(told)}
    pairs = [pair for found in asked.values() if not isinstance(found, str) for sentence in found for pair in sentence]
    rows = _remembered(
        pairs, journal_path, lambda batch: [{"entails": one} for one in nli.entails(batch)], batch_size, on_batch
    )
    scores = []
    for place, (answer, _) in enumerate(told):
        found = asked[place]
        if isinstance(found, str):
            scores.append(score_of(answer, ENTAILMENT, None, found))
        else:
            held = [any(rows[pair]["entails"] for pair in sentence) for sentence in found]
            scores.append(score_of(answer, ENTAILMENT, sum(held) / len(held)))
    return scores


def _entailed_by(answer: Answer, example: Example, passages: Mapping[str, Passage]) -> list[list[Pair]] | str:
    """Return for each sentence its pairs with the passages of the prompt, or why there is nothing to judge."""
    reason = _why_unscored(answer, example, ENTAILMENT)
    given = [passages[id_] for id_ in answer.passage_ids if id_ in passages]
    said = hypotheses(answer.text, example)
    if reason is None and not answer.passage_ids:
        reason = "the arm gave it no passages"
    if reason is None and len(given) < len(answer.passage_ids):
        reason = "passages of its prompt are no longer there"
    if reason is None and abstains(answer.text, example):
        reason = "the answer abstains"
    if reason is None and not said:
        reason = "the answer holds no sentence"
    return reason or [[(as_read(passage), sentence) for passage in given] for sentence in said]


def hypotheses(answer: str, example: Example) -> list[str]:
    """Return what must follow from the passages: the answer's sentences, or a few words behind their question."""
    found = sentences(without_marks(answer))
    is_bare = len(found) == 1 and len(found[0].split()) <= SHORT_WORDS and not found[0].endswith((".", "!", "。"))
    return [f"{example.input} {found[0]}"] if is_bare else found


def _why_unscored(answer: Answer, example: Example, metric: str) -> str | None:
    return why_unscored(Subject(answer, example), answer_metric(metric))


def _remembered(
    pairs: Iterable[Pair],
    path: Path,
    ask: Callable[[Sequence[Pair]], list[jsonl.Row]],
    batch_size: int,
    on_batch: OnBatch,
) -> dict[Pair, jsonl.Row]:
    """Return what a model says of every pair, asking only for pairs that the journal lacks, batch by batch.

    Batches are cut before looking at the journal, the longest first texts first, as for answers: an interrupted command
    resumes with the batches that it would have had, for in low precision a batch can move a value. Pairs that begin
    with the same text stand together, since a model reads a prompt once for all that may follow it.
    """
    known = {row["key"]: row["said"] for line in jsonl.read_journal(path) for row in line["batch"]}
    order = sorted(set(pairs), key=lambda pair: (-len(pair[0]), pair))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        missing = [pair for pair in batch if _key(pair) not in known]
        if missing:
            rows = [{"key": _key(pair), "said": said} for pair, said in zip(missing, ask(missing), strict=True)]
            path.parent.mkdir(parents=True, exist_ok=True)
            jsonl.append_row(path, {"batch": rows})
            known.update((row["key"], row["said"]) for row in rows)
        on_batch(len(batch))
    return {pair: known[_key(pair)] for pair in order}


def _key(pair: Pair) -> str:
    return sha256_text(json.dumps(pair))
