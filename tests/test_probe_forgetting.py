"""The probe `forgetting`: KL by hand, means over tokens, checks of replies, what became of facts, end to end."""

from __future__ import annotations

import json
import math
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SmallExperiment
from probe_kits import asked_kit, bench_of

from ragft import jsonl
from ragft.arms.adapters import Adapters
from ragft.config import ForgettingProbe
from ragft.errors import DataError
from ragft.evaluation.probing import ProbeResult, Table, probe_from_dict
from ragft.generation.drift import Drift, Window, drifts
from ragft.generation.local import LocalGenerator
from ragft.models.language_model import LanguageModel
from ragft.probes import Kit
from ragft.probes import harness as harness_module
from ragft.probes.abilities import Transition, abilities_of
from ragft.probes.drift import moved, over_tokens
from ragft.probes.forgetting import Forgetting
from ragft.probes.forgetting_tables import first_finding
from ragft.probes.general_text import OwnText, general_windows
from ragft.probes.instructions import Instruction, followed, shipped_instructions
from ragft.probes.quiz import Quiz, facts_of, shipped_reading
from ragft.probes.weights import BASE, Weights, weights_of
from ragft.records import Score

SMALL: dict[str, Any] = {"kind": "forgetting", "tokens": 400, "own_tokens": 100, "examples": 10}


def probe(**settings: Any) -> Forgetting:
    return Forgetting(ForgettingProbe.model_validate({**SMALL, **settings}))


@pytest.fixture(autouse=True)
def _short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights never end a turn: every answer is as long as it may be."""
    monkeypatch.setattr("ragft.probes.quiz.ANSWER_TOKENS", 4)


def table(result: ProbeResult, key: str) -> Table:
    return next(one for one in result.tables if one.key == key)


# How far the model moved


class Changed:
    """A generator whose tuned weights add a constant to one token's logit."""

    def __init__(self, model: LanguageModel, bias: torch.Tensor) -> None:
        self.model, self.bias = model, bias
        self.reads = 0

    def adapter(self, folder: Path | None) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def chosen() -> Any:
            head = self.model.model.get_output_embeddings()

            def hook(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
                self.reads += 1
                return output if folder is None else output + self.bias

            handle = head.register_forward_hook(hook)
            try:
                yield
            finally:
                handle.remove()

        return chosen()


def test_drift_is_kl_of_the_base_from_the_tuned_distribution(model: Callable[[], LanguageModel]) -> None:
    language_model = model()
    width = language_model.model.get_output_embeddings().weight.shape[0]
    bias = torch.zeros(width)
    bias[5] = 2.0
    window = Window("w", (7, 5, 9, 11), given=1)
    ((_, _, found),) = drifts(language_model, Changed(language_model, bias), {Path("a"): [window]})  # type: ignore[arg-type]

    logits = language_model.model(input_ids=torch.tensor([[7, 5, 9]])).logits[0].double()
    p5 = logits.softmax(-1)[:, 5]
    # Adding b to one logit: KL = log(1 - p + p e^b) - p b at each place.
    expected = sum(math.log(1 - p + p * math.exp(2)) - 2 * p for p in p5.tolist())
    logs = logits.log_softmax(-1)
    base = -(logs[0, 5] + logs[1, 9] + logs[2, 11]).item()
    # The text says token 5 once: its log-probability gains b; all lose log(1 - p + p e^b).
    tuned = base - 2 + sum(math.log(1 - p + p * math.exp(2)) for p in p5.tolist())
    same = (logits.argmax(-1) == (logits + bias).argmax(-1)).sum().item()
    assert found.tokens == 3
    assert found.kl == pytest.approx(expected, rel=1e-4)
    assert found.base_nats == pytest.approx(base, rel=1e-5)
    assert found.tuned_nats == pytest.approx(tuned, rel=1e-5)
    assert found.agreed == same


def test_what_is_given_is_not_predicted_and_the_base_reads_once(model: Callable[[], LanguageModel]) -> None:
    language_model = model()
    width = language_model.model.get_output_embeddings().weight.shape[0]
    generator = Changed(language_model, torch.zeros(width))
    windows = [Window("a", (1, 2, 3, 4, 5), given=3), Window("b", (4, 5, 6))]
    folders = {Path("one"): windows, Path("two"): windows[:1]}
    found = list(drifts(language_model, generator, folders))  # type: ignore[arg-type]
    assert [(folder.name, window.id, one.tokens) for folder, window, one in found] == [
        ("one", "a", 2),
        ("one", "b", 2),
        ("two", "a", 2),
    ]
    assert generator.reads == 2 + 2 + 1
    assert all(one.kl == 0 and one.agreed == one.tokens and one.base_nats == one.tuned_nats for _, _, one in found)


def test_the_mean_over_tokens_weighs_windows_by_their_length() -> None:
    # 1 nat on 10 tokens and 9 on 30: (1 + 9) / 40 = 0.25 a token; the windows' own means are 0.1 and 0.3.
    values = over_tokens([1.0, 9.0], [10, 30])
    assert sum(values) / 2 == pytest.approx(0.25)
    # 0.25 + (1 - 0.25 * 10) / 20 and 0.25 + (9 - 0.25 * 30) / 20.
    assert values == pytest.approx([0.175, 0.325])


def test_perplexity_ratio_and_agreement(experiment: SmallExperiment) -> None:
    kit = Kit(bench_of(experiment))
    one = Weights("closed_book", Adapters(kit.bench, None), "closed_book")
    windows = [Window("a", tuple(range(11))), Window("b", tuple(range(31)))]
    drift = [Drift(10, 1.0, 20.0, 22.0, 8), Drift(30, 9.0, 60.0, 66.0, 30)]
    found = moved(kit, [one], windows, {"closed_book": drift})["closed_book"]
    assert found.kl.mean == pytest.approx(0.25)
    assert found.ratio.mean == pytest.approx(math.exp(8 / 40))
    assert found.ratio.interval is not None
    assert found.ratio.interval.low <= found.ratio.mean <= found.ratio.interval.high
    assert found.agreed.mean == pytest.approx(38 / 40)


# Text


def test_general_text_is_drawn_by_the_seed_within_its_tokens(experiment: SmallExperiment, tmp_path: Path) -> None:
    bench = bench_of(experiment)
    found = general_windows(bench, (), 700)
    assert sum(window.tokens for window in found) == 700
    assert found == general_windows(bench_of(experiment), (), 700)
    assert found[0].id == general_windows(bench, (), 5_000)[0].id
    assert found[0].id != general_windows(bench_of(experiment, "seed=5"), (), 700)[0].id

    (tmp_path / "mine.txt").write_text("One harbour. Two harbours.", encoding="utf-8")
    (only,) = general_windows(bench, [tmp_path / "mine.txt"], 5_000)
    assert bench.local.tokenizer.decode(only.ids) == "One harbour. Two harbours."
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="no text"):
        general_windows(bench, [tmp_path / "empty.txt"], 100)
    jsonl.write_rows(tmp_path / "rows.jsonl", [{"body": "x"}])
    with pytest.raises(DataError, match=r"rows\.jsonl:1: no 'text'"):
        general_windows(bench, [tmp_path / "rows.jsonl"], 100)


