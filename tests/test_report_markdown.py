"""The Markdown report, as a pull request shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_runs import add_everything, write_run

from ragft.report import load_report, render_markdown


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("full") / "run")


def test_markdown_holds_the_table_the_contrasts_and_the_provenance(full: Path) -> None:
    text = render_markdown(load_report(full))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in rows[:10]}) == 1
    assert "| raft | adapter raft + retrieval | " in text and "| ship this |" in text
    assert "| rag \u2212 prompt | +0." in text
    assert "commit 1a2b3c4d5e6f with uncommitted changes" in text
    assert "random_context" in text and "random\\_context" not in text


def test_verdict_and_gates_come_before_the_arms_and_the_rest_is_folded(tmp_path: Path) -> None:
    run = add_everything(write_run(tmp_path / "run"))
    text = render_markdown(load_report(run))
    headline = json.loads((run / "verdict.json").read_text())["headline"]
    order = [
        text.index(part)
        for part in (headline.split(":")[0], "1 of 2 gate checks hold", "| gate |", "| arm |", "<details>")
    ]
    assert order == sorted(order)
    assert "| 2. no regression | ❌ failed | rag lost 0.1 |" in text
    assert "<details><summary>What would change it (1)</summary>\n\n- With a margin above 0.18" in text
    assert text.count("<details>") == text.count("</details>") >= 8


def test_every_row_of_a_table_has_as_many_cells_as_its_head(tmp_path: Path) -> None:
    text = render_markdown(load_report(add_everything(write_run(tmp_path / "run"))))
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 7
    for table in tables:
        assert {line.count("|") - line.count("\\|") for line in table} == {table[0].count("|")}
        assert set(table[1]) <= set("|-: ")
