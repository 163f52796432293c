"""Calls of layers by oneDNN, each with the value of the plain call.

A layer that is not PyTorch's own, or that somebody watches, is called like any other module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilbert_pt.fast.onednn import (
    OneDNNGeluLinear,
    OneDNNLinear,
    can_use_onednn,
    cast,
    is_cast_to_bfloat16,
    is_enabled,
)
from distilbert_pt.fast.prepacked import fastest_product
from distilbert_pt.framework.hooks import has_hooks, is_plain_linear

__all__ = ["feed_forward", "fused_feed_forward", "is_fusible", "linear", "linears"]

Activation = Callable[[Tensor], Tensor]


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    """Return `layer(x)`: (…, in_features) -> (…, out_features)."""
    return call(layer, x) if is_enabled() else layer(x)


def linears(layers: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """Return `layer(x)` for each layer: (…, in_features) -> (…, out_features) each."""
    if not is_enabled():
        return [layer(x) for layer in layers]
    if not is_cast_to_bfloat16():
        return [call(layer, x) for layer in layers]
    once = cast(x)  # for all that are products; another layer takes what it is given as it is
    return [call(layer, once if is_fusible(layer, x) else x) for layer in layers]


def fused_feed_forward(forward: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """Have the `forward` of a feed-forward network take fewer steps where oneDNN has them; the same numbers."""

    @wraps(forward)
    def fused(ffn: Any, x: Tensor) -> Tensor:
        if not is_enabled():
            return forward(ffn, x)
        return ffn.dropout(feed_forward(ffn.lin1, ffn.activation, ffn.lin2, x))

    return fused


def call(layer: nn.Module, x: Tensor) -> Tensor:
    """Return `layer(x)`, by oneDNN where it can multiply: (…, in_features) -> (…, out_features)."""
    if not is_fusible(layer, x):
        return layer(x)
    rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
    if is_trained(layer, x):
        y: Tensor = OneDNNLinear.apply(cast(rows), cast(layer.weight), cast(layer.bias))
    elif is_cast_to_bfloat16():  # a layer that is frozen, in training
        return layer(x)
    else:
        y = fastest_product(layer, rows)
    return y.view(*x.shape[:-1], -1)  # (…, out_features)


def feed_forward(lin1: nn.Module, activation: Activation, lin2: nn.Module, x: Tensor) -> Tensor:
    """Return `lin2(activation(lin1(x)))`: (…, dim) -> (…, dim); the exact GELU is one step with a product."""
    if is_gelu(activation) and not torch.is_grad_enabled() and is_fusible(lin1, x):
        return call(lin2, linear_activation(lin1, x))
    hidden = call(lin1, x)  # (…, hidden_dim)
    if is_gelu(activation) and is_fusible(lin2, hidden) and is_trained(lin2, hidden):
        return activation_linear(lin2, hidden)
    return call(lin2, activation(hidden))


def linear_activation(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return `gelu(layer(x))` in one step, without gradients."""
    rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
    return fastest_product(layer, rows, "gelu").view(*x.shape[:-1], -1)  # (…, out_features)


def activation_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return `layer(gelu(x))`, which saves `x` for the gradients and computes the GELU again."""
    rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
    y: Tensor = OneDNNGeluLinear.apply(cast(rows), cast(layer.weight), cast(layer.bias))  # (rows, out_features)
    return y.view(*x.shape[:-1], -1)  # (…, out_features)


def is_fusible(layer: nn.Module, x: Tensor) -> TypeGuard[nn.Linear]:
    """Whether oneDNN computes what the layer would, where it is enabled."""
    return is_plain_linear(layer) and can_use_onednn(x, layer.weight)


def is_trained(layer: nn.Linear, x: Tensor) -> bool:
    """Whether a gradient is to be taken through the layer."""
    tensors = (x, layer.weight) if layer.bias is None else (x, layer.weight, layer.bias)
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def is_gelu(activation: Activation) -> bool:
    """Whether an activation is the exact GELU, as a function or as PyTorch's own module."""
    if isinstance(activation, nn.GELU):
        return type(activation) is nn.GELU and activation.approximate == "none" and not has_hooks(activation)
    return activation is F.gelu
