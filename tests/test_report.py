"""The reports: what they show of three synthetic run folders, and that hostile text stays text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import random
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest

from ragft import jsonl
from ragft.errors import RagftError
from ragft.evaluation.answers import score_answers
from ragft.evaluation.comparison import compare_arms
from ragft.records import Answer, ContrastResult, Example, Interval, Passage
from ragft.report import load_report, render_html, render_markdown
from ragft.report.contrast_rows import finding
from ragft.report.escaping import escape_markdown, script_json
from ragft.report.formatting import duration, p_value, score, seconds, signed
from ragft.report.svg import Axis, tag
from ragft.report.tradeoff import Point, pareto_front
from ragft.verdict import Requirements, decide

Json = dict[str, Any]
METRICS = ("token_f1", "exact_match", "contains", "abstained")
ATTACK = "</script><img src=x onerror=alert(1)> | `**` \u2028 <!-- &amp;"

# name: (adapter, retrieval, shots, control, chance of a right answer, latency in seconds, prompt tokens)
FULL: dict[str, tuple[str | None, str, int, bool, float, float, int]] = {
    "prompt": (None, "none", 0, False, 0.12, 0.61, 61),
    "few_shot": (None, "none", 4, False, 0.17, 0.78, 214),
    "tuned": ("lora", "none", 0, False, 0.33, 0.58, 61),
    "rag": (None, "index", 0, False, 0.66, 1.21, 402),
    "tuned_rag": ("lora", "index", 0, False, 0.69, 1.24, 402),
    "raft": ("raft", "index", 0, False, 0.79, 1.19, 402),
    "oracle": (None, "oracle", 0, True, 0.86, 1.08, 371),
    "random_context": (None, "random", 0, True, 0.10, 1.17, 398),
}
MINIMAL = {name: FULL[name] for name in ("prompt", "few_shot")}
PLACES = ("quay", "mill", "foundry", "canteen", "harbour", "archive", "bindery", "greenhouse")


def example(i: int) -> Example:
    place, answerable = PLACES[i % len(PLACES)], i % 7 != 3
    return Example(
        id=f"eval-{i:04d}",
        input=f"Which day is set aside for the inspection of the {place} in district {i}?",
        references=(f"day {2 + i % 27} of May {1990 + i % 30}", f"{2 + i % 27} May {1990 + i % 30}")
        if answerable
        else (),
        gold_document_ids=(f"{place}-{i // 16}",) if answerable else (),
        answerable=answerable,
        group=f"fact-{i}",
        variant=("paraphrase", "plain")[i % 2] if answerable else "unanswerable",
    )


def passage(i: int) -> Passage:
    item = example(i)
    place = PLACES[i % len(PLACES)]
    words = (
        f"The council of district {i} met in the hall above the {place}, and the minutes were read without dissent. "
    )
    when = item.references[0] if item.answerable else "a day that was not yet fixed"
    text = f"{words}It was resolved that the inspection of the {place} be held on {when}. {words * 3}".strip()
    return Passage(
        f"{place}-{i // 16}#{i}", f"{place}-{i // 16}", f"Minutes: {place}, part {i // 16}", text, 0, len(text)
    )


def answer(
    arm: str, chance: float, retrieval: str, prompt_tokens: int, item: Example, i: int, n: int, rng: random.Random
) -> Answer:
    draw = rng.random()
    if not item.answerable:
        text = "I don't know." if draw < chance else "the 3rd of June 2004"
    elif draw < chance:
        text = item.references[0]
    elif draw < chance + 0.12:
        text = f"It is set for {item.references[1]}, according to the minutes of the council"
    else:
        text = rng.choice(("the 1st of April 1987", "I don't know.", "On Tuesday, as far as the text says", ""))
    near = [passage(i), passage((i + 1) % n), passage((i + 5) % n)] if retrieval != "none" else []
    ids = tuple(one.id for one in (near[1:] if retrieval == "random" else near))
    length: Literal["length", "stop"] = "length" if draw > 0.98 else "stop"
    return Answer(arm, item.id, text, prompt_tokens + i % 9, 4 + i % 7, 0.3 + draw / 4, length, ids, ids[:1], 0.011)


def arm_facts(facts: tuple[str | None, str, int, bool, float, float, int], timed: bool) -> Json:
    adapter, retrieval, shots, control, _, latency, tokens = facts
    share = {"value": 0.8125, "n": 86}
    wrongly = {"answered_though_unanswerable": share, "abstained_though_answerable": {"value": None, "n": 0}}
    return {
        "adapter": adapter, "retrieval": retrieval, "shots": shots, "prompt": "qa-short-1", "control": control,
        "prompt_tokens_mean": tokens + 4.0, "output_tokens_mean": 7.0, "truncated_share": 0.02,
        "latency_s_p50": latency if timed else None, "latency_n": 5 * timed, "seconds_per_question": 0.42,
        "retrieval_seconds_p50": 0.012 if retrieval == "index" else None, "macro_f1": None,
        "abstention": {"coverage": share, "accuracy_on_answered": share, **wrongly},
    }  # fmt: skip


def adapter_facts(recipe: str, start: float, end: float) -> Json:
    history: list[Json] = [{"step": s, "loss": end + (start - end) * 0.9 ** (s / 2)} for s in range(5, 101, 5)]
    history += [
        {"step": s, "eval_loss": end + 0.35 + (start - end) * 0.88 ** (s / 2) + s / 900} for s in range(20, 101, 20)
    ]
    return {
        "recipe": recipe, "steps": 100, "examples_seen": 792, "tokens_seen": 318_402, "label_tokens": 7_310,
        "seconds": 194.2, "train_loss": end, "dev_loss": end + 0.4, "best_step": 60,
        "reused": recipe == "context", "history": history,
    }  # fmt: skip


def manifest() -> Json:
    return {
        "schema_version": 1, "id": "20261123T141200Z-compare-harbour-1a2b3c4d", "command": "compare",
        "experiment": "harbour", "status": "success",
        "started_at": "2026-11-23T14:12:00+00:00", "finished_at": "2026-11-23T14:31:09+00:00",
        "git": {"commit": "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678", "dirty": True},
        "packages": {"torch": "2.9.1", "transformers": "5.20.0", "peft": "0.21.0"},
        "hardware": {"processor": "x86_64", "cores": 2, "memory_bytes": 8_000_000_000, "platform": "Linux-6.1"},
        "seeds": {"experiment": 7}, "prompts": ["qa-short-1"], "fingerprints": {"index": "ab" * 32},
        "inputs": {"eval.jsonl": "ef" * 32}, "argv": ["compare", "harbour.yaml", "--set", "seed=7"],
    }  # fmt: skip


def write_run(folder: Path, arms: dict[str, Any] = FULL, *, n: int = 60, full: bool = True, attack: str = "") -> Path:
    """Write a plausible run folder: real scores, comparison and verdict over made-up answers."""
    rng = random.Random(3)
    examples = [example(i) for i in range(n)]
    passages = [passage(i) for i in range(n)] if full else []
    answers = {
        name: [answer(name, facts[4], facts[1], facts[6], item, i, n, rng) for i, item in enumerate(examples)]
        for name, facts in arms.items()
    }
    if attack:
        examples[0] = dataclasses.replace(examples[0], input=attack, references=(attack,))
        passages[0] = dataclasses.replace(passages[0], title=attack, text=f"before {attack} after")
        answers["rag"][0] = dataclasses.replace(answers["rag"][0], text=attack)
    write_results(folder, arms, examples, answers, full)
    jsonl.write_rows(folder / "passages.jsonl", passages)
    jsonl.write_text(folder / "config.yaml", f"name: harbour\nseed: 7\n# {attack!r}\n")
    jsonl.write_json(folder / "manifest.json", {**manifest(), **({"experiment": attack} if attack else {})})
    return folder


def write_results(
    folder: Path, arms: dict[str, Any], examples: Sequence[Example], answers: dict[str, list[Answer]], full: bool
) -> None:
    by_id = {item.id: item for item in examples}
    scores = score_answers([one for said in answers.values() for one in said], by_id, METRICS)
    declared = [
        pair
        for pair in (("rag", "prompt"), ("tuned", "prompt"), ("raft", "rag"), ("few_shot", "prompt"))
        if set(pair) <= set(arms)
    ]
    comparison = compare_arms(
        scores, clusters={item.id: item.id for item in examples}, arms=list(arms), metrics=METRICS,
        primary_metric="token_f1", declared=declared, resamples=200, level=0.95, seed=7,
    )  # fmt: skip
    candidates = [name for name, facts in arms.items() if not facts[3]]
    verdict = decide(
        comparison,
        candidates=candidates,
        latency_s={name: arms[name][5] for name in candidates} if full else {},
        complexity={name: bool(arms[name][0]) + (arms[name][1] != "none") for name in candidates},
        requirements=Requirements(min_score=0.3 if full else None, max_latency_s=2.0, margin=0.02),
    )
    (folder / "answers").mkdir(parents=True)
    for name, said in answers.items():
        jsonl.write_rows(folder / "answers" / f"{name}.jsonl", said)
    jsonl.write_rows(folder / "examples.jsonl", examples)
    jsonl.write_rows(folder / "scores.jsonl", scores)
    jsonl.write_json(folder / "comparison.json", comparison)
    jsonl.write_json(folder / "verdict.json", verdict)
    means = [{**dataclasses.asdict(e), "version": 1, "value": e.mean} for e in comparison.estimates]
    jsonl.write_json(folder / "metrics.json", metrics(arms, means, len(examples), full))


def metrics(arms: dict[str, Any], means: list[Json], n: int, full: bool) -> Json:
    for metric, value in (("recall@1", 0.62), ("recall@3", 0.8), ("recall@5", 0.85), ("mrr", 0.7), ("ndcg@10", 0.76)):
        if full:
            row = {"arm": "retrieval:dense", "metric": metric, "version": 1, "value": value, "n": 51, "n_unscored": 9}
            means.append(
                {**row, "interval": dataclasses.asdict(Interval(value - 0.09, value + 0.07, 0.95, "percentile"))}
            )
    finding = {
        "check": "leakage",
        "message": "2 eval questions stand in train too",
        "example_ids": ["eval-0001", "eval-0002"],
    }
    return {
        "schema_version": 1,
        "primary_metric": "token_f1",
        "metrics": means,
        "arms": {name: arm_facts(facts, full) for name, facts in arms.items()},
        "task": {"kind": "qa", "labels": [], "majority_share": None},
        "retrieval": {"kind": "dense", "top_k": 3, "documents": 8, "passages": n} if full else None,
        "adapters": {"lora": adapter_facts("answers", 3.1, 0.6), "raft": adapter_facts("context", 2.6, 0.3)}
        if full
        else {},
        "data": {
            "documents": 8,
            "passages": n,
            "train": 264,
            "dev": 40,
            "eval": n,
            "unanswerable": n // 7,
            "findings": [finding] * full,
        },
        "reused": ["index: 60 passages unchanged"] * full,
        "requirements": {"min_score": 0.3 if full else None, "max_latency_s": 2.0, "margin": 0.02},
    }


def rendered(folder: Path) -> str:
    return render_html(load_report(folder))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("full") / "run")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("hostile") / "run", n=20, attack=ATTACK)


class Page(HTMLParser):
    """What a browser would make of a page: its elements, the text of style and script, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {}
        self.text = ""
        self._current = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._current = attributes.get("type") or tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._current = ""

    def handle_data(self, data: str) -> None:
        if self._current:
            self.inside.setdefault(self._current, []).append(data)
        else:
            self.text += data

    @property
    def payload(self) -> Json:
        return dict(json.loads("".join(self.inside["application/json"])))


