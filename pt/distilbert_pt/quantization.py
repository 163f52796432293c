"""Linear layers of 8 bits, for inference: a quarter of the memory, and faster where the processor multiplies int8."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from distilbert_common.errors import InputError
from distilbert_common.quantization import LARGEST, check_mode, quantize, recipe
from distilbert_pt.arrays import to_array
from distilbert_pt.fast.int8 import int8_product
from distilbert_pt.framework.hooks import is_plain_linear

__all__ = ["QuantizedLinear", "quantize_model"]


CHUNK_ROWS = 256
"""So many rows are rounded, multiplied and scaled in a processor's cache."""


class QuantizedLinear(nn.Module):
    """A linear layer of 8 bits: each row of the input gets its own scale, when it comes.

    Attributes:
        weight: int8 (out_features, in_features).
        weight_scale: float32 (out_features,).
        bias: (out_features,), or None.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, scale = quantize(to_array(layer.weight.detach().cpu().float()))
        device = layer.weight.device
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.register_buffer("weight", torch.from_numpy(weight).to(device))
        self.register_buffer("weight_scale", torch.from_numpy(scale).to(device))
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """(…, in_features) -> (…, out_features).

        Raises:
            InputError: A gradient is to be taken, which rounded numbers do not have.
        """
        if torch.is_grad_enabled() and x.requires_grad:
            raise InputError(
                "a quantized layer has no gradients; compute under torch.no_grad(), or train the model before it is "
                "quantized"
            )
        rows = x.reshape(-1, self.in_features)  # (rows, in_features)
        y = x.new_empty(len(rows), self.out_features)  # (rows, out_features)
        for start in range(0, len(rows), CHUNK_ROWS):
            y[start : start + CHUNK_ROWS] = self._product(rows[start : start + CHUNK_ROWS])
        return y.view(*x.shape[:-1], self.out_features)  # (…, out_features)

    def _product(self, rows: Tensor) -> Tensor:
        """(rows, in_features) -> float32 (rows, out_features)."""
        rows = rows.float()
        scale = rows.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / LARGEST  # (rows, 1)
        integers = (rows / scale).round_().to(torch.int8)  # (rows, in_features)
        y = int8_product(integers, self.weight).mul_(scale).mul_(self.weight_scale.float())  # (rows, out_features)
        return y if self.bias is None else y.add_(self.bias)

    def extra_repr(self) -> str:
        """Return what PyTorch prints of the layer."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, int8"


def quantize_model(model: nn.Module, mode: str, skip: Iterable[str], *, is_saved: bool = False) -> None:
    """Replace the linear layers of the blocks; see `DistilBertPreTrainedModel.quantize`.

    Args:
        model: The model.
        mode: "int8".
        skip: Ends of the names of layers that stay as they are.
        is_saved: Whether a config says it, which may name layers elsewhere too.

    Raises:
        InputError: There is no such mode, or no such layer.
    """
    check_mode(mode)
    ends = (skip,) if isinstance(skip, str) else tuple(skip)
    layers = {
        name: module for name, module in model.named_modules() if ".layer." in f".{name}" and is_plain_linear(module)
    }
    unknown = [end for end in ends if not any(name.endswith(end) for name in layers)]
    if unknown and not is_saved:
        raise InputError(
            f"skip names {unknown[0]!r}, with which no linear layer's name ends; the names are those of "
            "named_modules(), as 'lin2' or '0.attention.q_lin'"
        )
    for name, layer in layers.items():
        if not name.endswith(ends or ("\0",)):
            path, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(path), leaf, QuantizedLinear(layer).train(layer.training))
    model.config.quantization_config = recipe(ends)
