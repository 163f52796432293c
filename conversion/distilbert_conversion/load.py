"""Filling a model from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from distilbert_common.config import DistilBertConfig
from distilbert_common.load_report import LoadReport
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.inventory import Shape, inventory
from distilbert_conversion.report import check, compare
from distilbert_conversion.weights.lazy import Array

__all__ = ["load_weights"]


def load_weights(
    checkpoint: Checkpoint,
    config: DistilBertConfig,
    head: str | None,
    assign: Callable[[str, Array], None],
    *,
    ignore_mismatched_sizes: bool = False,
    private: bool = False,
    expected: Mapping[str, Shape] | None = None,
) -> LoadReport:
    """Hand every weight of a model to `assign`, one in memory at a time.

    Args:
        checkpoint: An open checkpoint.
        config: The model's sizes.
        head: A key of `HEADS`; may differ from the checkpoint's own, as in fine-tuning. None for a model with a head
            of its own.
        assign: Takes a name and an array, a read-only view: a bare canonical name with the array in PyTorch's layout,
            or the full name of a user's own weight with the array as it is in the file, of any type.
        ignore_mismatched_sizes: Leave weights of the wrong shape out, instead of raising.
        private: Hand over arrays as `LazyTensor.private` gives them: one that is writable may be kept as it is.
        expected: The model's own inventory, as in `compare`; None for the weight table's.

    Returns:
        What became of each weight; a new head on a bare backbone is listed, and is no fault.

    Raises:
        CheckpointError: Weights are missing, all of them listed, or a tied projector has other values.
        MisshapenWeightError: Weights have the wrong shape.
    """
    report = compare(checkpoint, config, head, expected=expected)
    check(checkpoint, report, ignore_mismatched_sizes=ignore_mismatched_sizes)
    loaded = set(report.loaded)
    for name in inventory(config, head, expected):
        tensor = checkpoint.weight(name) if name in loaded else None
        if tensor is not None:
            assign(name, tensor.private() if private else tensor.read())
    return report