def test_the_first_screen_answers_the_question(full: Path) -> None:
    text = " ".join(Page(rendered(full)).text.split())
    verdict = json.loads((full / "verdict.json").read_text())
    assert "Fine-tune, retrieve, both, or just prompt? Both" in text
    assert verdict["headline"] in text and text.index(verdict["headline"]) < text.index("exact_match")
    for sentence in (*verdict["reasons"], *verdict["caveats"], *verdict["next_steps"]):
        assert sentence in text


def test_arms_stand_from_best_to_worst_and_controls_last(full: Path) -> None:
    html = rendered(full)
    names = re.findall(r'<tr class="(\w+)">\s*<th scope="row">\s*<span class="name">(\w+)</span>', html)
    assert [kind for kind, _ in names] == ["shipped", *["arm"] * 5, "control", "control"]
    means = {
        m["arm"]: m["value"]
        for m in json.loads((full / "metrics.json").read_text())["metrics"]
        if m["metric"] == "token_f1"
    }
    shippable = [name for kind, name in names if kind != "control"]
    assert shippable == sorted(shippable, key=lambda name: -means[name])
    assert all(score(means[name]) in html for name in means)


def test_every_section_of_a_full_run_is_there(full: Path) -> None:
    text = " ".join(Page(rendered(full)).text.split())
    for words in ("recall@3", "answered, though unanswerable", "optimiser steps", "2 eval questions stand in train",
                  "latency p50 in seconds", "index: 60 passages unchanged", "Holm's correction", "name: harbour",
                  "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678", "uncommitted changes", "rag minus prompt"):  # fmt: skip
        assert words in text, words


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


