"""Choosing some of a checkpoint's layers: how a student begins with its teacher's weights.

Sanh et al., arXiv 1910.01108, section 3: a student of 6 layers takes every second layer of its 12-layer teacher; the
authors' code takes 0, 2, 4, 7, 9, 11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

from distilbert_common.errors import CheckpointError
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.weights.dialects import DIALECTS
from distilbert_conversion.weights.lazy import LazyTensor
from distilbert_conversion.weights.table import in_layer, layer_of

__all__ = ["choose_layers"]


def choose_layers(checkpoint: Checkpoint, layers: Sequence[int]) -> Checkpoint:
    """Return a checkpoint with some of the layers, renumbered in the order given; all others are left out.

    Args:
        checkpoint: An open checkpoint with its config.
        layers: Their numbers, from 0; a layer may be named twice.

    Raises:
        CheckpointError: There is no such layer, or none is named.
    """
    config = checkpoint.config()
    if not layers or not all(0 <= layer < config.n_layers for layer in layers):
        raise CheckpointError(
            f"the layers are {list(layers)}; expected numbers from 0 to {config.n_layers - 1}, as in {checkpoint.path}"
        )
    pruned = {number: config.pruned_heads[layer] for number, layer in enumerate(layers) if layer in config.pruned_heads}
    student = copy(checkpoint)
    student.tensors = _renumbered(checkpoint.tensors, layers, "canonical")
    student.extras = _renumbered(checkpoint.extras, layers, DIALECTS[checkpoint.dialect].column)
    changed = {"n_layers": len(layers)} | ({"pruned_heads": pruned} if config.pruned_heads else {})
    student.fields = {key: value for key, value in checkpoint.fields.items() if key != "num_hidden_layers"} | changed
    student.notes = (*checkpoint.notes, f"layers {', '.join(map(str, layers))}")
    return student


def _renumbered(tensors: Mapping[str, LazyTensor], layers: Sequence[int], column: str) -> dict[str, LazyTensor]:
    """Return tensors by the names that they have in a model with some of the layers; others stay as they are."""
    renumbered: dict[str, LazyTensor] = {}
    for name, tensor in tensors.items():
        layer = layer_of(name, column)
        numbers = [None] if layer is None else [number for number, source in enumerate(layers) if source == layer]
        renumbered.update({name if number is None else in_layer(name, number, column): tensor for number in numbers})
    return renumbered