def test_shipped_text_and_questions_are_whole() -> None:
    folder = Path(str(sys.modules["ragft.probes.general_text"].__file__)).parent / "general"
    texts = [row["text"] for _, row in jsonl.read_rows(folder / "text.jsonl")]
    assert len(set(texts)) == len(texts) >= 60
    facts = [row for _, row in jsonl.read_rows(folder / "facts.jsonl")]
    assert len({row["question"] for row in facts}) == len(facts) >= 60
    assert {one.kind for one in shipped_instructions()} == {"one_word", "three_items", "upper_case", "json", "refusal"}
    assert len(shipped_instructions()) == 24
    for one in shipped_reading():
        assert any(reference.lower() in one.passage.text.lower() for reference in one.example.references)
    assert sum(one.kind == "contradicting" for one in shipped_reading()) == 10


def test_own_text_is_written_once(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment)
    own = OwnText(bench, 100)
    assert not own.is_written
    first = own.windows()
    assert own.is_written
    assert sum(window.tokens for window in first) == 100
    assert {window.given for window in first} == {1}
    assert OwnText(bench, 100).windows() == first


# Instructions


@pytest.mark.parametrize(
    ("kind", "reply", "expected"),
    [
        ("one_word", "Dog.", True),
        ("one_word", "A dog", False),
        ("one_word", "42", False),
        ("three_items", "1. apple\n2. pear\n3. plum", True),
        ("three_items", "apple, pear and plum", False),
        ("three_items", "apple, pear, and plum.", True),
        ("three_items", "Here are three fruits:\n- apple\n- pear\n- plum", False),
        ("three_items", "Here you are:\napple\npear", False),
        ("three_items", "- apple\n- pear\n- plum\n- fig", False),
        ("upper_case", "THE SEA IS WIDE, AND 3 SHIPS SAIL.", True),
        ("upper_case", "The Sea", False),
        ("upper_case", "123", False),
        ("json", '{"city": "Paris"}', True),
        ("json", '```json\n{"city": "Paris"}\n```', True),
        ("json", '{"town": "Paris"}', False),
        ("json", '{"city": ""}', False),
        ("json", 'Here: {"city": "Paris"}', False),
        ("json", '["city"]', False),
        ("refusal", "I don't know.", True),
        ("refusal", "You had eggs.", False),
    ],
)
def test_replies_are_checked(kind: Any, reply: str, expected: bool) -> None:
    assert followed(Instruction("x", kind, "?", "city"), reply, cut_off=False) is expected