def test_the_explorer_pairs_answers_scores_and_passages_by_id(full: Path) -> None:
    data = Page(rendered(full)).payload
    scores = {(s["arm"], s["example_id"], s["metric"]): s["value"] for _, s in jsonl.read_rows(full / "scores.jsonl")}
    for arm in data["arms"]:
        for item, said in zip(data["examples"], arm["answers"], strict=True):
            expected = [scores[arm["name"], item[0], metric] for metric in data["metrics"]]
            assert said[1] == pytest.approx(expected, abs=1e-4)
    ids = [row[0] for row in data["passages"]]
    assert len(ids) == len(set(ids)) == 60
    rag = data["arms"][3]["answers"][0]
    assert [ids[place] for place in rag[2]] == [passage(0).id, passage(1).id, passage(5).id]


def test_a_passage_or_an_answer_that_the_run_does_not_hold_is_null(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=20)
    jsonl.write_rows(run / "passages.jsonl", [])
    (run / "answers" / "rag.jsonl").write_text("")
    data = Page(rendered(run)).payload
    assert {tuple(row[1:]) for row in data["passages"]} == {(None, None, None)}
    assert data["arms"][3]["answers"] == [None] * 20


def test_a_minimal_run_says_what_it_has_not(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=40, full=False)
    page = Page(rendered(run))
    assert "latency n/a" in page.text and "not timed" in page.text
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert not {"retrieval", "training"} & ids and {"contrasts", "questions", "provenance"} <= ids
    assert "| n/a |" in render_markdown(load_report(run))


