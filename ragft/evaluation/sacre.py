"""BLEU and chrF as sacrebleu computes them (Post 2018), set up once for single answers and for whole corpora.

Must not know of arms or examples. sacrebleu gets every text as it is: its numbers must be those of anyone who runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from ragft.evaluation.scripts import bleu_tokenizer

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

_BLEU, _CHRF = ("bleu", "corpus_bleu"), ("chrf", "corpus_chrf")


@cache
def bleu_scorer(tokenizer: str, *, sentences: bool) -> BLEU:
    """Return sacrebleu's BLEU; for `sentences` with effective order, so that short answers are not all 0."""
    from sacrebleu.metrics.bleu import BLEU

    # `force` only silences a warning about text that looks tokenized; it moves no number.
    return BLEU(tokenize=tokenizer, effective_order=sentences, force=True)


@cache
def chrf_scorer() -> CHRF:
    """Return sacrebleu's chrF2: six character orders, no words, recall weighing twice as much as precision."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def signature(metric: str, references: Iterable[Sequence[str]] = ()) -> str | None:
    """Return sacrebleu's own signature of how `metric` was computed, None for one that sacrebleu does not compute.

    `references` are those of each example. They decide what the signature says of their number (`var` where examples
    differ) and of BLEU's tokenizer: of a corpus there is one; single answers may each have their own, joined by "/".
    Without any, one reference with spaces is taken for granted.
    """
    given = [list(alternatives) for alternatives in references if alternatives]
    if metric in _CHRF:
        return _signature_of(chrf_scorer(), given)
    if metric not in _BLEU:
        return None
    sentences = metric == "bleu"
    chosen = {bleu_tokenizer([one]) for one in given} if sentences and given else {bleu_tokenizer(given)}
    text = _signature_of(bleu_scorer(min(chosen), sentences=sentences), given)
    return text.replace(f"tok:{min(chosen)}", f"tok:{'/'.join(sorted(chosen))}")


def _signature_of(scorer: BLEU | CHRF, references: Sequence[Sequence[str]]) -> str:
    counts = {len(alternatives) for alternatives in references} or {1}
    scorer.num_refs = counts.pop() if len(counts) == 1 else -1  # sacrebleu's own mark for a number that varies
    return str(scorer.get_signature())
