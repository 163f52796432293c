"""Comparing a checkpoint with the model that it is for: what fits, and what does not, in one report."""

from __future__ import annotations

from collections.abc import Mapping, Set

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError, MisshapenWeightError
from distilbert_common.load_report import LoadReport
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.inventory import Shape, inventory, is_tied
from distilbert_conversion.weights.lazy import equal
from distilbert_conversion.weights.table import TIED, is_backbone, is_known, owners

__all__ = ["check", "compare"]


def compare(
    checkpoint: Checkpoint, config: DistilBertConfig, head: str | None, *, expected: Mapping[str, Shape] | None = None
) -> LoadReport:
    """Compare a checkpoint's names and shapes with those that a model expects; nothing is read.

    Args:
        checkpoint: An open checkpoint.
        config: The model's sizes.
        head: A key of `HEADS`; None for a model with a head of its own, which must give `expected`.
        expected: The model's own inventory, shape by name: known weights by their bare canonical names in PyTorch's
            layout, all others by their full names in the model and in its layout; None for the weight table's.

    Raises:
        CheckpointError: The config declares more layers than the checkpoint has weights.
    """
    _check_layers(checkpoint, config)
    shapes = inventory(config, head, expected)
    file_shapes = {name: tensor.shape for name in shapes if (tensor := checkpoint.weight(name)) is not None}
    absent = shapes.keys() - file_shapes.keys()
    new_extras = {name for name in absent if not is_backbone(name) and head not in owners(name)}
    new_head = {name for name in absent if checkpoint.head != head and not is_backbone(name)} | new_extras
    unexpected, tied, of_other_heads = _beyond(checkpoint, config, head, shapes.keys())
    loaded = sorted(name for name, shape in file_shapes.items() if shape == shapes[name])
    mismatched = sorted((name, shape, shapes[name]) for name, shape in file_shapes.items() if shape != shapes[name])
    return LoadReport(
        dialect=checkpoint.dialect,
        dtype=checkpoint.dtype,
        loaded=tuple(loaded),
        missing=tuple(sorted(absent - new_head)),
        unexpected=tuple(sorted(unexpected)),
        mismatched=tuple(mismatched),
        tied=tuple(sorted(tied)),
        ignored=tuple(sorted(of_other_heads.union(checkpoint.ignored))),
        new_head=tuple(sorted(new_head)),
        new_extras=tuple(sorted(new_extras)),
        notes=checkpoint.notes,
        extras=tuple(name for name in loaded if not is_known(name)),
    )


def _check_layers(checkpoint: Checkpoint, config: DistilBertConfig) -> None:
    """Check the number of layers that a config declares: one that is made up must not be counted up to."""
    count = len(checkpoint.tensors)
    if config.n_layers > count:
        raise CheckpointError(
            f"{checkpoint.path} has {count} weights, but the config declares {config.n_layers} layers; get both again"
        )


def _beyond(
    checkpoint: Checkpoint, config: DistilBertConfig, head: str | None, names: Set[str]
) -> tuple[set[str], set[str], set[str]]:
    """Return the checkpoint's weights that a model does not store: unexpected, tied, and those of other heads."""
    beyond = {name: owners(name) for name in checkpoint.tensors if name not in names}
    of_model = {name for name, heads in beyond.items() if is_backbone(name) or head in heads}
    tied = {name for name in of_model if head in beyond[name] and is_tied(name, config)}
    own_ids = {id(checkpoint.weight(name)) for name in names if not is_known(name)}  # a name may have several spellings
    extras = {name for name, tensor in checkpoint.extras.items() if id(tensor) not in own_ids}
    return (of_model - tied) | extras, tied, beyond.keys() - of_model


def check(checkpoint: Checkpoint, report: LoadReport, *, ignore_mismatched_sizes: bool = False) -> None:
    """Raise what makes a checkpoint unusable for a model: all that is missing or misshapen, or a tie that is none.

    Raises:
        CheckpointError: The message lists every such weight.
        MisshapenWeightError: The same where weights have the wrong shape and none is missing.
    """
    if report.missing or (report.mismatched and not ignore_mismatched_sizes):
        fault = CheckpointError if report.missing else MisshapenWeightError
        raise fault(f"{checkpoint.path} does not fit the config: {report.message()}{_advice(report)}")
    for name in report.tied:
        target = TIED[name]
        if not equal(checkpoint.tensors[name], checkpoint.tensors[target]):
            raise CheckpointError(
                f"{checkpoint.path} holds a {name} that differs from {target}, though the config ties them; "
                "set tie_word_embeddings=false to keep both"
            )


def _advice(report: LoadReport) -> str:
    """Return what to do about weights that are missing or misshapen, where one thing cures it."""
    if "vocab_projector.weight" in report.missing:
        return "; set tie_word_embeddings=true if the embeddings serve as the projector"
    if not report.missing and not any(is_backbone(name) for name, *_ in report.mismatched):
        return (
            "; let num_labels, or id2label, have as many labels as the checkpoint, in config.json or from_pretrained; "
            "for a new head pass ignore_mismatched_sizes=True to from_pretrained"
        )
    return ""
