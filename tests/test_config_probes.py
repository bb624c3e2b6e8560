"""The list `compare.probes` and `data.update` in the experiment file."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import SmallExperiment

from ragft.config import ContextProbe, load_experiment
from ragft.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def test_a_probe_is_a_name_or_has_settings(experiment: SmallExperiment) -> None:
    experiment.config["compare"]["probes"] = ["cost", {"kind": "context", "passages": [1, 2], "examples": 10}]
    cost, context = load_experiment(experiment.save().file).experiment.compare.probes
    assert cost.kind == "cost"
    assert context == ContextProbe(kind="context", passages=(1, 2), examples=10)


def test_one_probe_may_stand_for_a_list(experiment: SmallExperiment) -> None:
    experiment.config["compare"]["probes"] = "phrasing"
    assert [one.kind for one in load_experiment(experiment.save().file).experiment.compare.probes] == ["phrasing"]


@pytest.mark.parametrize(
    ("probes", "fault"),
    [
        (["context", {"kind": "context"}], "compare.probes.1: the probe context is named twice"),
        ([{"kind": "context", "arms": ["rga"]}], "compare.probes.0.arms: there is no arm 'rga'"),
        ([{"kind": "context", "topk": [1]}], "topk"),
        ([{"kind": "label_budget", "shares": [1.0]}], "compare.probes.0.shares"),
        (["contxt"], "contxt"),
    ],
)
def test_faults_name_the_probe(experiment: SmallExperiment, probes: list[object], fault: str) -> None:
    experiment.config["compare"]["probes"] = probes
    with pytest.raises(ConfigError) as caught:
        load_experiment(experiment.save().file)
    assert any(fault in one for one in caught.value.faults), caught.value.faults


def test_the_quick_start_has_every_probe_and_the_comparison_of_the_quick_start() -> None:
    probes = load_experiment(CONFIGS / "probes.yaml").experiment
    plain = load_experiment(CONFIGS / "quickstart.yaml").experiment
    assert len(probes.compare.probes) == 9
    same = ("seed", "task", "model", "data", "index", "retrieval", "adapters", "generation")
    assert {key: getattr(probes, key) for key in same} == {key: getattr(plain, key) for key in same}
    assert probes.compare.arms == plain.compare.arms
