"""The standard adapters and arms that an experiment file gets where it names none of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragft.config.tasks import LONG_ANSWER_TOKENS, MAX_NEW_TOKENS

_STANDARD_ARMS = frozenset({"base", "few_shot", "rag", "finetuned", "finetuned_rag", "oracle", "random_context"})


def with_default_length(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the raw file with the task's own longest answer where it names none."""
    task, generation = raw.get("task"), {} if raw.get("generation") is None else raw["generation"]
    kind = task.get("kind") if isinstance(task, dict) else task
    if not isinstance(kind, str) or kind not in MAX_NEW_TOKENS or not isinstance(generation, dict):
        return raw
    is_long = isinstance(task, dict) and task.get("answers") == "long"
    longest = LONG_ANSWER_TOKENS if is_long else MAX_NEW_TOKENS[kind]
    return {**raw, "generation": {"max_new_tokens": longest, **generation}}


def with_default_arms(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the raw file with the standard adapters and arms where it names none of its own."""
    data = raw["data"] if isinstance(raw.get("data"), dict) else {}
    has_train, has_documents = bool(data.get("train")), bool(data.get("documents"))
    filled = dict(raw)
    if raw.get("adapters") is None:
        filled["adapters"] = _default_adapters(has_train, has_documents) if _can_be_trained(raw.get("model")) else {}
    compare = {} if raw.get("compare") is None else raw["compare"]
    if isinstance(compare, dict) and compare.get("arms") in (None, {}):
        adapters = filled["adapters"] if isinstance(filled["adapters"], Mapping) else {}
        filled["compare"] = {**compare, "arms": _default_arms(adapters, has_train, has_documents)}
    return filled


def _can_be_trained(model: object) -> bool:
    """Return whether the experiment's own model is one in this process; a server's weights are not ours to train."""
    return not isinstance(model, Mapping) or model.get("kind", "transformers") == "transformers"


def _default_adapters(has_train: bool, has_documents: bool) -> dict[str, Any]:
    closed_book = {"closed_book": {"recipe": "closed_book"}} if has_train else {}
    raft = {"raft": {"recipe": "context"}} if has_train and has_documents else {}
    return closed_book | raft


def _default_arms(adapters: Mapping[str, Any], has_train: bool, has_documents: bool) -> dict[str, Any]:
    arms: dict[str, Any] = {"base": {}}
    if has_train:
        arms["few_shot"] = {"shots": 3}
    if has_documents:
        arms["rag"] = {"retrieval": "index"}
    for name, adapter in adapters.items():
        from_memory = not isinstance(adapter, Mapping) or _answers_from_memory(adapter.get("recipe", "closed_book"))
        prefix = "finetuned" if name == "closed_book" else f"{name}_adapter" if name in _STANDARD_ARMS else name
        if from_memory:
            arms[prefix] = {"adapter": name}
        if has_documents:
            arms[f"{prefix}_rag"] = {"adapter": name, "retrieval": "index"}
    if has_documents:
        arms["oracle"] = {"retrieval": "oracle"}
        arms["random_context"] = {"retrieval": "random"}
    return arms


def _answers_from_memory(recipe: object) -> bool:
    """Return whether an adapter is worth asking without passages: not where it has only ever read with them."""
    kinds = {kind for kind, weight in recipe.items() if weight} if isinstance(recipe, Mapping) else {recipe}
    return kinds != {"context"}
