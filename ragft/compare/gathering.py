"""Every score of a comparison: those read off the answers, and those that a model is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from ragft.arms.asking import Variant
from ragft.arms.bench import Bench
from ragft.arms.measured import (
    BITS,
    ENTAILMENT,
    LOGLIK,
    SIMILARITY,
    TOKEN_SIMILARITY,
    entailment_scores,
    likelihood_scores,
    similarity_scores,
    token_similarity_scores,
)
from ragft.arms.round import Asked
from ragft.compare.made import Made
from ragft.errors import RagftError
from ragft.evaluation.metrics import answer_metric, score_answers, score_of
from ragft.models.sources import resolve
from ragft.models.tokens import fast_tokenizer, unknown_share
from ragft.provenance import fingerprint
from ragft.records import Answer, Example, Passage, Score
from ragft.retrieval.embedding import EmbedsTokens, Vectors

if TYPE_CHECKING:
    from ragft.models.nli import NliModel


MOSTLY_UNKNOWN = 1 / 3
"""From this share of unknown tokens on, an embedder does not read a text."""


def gathered(bench: Bench, made: Made, metrics: Sequence[str]) -> list[Score]:
    """Return one score for every answer and metric, those of a judge aside; the same call again asks no model."""
    answers = [answer for asked in made.asked.values() for answer in asked.answers]
    examples = {example.id: example for example in bench.splits.eval}
    passages = passages_of(made.asked)
    scores = score_answers(answers, examples, metrics, passages)
    if {LOGLIK, BITS} & set(metrics):
        scores += [score for score in _likelihoods(bench, made, examples) if score.metric in metrics]
    if SIMILARITY in metrics:
        scores += similarity_scores(bench.embed, answers, examples, reads=_reads(bench))
    if TOKEN_SIMILARITY in metrics:
        scores += _token_similarities(bench, answers, examples)
    if ENTAILMENT in metrics:
        scores += _entailments(bench, answers, examples, passages)
    return scores


def passages_of(asked: Mapping[str, Asked]) -> dict[str, Passage]:
    """Return every passage that stood in a prompt, by its id and in the order of the ids."""
    return {
        p.id: p for one in asked.values() for variant in one.variants for q in variant.questions for p in q.passages
    }


def _likelihoods(bench: Bench, made: Made, examples: Mapping[str, Example]) -> Iterator[Score]:
    for asked in made.asked.values():
        left = iter(asked.answers)
        for variant in asked.variants:
            answers = [next(left) for _ in variant.questions]
            yield from _likelihoods_of(bench, made, variant, answers, examples)


def _likelihoods_of(
    bench: Bench, made: Made, variant: Variant, answers: Sequence[Answer], examples: Mapping[str, Example]
) -> list[Score]:
    """Return how likely one variant of an arm finds the references; a server does not tell."""
    arm, model = variant.arm, bench.model(variant.arm.model)
    prompts = [(a, examples[a.example_id], q.prompt) for a, q in zip(answers, variant.questions, strict=True)]
    weighs = made.round.asking.weighing(arm)
    if weighs is None:
        why = "a server of chat completions does not tell how likely it finds a given answer"
        return [score_of(answer, metric, None, why) for answer in answers for metric in (LOGLIK, BITS)]
    with bench.listener.work(f"Weighing references for {arm.name}", 0, "pairs") as work:
        return likelihood_scores(
            weighs,
            prompts,
            lambda example: [model.said(reference) for reference in example.references],
            made.round.asking.weights_path(arm),
            batch_size=bench.experiment.generation.batch_size,
            on_batch=work.advance,
        )


def _token_similarities(bench: Bench, answers: Sequence[Answer], examples: Mapping[str, Example]) -> list[Score]:
    version = answer_metric(TOKEN_SIMILARITY).version
    path = bench.workspace.answers_path(fingerprint({TOKEN_SIMILARITY: version, "embedder": bench.embedder_identity}))

    def embed(texts: Sequence[str]) -> Sequence[Vectors]:
        return _tokens(bench, texts)

    with bench.listener.work("Comparing tokens", 0, "pairs") as work:
        reads = _reads(bench)
        return token_similarity_scores(embed, answers, examples, path, reads=reads, on_batch=work.advance)


def _reads(bench: Bench) -> Callable[[str], bool]:
    """Return what says whether the embedder knows the letters of a text, by its tokenizer; a server does not tell."""
    is_server = bench.experiment.index.embedder.endpoint is not None
    found = None if is_server else fast_tokenizer(bench.embedder_folder.path)
    if found is None:
        return lambda _: True
    return cache(lambda text: unknown_share(found[0], text) < MOSTLY_UNKNOWN)


def _tokens(bench: Bench, texts: Sequence[str]) -> Sequence[Vectors]:
    """Return the vectors of the tokens of texts; the embedder is loaded only when it is asked."""
    embedder = bench.embedder
    if not isinstance(embedder, EmbedsTokens):
        raise _no_tokens()
    return embedder.tokens(texts)


def _no_tokens() -> RagftError:
    return RagftError(
        f"the metric {TOKEN_SIMILARITY!r} needs the vector of every token, which a server of embeddings does not give",
        "use similarity, or an embedder in this process: leave out index.embedder.endpoint",
    )


def _entailments(
    bench: Bench, answers: Sequence[Answer], examples: Mapping[str, Example], passages: Mapping[str, Passage]
) -> list[Score]:
    model = _nli(bench)
    with bench.listener.work("Judging entailment", 0, "pairs") as work:
        path = bench.workspace.answers_path(model.identity)
        return entailment_scores(model, answers, examples, passages, path, on_batch=work.advance)


def _nli(bench: Bench) -> NliModel:
    """Return the model that judges entailment, its weights not yet loaded."""
    source = bench.experiment.compare.nli
    if source is None:
        raise RagftError(
            f"the metric {ENTAILMENT!r} needs a cross-encoder for natural language inference",
            "name one under compare.nli: a Hub id or a folder",
        )
    from ragft.models.nli import NliModel

    return NliModel(resolve(source, None, bench.workspace, bench.convert))


def check_measurable(bench: Bench, metrics: Sequence[str]) -> None:
    """Raise RagftError, before anything is built, for a metric that is unknown or that nothing here could measure."""
    judge = bench.experiment.compare.judge
    for name in metrics:
        question = name.removeprefix("judge_")
        if answer_metric(name).source == "judge" and (judge is None or question not in judge.asks):
            raise RagftError(f"nobody measures {name!r}", f"name {question} under compare.judge.asks")
    if TOKEN_SIMILARITY in metrics and bench.experiment.index.embedder.endpoint is not None:
        raise _no_tokens()
    if ENTAILMENT in metrics:
        _nli(bench)
