"""What people see: progress and news on stderr, results on stdout, errors as a message, a hint and an exit code.

The only code that knows Rich. It computes nothing: every number comes from a record.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ragft import jsonl
from ragft.arms.listening import Work
from ragft.errors import RagftError

INTERRUPTED = 130

PIPED: dict[str, Any] = {"width": 240, "soft_wrap": True}
"""How results are laid out where stdout is no terminal: wide enough for every column of a table."""


def quiet_libraries() -> None:
    """Send the chatter of libraries to the log of the run, and keep them from opening progress bars of their own."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    logging.captureWarnings(True)
    for name in ("py.warnings", "transformers", "sentence_transformers", "chromadb", "ragft"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    logging.getLogger("ragft").setLevel(logging.INFO)


class Terminal:
    """A Listener that shows work on stderr when that is a terminal, and says news there unless told to be quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self.err = Console(stderr=True, highlighter=NullHighlighter())
        # In a pipe or a file nothing is cut to the width of a terminal that is not there.
        self.out = Console(highlighter=NullHighlighter(), **({} if sys.stdout.isatty() else PIPED))

    @contextmanager
    def work(self, title: str, total: int, unit: str) -> Iterator[Work]:
        """Open one piece of work with a bar, its rate and the time left; nothing is drawn where nobody looks."""
        columns = (
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("[dim]{task.fields[note]}"),
        )
        shown = self.err.is_terminal and not self._quiet
        with Progress(*columns, console=self.err, disable=not shown) as progress:
            task = progress.add_task(title, total=total or None, rate="", note="")
            yield _Bar(progress, task, unit)

    def say(self, text: str) -> None:
        """Print one line of news on stderr."""
        if not self._quiet:
            self.err.print(escape(text), style="dim")

    def result(self, value: Any) -> None:  # noqa: ANN401 - any renderable
        """Print a result on stdout."""
        self.out.print(value)

    def text(self, text: str) -> None:
        """Print text on stdout as it is, without markup and without wrapping."""
        sys.stdout.write(f"{text}\n")

    def json(self, value: Any) -> None:  # noqa: ANN401 - any JSON-like value
        """Print one JSON value on stdout."""
        self.text(json.dumps(jsonl.plain(value), ensure_ascii=False, indent=2))

    def error(self, message: str, hint: str | None = None) -> None:
        """Print an error and how to mend it on stderr."""
        self.err.print(Text("error: ", style="bold red").append(message, style="default"), soft_wrap=True)
        if hint:
            self.err.print(Text("  try: ", style="bold").append(hint, style="default"), soft_wrap=True)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID, unit: str) -> None:
        self._progress, self._task = progress, task

    def advance(self, done: int = 1, note: str = "") -> None:
        """Count units as done and show the rate."""
        self._progress.advance(self._task, done)
        task = self._progress.tasks[0]
        rate = f"{task.completed / task.elapsed:.1f}/s" if task.elapsed and task.completed else ""
        self._progress.update(self._task, rate=rate, note=note or task.fields["note"])

    def total(self, units: int) -> None:
        """Set how many units there are."""
        self._progress.update(self._task, total=units)


@contextmanager
def guarded(terminal: Terminal, *, debug: bool) -> Iterator[None]:
    """Turn every error inside the block into a message and an exit code; `debug` shows the traceback too."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled job ends as Ctrl-C does
    try:
        yield
    except RagftError as error:
        _show(terminal, debug)
        terminal.error(error.message, error.hint)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        terminal.error("interrupted", "run the same command again: it goes on where it stopped")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        _show(terminal, debug)
        terminal.error(*_system_error(error))
        raise SystemExit(1) from None
    except Exception as error:
        _show(terminal, debug)
        if any(words in str(error).lower() for words in DISK_FULL):
            terminal.error(*_system_error(OSError(errno.ENOSPC, "")))
            raise SystemExit(1) from None
        terminal.error(f"{type(error).__name__}: {error}", "this is a fault in ragft or a library; --debug shows where")
        raise SystemExit(1) from None


DISK_FULL = ("no space left on device", "disk is full")
"""How libraries that raise errors of their own (safetensors, SQLite under Chroma) say that the disk is full."""


def _show(terminal: Terminal, debug: bool) -> None:
    if debug:
        terminal.err.print(escape(traceback.format_exc()))


def _system_error(error: OSError) -> tuple[str, str]:
    where = f": {error.filename}" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full{where}", "free some space and run the same command again: it goes on"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"no permission{where}", "check the folder's owner, or use --runs-dir and --workspace"
        case _:
            return f"{error.strerror or error}{where}", "--debug shows where"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with fixed digits, or n/a."""
    return "n/a" if value is None else f"{value:.{digits}f}"


def with_interval(row: Mapping[str, Any]) -> str:
    """Return a metric's value with its interval, as `0.412 [0.31, 0.52]`."""
    interval = row.get("interval")
    if row["value"] is None or interval is None:
        return number(row["value"])
    return f"{row['value']:.3f} [{interval['low']:.2f}, {interval['high']:.2f}]"


def duration(seconds: float) -> str:
    """Return seconds as people say them: `8 s`, `4 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def arms_table(metrics: Mapping[str, Any], shipped: str | None) -> Table:
    """Return the table of arms: the primary metric with its interval, the others, latency and tokens."""
    primary = metrics["primary_metric"]
    names = list(dict.fromkeys(row["metric"] for row in metrics["metrics"] if row["arm"] in metrics["arms"]))
    others = [name for name in names if name != primary]
    table = Table(title=None, header_style="bold", pad_edge=False)
    table.add_column("arm", no_wrap=True)
    table.add_column(f"{primary} [dim](interval)", justify="right", no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    for name in ("alone s", "prompt tokens", "cut off"):
        table.add_column(name, justify="right")
    cells = {(row["arm"], row["metric"]): row for row in metrics["metrics"]}
    for arm, facts in metrics["arms"].items():
        mark = " ← ship" if arm == shipped else " (control)" if facts["control"] else ""
        table.add_row(
            f"{escape(arm)}{mark}",
            with_interval(cells[arm, primary]),
            *(number(cells[arm, name]["value"]) for name in others),
            number(facts["latency_s_p50"], 2),
            number(facts["prompt_tokens_mean"], 0),
            f"{facts['truncated_share']:.0%}",
            style="bold" if arm == shipped else "dim" if facts["control"] else "",
        )
    return table


def estimates_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of metrics with their intervals and counts."""
    table = Table(header_style="bold", pad_edge=False)
    table.add_column("metric")
    table.add_column("mean (interval)", justify="right")
    table.add_column("n", justify="right")
    table.add_column("not scored", justify="right")
    for row in rows:
        table.add_row(row["metric"], with_interval(row), str(row["n"]), str(row["n_unscored"]))
    return table


def bullets(title: str, lines: Sequence[str]) -> Text:
    """Return a titled list of sentences, empty text for none."""
    text = Text()
    if lines:
        text.append(f"{title}\n", style="bold")
        for line in lines:
            text.append(f"  • {line}\n")
    return text


def verdict_text(verdict: Any) -> Text:  # noqa: ANN401 - verdict.Verdict, rendered by its fields
    """Return a verdict: the headline, then reasons, exclusions, caveats and next steps."""
    colour = {"ship": "green", "not_decided": "yellow", "none_qualifies": "red"}[verdict.decision]
    text = Text()
    text.append("\nVerdict: ", style="bold").append(verdict.headline, style=f"bold {colour}")
    text.append(f"  (confidence: {verdict.confidence})\n", style="dim")
    excluded = [f"{arm}: {reason}" for arm, reason in verdict.excluded]
    for title, lines in (
        ("Why", verdict.reasons),
        ("Excluded", excluded),
        ("Read this with care", verdict.caveats),
        ("What would help", verdict.next_steps),
    ):
        text.append_text(bullets(title, lines))
    return text


def adapters_table(trained: Sequence[Any]) -> Table:
    """Return a table of adapters: recipe, examples, steps, losses, seconds, and whether each was reused."""
    table = Table(header_style="bold", pad_edge=False)
    for title in ("adapter", "recipe", "examples", "steps", "train loss", "dev loss", "seconds", "tokens/s", ""):
        table.add_column(title, justify="left" if title in ("adapter", "recipe", "") else "right")
    for item in trained:
        measured = item.record["training"]
        table.add_row(
            escape(item.name),
            item.record["recipe"],
            str(item.record["examples"]),
            str(measured["steps"]),
            number(measured["train_loss"]),
            number(measured["dev_loss"]),
            number(measured["seconds"], 1),
            number(measured["tokens_seen"] / max(measured["seconds"], 1e-9), 0),
            "trained" if item.trained else "reused",
        )
    return table


def index_text(state: Any) -> str:  # noqa: ANN401 - arms.knowledge.IndexState
    """Return what the index holds and what changed, in one line."""
    held = f"{state.documents} documents, {state.passages} passages"
    if state.report is None:
        return f"index: {held}; nothing changed"
    report = state.report
    return f"index: {held}; {report.added} embedded, {report.removed} removed, {report.unchanged} unchanged"


def answer_text(result: Any, *, show_prompt: bool) -> Text:  # noqa: ANN401 - query.QueryResult
    """Return an answer with its numbered sources, the answer highlighted where it stands in them."""
    text = Text()
    if show_prompt:
        text.append(f"{result.prompt}\n", style="dim")
    text.append(f"{result.answer or '(no answer)'}\n", style="bold")
    for source in result.sources:
        passage = source.passage
        score = "" if source.score is None else f", similarity {source.score:.2f}"
        mark = " ← cited" if source.cited else ""
        text.append(f"\n[{source.number}] {passage.title or passage.document_id}", style="cyan")
        text.append(f"  {passage.document_id}, characters {passage.start}-{passage.end}{score}{mark}\n", style="dim")
        body = Text(passage.text)
        if source.holds_answer:
            body.highlight_words([result.answer.strip(" .")], style="bold black on yellow", case_sensitive=False)
        text.append_text(body).append("\n")
    text.append(
        f"\n{result.arm}: retrieval {result.retrieval_seconds:.2f} s, answer {result.generation_seconds:.2f} s, "
        f"{result.prompt_tokens} prompt tokens, {result.output_tokens} output tokens",
        style="dim",
    )
    return text


def plan_text(plan: Any) -> Text:  # noqa: ANN401 - arms.planning.Plan
    """Return a plan: what is built or reused, prompts, tokens, time, and one training example with its loss marked."""
    text = Text("Plan\n", style="bold")
    if plan.index_reused is not None:
        state = "reused" if plan.index_reused else "built or brought in step"
        text.append(f"  index: {plan.documents} documents, {plan.passages} passages, {state}\n")
    for item in plan.adapters:
        state = "reused" if item.reused else f"trained on {item.tokens:,} tokens, about {duration(item.seconds)}"
        text.append(f"  adapter {item.name}: {item.examples} examples, {state}\n")
    for item in plan.arms:
        left = item.prompts - item.answered
        state = f"{item.prompt_tokens:,} prompt tokens, about {duration(item.seconds)}" if left else "reused"
        text.append(f"  arm {item.name}: {left} of {item.prompts} questions to ask, {state}\n")
    text.append(f"  in all about {duration(plan.seconds)}, loading aside\n", style="bold")
    if plan.estimated_passages:
        text.append("  the index is not built yet: passages drawn at random stand in for retrieved ones\n", style="dim")
    for finding in plan.findings:
        text.append(f"  data: {finding}\n", style="yellow")
    if plan.example is not None:
        text.append(f"\nTraining example {plan.example.id}; only the part in ⟦ ⟧ carries the loss\n", "bold")
        marked = f"⟦{plan.example.completion}<end of turn>⟧"
        text.append(plan.example.prompt, style="dim").append(marked, style="bold black on green")
    return text