def test_a_classification_run_shows_macro_f1_and_the_majority_share(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=40, full=False)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["task"] = {"kind": "classification", "labels": ["fault", "order"], "majority_share": 0.6125}
    metrics["arms"]["prompt"]["macro_f1"] = 0.4375
    jsonl.write_json(run / "metrics.json", metrics)
    page = Page(rendered(run))
    assert "Labels: fault, order." in page.text and "right in 0.613 of the cases" in page.text
    assert "0.438" in page.text and page.payload["metrics"] == list(METRICS)


def test_an_unscored_mean_is_not_a_number_and_says_why(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=40, full=False)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["metrics"].append(
        {
            "arm": "prompt",
            "metric": "groundedness",
            "version": 1,
            "value": None,
            "n": 0,
            "n_unscored": 40,
            "interval": None,
        }
    )
    jsonl.write_json(run / "metrics.json", metrics)
    for i in range(40):
        row = {"arm": "prompt", "example_id": f"eval-{i:04d}", "metric": "groundedness", "value": None}
        jsonl.append_row(run / "scores.jsonl", {**row, "reason": "the prompt holds no passage"})
    text = Page(rendered(run)).text
    assert "40 unscored: the prompt holds no passage" in text
    assert "not measured" in text  # the other arm


@pytest.mark.parametrize(
    ("decision", "words"), [("not_decided", "Not decided"), ("none_qualifies", "None of them, yet")]
)
def test_a_verdict_that_ships_nothing_names_no_arm_to_ship(
    full: Path, tmp_path: Path, decision: str, words: str
) -> None:
    run = write_run(tmp_path / "run", n=20)
    verdict = json.loads((run / "verdict.json").read_text())
    jsonl.write_json(
        run / "verdict.json", {**verdict, "decision": decision, "arm": None, "candidates": ["rag", "raft"]}
    )
    html = rendered(run)
    assert f'<p class="answer">{words}</p>' in html and "ship this" not in html
    assert html.count(">still open</span>") == 2


def test_markdown_holds_the_table_the_contrasts_and_the_provenance(full: Path) -> None:
    text = render_markdown(load_report(full))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in rows[:10]}) == 1
    assert "| raft | adapter raft + retrieval | " in text and "| ship this |" in text
    assert "| rag \u2212 prompt | +0." in text
    assert "commit 1a2b3c4d5e6f with uncommitted changes" in text
    assert "random_context" in text and "random\\_context" not in text


def test_the_same_folder_gives_the_same_bytes(full: Path) -> None:
    assert rendered(full) == rendered(full)
    assert render_markdown(load_report(full)) == render_markdown(load_report(full))


def test_a_thousand_questions_and_six_arms_stay_under_three_megabytes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", dict(list(FULL.items())[:6]), n=1000)
    assert len(rendered(run).encode()) < 3_000_000


