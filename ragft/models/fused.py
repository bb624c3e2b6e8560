"""LoRA layers as single autograd functions: fewer Python steps, fewer passes over memory, less kept for gradients.

The same formulas as the layers they stand in for, in the precision of the frozen weights; adapters that are trained
and their gradients stay in float32. A layer is replaced only where it is plain LoRA on a frozen linear layer (no
dropout, no DoRA, no quantised base), and a gated block only where a check on random input finds its own output. All
others stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear as PeftLinear
from torch.nn.functional import linear, silu

Gradients = tuple[torch.Tensor | None, ...]
Forward = Callable[..., torch.Tensor]
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 4e-2, torch.float16: 5e-3}
"""Largest difference, relative to the largest output, at which a stand-in counts as the same layer."""


@contextmanager
def fused(model: Any) -> Iterator[int]:  # noqa: ANN401 - a PeftModel
    """Replace the layers of a PeftModel that can be; yields how many, and gives the model its own back at the end."""
    replaced = [module for module in model.modules() if _replace(module)]
    try:
        yield len(replaced)
    finally:
        for module in replaced:
            del module.forward  # the stand-in hides the method of the class


def _replace(module: Any) -> bool:  # noqa: ANN401
    """Give a module its stand-in, and return whether there is one."""
    if _is_plain(module):
        module.forward = _linear_forward(module)
        return True
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    if not all(part is not None and _is_plain(part) and part.base_layer.bias is None for part in parts):
        return False
    forward = _gated_forward(module)
    if not _agrees(module, forward):
        return False
    module.forward = forward
    return True


def _is_plain(module: Any) -> bool:  # noqa: ANN401
    """Return whether a module is LoRA as in Hu et al. 2021 and nothing more, on a frozen `torch.nn.Linear`."""
    if type(module) is not PeftLinear or type(module.base_layer) is not torch.nn.Linear or module.merged:
        return False
    if len(module.active_adapters) != 1 or module.active_adapters[0] not in module.lora_A:
        return False
    name = module.active_adapters[0]
    pair = (module.lora_A[name], module.lora_B[name])
    return (
        name not in module.lora_variant
        and isinstance(module.lora_dropout[name], torch.nn.Identity)
        and all(part.bias is None for part in pair)
        and not module.base_layer.weight.requires_grad
    )


def _agrees(module: Any, forward: Forward) -> bool:  # noqa: ANN401
    weight = module.gate_proj.base_layer.weight
    numbers = torch.Generator().manual_seed(1)
    probe = torch.randn(2, 3, weight.shape[1], generator=numbers).to(weight.device, weight.dtype)
    with torch.no_grad():
        own, stand_in = module(probe), forward(probe)
    if own.shape != stand_in.shape:
        return False
    return bool((own - stand_in).abs().max() <= TOLERANCE[weight.dtype] * own.abs().max())


def _is_off(module: Any) -> bool:  # noqa: ANN401
    """Return whether an adapter that was switched on is switched off or merged for the time being."""
    return bool(module.disable_adapters or module.merged)


def _fits(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Return whether the layer multiplies in the precision of its weights, and autocast would not choose another."""
    kind = x.device.type
    return x.dtype == weight.dtype and (
        not torch.is_autocast_enabled(kind) or torch.get_autocast_dtype(kind) == x.dtype
    )


def _linear_forward(module: Any) -> Forward:  # noqa: ANN401
    own = module.forward
    parts = _tensors(module)
    scale = module.scaling[module.active_adapters[0]]

    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        if args or kwargs or _is_off(module) or not _fits(x, parts[0]):
            return own(x, *args, **kwargs)  # type: ignore[no-any-return]
        flat = x.reshape(-1, x.shape[-1])
        y: torch.Tensor = LoraLinear.apply(flat, *parts, module.base_layer.bias, scale)  # type: ignore[no-untyped-call]
        return y.view(*x.shape[:-1], -1)

    return forward


def _gated_forward(module: Any) -> Forward:  # noqa: ANN401
    own = module.forward
    layers = (module.gate_proj, module.up_proj, module.down_proj)
    tensors = [tensor for layer in layers for tensor in _tensors(layer)]
    scales = tuple(layer.scaling[layer.active_adapters[0]] for layer in layers)

    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        if args or kwargs or _is_off(layers[0]) or not _fits(x, tensors[0]):
            return own(x, *args, **kwargs)  # type: ignore[no-any-return]
        flat = x.reshape(-1, x.shape[-1])
        y: torch.Tensor = LoraGated.apply(flat, scales, *tensors)  # type: ignore[no-untyped-call]
        return y.view(*x.shape[:-1], -1)

    return forward


