"""The page in a real browser, loaded from disk: its script runs, its policy lets it, its filters work, it is drawn.

Needs Chromium or Chrome on the PATH; without one every test here is skipped and says so.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from report_probes import all_probes
from report_runs import Json, add_everything, rendered, write_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--hide-scrollbars", "--disable-extensions",
    "--disable-dev-shm-usage", "--enable-logging=stderr",
)  # fmt: skip
DARK = "--blink-settings=preferredColorScheme=0"
LINKED = "eval-0041"

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"THE PAGE WAS NOT TRIED IN A BROWSER: none of {', '.join(BROWSERS)} is on the PATH"
)


@dataclass(frozen=True)
class Visit:
    """What a browser made of a page: the document after its scripts ran, the console, and a picture."""

    dom: str
    console: list[str]
    picture: Path


def visit(page: Path, *options: str, anchor: str = "", width: int = 390) -> Visit:
    picture, profile = page.with_suffix(".png"), page.with_suffix(".profile")
    done = subprocess.run(
        [
            str(BROWSER), *QUIET, *options, f"--user-data-dir={profile}", f"--window-size={width},400",
            "--virtual-time-budget=20000", f"--screenshot={picture}", "--dump-dom", f"{page.as_uri()}{anchor}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return Visit(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line], picture)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = add_everything(write_run(tmp_path_factory.mktemp("run") / "run", probes=all_probes()))
    return rendered(run)


@pytest.fixture(scope="module")
def visits(html: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Visit]:
    """Every visit that the tests look at, made side by side: a browser takes seconds to start.

    "tampered" is the page with one more space in its script. "used" has no policy, so that the steps of a reader may
    stand in it as a script.
    """
    open_page = re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", html)
    pages: dict[str, tuple[str, tuple[str, ...], str]] = {
        "light": (html, (), ""),
        "dark": (html, (DARK,), ""),
        "tampered": (html.replace('"use strict";', '"use strict"; '), (), ""),
        "used": (open_page.replace("</body>", f"<script>{STEPS}</script></body>"), (), f"#example-{LINKED}"),
    }
    folder = tmp_path_factory.mktemp("pages")
    for name, (text, _, _) in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    with ThreadPoolExecutor() as pool:
        made = {
            name: pool.submit(visit, folder / f"{name}.html", *options, anchor=anchor)
            for name, (_, options, anchor) in pages.items()
        }
        return {name: future.result() for name, future in made.items()}


@pytest.fixture(scope="module")
def light(visits: dict[str, Visit]) -> Visit:
    return visits["light"]


@pytest.fixture(scope="module")
def dark(visits: dict[str, Visit]) -> Visit:
    return visits["dark"]


def test_the_script_runs_from_disk_and_lists_the_questions(light: Visit) -> None:
    assert light.dom.count('<li class="question"') == 20
    assert "60 of 60 questions, 20 shown" in light.dom
    assert '<form id="filters" class="filters">' in light.dom  # no longer hidden


def test_the_console_is_silent_in_both_themes(light: Visit, dark: Visit) -> None:
    assert light.console == [] and dark.console == []


def test_a_link_to_an_example_opens_it_though_it_stands_on_a_later_page(used: Json) -> None:
    first = {"id": LINKED, "gold": "gold document", "focused": True, "marked": True}
    assert used["linked"] == [first]
    assert used["followed"] == ["eval-0002", LINKED]  # one more opens when a link in the page is followed


def test_the_picture_is_drawn_in_each_theme(light: Visit, dark: Visit) -> None:
    bright, dim = pixels(light.picture), pixels(dark.picture)
    assert len(set(bright)) > 50 and len(set(dim)) > 50  # a blank page has one colour
    assert lightness(bright) > 190 and lightness(dim) < 80


def test_the_policy_blocks_a_script_that_is_not_the_pages_own(visits: dict[str, Visit]) -> None:
    """The control of the tests above: a page that was tampered with speaks up in the console and lists nothing."""
    seen = visits["tampered"]
    assert any("Content Security Policy" in line for line in seen.console)
    assert '<li class="question"' not in seen.dom


STEPS = """
const get = (id) => document.getElementById(id);
const wait = () => new Promise((done) => setTimeout(done, 300));
const ids = () => [...document.querySelectorAll(".question")].map((item) => item.id.slice(8));
const results = {};
async function choose(name, values) {
  get("filters").reset();
  await wait();
  for (const [id, value] of Object.entries(values)) get(id).value = value;
  get("filters").dispatchEvent(new Event("input", { bubbles: true }));
  await wait();
  results[name] = [get("shown").textContent, ids()];
}
const arm = (name) => String([...get("arm").options].find((option) => option.textContent === name).value);
const opened = () => [...document.querySelectorAll(".question.open")];
(async () => {
  results.linked = opened().map((item) => ({
    id: item.id.slice(8), gold: item.querySelector(".passage .tag").textContent,
    focused: document.activeElement === item.querySelector("button"),
    marked: item.querySelector(".passage mark:not(.said)") !== null,
  }));
  location.hash = "#example-eval-0002";
  await wait();
  results.followed = opened().map((item) => item.id.slice(8));
  await choose("search", { search: "ARCHIVE 45?" });
  await choose("unanswerable", { kind: "unanswerable" });
  await choose("right", { arm: arm("raft"), outcome: "right" });
  await choose("declined", { arm: arm("prompt"), outcome: "abstained" });
  await choose("above", { first: arm("prompt"), relation: "above", second: arm("raft") });
  await choose("lowest", { arm: arm("raft"), sort: "low" });
  await choose("nothing", { search: "no such words" });
  await choose("all", {});
  const buttons = [...document.querySelectorAll(".asked")];
  buttons[0].focus();
  buttons[0].dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
  results.focused = document.activeElement === buttons[1];
  buttons[1].click();
  const item = buttons[1].closest("li");
  results.open = [buttons[1].getAttribute("aria-expanded"), item.querySelectorAll(".passage").length];
  get("more").click();
  results.more = ids().length;
  get("theme").click();
  results.theme = [document.documentElement.dataset.theme, get("theme").textContent];
  get("effort-cost").checked = true;
  const shownAs = (key) => getComputedStyle(document.querySelector(".for-" + key)).display;
  results.plots = ["latency", "cost", "memory"].map(shownAs);
  results.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const said = document.createElement("pre");
  said.id = "results";
  said.textContent = JSON.stringify(results);
  document.body.append(said);
})();
"""


@pytest.fixture(scope="module")
def used(visits: dict[str, Visit]) -> Json:
    """What a reader's steps lead to."""
    seen = visits["used"]
    assert seen.console == []
    found: Json = json.loads(re.findall(r'<pre id="results">([^<]*)</pre>', seen.dom)[0])
    return found


