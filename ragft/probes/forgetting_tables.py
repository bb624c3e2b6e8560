"""What was forgotten as tables, sentences and numbers by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ragft.evaluation.probing import Cell, Column, Row, Table, cell
from ragft.probes.abilities import FEW, Abilities
from ragft.probes.drift import Moved
from ragft.probes.quiz import Part
from ragft.probes.weights import BASE, Weights
from ragft.probes.wording import change, estimated, is_clear, scored
from ragft.records import Estimate

Drifts = Mapping[str, Mapping[str, Moved]]
"""What each adapter does to each text: by `general` and `own`, then by name."""

NOTHING = Cell(None)

_KINDS = {
    "one_word": "one word",
    "three_items": "three items",
    "upper_case": "capitals",
    "json": "JSON",
    "refusal": "declines",
    "plain": "passage",
    "contradicting": "passage against common knowledge",
}

_ABILITIES: tuple[tuple[Part, str], ...] = (
    ("facts", "answers {share} of {n} questions of general knowledge"),
    ("instructions", "follows {share} of {n} instructions"),
    ("reading", "reads {share} of {n} answers out of the passage that it is given"),
)


def main_table(names: Sequence[str], drift: Drifts, able: Abilities) -> Table:
    """Return the table of the base and every adapter."""
    columns = (
        Column("KL, general text", "number"),
        Column("KL, own text", "number"),
        Column("perplexity ratio", "number"),
        Column("same top token", "share"),
        Column("known facts kept", "share"),
        Column("facts", "share"),
        Column("instructions", "share"),
        Column("reading", "share"),
    )
    note = (
        "KL in nats a token; perplexity (tuned over base) and top token on general text. Facts, instructions and "
        "reading are shares of right replies, the base's in the first row."
    )
    rows = [Row(name, (*_moved_cells(name, drift), *_able_cells(name, able))) for name in (BASE, *names)]
    return Table("forgetting", "What training did to the rest of the model", "weights", columns, tuple(rows), note)


def _moved_cells(name: str, drift: Drifts) -> Iterator[Cell]:
    general, own = drift.get("general", {}).get(name), drift.get("own", {}).get(name)
    yield cell(general.kl) if general else NOTHING
    yield cell(own.kl) if own else NOTHING
    yield cell(general.ratio) if general else NOTHING
    yield cell(general.agreed) if general else NOTHING


def _able_cells(name: str, able: Abilities) -> Iterator[Cell]:
    yield cell(able.kept[name]) if name in able.kept else NOTHING
    for part, _ in _ABILITIES:
        yield cell(able.shares[part][name])


def transition_table(tuned: Sequence[Weights], able: Abilities) -> Table:
    """Return the table of what became of known and unknown facts, a row for each training."""
    columns = tuple(
        Column(title, "count")
        for title in ("known, still known", "known, now wrong", "of these declined", "wrong, now known", "still wrong")
    )
    found = ((one.title, able.transitions[one.title]) for one in tuned)
    rows = tuple(
        Row(title, tuple(Cell(count) for count in (one.kept, one.lost, one.declined, one.gained, one.unknown)))
        for title, one in found
    )
    return Table("facts", "Facts of general knowledge before and after training", "weights", columns, rows)


def ability_table(names: Sequence[str], able: Abilities) -> Table:
    """Return the table of instructions and passages by kind."""
    columns = tuple(Column(_KINDS.get(kind, kind), "share") for kind in able.kinds)
    rows = tuple(Row(name, tuple(cell(able.kinds[kind][name]) for kind in able.kinds)) for name in (BASE, *names))
    return Table("kinds", "Instructions and given passages by kind", "weights", columns, rows)


def first_finding(names: Sequence[str], general: Mapping[str, Moved], able: Abilities) -> str:
    """Return the sentence that names every adapter with how far it moved the model and what is left of its facts."""
    parts = []
    for number, name in enumerate(names):
        moved, kept = general.get(name), able.kept[name].mean
        said = [] if moved is None else [_nats(moved.kl, whole=number == 0)]
        if kept is not None and len(able.known) >= FEW:
            told = (
                f"{percent(kept)} of the {len(able.known)} facts that the base knew" if number == 0 else percent(kept)
            )
            said.append(f"keeps {told}" if number == 0 or moved is None else told)
        if said:
            parts.append(f"{name} {' and '.join(said)}")
    return f"{'; '.join(parts)}." if parts else _few_known(able)


def _nats(kl: Estimate, *, whole: bool) -> str:
    amount = scored(kl.mean)
    return f"moves the model by {amount} nats a token on general text" if whole else f"by {amount} nats"


def _few_known(able: Abilities) -> str:
    n = able.shares["facts"][BASE].n
    return f"The base knows {len(able.known)} of {n} facts of general knowledge, too few to say what is kept of them."


def drift_findings(names: Sequence[str], drift: Drifts) -> list[str]:
    """Return for each adapter how far it is from the base on each text, with intervals."""
    general, own = drift.get("general", {}), drift.get("own", {})
    found = []
    for name in names:
        if name in general:
            one = general[name]
            found.append(
                f"{name}: KL from the base is {estimated(one.kl)} nats a token on general text, where its perplexity "
                f"is {estimated(one.ratio)} times the base's and the likeliest token is the same at "
                f"{percent(one.agreed.mean)} of the places; on text that the base wrote itself, KL is "
                f"{estimated(own[name].kl)}."
            )
    return found


def ability_findings(names: Sequence[str], able: Abilities) -> list[str]:
    """Return what each adapter kept and lost of facts, instructions and reading."""
    found = [_few_known(able)] if len(able.known) < FEW else [_kept_finding(name, able) for name in names]
    return [*found, *(finding for part, words in _ABILITIES for finding in _changes(names, able, part, words))]


def _kept_finding(name: str, able: Abilities) -> str:
    changes = [one for title, one in able.transitions.items() if title == name]
    counts = ""
    if changes:
        one = changes[0]
        counts = f": {one.lost} are lost ({one.declined} of them declined), and {one.gained} others are new"
    return f"Of the {len(able.known)} facts that the base knew, {name} keeps {estimated(able.kept[name])}{counts}."


def _changes(names: Sequence[str], able: Abilities, part: Part, words: str) -> Iterator[str]:
    """Yield one sentence for the base and all adapters: the share of each and how clear its difference is."""
    shares = able.shares[part]
    base = shares[BASE]
    if base.mean is None:
        return
    told = []
    for name in names:
        contrast = able.changes[part].get(name)
        clear = "" if contrast is not None and is_clear(contrast) else ", no clear difference"
        difference = "" if contrast is None else f" ({change(contrast)}{clear})"
        told.append(f"{name} {scored(shares[name].mean)}{difference}")
    yield f"The base {words.format(share=scored(base.mean), n=base.n)}; {'; '.join(told)}."


def values_of(names: Sequence[str], drift: Drifts, able: Abilities) -> dict[str, Any]:
    """Return the numbers by name: those of the base, and those of every adapter."""
    general, own = drift.get("general", {}), drift.get("own", {})
    base: dict[str, Any] = {"facts_known": len(able.known), **_means(able, BASE)}
    adapters: dict[str, dict[str, Any]] = {}
    for name in names:
        moved, alone = general.get(name), own.get(name)
        adapters[name] = {
            "kl": moved.kl.mean if moved else None,
            "kl_own": alone.kl.mean if alone else None,
            "perplexity_ratio": moved.ratio.mean if moved else None,
            "top1_agreement": moved.agreed.mean if moved else None,
            "facts_kept": able.kept[name].mean,
            **_means(able, name),
        }
    return {"base": base, "adapters": adapters}


def _means(able: Abilities, name: str) -> dict[str, float | None]:
    return {str(part): able.shares[part][name].mean for part, _ in _ABILITIES}


def percent(share: float | None) -> str:
    """Return a share such as `71 %`."""
    return "n/a" if share is None else f"{100 * share:.0f} %"