def _tensors(module: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # noqa: ANN401
    name = module.active_adapters[0]
    return module.base_layer.weight, module.lora_A[name].weight, module.lora_B[name].weight


class LoraLinear(torch.autograd.Function):
    """`y = x W' + s (x A') B'`, W frozen. Shapes: x (tokens, in), W (out, in), A (r, in), B (out, r)."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: torch.Tensor,
        weight: torch.Tensor,
        down: torch.Tensor,
        up: torch.Tensor,
        bias: torch.Tensor | None,
        scale: float,
    ) -> torch.Tensor:
        """Return y, shape (tokens, out); x and x A' are kept for the gradients."""
        inner = x @ down.to(x.dtype).t()
        ctx.save_for_backward(x, weight, down, up, inner)
        ctx.scale = scale
        return linear(x, weight, bias).addmm_(inner, up.to(x.dtype).t(), alpha=scale)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Gradients:  # noqa: ANN401
        """Return the gradients of x, A and B."""
        x, weight, down, up, inner = ctx.saved_tensors
        by_inner, to_up = _through_up(grads[0], up, inner, ctx.scale)
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (grads[0] @ weight).addmm_(by_inner, down.to(x.dtype))
        return to_x, None, (by_inner.t() @ x).to(down.dtype), to_up, None, None


def _through_up(
    grad: torch.Tensor, up: torch.Tensor, inner: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of `inner` and of B where y holds `s inner B'`."""
    by_inner = (grad @ up.to(grad.dtype)).mul_(scale)
    return by_inner, (grad.t() @ inner).to(up.dtype).mul_(scale)


class LoraGated(torch.autograd.Function):
    """`down(silu(gate(x)) * up(x))` with LoRA on all three; x has the shape (tokens, width).

    The products with gate's and up's A are one, and their gradients meet without further sums; of the (tokens,
    intermediate) tensors gate(x) and up(x) are kept, where separate layers keep four.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scales: tuple[float, float, float], *parts: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        """Return y, shape (tokens, width); `parts` are W, A, B of gate, up and down."""
        w_gate, a_gate, b_gate, w_up, a_up, b_up, w_down, a_down, b_down = parts
        r, to = a_gate.shape[0], x.dtype
        inner = x @ torch.cat([a_gate, a_up]).to(to).t()
        gate = linear(x, w_gate).addmm_(inner[:, :r], b_gate.to(to).t(), alpha=scales[0])
        up = linear(x, w_up).addmm_(inner[:, r:], b_up.to(to).t(), alpha=scales[1])
        hidden = silu(gate).mul_(up)
        last = hidden @ a_down.to(to).t()
        ctx.save_for_backward(x, inner, gate, up, last, *parts)
        ctx.scales = scales
        return linear(hidden, w_down).addmm_(last, b_down.to(to).t(), alpha=scales[2])

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Gradients:  # noqa: ANN401
        """Return the gradients of x and of every A and B."""
        x, inner, gate, up, last, *parts = ctx.saved_tensors
        w_gate, a_gate, b_gate, w_up, a_up, b_up, w_down, a_down, b_down = parts
        r, to = a_gate.shape[0], x.dtype
        by_last, to_b_down = _through_up(grads[0], b_down, last, ctx.scales[2])
        by_hidden = (grads[0] @ w_down).addmm_(by_last, a_down.to(to))
        hidden = silu(gate)
        by_up = by_hidden * hidden
        to_a_down = (by_last.t() @ hidden.mul_(up)).to(a_down.dtype)
        by_gate = torch.ops.aten.silu_backward(by_hidden.mul_(up), gate)
        by_inner_gate, to_b_gate = _through_up(by_gate, b_gate, inner[:, :r], ctx.scales[0])
        by_inner_up, to_b_up = _through_up(by_up, b_up, inner[:, r:], ctx.scales[1])
        by_inner = torch.cat([by_inner_gate, by_inner_up], dim=1)
        to_a = (by_inner.t() @ x).to(a_gate.dtype)
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (by_gate @ w_gate).addmm_(by_up, w_up).addmm_(by_inner, torch.cat([a_gate, a_up]).to(to))
        return to_x, None, None, to_a[:r], to_b_gate, None, to_a[r:], to_b_up, None, to_a_down, to_b_down