def test_a_reply_that_was_cut_off_kept_to_no_length() -> None:
    assert not followed(Instruction("x", "three_items", "?"), "a\nb\nc", cut_off=True)
    assert followed(Instruction("x", "upper_case", "?"), "AND SO ON", cut_off=True)


# Facts


class Told(Quiz):
    """A quiz whose answers are given: (part, name) -> the right ones among its questions."""

    def __init__(self, kit: Kit, right: dict[tuple[str, str], set[int]]) -> None:
        super().__init__(kit.bench, facts_of(kit.bench, None), None)
        self.right = right

    def declined(self, weights: Weights) -> frozenset[str]:
        """Three of the facts that the adapter loses, and one that nobody knew."""
        return frozenset(self.facts[number].id for number in (17, 18, 19, 50))

    def scores(self, part: Any, every: Sequence[Weights]) -> dict[str, list[Score]]:
        metric = "accuracy" if part == "instructions" else "contains"
        return {
            one.name: [
                Score(one.name, example.id, metric, float(number in self.right.get((part, one.name), set())))
                for number, example in enumerate(self.examples(part))
            ]
            for one in every
        }


def test_transitions_and_kept_facts_by_hand(experiment: SmallExperiment) -> None:
    kit = Kit(bench_of(experiment))
    adapters = Adapters(kit.bench, None)
    base, tuned = Weights(BASE, adapters), weights_of(adapters, "closed_book")
    # The base knows 0-19; the adapter keeps 0-14, loses 15-19 and gains 20-21.
    right = {("facts", BASE): set(range(20)), ("facts", "closed_book"): {*range(15), 20, 21}}
    right |= {("instructions", BASE): set(range(12)), ("instructions", "closed_book"): set(range(6))}
    able = abilities_of(kit, Told(kit, right), base, tuned)
    assert able.transitions["closed_book"] == Transition(kept=15, lost=5, gained=2, unknown=38, declined=3)
    kept = able.kept["closed_book"]
    assert (kept.mean, kept.n) == (0.75, 20)
    assert kept.interval is not None
    # Wilson with z = 1.96: centre (0.75 + 1.9207 / 20) / (1 + 3.8415 / 20), half width likewise.
    assert (kept.interval.low, kept.interval.high) == pytest.approx((0.5313, 0.8881), abs=1e-3)
    change = able.changes["instructions"]["closed_book"]
    assert change.difference == pytest.approx(-6 / 24)
    assert first_finding(["closed_book"], {}, able) == "closed_book keeps 75 % of the 20 facts that the base knew."


def test_few_known_facts_say_little(experiment: SmallExperiment) -> None:
    kit = Kit(bench_of(experiment))
    adapters = Adapters(kit.bench, None)
    able = abilities_of(
        kit, Told(kit, {("facts", BASE): {1, 2}}), Weights(BASE, adapters), weights_of(adapters, "closed_book")
    )
    assert first_finding(["closed_book"], {}, able).startswith("The base knows 2 of 60 facts of general knowledge, too")


def test_a_file_of_facts_replaces_those_shipped(experiment: SmallExperiment, tmp_path: Path) -> None:
    bench = bench_of(experiment)
    path = tmp_path / "facts.jsonl"
    jsonl.write_rows(path, [{"id": "a", "question": "Where?", "references": ["here"]}])
    assert [one.input for one in facts_of(bench, path)] == ["Where?"]
    jsonl.write_rows(path, [{"id": "a", "question": "Where?", "references": [], "answerable": False}])
    with pytest.raises(DataError, match="no question has an answer"):
        facts_of(bench, path)


def test_a_limit_takes_the_same_share_of_every_part(experiment: SmallExperiment) -> None:
    bench = bench_of(experiment)
    quiz = Quiz(bench, facts_of(bench, None), 52)
    assert (quiz.n_available, quiz.n_asked) == (104, 52)
    assert (len(quiz.facts), len(quiz.instructions), len(quiz.reading)) == (30, 12, 10)
    smaller = Quiz(bench, facts_of(bench, None), 26)
    assert set(smaller.facts) < set(quiz.facts)


