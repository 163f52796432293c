"""Filling a model from a checkpoint, and saying in one report what fitted and what did not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError, MisshapenWeightError
from distilbert_common.load_report import LoadReport
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.weights import table
from distilbert_conversion.weights.lazy import Array, equal
from distilbert_conversion.weights.table import is_backbone, is_known, owners

Shape = tuple[int, ...]


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
        CheckpointError: The config tells of more layers than the checkpoint has weights.
    """
    count = len(checkpoint.tensors)
    if config.n_layers > count:  # a number that is made up must not be counted up to
        raise CheckpointError(
            f"{checkpoint.path} has {count} weights, but the config tells of {config.n_layers} layers; get both again"
        )
    wanted = _inventory(config, head, expected)
    stored = {name: tensor.shape for name in wanted if (tensor := checkpoint.weight(name)) is not None}
    absent = wanted.keys() - stored.keys()
    new_extras = {name for name in absent if not is_backbone(name) and head not in owners(name)}
    new_head = {name for name in absent if checkpoint.head != head and not is_backbone(name)} | new_extras
    foreign = {name: owners(name) for name in checkpoint.tensors if name not in wanted}
    tied = {name for name, heads in foreign.items() if head in heads and _is_tied(name, config)}
    not_taken = {name for name, heads in foreign.items() if is_backbone(name) or head in heads} - tied
    loaded = _sorted(name for name, shape in stored.items() if shape == wanted[name])
    return LoadReport(
        dialect=checkpoint.dialect,
        dtype=checkpoint.dtype,
        loaded=loaded,
        missing=_sorted(absent - new_head),
        unexpected=_sorted(not_taken.union(_other_extras(checkpoint, wanted))),
        mismatched=tuple(
            sorted((name, shape, wanted[name]) for name, shape in stored.items() if shape != wanted[name])
        ),
        tied=_sorted(tied),
        ignored=_sorted(set(foreign).difference(not_taken, tied).union(checkpoint.ignored)),
        new_head=_sorted(new_head),
        new_extras=_sorted(new_extras),
        notes=checkpoint.notes,
        extras=tuple(name for name in loaded if not is_known(name)),
    )


def _inventory(config: DistilBertConfig, head: str | None, expected: Mapping[str, Shape] | None) -> Mapping[str, Shape]:
    """Return what a model stores: its own inventory, less what is tied, or the weight table's."""
    if expected is not None:
        return {name: shape for name, shape in expected.items() if not _is_tied(name, config)}
    if head is None:
        raise CheckpointError("a model with a head of its own must say which weights it has; pass expected=")
    return table.expected(config, head)


def own_inventory(checkpoint: Checkpoint, config: DistilBertConfig) -> dict[str, Shape]:
    """Return what the model in a checkpoint stores: the weight table's, or with a user's own modules all that is there.

    Where a user added or replaced some, or put two of our heads on one body, the head is what the file holds of it, in
    the shapes that it has there.
    What is in another model's checkpoint, and no DistilBERT's, is not a user's.
    """
    shapes = table.expected(config, checkpoint.head)
    tied = checkpoint.tied
    others = {name for name in checkpoint.tensors if not is_backbone(name) and name not in (shapes.keys() | tied)}
    if not (checkpoint.extras or others) or checkpoint.translated.fields is not None:
        return shapes
    backbone = {name: shape for name, shape in shapes.items() if is_backbone(name)}
    heads = {name: tensor.shape for name, tensor in checkpoint.tensors.items() if not is_backbone(name)}
    return {**backbone, **heads, **{name: tensor.shape for name, tensor in checkpoint.extras.items()}}


def _is_tied(name: str, config: DistilBertConfig) -> bool:
    return config.tie_word_embeddings and name in table.TIED


def _other_extras(checkpoint: Checkpoint, wanted: Mapping[str, Shape]) -> set[str]:
    """Return the names of a user's own weights in the file that the model has not."""
    taken = {id(checkpoint.weight(name)) for name in wanted if not is_known(name)}
    return {name for name, tensor in checkpoint.extras.items() if id(tensor) not in taken}


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
        target = table.TIED[name]
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


def load_weights(
    checkpoint: Checkpoint,
    config: DistilBertConfig,
    head: str | None,
    assign: Callable[[str, Array], None],
    *,
    ignore_mismatched_sizes: bool = False,
    own: bool = False,
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
        own: Hand over arrays as `LazyTensor.own` gives them: one that is writable may be kept as it is.
        expected: The model's own inventory, as in `compare`; None for the weight table's.

    Returns:
        What was found; a new head on a bare backbone is listed, and is no fault.

    Raises:
        CheckpointError: Weights are missing, all of them listed, or a tied projector has other values.
        MisshapenWeightError: Weights have the wrong shape.
    """
    report = compare(checkpoint, config, head, expected=expected)
    check(checkpoint, report, ignore_mismatched_sizes=ignore_mismatched_sizes)
    loaded = set(report.loaded)
    for name in _inventory(config, head, expected):
        tensor = checkpoint.weight(name) if name in loaded else None
        if tensor is not None:
            assign(name, tensor.own() if own else tensor.read())
    return report


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
