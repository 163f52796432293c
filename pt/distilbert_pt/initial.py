"""How weights start: for the project's own layers and for those that users add."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def start(module: nn.Module, initializer_range: float) -> None:
    """Give a layer's own parameters their initial values.

    Args:
        module: A linear layer, an embedding table or a LayerNorm; any other keeps what its constructor gave it.
        initializer_range: The standard deviation of weights. Biases start at 0, and so does the row of padding.
    """
    if isinstance(module, nn.LayerNorm):
        module.reset_parameters()  # ones and zeros
    elif isinstance(module, nn.Linear):
        module.weight.normal_(0.0, initializer_range)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, nn.Embedding):
        module.weight.normal_(0.0, initializer_range)
        if module.padding_idx is not None:
            module.weight[module.padding_idx].zero_()


def has_values(module: nn.Module) -> bool:
    """Whether there is anything to fill: not where a model is built without values."""
    return not any(parameter.is_meta for parameter in module.parameters())
