"""Weights held a second time in the format that oneDNN multiplies fastest, for products without gradients."""

from __future__ import annotations

import weakref
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilbert_pt.fast.onednn import EVERYWHERE, product

__all__ = ["PrepackedWeight", "fastest_product", "pack_weights"]

MOST_ROWS = 256
"""With more rows MKL is as fast with plain weights, where oneDNN does not multiply everything."""
LEAST_WEIGHTS = 2**18
"""With smaller matrices it is faster."""
ROWS_STEP = 8


class PrepackedWeight:
    """The weight of one layer in oneDNN's format, made when first asked for. Copies and files start without it."""

    def __init__(self) -> None:
        self._packed: Tensor | None = None
        self._source: weakref.ref[Tensor] | None = None
        self._stamp: tuple[int, int] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return PrepackedWeight, ()  # PyTorch neither copies nor stores oneDNN's format

    def of(self, weight: Tensor) -> Tensor:
        """Return a weight (columns, inner) packed, anew where PyTorch has counted a change of it."""
        if weight.is_inference():  # its changes are not counted
            return weight
        stamp = (weight._version, weight.data_ptr())
        if self._source is None or self._source() is not weight or stamp != self._stamp:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
            self._source, self._stamp = weakref.ref(weight), stamp
        return self._packed


def pack_weights(module: nn.Module, enabled: bool) -> None:
    """Have every `nn.Linear` inside hold its weight packed too, or none."""
    for layer in module.modules():
        if type(layer) is nn.Linear and enabled:
            layer.prepacked_weight = PrepackedWeight()
        elif hasattr(layer, "prepacked_weight"):
            del layer.prepacked_weight


def packed_weight(layer: nn.Linear, rows: int) -> Tensor | None:
    """Return the layer's weight packed, where it holds it so and a product with so many rows is faster by it."""
    prepacked = vars(layer).get("prepacked_weight")
    if prepacked is None or not (EVERYWHERE or (rows <= MOST_ROWS and layer.weight.numel() >= LEAST_WEIGHTS)):
        return None
    packed: Tensor = prepacked.of(layer.weight)
    return packed


def fastest_product(layer: nn.Linear, rows: Tensor, activation: str = "none") -> Tensor:
    """Return `activation(layer(rows))` without gradients: (rows, in_features) -> (rows, out_features).

    oneDNN prepares code for each number of rows that it meets with packed weights, and keeps it: half a megabyte for
    each matrix. So they come in steps of a few rows, the last of them zeros.
    """
    weight = packed_weight(layer, len(rows))
    if weight is None or len(rows) > MOST_ROWS:
        return product(rows, layer.weight if weight is None else weight, layer.bias, activation)
    padded = F.pad(rows, (0, 0, 0, -len(rows) % ROWS_STEP))  # (rows up to a multiple, in_features)
    return product(padded, weight, layer.bias, activation)[: len(rows)]