@pytest.fixture(scope="module")
def payload(html: str) -> Json:
    found: Json = json.loads(html.split('id="explorer-data">')[1].split("</script>")[0])
    return found


def scores_of(payload: Json, arm: str) -> dict[str, float]:
    answers = next(one["answers"] for one in payload["arms"] if one["name"] == arm)
    return {example[0]: said[1][0] for example, said in zip(payload["examples"], answers, strict=True)}


def test_search_finds_all_the_words_whatever_their_case(used: Json) -> None:
    assert used["search"] == ["1 of 60 questions, 1 shown", ["eval-0045"]]
    assert used["nothing"] == ["No question matches.", []]


def test_questions_are_filtered_by_kind_outcome_and_disagreement(used: Json, payload: Json) -> None:
    raft, prompt = scores_of(payload, "raft"), scores_of(payload, "prompt")
    place = payload["metrics"].index("abstained")
    said = next(one["answers"] for one in payload["arms"] if one["name"] == "prompt")
    declined = [e[0] for e, answer in zip(payload["examples"], said, strict=True) if answer[1][place] == 1]
    for name, expected in (
        ("unanswerable", [example[0] for example in payload["examples"] if not example[4]]),
        ("right", [id for id, score in raft.items() if score == 1]),
        ("declined", declined),
        ("above", [id for id, score in prompt.items() if score > raft[id]]),
    ):
        assert 0 < len(expected) < 60
        assert used[name] == [f"{len(expected)} of 60 questions, {min(20, len(expected))} shown", expected[:20]], name


def test_questions_are_sorted_by_the_score_of_the_chosen_arm(used: Json, payload: Json) -> None:
    raft = scores_of(payload, "raft")
    assert used["lowest"][1] == sorted(raft, key=lambda id: (raft[id], id))[:20]


def test_keys_buttons_and_switches_work(used: Json) -> None:
    assert used["focused"] and used["more"] == 40
    assert used["open"][0] == "true" and used["open"][1] > 0
    assert used["theme"] == ["dark", "Light"]
    assert used["plots"] == ["none", "block", "none"]


def test_the_page_does_not_scroll_sideways_on_a_phone(used: Json) -> None:
    assert used["wide"] == 0


def pixels(picture: Path) -> list[bytes]:
    """Return the colours of a PNG with 8 bits for each of three or four channels, row by row."""
    data = picture.read_bytes()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert (depth, kind) in ((8, 2), (8, 6))
    size, place, packed = 3 if kind == 2 else 4, 8, b""
    while place < len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        packed += data[place + 8 : place + 8 + length] if name == b"IDAT" else b""
        place += length + 12
    raw, above, found = zlib.decompress(packed), bytearray(width * size), []
    for row in range(height):
        start = row * (width * size + 1)
        above = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + width * size]), above, size)
        found += [bytes(above[x : x + 3]) for x in range(0, width * size, size)]
    return found


def unfiltered(kind: int, row: bytearray, above: bytearray, size: int) -> bytearray:
    """Return a row of a PNG as it was before filtering (PNG specification, section 9)."""
    for x in range(len(row) if kind else 0):
        left, up, corner = (row[x - size], above[x], above[x - size]) if x >= size else (0, above[x], 0)
        guess = left + up - corner
        nearest = min((left, up, corner), key=lambda one: abs(guess - one))
        row[x] = (row[x] + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
    return row


def lightness(found: list[bytes]) -> float:
    return sum(map(sum, found)) / (3 * len(found))
