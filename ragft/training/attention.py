"""Attention inside the examples of a packed row, and none across them.

transformers hands attention to a registered function; the one here is told by the keyword `segments` where examples
begin. Queries are taken in tiles, each with the keys that some of its queries may see. On a processor a tile is two
dense products around a softmax; the backward pass makes the weights of long tiles again instead of keeping them, so
memory stays linear in the tokens. Elsewhere torch's kernel runs per tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ragft.models.language_model import reads_apart

DENSE_ON = frozenset({"cpu"})
"""Kinds of device where dense products per tile are faster than the kernel of torch."""

NAME = "ragft_segments"
"""The name under which transformers knows the attention of this module."""

KEPT_KEYS = 320
"""Weights of a tile with at most so many keys are kept for the backward pass, which then takes a third less time; they
are about as large as the rest that a layer keeps. Those of longer tiles are made again."""

TILE = 96
"""Queries in one tile: short examples are joined up to this many tokens, long ones cut."""


class Unsupported(Exception):
    """A model asks its attention for something that packed rows cannot do."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Queries `begin:end`; they see the shared beginning and the keys `first:end`, where `mask` is true.

    `mask` has the shape (queries, shared + keys).
    """

    begin: int
    end: int
    first: int
    mask: torch.Tensor


@dataclass(frozen=True, slots=True)
class Segments:
    """Where the examples of a packed row lie: the tokens of the shared beginning, and the tiles of all queries."""

    shared: int
    tiles: tuple[Tile, ...]


def segments(shared: int, lengths: Sequence[int], device: torch.device | str = "cpu", tile: int = TILE) -> Segments:
    """Return the tiles of a packed row: `shared` tokens, then examples of these lengths."""
    tiles = [*_cut(0, shared, 0, tile, device)] if shared else []
    begin, group = shared, list[int]()
    for length in [*lengths, None]:
        if length is None or (group and sum(group) + length > tile):
            tiles += _tiles(begin, group, shared, tile, device)
            begin, group = begin + sum(group), []
        if length:
            group.append(length)
    return Segments(shared, tuple(tiles))


def _tiles(begin: int, group: Sequence[int], shared: int, tile: int, device: torch.device | str) -> Iterator[Tile]:
    """Yield the one tile of several short examples, or the tiles of one long example."""
    if len(group) < 2:
        yield from _cut(begin, sum(group), shared, tile, device)
        return
    size = sum(group)
    of = torch.repeat_interleave(torch.arange(len(group)), torch.tensor(group))
    own = (of[:, None] == of[None, :]).tril()
    yield Tile(begin, begin + size, begin, _beside_shared(own, shared).to(device))


def _cut(begin: int, length: int, shared: int, tile: int, device: torch.device | str) -> Iterator[Tile]:
    for start in range(0, length, tile):
        end = min(start + tile, length)
        own = torch.ones(end - start, end, dtype=torch.bool).tril(diagonal=start)
        yield Tile(begin + start, begin + end, begin, _beside_shared(own, shared).to(device))


def _beside_shared(own: torch.Tensor, shared: int) -> torch.Tensor:
    return torch.cat([torch.ones(own.shape[0], shared, dtype=torch.bool), own], dim=1)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    segments: Segments | None = None,
    **rest: Any,  # noqa: ANN401 - whatever a model hands to its attention
) -> tuple[torch.Tensor, None]:
    """Return the attention of a packed row, shape (1, tokens, heads, head width), and None for its weights.

    `query` has the shape (1, heads, tokens, head width); `key` and `value` may have fewer heads. Raises Unsupported for
    a model that asks for more than plain causal attention (a window, capped scores, sinks, dropout, a bias). Without
    `segments`, as when answers are generated between two steps, it is transformers' own attention.
    """
    if segments is None:
        found = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
        return found[0], None
    asked = sorted(name for name, given in rest.items() if given is not None and name not in _HARMLESS)
    if asked or dropout or not getattr(module, "is_causal", True):
        raise Unsupported(f"the model asks its attention for {', '.join(asked) or 'dropout, or is not causal'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key = query.to(value.dtype), key.to(value.dtype)  # under autocast rotary positions leave them in float32
    if query.device.type in DENSE_ON:
        out: torch.Tensor = _Dense.apply(query[0], key[0], value[0], segments, scale)  # type: ignore[no-untyped-call]
        return out.transpose(0, 1).unsqueeze(0), None
    return _by_kernel(query, key, value, segments, scale).transpose(1, 2), None


_HARMLESS = frozenset({"is_causal", "position_ids", "use_cache", "output_attentions", "output_hidden_states"})
"""Keywords that do not change what plain causal attention gives."""


def _keys(states: torch.Tensor, tile: Tile, shared: int) -> torch.Tensor:
    """Return the rows of keys or values (.., tokens, width) that a tile reads."""
    shared = 0 if tile.begin < shared else shared
    if tile.first == shared:
        return states[..., : tile.end, :]
    own = states[..., tile.first : tile.end, :]
    return torch.cat([states[..., :shared, :], own], dim=-2) if shared else own


def _by_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, where: Segments, scale: float
) -> torch.Tensor:
    parts = [
        torch.nn.functional.scaled_dot_product_attention(
            query[:, :, tile.begin : tile.end],
            _keys(key, tile, where.shared),
            _keys(value, tile, where.shared),
            attn_mask=tile.mask,
            scale=scale,
            enable_gqa=key.shape[1] != query.shape[1],
        )
        for tile in where.tiles
    ]
    return torch.cat(parts, dim=2)


class _Dense(torch.autograd.Function):
    """Attention by dense products per tile; shapes (heads, tokens, width), with fewer heads for key and value."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        where: Segments,
        scale: float,
    ) -> torch.Tensor:
        """Return the attention, shape (heads, tokens, width); the weights of long tiles are not kept."""
        kept: list[torch.Tensor] = []
        out = query.new_empty(query.shape)
        with torch.autocast(query.device.type, enabled=False):  # or the softmax would be copied to float32 and back
            for tile in where.tiles:
                weights = _weights(query, _keys(key, tile, where.shared), tile, scale)
                part = torch.bmm(weights, _keys(value, tile, where.shared))
                out[:, tile.begin : tile.end] = part.view(query.shape[0], -1, query.shape[2])
                kept += [weights] if weights.shape[2] <= KEPT_KEYS else []
        ctx.save_for_backward(query, key, value, *kept)
        ctx.where, ctx.scale = where, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        """Return the gradients of query, key and value; weights that were not kept are made again, tile by tile."""
        query, key, value, *kept = ctx.saved_tensors
        where, scale, grad, left = ctx.where, ctx.scale, grads[0], iter(kept)
        to_query = torch.empty_like(query)
        # Every tile adds to the shared beginning: sums in float32, or small parts of many examples would be lost.
        to_key, to_value = (torch.zeros(t.shape, dtype=torch.float32, device=t.device) for t in (key, value))
        for tile in where.tiles:
            keys, values = _keys(key, tile, where.shared), _keys(value, tile, where.shared)
            weights = next(left) if keys.shape[1] <= KEPT_KEYS else _weights(query, keys, tile, scale)
            above = _grouped(grad, tile, key.shape[0])
            _add(to_value, torch.bmm(weights.transpose(1, 2), above), tile, where.shared)
            by_weight = torch.bmm(above, values.transpose(1, 2))
            by_score = torch._softmax_backward_data(by_weight, weights, -1, weights.dtype)
            to_query[:, tile.begin : tile.end] = torch.bmm(by_score, keys).view(query.shape[0], -1, query.shape[2])
            asked = _grouped(query, tile, key.shape[0])
            _add(to_key, torch.bmm(by_score.transpose(1, 2), asked), tile, where.shared)
        return to_query.mul_(scale), to_key.mul_(scale).to(key.dtype), to_value.to(value.dtype), None, None


