"""Runs as people read them: the list, one run, two runs side by side, what pruning would remove."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ragft.console.arms import family_tables
from ragft.console.numbers import duration, number
from ragft.console.retrieval import PREFIX as RETRIEVERS
from ragft.console.tables import TRAINED, signs
from ragft.console.texts import DECISION_COLOURS, bullets

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ragft.archive import PrunePlan, RunDetails, RunDiff, RunSummary, StoredRun
    from ragft.archive.changes import Change
    from ragft.archive.scoring import AnswerChange

STATUS_STYLES = {"failed": "red", "unreadable": "red", "cancelled": "yellow", "unfinished": "yellow"}
MOST_LINES = 12
"""Differences of one kind that are written out; the rest is counted, and --json has them all."""


def size(n_bytes: int) -> str:
    """Return bytes as people say them, in powers of 1000: `812 B`, `4.1 kB`, `40 MB`."""
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def when(run: StoredRun) -> str:
    """Return when a run began, in UTC as in its id."""
    return f"{run.started_at:%Y-%m-%d %H:%M}" if run.started_at else "unknown"


def _table(*titles: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    return table


# ---------------------------------------------------------------------------------------------------------- the list


def runs_table(summaries: Sequence[RunSummary]) -> Table:
    """Return the list of runs; tags stand behind the name of the experiment."""
    tagged = " (tags)" if any(summary.run.tags for summary in summaries) else ""
    titles = ("run", "started (UTC)", "command", f"experiment{tagged}", "status", "ships", "score", "took", "size")
    table = _table(*titles, right=("score", "took", "size"))
    for column in table.columns:
        column.no_wrap = column.header not in (titles[3], "ships")
    for summary in summaries:
        run = summary.run
        cells = (
            run.short_id,
            when(run),
            run.command or "",
            _with_tags(run),
            run.status,
            ships(summary),
            number(summary.score) if summary.arm else "",
            duration(run.seconds) if run.seconds is not None else "",
            size(summary.size_bytes),
        )
        table.add_row(*map(escape, cells), style=STATUS_STYLES.get(run.status, ""))
    return table


def _with_tags(run: StoredRun) -> str:
    return f"{run.experiment} ({', '.join(run.tags)})" if run.tags else run.experiment or ""


def ships(summary: RunSummary) -> str:
    """Return the arm that a run's verdict ships, or why there is none."""
    return summary.arm or (summary.decision or "").replace("_", " ")


def faults_text(runs: Sequence[StoredRun]) -> Text:
    """Return the unreadable runs with the reasons, empty text for none."""
    return bullets("Unreadable", [f"{run.path.name}: {run.fault}" for run in runs if run.fault is not None])


# ------------------------------------------------------------------------------------------------------------ one run


def run_page(details: RunDetails) -> Iterator[RenderableType]:
    """Yield the parts of a run's page: facts, verdict, results, stages, files, error."""
    run = details.summary.run
    title = Text(run.id, style="bold").append("  ").append(run.status, style=STATUS_STYLES.get(run.status, "green"))
    yield title
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(details):
        facts.add_row(name, escape(value))
    yield facts
    if details.verdict is not None:
        yield _headline(details.verdict)
    metrics = details.metrics or {}
    yield from family_tables(metrics, details.summary.arm)
    yield from _retrieval(metrics)
    if details.probes:
        yield _probes(details)
    if run.command == "finetune":
        yield from _adapters(metrics)
    if details.stages:
        yield _stages(details)
    faults = [
        *details.faults,
        *(f"{name}: in the manifest, not in the folder" for name in details.missing[:MOST_LINES]),
    ]
    if faults or run.manifest.get("error"):
        yield Text()
    yield bullets("Not as it should be", faults)
    if run.manifest.get("error"):
        yield Text("error: ", style="bold red").append(str(run.manifest["error"]), style="default")


def _facts(details: RunDetails) -> Iterator[tuple[str, str]]:
    run, manifest = details.summary.run, details.summary.run.manifest
    argv = manifest.get("argv") or [""]
    packages, hardware = dict(manifest.get("packages", {})), manifest.get("hardware", {})
    yield "folder", str(run.path)
    yield "command", shlex.join([Path(argv[0]).name.replace("__main__.py", "ragft"), *argv[1:]])
    took = f", took {duration(run.seconds)}" if run.seconds is not None else ", without a recorded end"
    yield "started", f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC{took}"
    yield "experiment", f"{run.experiment}, seed {manifest.get('seeds', {}).get('experiment', 'unknown')}"
    if run.tags:
        yield "tags", ", ".join(run.tags)
    yield "code", f"ragft {packages.pop('ragft', 'unknown')}, {_commit(manifest.get('git'))}"
    yield "packages", ", ".join(f"{name} {version}" for name, version in packages.items())
    memory = hardware.get("memory_bytes")
    cores = hardware.get("cores")
    machine = [str(hardware.get("processor", "unknown")), f"{cores} core{'' if cores == 1 else 's'}"]
    yield "machine", ", ".join([*machine, f"{size(memory)} of memory" if memory else "", str(hardware.get("platform"))])
    if manifest.get("prompts"):
        yield "prompts", ", ".join(manifest["prompts"])
    counts = _counted((details.metrics or {}).get("data"))
    if manifest.get("inputs"):
        yield "data", f"{_files(len(manifest['inputs']))}{f': {counts}' if counts else ''}"
    shared = (
        f", of which {size(details.shared_bytes)} are hard links to files elsewhere" if details.shared_bytes else ""
    )
    yield "files", f"{_files(len(manifest.get('artifacts', {})))}, {size(details.summary.size_bytes)} in all{shared}"


