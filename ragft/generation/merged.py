"""An adapter added into the weights of the base model for a while, to see what that saves, and taken out again.

The base weights that come back are those that were kept, bit for bit: subtracting what was added would leave rounding
in them, and every later answer of the base would be another one. Knows nothing of tasks or arms.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer


@contextmanager
def merged(model: Any) -> Iterator[int]:  # noqa: ANN401 - a transformers model with PEFT's layers in it
    """Answer with the chosen adapters added into the base weights inside this block; gives the number of layers.

    `model` is the base in which an adapter was switched on. W + s B A is added in the precision of W (Hu et al. 2021,
    section 4), as it would be for shipping on this machine. The weights that are kept wait in main memory. Where no
    adapter is on (the bare base, or weights that were trained whole) there is nothing to merge, and 0 layers are.
    """
    found = [layer for layer in model.modules() if isinstance(layer, BaseTunerLayer)]
    layers = [layer for layer in found if not layer.disable_adapters]
    kept = [_copied(layer) for layer in layers]
    try:
        with torch.no_grad():
            for layer in layers:
                layer.merge()
        yield sum(layer.merged for layer in layers)
    finally:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that subtracting is inexact: what it leaves is overwritten
            for layer, weights in zip(layers, kept, strict=True):
                if layer.merged:
                    layer.unmerge()
                for name, weight in layer.get_base_layer().named_parameters():
                    weight.data.copy_(weights[name])


def _copied(layer: BaseTunerLayer) -> dict[str, torch.Tensor]:
    """Return the base weights of a layer, and its bias, which some adapters scale."""
    base = layer.get_base_layer()
    return {name: weight.detach().to("cpu", copy=True) for name, weight in base.named_parameters()}
