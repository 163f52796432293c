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
"""With more rows MKL is as fast with plain weights on processors by Intel."""
LEAST_WEIGHTS = 2**18
"""With smaller matrices it is faster: with 128 x 128 and few rows, in a third of the time."""
EXACT_ROWS, ROWS_STEP = 32, 8
"""oneDNN prepares code for each number of rows that it meets, and keeps it: half a megabyte and more for each shape of
a matrix. So it meets few: multiples of 256 rows, and what is left in steps of 8, the last rows zeros, or as it is up to
32 rows, as one short text has them. Else a server, whose every batch has another number of tokens, takes 600 MB more
within 25,000 requests."""


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


def fastest_product(layer: nn.Linear, rows: Tensor, activation: str = "none") -> Tensor:
    """Return `activation(layer(rows))` without gradients: (rows, in_features) -> (rows, out_features)."""
    weight = onednn_weight(layer, len(rows))
    if weight is None:
        return plain_product(layer, rows, activation)
    many = len(rows) // MOST_ROWS * MOST_ROWS
    parts = [rows[:many]] if many else []
    if few := len(rows) - many:
        missing = -few % ROWS_STEP if few > EXACT_ROWS else 0
        parts.append(F.pad(rows[many:], (0, 0, 0, missing)) if missing else rows[many:])
    products = [product(part, weight, layer.bias, activation) for part in parts]
    return products[0][: len(rows)] if len(parts) == 1 else torch.cat([products[0], products[1][:few]])


def onednn_weight(layer: nn.Linear, rows: int) -> Tensor | None:
    """Return the weight that oneDNN multiplies with, packed where it is held so; None where PyTorch is as fast."""
    fits = EVERYWHERE or rows <= MOST_ROWS
    weight = layer.weight
    if not fits or weight.numel() < LEAST_WEIGHTS:
        return None
    prepacked = vars(layer).get("prepacked_weight")
    if prepacked is None:
        return weight if EVERYWHERE else None
    packed: Tensor = prepacked.of(weight)
    return packed


def plain_product(layer: nn.Linear, rows: Tensor, activation: str) -> Tensor:
    """Return `activation(layer(rows))` as PyTorch multiplies float32."""
    if rows.dtype != torch.float32:
        return product(rows, layer.weight, layer.bias, activation)
    y = F.linear(rows, layer.weight, layer.bias)
    return F.gelu(y) if activation == "gelu" else y