def _grouped(states: torch.Tensor, tile: Tile, groups: int) -> torch.Tensor:
    """Return a tile of (heads, tokens, width) as (groups, heads per group x queries, width)."""
    return states[:, tile.begin : tile.end].reshape(groups, -1, states.shape[2])


def _weights(query: torch.Tensor, keys: torch.Tensor, tile: Tile, scale: float) -> torch.Tensor:
    """Return the softmax weights of one tile, shape (key heads, query heads per key head x queries, keys).

    The product starts from the mask (0 or minus infinity) and is scaled on the way: one pass over the scores. torch's
    softmax of bfloat16 on a processor is slower than that of float32 with both conversions, and less exact.
    """
    groups, n_keys = keys.shape[0], keys.shape[1]
    seen = tile.mask[:, -n_keys:]
    bias = torch.zeros(seen.shape, dtype=query.dtype, device=query.device).masked_fill_(~seen, float("-inf"))
    start = bias.repeat(query.shape[0] // groups, 1).expand(groups, -1, -1)
    scores = torch.baddbmm(start, _grouped(query, tile, groups), keys.transpose(1, 2), alpha=scale)
    return torch.softmax(scores.float(), dim=-1).to(query.dtype)


def _add(total: torch.Tensor, part: torch.Tensor, tile: Tile, shared: int) -> None:
    """Add the gradient of the keys that a tile read to the gradient of all."""
    n_own = tile.end - tile.first
    total[:, tile.first : tile.end] += part[:, -n_own:]
    if part.shape[1] > n_own:
        total[:, : part.shape[1] - n_own] += part[:, :-n_own]


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:  # noqa: ANN401 - a transformers model
    """Give the model the attention of packed rows, and its own back at the end."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)  # what generating between two steps needs
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def why_not_packed(model: Any) -> str | None:  # noqa: ANN401 - a transformers model, PEFT's wrapping or not
    """Return why a model cannot read packed rows, or None where it can.

    Tried out instead of looked up: two short examples with a common beginning are read packed and apart. The logits
    must agree, much better than those of a reading that is wrong on purpose, and another first example must leave those
    of the second as they are. Models with other attention than plain causal (windows, sinks, biases), with a state that
    runs along the row, or whose code hands no keywords to its attention fail it. An encoder-decoder model is not tried.
    """
    if reads_apart(model):
        return "an encoder-decoder model reads the prompt apart from the answer"
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()
            return _Trial(model, _probe(model)).outcome()
    except (Unsupported, TypeError, ValueError, RuntimeError, IndexError) as error:
        return str(error).splitlines()[0]
    finally:
        model.train(was_training)


N_SHARED, N_OWN = 6, 6
"""Tokens of the common beginning and of each of the two examples in a trial."""

NEARER = 4
"""How many times nearer than a wrong reading a packed one must come to reading apart: rounding in bfloat16 moves the
logits of a model with thirty layers by a fiftieth of their standard deviation, another example by two fifths."""

UNMOVED = 1e-3
"""What another neighbour may change, in standard deviations; shapes are the same, so rounding is nearly so too."""


def _probe(model: Any) -> torch.Tensor:  # noqa: ANN401
    """Return token ids for the beginning and three examples, from all over the vocabulary.

    The first ids are special tokens in most vocabularies. Models know no text in which these follow each other, and
    their logits there move with every rounding.
    """
    size = model.config.get_text_config().vocab_size
    return torch.linspace(size // 20, size - 2, N_SHARED + 3 * N_OWN, device=model.device).long()


class _Trial:
    """Readings of the same two examples: apart, packed, and wrong on purpose."""

    def __init__(self, model: Any, ids: torch.Tensor) -> None:  # noqa: ANN401
        self._model = model
        beginning, *examples = torch.split(ids, [N_SHARED, N_OWN, N_OWN, N_OWN])
        self._apart = torch.stack([torch.cat([beginning, examples[0]]), torch.cat([beginning, examples[1]])])
        self._row = torch.cat([beginning, examples[0], examples[1]])
        self._other = torch.cat([beginning, examples[2], examples[1]])

    def outcome(self) -> str | None:
        """Return why packed rows are not read as examples apart are, or None."""
        expected = self._model(input_ids=self._apart, use_cache=False).logits[:, N_SHARED:].flatten(0, 1)
        with packed_attention(self._model):
            found = self._packed(self._row)
            moved = self._packed(self._other)[N_OWN:]
            joined = self._packed(self._row, lengths=[2 * N_OWN])
            running = self._packed(self._row, positions=torch.arange(len(self._row), device=self._row.device))
            self._model.train()  # dropout in attention shows only here
            read_packed(self._model, self._row[None, :2], torch.arange(2)[None], segments(0, [1, 1]), torch.arange(1))
        expected, found, moved, joined, running = (t.float() for t in (expected, found, moved, joined, running))
        spread = expected.std()
        if float((found[N_OWN:] - moved).abs().mean() / spread) > UNMOVED:
            return "an example changes the logits of its neighbour"
        wrong = min(float((t - expected)[N_OWN:].abs().mean() / spread) for t in (joined, running))
        distance = float((found - expected).abs().mean() / spread)
        rounding = 4 * torch.finfo(self._model.dtype).eps  # all that is left where examples and places hardly matter
        if distance <= max(wrong / NEARER, rounding):
            return None
        return f"its logits differ by {distance:.2g} standard deviations, those of a wrong reading by {wrong:.2g}"

    def _packed(
        self, row: torch.Tensor, lengths: Sequence[int] = (N_OWN, N_OWN), positions: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the logits of the examples in a row, shape (tokens behind the beginning, vocabulary)."""
        places = torch.arange(len(row), device=row.device)
        if positions is None:
            positions = torch.cat([places[: N_SHARED + N_OWN], places[N_SHARED : N_SHARED + N_OWN]])
        where = segments(N_SHARED, lengths, row.device)
        logits: torch.Tensor = read_packed(self._model, row[None], positions[None], where, places[N_SHARED:]).logits[0]
        return logits


def read_packed(
    model: Any,  # noqa: ANN401
    ids: torch.Tensor,
    positions: torch.Tensor,
    where: Segments,
    kept: torch.Tensor,
) -> Any:  # noqa: ANN401 - transformers' output
    """Return the model's output for a packed row, with logits (1, kept, vocabulary) at the kept positions only."""
    return model(
        input_ids=ids,
        position_ids=positions,
        attention_mask=ids.new_ones(
            1, 1, 1, 1
        ),  # a mask that is made already: transformers makes none of tokens squared
        segments=where,
        use_cache=False,
        logits_to_keep=kept,
    )
