"""What the probe `freshness` shows: its charts, tables, sentences and numbers."""

from __future__ import annotations

from ragft.evaluation.probing import Cell, Chart, Column, Curve, Row, Table, cell, point
from ragft.probes.freshness_stages import BEFORE, INDEXED, PARTS, RETRAINED, Found, Setting
from ragft.probes.wording import change, estimated, is_clear, listed, scored
from ragft.records import ContrastResult


def chart(part: str, found: Found, setting: Setting) -> Chart:
    """Return the curve of every arm over the stages, for one part of what it says."""
    curves = tuple(
        Curve(
            arm,
            tuple(point(x, stage, found.mean(part, stage, arm)) for x, stage in enumerate(found.stages)),
            kind="control" if arm in setting.controls else "arm",
        )
        for arm in setting.arms
    )
    share = part != "kept" or found.measures[0] in ("contains", "accuracy")
    y_label = f"share of {'unchanged' if part == 'kept' else 'changed'} facts" if share else found.measures[0]
    note = "" if part == "kept" else found.scores.rule(found.measures)
    return Chart(part, PARTS[part], "stage", y_label, curves, note=note, form="share" if share else "score")


def stages(found: Found, setting: Setting) -> Table:
    """Return what every arm says in every stage in which its prompts or its weights changed."""
    columns = [Column("new given", "share"), Column("old given", "share"), Column("neither", "share")]
    columns += [Column(f"{found.kit.metric} on the new")]
    parts = ["new", "old", "neither", "metric"]
    if setting.kept:
        columns.append(Column("unchanged right"))
        parts.append("kept")
    rows = tuple(
        Row(f"{arm}, {stage}", tuple(cell(found.mean(part, stage, arm)) for part in parts))
        for arm in setting.arms
        for stage in found.stages
        if (stage, arm) in found.asked
    )
    note = (
        "A stage that changes neither the prompts nor the weights of an arm is left out: it says what it said before."
    )
    return Table("stages", "What is answered before and after", "arm and stage", tuple(columns), rows, note)


def updates(found: Found, setting: Setting) -> list[Table]:
    """Return what each update took; a table only where there was one."""
    prices = setting.bench.experiment.compare.prices
    hour = prices.machine_hour
    rows = []
    if found.update is not None:
        made = f"{found.update.embedded} of {found.update.passages} passages embedded"
        rows.append(_update_row("the index", found.update.seconds, made, hour, now=not found.update.earlier))
    labels = setting.labels
    made = f"{labels.again} of {labels.labels} labels"
    for name, seconds in found.seconds.items():
        trained = f"trained on new {listed(_read_by(name, setting))}"
        rows.append(_update_row(f"adapter {name}", seconds, trained, hour, now=name in found.trained_now))
    if found.again is not None:
        cost = labels.again * prices.label if prices.label else None
        rows.append(Row("labels", (Cell(None), Cell(f"{made} made again"), Cell(cost), Cell(""))))
    if not rows:
        return []
    columns = (
        Column("seconds", "seconds"),
        Column("made again", "text"),
        Column(f"price in {prices.currency}", "money"),
        Column("measured", "text"),
    )
    note = (
        "The seconds of the index are those of comparing the passages with what it held, embedding the new ones and "
        "writing them; reading the documents and loading the embedder are not counted. Those of an adapter are for one "
        "training seed. Prices are those of compare.prices: a machine hour, a label."
    )
    return [Table("updates", "What each update took", "update", columns, tuple(rows), note)]


def _read_by(name: str, setting: Setting) -> tuple[str, ...]:
    """Return what of the update an adapter is trained on."""
    adapter = setting.bench.experiment.adapters[name]
    reads = {
        "labels": adapter.reads_labels and setting.labels.again > 0,
        "passages": adapter.reads_passages,
        "documents": "documents" in adapter.parts,
    }
    return tuple(what for what, is_read in reads.items() if is_read)


def _update_row(name: str, seconds: float, made: str, hour: float | None, *, now: bool) -> Row:
    price = None if hour is None else seconds / 3600 * hour
    return Row(name, (Cell(seconds), Cell(made), Cell(price), Cell("now" if now else "measured earlier")))


def headline(found: Found, setting: Setting) -> str:
    """Return in one sentence who noticed after re-indexing, and who did not."""
    ships = [arm for arm in setting.arms if arm not in setting.controls]
    stage = INDEXED if INDEXED in found.stages else found.last
    best = max(ships or setting.arms, key=lambda arm: found.value("new", stage, arm))
    said = f"{stage.capitalize()}, {best} gives {scored(found.mean('new', stage, best).mean)} of the new answers"
    blind = [arm for arm in setting.trained if arm not in setting.readers and arm != best]
    if not blind:
        return f"{said} and still {scored(found.mean('old', stage, best).mean)} of the old ones."
    worst = max(blind, key=lambda arm: found.value("old", stage, arm))
    if not found.value("old", stage, worst):
        new = scored(found.mean("new", stage, worst).mean)
        return f"{said}; {worst}, which reads no passages, gives {new} of them and none of the old ones."
    return f"{said}; {worst} still gives {scored(found.mean('old', stage, worst).mean)} of the old ones."


