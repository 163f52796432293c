"""Which weights a model stores, and in which shapes: what the model says, what a file holds, or the weight table's."""

from __future__ import annotations

from collections.abc import Mapping

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.weights.lazy import Array, LazyTensor
from distilbert_conversion.weights.table import TIED, expected, is_backbone

__all__ = ["Shape", "checkpoint_inventory", "inventory", "is_tied", "tensor_inventory"]

Shape = tuple[int, ...]


def inventory(config: DistilBertConfig, head: str | None, declared: Mapping[str, Shape] | None) -> Mapping[str, Shape]:
    """Return the shape of every weight that a model stores by its name.

    Args:
        config: The model's sizes, and whether the projector is tied, in which case it is not stored.
        head: A key of `HEADS`; None for a model with a head of its own, which must give `declared`.
        declared: What the model says that it has; None for what the weight table says.
    """
    if declared is not None:
        return {name: shape for name, shape in declared.items() if not is_tied(name, config)}
    if head is None:
        raise CheckpointError("a model with a head of its own must say which weights it has; pass expected=")
    return expected(config, head)


def tensor_inventory(
    tensors: Mapping[str, Array | LazyTensor], config: DistilBertConfig, head: str | None
) -> dict[str, Shape]:
    """Return what a model of some tensors stores: the weight table's, and beyond it all that is there.

    Weights that no row has are a user's own; of a model with a head of its own, all of the head is.

    Raises:
        CheckpointError: There are weights of more layers than the config has.
    """
    table = expected(config, head or "Model")
    beyond_table = {
        name: tensor.shape for name, tensor in tensors.items() if name not in table and not is_tied(name, config)
    }
    if unexpected := sorted(filter(is_backbone, beyond_table)):
        raise CheckpointError(
            f"the config has no layer for {', '.join(unexpected)}; set n_layers to what the model has"
        )
    return {**table, **beyond_table}


def checkpoint_inventory(checkpoint: Checkpoint, config: DistilBertConfig) -> dict[str, Shape]:
    """Return what the model in a checkpoint stores: the weight table's, or with a user's own modules all that is there.

    Where a user added or replaced some, or put two of our heads on one body, the head is what the file holds of it, in
    the shapes that it has there.
    What is in another model's checkpoint, and no DistilBERT's, is not a user's.
    """
    table = expected(config, checkpoint.head)
    tied = checkpoint.tied
    others = {name for name in checkpoint.tensors if not is_backbone(name) and name not in (table.keys() | tied)}
    if not (checkpoint.extras or others) or checkpoint.translated.fields is not None:
        return table
    backbone = {name: shape for name, shape in table.items() if is_backbone(name)}
    heads = {name: tensor.shape for name, tensor in checkpoint.tensors.items() if not is_backbone(name)}
    return {**backbone, **heads, **{name: tensor.shape for name, tensor in checkpoint.extras.items()}}


def is_tied(name: str, config: DistilBertConfig) -> bool:
    """Whether a weight only repeats another one, as the config says, and is therefore not stored."""
    return config.tie_word_embeddings and name in TIED
