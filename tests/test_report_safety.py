"""The page is safe and anybody can use it: its policy, hostile text, headings, names of drawings, colours."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from report_probes import all_probes
from report_runs import ATTACK, FULL, Page, add_everything, rendered, write_run

from ragft.report import load_report, render_markdown
from ragft.report.environment import environment


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_everything(write_run(tmp_path_factory.mktemp("full") / "run", probes=all_probes()))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("hostile") / "run", n=20, attack=ATTACK)


def test_the_policy_allows_exactly_the_style_and_the_script_of_the_page(full: Path) -> None:
    page = Page(rendered(full))
    policy = next(a["content"] for name, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'") and "unsafe" not in policy
    for name in ("style", "script"):
        assert len(page.inside[name]) == 1
        digest = base64.b64encode(hashlib.sha256(page.inside[name][0].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_nothing_is_loaded_and_no_style_or_handler_stands_in_an_attribute(full: Path) -> None:
    for name, attributes in Page(rendered(full)).elements:
        assert name not in ("img", "link", "iframe", "object", "base")
        assert not {"src", "style", "srcdoc", "xlink:href"} & attributes.keys()
        assert not any(key.startswith("on") for key in attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_hostile_text_stays_text(hostile: Path) -> None:
    html = rendered(hostile)
    page = Page(html)
    assert [name for name, _ in page.elements].count("script") == 2 and "<img" not in html
    assert ATTACK in page.text  # the experiment's name
    data = page.payload
    assert data["examples"][0][1] == ATTACK and data["passages"][0][2] == ATTACK
    assert data["arms"][list(FULL).index("rag")]["answers"][0][0] == ATTACK
    assert "\u2028" not in "".join(page.inside["application/json"])
    markdown = render_markdown(load_report(hostile))
    assert "<img" not in markdown.replace("\\<", "") and r"\|" in markdown


def test_hostile_text_in_gates_sweeps_and_reasons_stays_text(tmp_path: Path) -> None:
    run = add_everything(write_run(tmp_path / "run", n=20))
    for name in ("gates.json", "sweep.json", "verdict.json"):
        text = (run / name).read_text()
        attack = "<img src=x onerror=alert(1)>"
        (run / name).write_text(re.sub(r"rag lost 0\.1|(?<=\")retrieval\.top_k|With a margin", attack, text))
    html = rendered(run)
    assert "<img" not in html and html.count("&lt;img src=x") >= 3
    assert "<img" not in render_markdown(load_report(run)).replace("\\<", "")


def test_hostile_text_in_probes_stays_text(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=20, probes=all_probes(ATTACK))
    html = rendered(run)
    page = Page(html)
    assert [name for name, _ in page.elements].count("script") == 2 and "<img" not in html
    assert page.text.count(ATTACK) > 100  # titles, sentences, labels, cells, excerpts
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert {name for name, _ in page.elements if name in ("mark", "b")} == {"mark", "b"}
    assert "<img" not in render_markdown(load_report(run)).replace("\\<", "")


def test_headings_go_down_one_level_at_a_time(full: Path) -> None:
    levels = [int(name[1]) for name, _ in Page(rendered(full)).elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:], strict=False))


def test_every_drawing_has_a_role_and_a_title_and_every_table_head_a_scope(full: Path) -> None:
    html = rendered(full)
    drawings = re.findall(r"<svg([^>]*)>(<title>[^<]+</title>)?", html)
    assert len(drawings) > 50
    assert all('role="img"' in attributes and title for attributes, title in drawings)
    assert all(attributes.get("scope") for name, attributes in Page(html).elements if name == "th")


def test_ids_are_unique_and_every_link_leads_somewhere(full: Path) -> None:
    elements = Page(rendered(full)).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for name, attributes in elements if name == "a"}
    assert {link for link in links if link and not link.startswith("#example-")} <= {f"#{id}" for id in ids}


def test_the_page_names_its_language_and_moves_nothing(full: Path) -> None:
    page = Page(rendered(full))
    assert ("html", {"lang": "en"}) in page.elements
    style = "".join(page.inside["style"])
    assert not re.search("animation|transition|scroll-behavior", style)  # nothing moves, so nobody has to ask
    assert ":focus-visible" in style


PAIRS = [
    *((text, ground) for text in ("ink", "soft", "muted", "accent") for ground in ("page", "surface", "sunken")),
    *((text, "accent-soft") for text in ("ink", "soft", "muted")),
    ("on-accent", "accent"), ("ink", "partly-soft"), ("ink", "mark"),
    *((kind, ground) for kind in ("right", "partly", "wrong") for ground in (f"{kind}-soft", "surface", "accent-soft")),
]  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground_as_wcag_aa_asks(theme: str) -> None:
    template = environment().loader.get_source(environment(), "style.css.jinja")[0]  # type: ignore[union-attr]
    macro = template.split("{% macro " + theme)[1].split("{% endmacro %}")[0]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", macro))
    ratios = {(text, ground): ratio(colours[text], colours[ground]) for text, ground in PAIRS}
    assert {pair: round(found, 2) for pair, found in ratios.items() if found < 4.5} == {}
    lines = {name: ratio(colour, colours["surface"]) for name, colour in colours.items() if name.startswith("series-")}
    assert len(lines) == 8 and {name: round(found, 2) for name, found in lines.items() if found < 3} == {}


def ratio(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2 of two colours."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_contrast_ratio_itself_is_right() -> None:
    assert ratio("#000000", "#ffffff") == pytest.approx(21.0)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the grey that just fails
