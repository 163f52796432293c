"""How weights start: for the project's own layers and for those that users add."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def start(module: nn.Module, initializer_range: float) -> None:
    """Give a layer's own parameters their initial values; those that have no memory yet are passed over.

    Args:
        module: A linear layer, an embedding table or a LayerNorm; any other keeps what its constructor gave it.
        initializer_range: The standard deviation of weights. Biases start at 0, and so does the row of padding.
    """
    parameters = {name: p for name, p in module.named_parameters(recurse=False) if not p.is_meta}
    if isinstance(module, (nn.Linear, nn.Embedding)) and "weight" in parameters:
        parameters["weight"].normal_(0.0, initializer_range)
    elif isinstance(module, nn.LayerNorm) and "weight" in parameters:
        parameters["weight"].fill_(1.0)
    if isinstance(module, (nn.Linear, nn.LayerNorm)) and "bias" in parameters:
        parameters["bias"].zero_()
    if isinstance(module, nn.Embedding) and module.padding_idx is not None and "weight" in parameters:
        parameters["weight"][module.padding_idx].zero_()


def has_values(module: nn.Module) -> bool:
    """Whether there is anything to fill: not where a model is built without values."""
    parameters = list(module.parameters())
    return not parameters or any(not parameter.is_meta for parameter in parameters)