def findings(found: Found, setting: Setting) -> list[str]:
    """Return what each arm that an update reaches made of it, and what it did to facts that stay the same."""
    said = []
    if INDEXED in found.stages:
        said += [_after_indexing(arm, found) for arm in setting.readers if arm not in setting.controls]
    if RETRAINED in found.stages:
        said += [_after_training(arm, found, setting) for arm in setting.trained]
    said += [text for arm in setting.arms if (text := _side_effect(arm, found))]
    return said


def _after_indexing(arm: str, found: Found) -> str:
    update, moved = found.update, found.moved("new", arm, BEFORE, INDEXED)
    took = f"Re-indexing ({update.seconds:.1f} s, {update.embedded} passages embedded)" if update else "Re-indexing"
    before, after = (scored(found.mean("new", stage, arm).mean) for stage in (BEFORE, INDEXED))
    return (
        f"{took} takes {arm} from {before} to {after} of the new answers: {_clarity(moved)}. "
        f"It still gives {estimated(found.mean('old', INDEXED, arm))} of the old ones."
    )


def _after_training(arm: str, found: Found, setting: Setting) -> str:
    stage = found.stages[found.stages.index(RETRAINED) - 1]
    adapter = setting.kit.config(arm).adapter or ""
    seconds, moved = found.seconds.get(adapter), found.moved("new", arm, stage, RETRAINED)
    again = "nothing that it is trained on changed" if seconds is None else f"{seconds:.0f} s"
    old = found.mean("old", stage, arm)
    return (
        f"Until it is trained again ({again}), {arm} gives {estimated(old)} of the old answers; then "
        f"{scored(found.mean('old', RETRAINED, arm).mean)} of the old and "
        f"{scored(found.mean('new', RETRAINED, arm).mean)} of the new ones: {_clarity(moved)}."
    )


def _side_effect(arm: str, found: Found) -> str | None:
    """Return how the updates moved the facts that did not change, None where that is not clear."""
    if "kept" not in found.means or len(found.stages) < 2:
        return None
    moved = found.moved("kept", arm, BEFORE, found.last)
    if moved is None or not is_clear(moved):
        return None
    return f"The updates change what {arm} says to unchanged facts: {change(moved)}."


def _clarity(moved: ContrastResult | None) -> str:
    if moved is None:
        return "not measured"
    return f"{change(moved)}{'' if is_clear(moved) else ', not a clear change'}"


def notes(found: Found, setting: Setting) -> list[str]:
    """Return what the numbers do not cover."""
    notes, labels, splits = [], setting.labels, setting.bench.splits
    without = len(splits.changed) - len(setting.every_changed)
    if without:
        notes.append(f"{without} changed examples have no old_references and were left out.")
    if not splits.unchanged and setting.kept:
        notes.append("The unchanged facts are eval examples on documents that the update leaves alone.")
    if not setting.kept:
        notes.append("No fact that stays the same was asked: add data.update.unchanged.")
    if found.update is not None and found.update.earlier:
        notes.append("How long the index took was measured by an earlier command: now its vectors were known.")
    if found.again is None:
        why = "retrain: false" if setting.trained else "no arm has an adapter"
        notes.append(f"Nothing was trained again ({why}).")
        return notes
    if not labels.again:
        notes.append("No training example has the old answer of a changed fact, so training again teaches no new one.")
    if labels.left:
        notes.append(
            f"{labels.left} labelled examples are about a changed fact and have other references than its old ones; "
            "they were left as they are."
        )
    untouched = [name for name in setting.adapters if name not in found.seconds]
    if untouched:
        notes.append(f"Nothing that {listed(untouched)} is trained on changed, so it was not trained again.")
    return notes


def values(found: Found, setting: Setting) -> dict[str, object]:
    """Return the key numbers by name."""
    update, labels = found.update, setting.labels
    parts = [part for part in PARTS if part in found.means]
    return {
        "shares": {
            stage: {arm: {part: found.mean(part, stage, arm).mean for part in parts} for arm in setting.arms}
            for stage in found.stages
        },
        "index_seconds": None if update is None else update.seconds,
        "passages_embedded": None if update is None else update.embedded,
        "training_seconds": found.seconds,
        "labels_again": labels.again if found.again is not None else None,
        "documents_updated": len(setting.touched),
    }