# Refusals


def test_refused_without_an_adapter(experiment: SmallExperiment) -> None:
    arms = experiment.config["compare"]["arms"]
    experiment.config["compare"]["arms"] = {name: arms[name] for name in ("base", "rag")}
    experiment.config["compare"]["contrasts"] = [["rag", "base"]]
    refusal = probe().refusal(Kit(bench_of(experiment)))
    assert refusal is not None
    assert refusal.reason.startswith("no arm has an adapter")
    bare = probe(arms=["base"]).refusal(Kit(bench_of(experiment)))
    assert bare is not None


def test_refused_where_the_model_is_elsewhere(closed_book: SmallExperiment) -> None:
    jsonl.write_rows(closed_book.folder / "said.jsonl", [{"contains": "", "answer": "x"}])
    closed_book.config["model"] = {"kind": "scripted", "path": "said.jsonl"}
    closed_book.config.pop("adapters")
    closed_book.config["compare"] |= {"arms": {"base": {}, "shots": {"shots": 1}}, "contrasts": []}
    refusal = probe().refusal(Kit(bench_of(closed_book)))
    assert refusal is not None
    assert "not in this process" in refusal.reason


# End to end


def test_measured_for_every_adapter_and_never_twice(
    closed_book: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters = closed_book.config["adapters"]
    adapters["wide"] = {**adapters["closed_book"], "peft": {"r": 8}}
    closed_book.config["compare"]["arms"]["wider"] = {"adapter": "wide"}
    with asked_kit(closed_book) as kit:
        planned = probe().load(kit)
        result = probe().measure(kit)
        assert planned.prompts == 3 * result.n_examples
        assert planned.fixed_s > 0
        again = probe().load(kit)
        assert (again.answered, again.fixed_s) == (again.prompts, 0.0)
        monkeypatch.setattr("ragft.probes.drift.drifts", None)
        monkeypatch.setattr(LocalGenerator, "generate", None)
        assert probe().measure(kit) == result
    assert [row.name for row in table(result, "forgetting").rows] == [BASE, "closed_book", "wide"]
    kl = result.values["adapters"]["closed_book"]["kl"]
    assert kl > 0.01
    cell = table(result, "forgetting").rows[1].cells[0]
    assert cell.value == kl
    assert cell.interval is not None
    assert result.findings[0].startswith(f"closed_book moves the model by {kl:.3f} nats a token on general text")
    assert "400 tokens of general text" in result.measured_on
    trade, rank = (next(one for one in result.charts if one.key == key) for key in ("trade", "adapters_rank_kl"))
    assert [curve.name for curve in trade.curves] == ["closed_book (finetuned)", "wide (wider)", f"{BASE} (base)"]
    assert trade.curves[0].points[0].x == kl
    assert trade.curves[0].points[0].label == f"{kl:.3g}"
    assert [(point.x, point.label) for point in rank.curves[0].points] == [(4, "closed_book"), (8, "wide")]
    assert not any(chart.key.startswith("adapters_steps") for chart in result.charts)
    assert probe_from_dict(json.loads(json.dumps(jsonl.plain(result)))) == result


def test_checkpoints_make_a_curve(closed_book: SmallExperiment) -> None:
    with asked_kit(closed_book) as kit:
        assert probe(checkpoints=[2, 3]).load(kit).trainings == 2
        result = probe(checkpoints=[2, 3], examples=6).measure(kit)
        steps = next(chart for chart in result.charts if chart.key == "steps_kl")
        assert [(curve.name, [one.x for one in curve.points]) for curve in steps.curves] == [("closed_book", [2, 3, 4])]
        kl = [one.value for one in steps.curves[0].points]
        assert kl[0] is not None
        assert kl[-1] is not None
        assert 0 < kl[0] < kl[-1]
        score = next(chart for chart in result.charts if chart.key == "steps_score")
        assert score.curves[0].points[0].n == 6
        assert probe(checkpoints=[2, 3]).load(kit).trainings == 0


def test_whole_trainings_and_several_seeds(closed_book: SmallExperiment) -> None:
    adapter = closed_book.config["adapters"]["closed_book"]
    adapter |= {"seeds": [1, 2]}
    full = {**adapter, "peft": {"method": "full"}, "training": {**adapter["training"], "learning_rate": 1e-3}}
    closed_book.config["adapters"]["whole"] = {**full, "seeds": [1]}
    closed_book.config["compare"]["arms"]["all"] = {"adapter": "whole"}
    with asked_kit(closed_book) as kit:
        result = probe(examples=6).measure(kit)
    adapters = result.values["adapters"]
    assert adapters["whole"]["kl"] > 0
    assert [row.name for row in table(result, "facts").rows] == ["closed_book seed 1", "closed_book seed 2", "whole"]
    assert any("training seeds." in note for note in result.notes)


def test_another_task_is_asked_the_same_questions(closed_book: SmallExperiment) -> None:
    with asked_kit(closed_book) as kit:
        own = Quiz(kit.bench, facts_of(kit.bench, None), 6)
        weights = Weights(BASE, kit.round.adapters)
        before = own.scores("facts", [weights])
        prompts = own.planned(weights)
    closed_book.config["task"] = {"kind": "classification", "labels": ["green", "red"], "answer_by": "likelihood"}
    closed_book.config["data"]["fields"] = {"input": "question"}
    closed_book.config["compare"].pop("primary_metric", None)
    bench = bench_of(closed_book)
    other = Quiz(bench, facts_of(bench, None), 6)
    asked = other.planned(Weights(BASE, Adapters(bench, None)))
    assert (asked.prompts, asked.answered) == (prompts.prompts, prompts.answered)
    assert asked.answered > 0
    assert other.scores("facts", [Weights(BASE, Adapters(bench, None))]) == before


def test_an_encoder_decoder_is_asked_and_not_read(
    closed_book: SmallExperiment, seq2seq_folders: dict[str, Path]
) -> None:
    closed_book.config["model"]["source"] = str(seq2seq_folders["t5"])
    with asked_kit(closed_book) as kit:
        result = probe(examples=6).measure(kit)
    assert result.values["adapters"]["closed_book"]["kl"] is None
    assert any("encoder" in note for note in result.notes)
    assert table(result, "forgetting").rows[1].cells[0].value is None


# lm-evaluation-harness


def fake_lm_eval(monkeypatch: pytest.MonkeyPatch, seen: list[dict[str, Any]]) -> None:
    """Put a module in the place of lm_eval that knows one task."""

    def simple_evaluate(model: Any, tasks: list[str], **_: Any) -> dict[str, Any]:
        import os

        seen.append({"tasks": tasks, "offline": os.environ.get("HF_DATASETS_OFFLINE")})
        if tasks != ["toy"]:
            raise ValueError(f"{tasks[0]} is not a task\nmore")
        return {
            "results": {"toy": {"alias": "toy", "acc,none": 0.5, "acc_stderr,none": 0.1}},
            "n-samples": {"toy": {"original": 9, "effective": 9}},
        }

    modules: dict[str, dict[str, Any]] = {
        "lm_eval": {"simple_evaluate": simple_evaluate},
        "lm_eval.models": {},
        "lm_eval.models.huggingface": {"HFLM": lambda **given: given},
        "lm_eval.tasks": {"TaskManager": lambda: object()},
    }
    for name, content in modules.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(harness_module.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(harness_module.importlib.metadata, "version", lambda _: "1")


def test_harness_tasks_run_offline_on_base_and_adapters(
    closed_book: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    with asked_kit(closed_book) as kit:
        fake_lm_eval(monkeypatch, seen)
        every = [Weights(BASE, kit.round.adapters), *weights_of(kit.round.adapters, "closed_book")]
        found, notes = harness_module.harness_results(kit, every, ("toy", "unknown"))
        assert found is not None
        assert [column.title for column in found.columns] == ["toy: acc"]
        assert [row.name for row in found.rows] == [BASE, "closed_book"]
        cell = found.rows[0].cells[0]
        assert (cell.value, cell.n) == (0.5, 9)
        assert cell.interval is not None
        assert cell.interval.low == pytest.approx(0.5 - 1.95996 * 0.1, abs=1e-4)
        assert notes == ["lm_eval could not run unknown: unknown is not a task."]
        assert {one["offline"] for one in seen} == {"1"}
        asked = len(seen)
        again, _ = harness_module.harness_results(kit, every, ("toy",))
        assert (again, len(seen)) == (replace(found), asked)


def test_harness_that_is_not_installed_is_a_note(closed_book: SmallExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness_module.importlib.util, "find_spec", lambda _: None)
    found, notes = harness_module.harness_results(Kit(bench_of(closed_book)), [], ("toy",))
    assert found is None
    assert "pip install lm-eval" in notes[0]
    assert harness_module.harness_results(Kit(bench_of(closed_book)), [], ()) == (None, [])
