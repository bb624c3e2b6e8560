"""From the key `judge` of metrics.json to records. Fills nothing in."""

from __future__ import annotations

from ragft.report.judge_contents import AgreementFacts, JudgeFacts, PreferenceFacts, QuestionFacts
from ragft.report.reading import Node, read_interval


def read_judge(node: Node | None) -> JudgeFacts | None:
    """Return what the judge did, None for a run without one."""
    if node is None:
        return None
    return JudgeFacts(
        model=node.text("model"),
        prompts=node.texts("prompts"),
        min_kappa=node.number("min_kappa"),
        asked=node.count("asked"),
        reused=node.count("reused"),
        questions=tuple(_question(one) for one in node.items("questions")),
        preferences=tuple(_preference(one) for one in node.items("preferences")),
        caveats=node.texts("caveats"),
    )


def _question(node: Node) -> QuestionFacts:
    return QuestionFacts(
        question=node.text("question"),
        n_verdicts=node.required_count("n_verdicts"),
        n_settled=node.count("n_settled") or 0,
        n_unreadable=node.required_count("n_unreadable"),
        n_failed=node.count("n_failed") or 0,
        n_unscored=node.count("n_unscored") or 0,
        n_labels=node.count("n_labels") or 0,
        n_outdated=node.count("n_outdated") or 0,
        agreement=_agreement(node.present("agreement")),
        why_not=node.optional_text("why_not"),
    )


def _agreement(node: Node | None) -> AgreementFacts | None:
    if node is None:
        return None
    interval = read_interval(node.present("interval"))
    return AgreementFacts(node.required_count("n"), node.required("agreement"), node.number("kappa"), interval)


def _preference(node: Node) -> PreferenceFacts:
    return PreferenceFacts(
        first=node.text("first"),
        second=node.text("second"),
        n=node.required_count("n"),
        wins=node.required_count("wins"),
        ties=node.required_count("ties"),
        losses=node.required_count("losses"),
        win_share=node.number("win_share"),
        interval=read_interval(node.present("interval")),
        n_position_bound=node.required_count("n_position_bound"),
        position_bound=node.number("position_bound"),
        n_unreadable=node.required_count("n_unreadable"),
        n_missing=node.count("n_missing") or 0,
    )