def _files(n: int) -> str:
    return f"{n} file{'' if n == 1 else 's'}"


def _commit(git: Mapping[str, Any] | None) -> str:
    if not git:
        return "not in a git checkout"
    return f"commit {str(git.get('commit'))[:12]}{' with uncommitted changes' if git.get('dirty') else ''}"


def _counted(data: object) -> str:
    counts = data if isinstance(data, dict) else {}
    named = {"documents": "documents", "train": "train", "dev": "dev", "eval": "eval examples"}
    return ", ".join(f"{counts[key]} {name}" for key, name in named.items() if isinstance(counts.get(key), int))


def _headline(verdict: Mapping[str, Any]) -> Text:
    colour = DECISION_COLOURS.get(str(verdict.get("decision")), "default")
    text = Text("\nVerdict: ", style="bold").append(str(verdict.get("headline")), style=f"bold {colour}")
    return text.append(f"  (confidence: {verdict.get('confidence')})", style="dim")


def _retrieval(metrics: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield one row for each retriever, by what is found; `compare` has the metrics among others, `index` apart."""
    from ragft.evaluation.retrieval import by_level  # kept out of `runs list`

    apart = metrics.get("retrieval")
    rows = [*(metrics.get("metrics") or ()), *(apart if isinstance(apart, list) else ())]
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        if isinstance(row, dict) and str(row.get("arm")).startswith(RETRIEVERS):
            value = row["value"] if "value" in row else row.get("mean")
            cells.setdefault(str(row["arm"]).removeprefix(RETRIEVERS), {})[str(row.get("metric"))] = number(value)
    every = dict.fromkeys(name for row in cells.values() for name in row)
    for level, names in by_level(every):
        first = "retrieval" if level == "documents" else f"retrieval: {level}"
        shown = [short for _, short in names]
        table = _table(first, *shown, right=shown)
        for kind, row in cells.items():
            table.add_row(escape(kind), *(row.get(name, "") for name, _ in names))
        yield table
    facts = metrics.get("retrievers")
    if isinstance(facts, dict) and facts.get("finding"):
        yield Text(str(facts["finding"]), style="dim")


def _adapters(metrics: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield what `finetune` measured of each adapter, and the signs of trouble; older runs have fewer columns."""
    found = metrics.get("adapters")
    records = {name: row.get("training", row) for name, row in found.items()} if isinstance(found, dict) else {}
    if not records:
        return
    columns = [title for title, cell in TRAINED.items() if any(cell(measured) for measured in records.values())]
    table = _table("adapter", *columns, right=[title for title in columns if title != "method"])
    for name, measured in records.items():
        table.add_row(escape(name), *(TRAINED[title](measured) for title in columns))
    yield table
    for name, measured in records.items():
        yield from signs(name, measured)


def _probes(details: RunDetails) -> Table:
    """Return one line for each probe: the first thing that it found, or why it was skipped."""
    table = _table("probe", "what it found")
    for line in details.probes:
        said = f"skipped: {line.said}" if line.skipped else line.said
        table.add_row(escape(line.title), escape(said), style="dim" if line.skipped else "")
    return table


def _stages(details: RunDetails) -> Table:
    table = _table("stage", "seconds", right=("seconds",))
    for stage in details.stages:
        table.add_row(escape(stage.name), "did not end" if stage.seconds is None else f"{stage.seconds:,.1f}")
    return table


# ----------------------------------------------------------------------------------------------------------- two runs


def diff_page(diff: RunDiff) -> Iterator[RenderableType]:
    """Yield the parts of a comparison of two runs; a part in which nothing differs is one line at the top."""
    yield Text("old  ", style="dim").append(diff.old, style="bold")
    yield Text("new  ", style="dim").append(diff.new, style="bold")
    parts: dict[str, Sequence[Change]] = {
        "Configuration": diff.config,
        "Input files": diff.inputs,
        "Data": diff.counts,
        "Environment": diff.environment,
        "Fingerprints": diff.fingerprints,
        "Arms": diff.arms,
        "Verdict": diff.verdict,
    }
    same = [name.lower() for name, found in parts.items() if not found]
    if same:
        yield Text(f"the same in both: {', '.join(same)}", style="dim")
    for name, found in parts.items():
        if found:
            yield Text(f"\n{name}", style="bold")
            yield _changes(found)
    if diff.examples_diff is None:
        yield Text(f"\nno answers were scored in {' and '.join(diff.not_scored)}", style="yellow")
    else:
        yield from _scores(diff)
    for name, measures in (("Retrieval", diff.retrieval), ("Costs of an answer", diff.costs)):
        if measures:
            yield Text(f"\n{name}", style="bold").append("  means of each run, not paired", style="dim")
            yield _pivot(measures)
    if diff.examples:
        yield _examples(diff)


def _changes(found: Sequence[Change]) -> Table:
    """Return one line for each difference, with the rest of a long list counted."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", overflow="fold")
    grid.add_column(overflow="fold")
    for change in found[:MOST_LINES]:
        match change.kind:
            case "added":
                value = Text("only in new", style="green").append(_only(change.new), style="default")
            case "removed":
                value = Text("only in old", style="red").append(_only(change.old), style="default")
            case "changed":
                value = Text(f"{value_text(change.old)} → {value_text(change.new)}")
        grid.add_row(Text(f"  {change.key}"), value)
    if len(found) > MOST_LINES:
        grid.add_row(Text(f"  and {len(found) - MOST_LINES} more", style="dim"), Text("--json has all", style="dim"))
    return grid


def _pivot(found: Sequence[Change]) -> Table:
    """Return a table of means keyed `arm metric`; a cell is empty where both runs have the same."""
    split = [(*change.key.rpartition(" ")[::2], change) for change in found]
    metrics = list(dict.fromkeys(metric for _, metric, _ in split))
    table = _table("arm", *metrics, right=metrics)
    cells = {(arm, metric): f"{value_text(change.old)} → {value_text(change.new)}" for arm, metric, change in split}
    for arm in dict.fromkeys(arm for arm, _, _ in split):
        table.add_row(escape(arm), *(cells.get((arm, metric), "") for metric in metrics))
    return table


def _only(value: object) -> str:
    return "" if value is None or _is_hash(value) else f": {value_text(value)}"


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) >= 40 and set(value) <= set("0123456789abcdef")


def value_text(value: object) -> str:
    """Return a value of a configuration or a manifest in one short line; a hash by its first eight digits."""
    if _is_hash(value):
        return str(value)[:8]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return f"{{{', '.join(value)}}}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _scores(diff: RunDiff) -> Iterator[RenderableType]:
    asked = diff.examples_diff
    if asked is None:
        return
    others = {"added": asked.added, "removed": asked.removed, "asked otherwise": asked.changed}
    counts = [f"{len(ids)} {name} ({_some(ids)})" for name, ids in others.items() if ids]
    yield Text("\nScores", style="bold").append(
        f"  over the {asked.n_same} examples that both runs asked alike{''.join(f'; {part}' for part in counts)}",
        style="dim",
    )
    moved = [row for row in diff.scores if row.n_higher or row.n_lower]
    if moved:
        table = _table("arm", "metric", "old", "new", "change", "n", "higher", "lower", right=SCORE_NUMBERS)
        for row in moved:
            table.add_row(
                escape(row.arm),
                escape(row.metric),
                number(row.old_mean),
                number(row.new_mean),
                "n/a" if row.difference is None else f"{row.difference:+.3f}",
                str(row.n),
                str(row.n_higher),
                str(row.n_lower),
                style="bold" if row.metric == diff.primary_metric else "",
            )
        yield table
    moving = {row.arm for row in moved}
    still = [arm for arm in dict.fromkeys(row.arm for row in diff.scores) if arm not in moving]
    if still:
        yield Text(f"  no score of any example moved in: {', '.join(still)}", style="dim")


SCORE_NUMBERS = ("old", "new", "change", "n", "higher", "lower")


def _some(ids: Sequence[str], most: int = 3) -> str:
    return ", ".join(ids[:most]) + (", …" if len(ids) > most else "")


def _examples(diff: RunDiff) -> Text:
    text = Text("\nExamples that moved the most", style="bold")
    text.append(f"  {diff.primary_metric}, all arms together\n", style="dim")
    for example in diff.examples:
        text.append(f"  {example.example_id}", style="cyan").append(f"  {example.input}\n")
        text.append(f"    expected: {' | '.join(example.references) or 'no answer'}\n", style="dim")
        for answer in example.answers:
            text.append_text(_answer(answer))
    text.rstrip()
    return text


def _answer(answer: AnswerChange) -> Text:
    better = answer.new_score > answer.old_score
    text = Text(f"    {answer.arm}  ")
    text.append(f"{answer.old_score:.2f} → {answer.new_score:.2f}", style="green" if better else "red")
    return text.append(f"  {_said(answer.old_text)} → {_said(answer.new_text)}\n")


def _said(text: str | None) -> str:
    if text is None:
        return "(not kept)"
    line = " ".join(text.split())
    return f"“{line[:160]}{'…' if len(line) > 160 else ''}”" if line else "(nothing)"


# ------------------------------------------------------------------------------------------------------------ pruning


def spared_text(plan: PrunePlan) -> str:
    """Return why runs stay that were asked for, in one line; empty if there are none."""
    return ", ".join(f"{n} {reason}" for reason, n in plan.spared)
