"""A second version of some harbours, for the probes that ask who notices: three lighthouses are painted anew."""

from __future__ import annotations

from conftest import HARBOURS, Json, SmallExperiment, documents, question

NEW_COLOURS = {"aldmoor": "pink", "brinbay": "gold", "dunwick": "silver"}


def second_version() -> list[Json]:
    """Return the documents of the three harbours in their second version."""
    old = {id_: colour for id_, _, colour, _, _ in HARBOURS}
    return [
        {**row, "text": row["text"].replace(old[row["id"]], NEW_COLOURS[row["id"]])}
        for row in documents()
        if row["id"] in NEW_COLOURS
    ]


def changed_rows() -> list[Json]:
    """Return three examples: the colour of the three, new and old."""
    return [
        {**question(f"c-{id_}", f"Which colour has {name}?", NEW_COLOURS[id_], id_), "old_references": [colour]}
        for id_, name, colour, _, _ in HARBOURS
        if id_ in NEW_COLOURS
    ]


def unchanged_rows() -> list[Json]:
    """Return two examples: the colour of Corvel and of Elmsund."""
    return [
        question(f"u-{id_}", f"Which colour has {name}?", colour, id_)
        for id_, name, colour, _, _ in HARBOURS
        if id_ in ("corvel", "elmsund")
    ]


def update(experiment: SmallExperiment) -> SmallExperiment:
    """Add the update to an experiment, and return it."""
    experiment.rows("documents-v2", second_version())
    experiment.rows("changed", changed_rows())
    experiment.rows("unchanged", unchanged_rows())
    names = {"documents": "documents-v2", "changed": "changed", "unchanged": "unchanged"}
    experiment.config["data"]["update"] = {key: f"{name}.jsonl" for key, name in names.items()}
    return experiment