FILES = ("manifest.json", "metrics.json", "comparison.json", "verdict.json", "examples.jsonl", "scores.jsonl",
         "passages.jsonl", "config.yaml", "answers/prompt.jsonl")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=20, full=False)
    (run / name).unlink()
    with pytest.raises(RagftError, match=re.escape(str(run / name))):
        load_report(run)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("metrics.json", {"arms": {}}, "the run has no arms"),
        ("metrics.json", {"arms": {"../prompt": {}}}, "cannot be the name of a file"),
        (
            "metrics.json",
            {"arms": {"prompt": {"latency_s_p50": "fast"}}},
            "arms.prompt.latency_s_p50: expected a finite number, found str",
        ),
        ("verdict.json", {"headline": None}, "headline: expected a string, found nothing"),
        ("verdict.json", {"excluded": ["rag"]}, r"excluded\[0\]: expected a pair"),
        ("comparison.json", {"contrasts": [{"first": "rag"}]}, "not a comparison"),
    ],
)
def test_a_broken_file_is_named_with_its_key(tmp_path: Path, name: str, change: Json, words: str) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=20, full=False)
    jsonl.write_json(run / name, {**json.loads((run / name).read_text()), **change})
    with pytest.raises(RagftError, match=words) as raised:
        load_report(run)
    assert name in str(raised.value)


def test_a_number_that_an_answer_lacks_is_an_error_and_not_zero(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", MINIMAL, n=20, full=False)
    rows = [row for _, row in jsonl.read_rows(run / "answers" / "prompt.jsonl")]
    jsonl.write_rows(run / "answers" / "prompt.jsonl", [rows[0], {**rows[1], "output_tokens": None}])
    with pytest.raises(RagftError, match=r"prompt\.jsonl:2\.output_tokens: expected a finite number, found nothing"):
        load_report(run)


def test_numbers_are_written_in_one_way() -> None:
    assert [score(v) for v in (0.61249, -0.0001, -0.25, None)] == ["0.612", "0.000", "\u22120.250", "n/a"]
    assert [signed(v) for v in (0.0414, 0.0, -0.02)] == ["+0.041", "0.000", "\u22120.020"]
    assert [seconds(v) for v in (1.2149, 0.0123, 0.0001, None)] == ["1.21 s", "0.012 s", "< 0.001 s", "n/a"]
    assert [duration(v) for v in (12.0, 194.2, 7260.0)] == ["12.00 s", "3 min 14 s", "2 h 1 min"]
    assert [p_value(v) for v in (0.0004, 0.03, None)] == ["< 0.001", "0.030", "n/a"]


def test_escaping_for_each_place() -> None:
    assert escape_markdown("a|b\n`c` <d> token_f1 _e_") == r"a\|b \`c\` \<d\> token_f1 \_e\_"
    assert script_json("</script>&\u2028\ud800") == r'"\u003c/script\u003e\u0026\u2028\ud800"'
    assert (
        tag("text", "<b>", class_="a", x=1.5, aria_label='"')
        == '<text class="a" x="1.5" aria-label="&#34;">&lt;b&gt;</text>'
    )


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    kinds = {"slow": (2.0, 0.9), "fast": (0.5, 0.4), "beaten": (1.0, 0.3), "oracle": (0.1, 1.0)}
    points = [Point(name, *place, None, "control" if name == "oracle" else "arm") for name, place in kinds.items()]
    assert [point.name for point in pareto_front(points)] == ["fast", "slow"]


def test_axes_place_and_part_values() -> None:
    assert Axis(0.0, 2.0, 10.0, 110.0).at(0.5) == 35.0
    assert Axis(0.1, 10.0, 0.0, 100.0, log=True).at(1.0) == pytest.approx(50.0)
    assert Axis(0.0, 1.0, 0.0, 1.0).ticks(5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Axis(3.0, 3.0, 0.0, 10.0).at(3.0) == 5.0


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.05, 0.2, "a is higher"),
        (-0.2, -0.05, "b is higher"),
        (-0.1, 0.1, "not distinguished"),
        (0.001, 0.015, "equal within the margin"),
    ],
)
def test_what_an_interval_says(low: float, high: float, words: str) -> None:
    interval = Interval(low, high, 0.95, "percentile")
    contrast = ContrastResult(
        "a", "b", "token_f1", (low + high) / 2, interval, 60, "sign_flip", 0.1, 0.1, 0.1, 10, True
    )
    assert finding(contrast, 0.02) == words
