"""Which attention heads are left: the arithmetic of pruning, for all three families and the weight table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import InputError

if TYPE_CHECKING:
    from distilbert_common.config import DistilBertConfig

__all__ = ["attention_dim", "check_heads", "heads_left", "merged", "remaining_columns"]


def heads_left(config: DistilBertConfig, layer: int) -> list[int]:
    """Return the heads of one layer that have not been pruned, by their original numbers."""
    pruned = {head for key in (layer, layer - config.n_layers) for head in config.pruned_heads.get(key, [])}
    return [head for head in range(config.n_heads) if head not in pruned]


def attention_dim(config: DistilBertConfig, layer: int) -> int:
    """Return the width of query, key and value in one layer: head_dim for each head left."""
    return len(heads_left(config, layer)) * (config.dim // config.n_heads)


def remaining_columns(config: DistilBertConfig, layer: int, heads: Iterable[int]) -> NDArray[np.intp]:
    """Return the places, in the present query, key and value of a layer, that stay when more heads are pruned.

    Args:
        config: The config before pruning.
        layer: The layer.
        heads: The heads to prune, by their original numbers; those pruned before do not matter.

    Returns:
        Sorted indices, at most `attention_dim(config, layer)` of them.
    """
    head_dim = config.dim // config.n_heads
    gone = set(heads)
    stay = [index for index, head in enumerate(heads_left(config, layer)) if head not in gone]
    columns = np.array(stay, np.intp)[:, None] * head_dim + np.arange(head_dim)  # (heads, head_dim)
    return columns.reshape(-1)  # (heads * head_dim,)


def check_heads(config: DistilBertConfig, heads_to_prune: Mapping[int, Iterable[int]]) -> dict[int, list[int]]:
    """Return layers and heads as sorted whole numbers; a negative layer counts from the end.

    Raises:
        InputError: A layer or head does not exist, or no head of a layer would be left.
    """
    checked: dict[int, list[int]] = {}
    for layer, heads in heads_to_prune.items():
        number = int(layer) + config.n_layers if -config.n_layers <= int(layer) < 0 else int(layer)
        checked[number] = sorted({*checked.get(number, []), *(int(head) for head in heads)})
    for layer, heads in checked.items():
        if not 0 <= layer < config.n_layers:
            raise InputError(f"there is no layer {layer} to prune; the model has layers 0..{config.n_layers - 1}")
        if any(not 0 <= head < config.n_heads for head in heads):
            raise InputError(f"layer {layer} has heads 0..{config.n_heads - 1}; asked to prune {heads}")
        if not set(heads_left(config, layer)) - set(heads):
            raise InputError(f"pruning heads {heads} leaves none in layer {layer}; keep at least one")
    return checked


def merged(config: DistilBertConfig, heads_to_prune: Mapping[int, list[int]]) -> dict[int, list[int]]:
    """Return `config.pruned_heads` with more heads added."""
    both = {layer: list(heads) for layer, heads in config.pruned_heads.items()}
    for layer, heads in heads_to_prune.items():
        both[layer] = sorted({*both.get(layer, []), *heads})
    return both
