"""From metrics.json to records: arms, means, retrieval, adapters, data, requirements. Fills nothing in."""

from __future__ import annotations

from collections.abc import Iterator

from ragft.report.arm_details import read_errors, read_labels_said, read_sureness
from ragft.report.contents import (
    AdapterFacts,
    ArmFacts,
    Cost,
    Demands,
    Finding,
    Hits,
    LossPoint,
    MetricValue,
    RetrievalFacts,
    RetrieverContrast,
    RetrieverFacts,
    ShareOf,
)
from ragft.report.reading import Node, read_interval

RETRIEVAL_PREFIX = "retrieval:"
"""What the arm of a retrieval metric begins with in metrics.json."""

ABSTENTION_SHARES = ("coverage", "accuracy_on_answered", "answered_though_unanswerable", "abstained_though_answerable")
"""The shares of an arm's abstention, in the order in which they are shown."""


def read_metric(node: Node) -> MetricValue:
    """Return one entry of `metrics`."""
    return MetricValue(
        arm=node.text("arm"),
        metric=node.text("metric"),
        version=node.optional_text("version"),
        value=node.number("value"),
        n=node.required_count("n"),
        n_unscored=node.required_count("n_unscored"),
        interval=read_interval(node.present("interval")),
    )


def read_arm(name: str, node: Node) -> ArmFacts:
    """Return one entry of `arms`."""
    abstention = node.present("abstention")
    return ArmFacts(
        name=name,
        adapter=node.optional_text("adapter"),
        retrieval=node.optional_text("retrieval") or "none",
        shots=node.count("shots") or 0,
        prompt=node.optional_text("prompt"),
        control=node.flag("control"),
        prompt_tokens_mean=node.number("prompt_tokens_mean"),
        output_tokens_mean=node.number("output_tokens_mean"),
        truncated_share=node.number("truncated_share"),
        latency_s_p50=node.number("latency_s_p50"),
        latency_n=node.count("latency_n"),
        seconds_per_question=node.number("seconds_per_question"),
        retrieval_seconds_p50=node.number("retrieval_seconds_p50"),
        macro_f1=node.number("macro_f1"),
        abstention=None if abstention is None else _abstention(abstention),
        memory_gb=node.number("memory_gb"),
        labels=node.count("labels"),
        failed_share=node.number("failed_share"),
        abstained_share=node.number("abstained_share"),
        citing_share=node.number("citing_share"),
        leaves_machine=node.flag("leaves_machine"),
        training_seconds=node.number("training_seconds"),
        index_seconds=node.number("index_seconds"),
        cost=_cost(node.present("cost")),
        model=node.optional_text("model"),
        shots_by=node.optional_text("shots_by") or "seed",
        prompts=node.texts("prompts"),
        errors=read_errors(node.present("errors")),
        labels_said=read_labels_said(node.present("labels_said")),
        sureness=read_sureness(node.present("selective")),
    )


def _cost(node: Node | None) -> Cost | None:
    if node is None:
        return None
    return Cost(
        currency=node.optional_text("currency") or "",
        running_per_1000=node.number("running_per_1000"),
        one_off=node.number("one_off"),
        refreshes_per_horizon=node.number("refreshes_per_horizon"),
        refresh_each=node.number("refresh_each"),
        per_1000=node.number("per_1000"),
        per_correct=node.number("per_correct"),
    )


def _abstention(node: Node) -> dict[str, ShareOf]:
    return {name: _share(node.present(name), "value") for name in ABSTENTION_SHARES}


def _share(node: Node | None, key: str) -> ShareOf:
    return ShareOf(None, None) if node is None else ShareOf(node.number(key), node.count("n"))


def read_retrieval(node: Node | None) -> RetrievalFacts | None:
    """Return what `retrieval` says, None for a run that retrieved nothing."""
    if node is None:
        return None
    hits = (
        Hits(arm, _share(one.present("hit"), "mean"), _share(one.present("miss"), "mean"))
        for arm, one in node.named("hits")
    )
    sizes = (node.count("top_k"), node.count("documents"), node.count("passages"))
    return RetrievalFacts(node.text("kind"), *sizes, hits=tuple(hits))


def read_retrievers(node: Node | None) -> RetrieverFacts | None:
    """Return what `retrievers` says, None for a run that did not compare any."""
    if node is None:
        return None
    contrasts = (
        RetrieverContrast(
            one.text("first"),
            one.text("second"),
            one.text("metric"),
            one.number("difference"),
            read_interval(one.present("interval")),
            one.flag("declared"),
        )
        for one in node.items("contrasts")
    )
    return RetrieverFacts(node.text("finding"), node.texts("notes"), tuple(contrasts))


def read_adapter(name: str, node: Node) -> AdapterFacts:
    """Return one entry of `adapters`."""
    return AdapterFacts(
        name=name,
        recipe=node.optional_text("recipe"),
        steps=node.count("steps"),
        examples_seen=node.count("examples_seen"),
        tokens_seen=node.count("tokens_seen"),
        label_tokens=node.count("label_tokens"),
        seconds=node.number("seconds"),
        train_loss=node.number("train_loss"),
        dev_loss=node.number("dev_loss"),
        best_step=node.count("best_step"),
        reused=node.flag("reused"),
        history=tuple(_loss_points(node)),
        method=node.optional_text("method"),
        processes=node.count("processes"),
        effective_batch=node.count("effective_batch"),
        signs=node.texts("signs"),
    )


def _loss_points(node: Node) -> Iterator[LossPoint]:
    for row in node.items("history"):
        step = row.number("step")
        if step is not None:
            yield LossPoint(step, row.number("loss"), row.number("eval_loss"))


COUNTED = ("documents", "set_aside", "passages", "train", "dev", "eval", "unanswerable")
"""What the data checks count, in the order in which it is shown."""


def read_counts(data: Node) -> tuple[tuple[str, int], ...]:
    """Return how many documents, passages and examples there are, those that were counted."""
    counted = ((name, data.count(name)) for name in COUNTED)
    return tuple((name.replace("_", " "), count) for name, count in counted if count is not None)


def read_finding(node: Node) -> Finding:
    """Return one finding of the data checks."""
    return Finding(node.text("check"), node.text("message"), node.texts("example_ids"))


def read_demands(metrics: Node) -> Demands:
    """Return `requirements`; a run of an older version has only some of them."""
    node = metrics.present("requirements") or Node({}, f"{metrics.where}: requirements")
    return Demands(
        min_score=node.number("min_score"),
        max_latency_s=node.number("max_latency_s"),
        margin=node.number("margin"),
        max_memory_gb=node.number("max_memory_gb"),
        max_cost_per_1000=node.number("max_cost_per_1000"),
        citations=node.flag("citations"),
        facts_change_days=node.number("facts_change_days"),
        local_only=node.flag("local_only"),
        labels=node.count("labels"),
    )
