"""Calls of layers, each with the value of the plain call in its first line.

A layer that is not PyTorch's own, or that somebody watches, is called like any other module.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilbert_pt.fast.hooks import has_hooks, is_plain_linear
from distilbert_pt.fast.onednn import Product, ProductOfGelu, product, takes_onednn
from distilbert_pt.fast.prepacked import fastest_weight


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    """Return `layer(x)`: (..., in_features) -> (..., out_features)."""
    if not is_fast(layer, x):
        return layer(x)
    rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
    if is_trained(layer, x):
        y = Product.apply(rows, layer.weight, layer.bias)  # (rows, out_features)
    else:
        y = product(rows, fastest_weight(layer), layer.bias)  # (rows, out_features)
    return y.view(*x.shape[:-1], -1)  # (..., out_features)


def feed_forward(lin1: nn.Module, activation: Callable[[Tensor], Tensor], lin2: nn.Module, x: Tensor) -> Tensor:
    """Return `lin2(activation(lin1(x)))`: (..., dim) -> (..., dim); the exact GELU is one step with a product."""
    if is_gelu(activation) and not torch.is_grad_enabled() and is_fast(lin1, x):
        return linear(lin2, linear_gelu(lin1, x))
    hidden = linear(lin1, x)  # (..., hidden_dim)
    if is_gelu(activation) and is_fast(lin2, hidden) and is_trained(lin2, hidden):
        return gelu_linear(lin2, hidden)
    return linear(lin2, activation(hidden))


def linear_gelu(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return `gelu(layer(x))` in one step, without gradients."""
    rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
    return product(rows, fastest_weight(layer), layer.bias, "gelu").view(*x.shape[:-1], -1)  # (..., out_features)


def gelu_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return `layer(gelu(x))`, which keeps `x` for the gradients and computes the GELU again."""
    rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
    return ProductOfGelu.apply(rows, layer.weight, layer.bias).view(*x.shape[:-1], -1)  # (..., out_features)


def is_fast(layer: nn.Module, x: Tensor) -> bool:
    """Whether oneDNN computes what the layer would."""
    return not torch.compiler.is_compiling() and is_plain_linear(layer) and takes_onednn(x, layer.weight)


def is_trained(layer: nn.Linear, x: Tensor) -> bool:
    """Whether a gradient is to be taken through the layer."""
    tensors = (x, layer.weight) if layer.bias is None else (x, layer.weight, layer.bias)
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def is_gelu(activation: Callable[[Tensor], Tensor]) -> bool:
    """Whether an activation is the exact GELU, as a function or as PyTorch's own module."""
    if type(activation) is nn.GELU:
        return activation.approximate == "none" and not has_hooks(activation)
    return activation is F.gelu
