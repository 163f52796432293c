"""Weights held a second time in the format that oneDNN multiplies fastest, for products without gradients."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PrepackedWeight", "fastest_weight", "pack_weights"]


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


def fastest_weight(layer: nn.Linear) -> Tensor:
    """Return the layer's weight as it is multiplied fastest: packed where the layer holds it so."""
    prepacked = vars(layer).get("prepacked_weight")
    return layer.weight if prepacked is None else prepacked.of(layer.weight)
