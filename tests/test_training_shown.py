"""What a training showed is seen: on the screen, in the page of a run, and in the report beside the loss curves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from conftest import read
from report_runs import FULL, adapter_facts, rendered, write_run
from rich.console import Console, RenderableType

from ragft import jsonl
from ragft.console.runs import _adapters
from ragft.console.tables import adapters_table
from ragft.finetune import TrainedAdapter

SIGN = "The train loss rose from 1.000 (steps 6 to 10) to 2.000 at the end: lower the <learning rate>."
TRAINING: dict[str, Any] = {
    "steps": 40,
    "train_loss": 1.25,
    "dev_loss": None,
    "seconds": 20.0,
    "tokens_seen": 5000,
    "method": "ia3",
    "processes": 2,
    "effective_batch": 16,
    "signs": [SIGN],
}


def text_of(*parts: RenderableType) -> str:
    console = Console(width=200, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return captured.get()


def row_of(text: str) -> str:
    """Return the words of an adapter's row, without the table's frame and colours."""
    plain = re.sub(r"\x1b\[[\d;]*m|[│┃]", "", text)
    return next(line for line in plain.splitlines() if line.strip().startswith("raft "))


def test_the_screen_shows_method_batch_speed_and_signs_in_yellow() -> None:
    record = {"recipe": "closed_book", "examples": 100, "training": TRAINING}
    text = text_of(adapters_table([TrainedAdapter("raft", True, record)]))
    row = row_of(text)
    assert " ".join(row.split()) == "raft closed_book ia3 100 40 16 in 2 processes 1.250 n/a 20.0 250 trained"
    assert f"\x1b[33mraft: {SIGN}" in text  # yellow


def test_an_adapter_of_an_older_version_is_shown_without_what_it_lacks() -> None:
    old = {key: value for key, value in TRAINING.items() if key in ("steps", "train_loss", "dev_loss", "seconds")}
    text = text_of(*_adapters({"adapters": {"raft": {"training": old}}}))
    row = row_of(text)
    assert row.split() == ["raft", "40", "1.250", "n/a", "20.0"]


def test_the_page_of_a_run_shows_the_signs(tmp_path: Path) -> None:
    text = text_of(*_adapters({"adapters": {"raft": {"training": TRAINING}}}))
    row = row_of(text)
    assert " ".join(row.split()) == "raft ia3 40 16 in 2 processes 1.250 n/a 20.0 250"
    assert f"raft: {SIGN}" in text


def test_the_report_shows_the_signs_beside_the_curves(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", FULL)
    metrics = read(folder / "metrics.json")
    lively = {**adapter_facts("answers", 3.1, 0.6), "method": "full", "processes": 2, "effective_batch": 16}
    metrics["adapters"] = {"calm": adapter_facts("answers", 3.1, 0.6), "lively": {**lively, "signs": [SIGN]}}
    jsonl.write_json(folder / "metrics.json", metrics)
    page = rendered(folder)
    assert page.count('<ul class="signs">') == 1
    assert SIGN.replace("<", "&lt;").replace(">", "&gt;") in page
    assert '<span class="tag">full</span>' in page
    assert "<dd>16, in 2 processes</dd>" in page
    assert page.count(", 1,640 tokens/s</dd>") == 2  # 318,402 tokens in 194.2 seconds
