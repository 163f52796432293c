"""Filling a model from a checkpoint, and saying in one report what fitted and what did not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.lazy import Array, equal
from distilbert_conversion.table import HEADS, expected, owners, weight_row

Mismatch = tuple[str, tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class LoadReport:
    """What became of each weight; names are bare and sorted.

    Attributes:
        dialect: The checkpoint's dialect.
        dtype: The type of most of its values.
        loaded: Weights that were found and fit.
        missing: Weights of the model that are not in the checkpoint though it should have them.
        unexpected: Names in the checkpoint that belong to no DistilBERT of this config.
        mismatched: (name, shape in the file, shape expected).
        tied: Weights in the checkpoint that equal the ones they are tied to.
        ignored: Names that do not matter: other heads' weights, buffers of old versions.
        new_head: Weights of a head that the checkpoint does not have: they keep their initial values.
    """

    dialect: str
    dtype: str
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    tied: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    new_head: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, unexpected or misshapen."""
        return not (self.missing or self.unexpected or self.mismatched)

    def message(self) -> str:
        """Return one text that names every weight that does not fit, and "" when all is as it should be."""
        misshapen = (f"{name} is {in_file}, expected {wanted}" for name, in_file, wanted in self.mismatched)
        parts = {
            "missing": self.missing,
            "of the wrong shape": tuple(misshapen),
            "unexpected": self.unexpected,
        }
        return "; ".join(f"{len(names)} {what}: {', '.join(names)}" for what, names in parts.items() if names)

    def __str__(self) -> str:
        return self.message() or f"all {len(self.loaded)} weights found"


def compare(checkpoint: Checkpoint, config: DistilBertConfig, head: str) -> LoadReport:
    """Compare a checkpoint's names and shapes with those that a model expects; nothing is read.

    Args:
        checkpoint: An open checkpoint.
        config: The model's sizes.
        head: A key of `HEADS`.

    Raises:
        CheckpointError: The config tells of more layers than the checkpoint has weights.
    """
    count = len(checkpoint.tensors)
    if config.n_layers > count:  # a number that is made up must not be counted up to
        raise CheckpointError(
            f"{checkpoint.path} has {count} weights, but the config tells of {config.n_layers} layers; get both again"
        )
    wanted = expected(config, head)
    found = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    absent = {name for name in wanted if name not in found}
    new_head = {name for name in absent if checkpoint.head != head and not weight_row(name, head).backbone}
    foreign = {name: owners(name) for name in found if name not in wanted}
    surplus_layers = {name for name, heads in foreign.items() if len(heads) == len(HEADS)}
    tied = {name for name, heads in foreign.items() if head in heads} - surplus_layers
    return LoadReport(
        dialect=checkpoint.dialect,
        dtype=checkpoint.dtype,
        loaded=_sorted(name for name, shape in wanted.items() if found.get(name) == shape),
        missing=_sorted(absent - new_head),
        unexpected=_sorted(surplus_layers.union(checkpoint.unrecognised)),
        mismatched=tuple(
            sorted((name, found[name], shape) for name, shape in wanted.items() if found.get(name, shape) != shape)
        ),
        tied=_sorted(tied),
        ignored=_sorted(set(foreign).difference(surplus_layers, tied).union(checkpoint.ignored)),
        new_head=_sorted(new_head),
    )


def check(checkpoint: Checkpoint, report: LoadReport, *, ignore_mismatched_sizes: bool = False) -> None:
    """Raise what makes a checkpoint unusable for a model: all that is missing or misshapen, or a tie that is none.

    Raises:
        CheckpointError: The message lists every such weight.
    """
    if report.missing or (report.mismatched and not ignore_mismatched_sizes):
        advice = (
            "; set tie_word_embeddings=true if the embeddings serve as the projector"
            if "vocab_projector.weight" in report.missing
            else ""
        )
        raise CheckpointError(f"{checkpoint.path} does not fit the config: {report.message()}{advice}")
    for name in report.tied:
        target = "embeddings.word_embeddings.weight"
        if not equal(checkpoint.tensors[name], checkpoint.tensors[target]):
            raise CheckpointError(
                f"{checkpoint.path} holds a {name} that differs from {target}, though the config ties them; "
                "set tie_word_embeddings=false to keep both"
            )


def load_weights(
    checkpoint: Checkpoint,
    config: DistilBertConfig,
    head: str,
    assign: Callable[[str, Array], None],
    *,
    ignore_mismatched_sizes: bool = False,
    own: bool = False,
) -> LoadReport:
    """Hand every weight of a model to `assign`, one in memory at a time.

    Args:
        checkpoint: An open checkpoint.
        config: The model's sizes.
        head: A key of `HEADS`; may differ from the checkpoint's own, as in fine-tuning.
        assign: Takes a bare canonical name and the array in PyTorch's layout, a read-only view.
        ignore_mismatched_sizes: Leave weights of the wrong shape out, instead of raising.
        own: Hand over arrays as `LazyTensor.own` gives them: one that is writable may be kept as it is.

    Returns:
        What was found; a new head on a bare backbone is listed, and is no fault.

    Raises:
        CheckpointError: Weights are missing or misshapen, all of them listed, or a tied projector has other values.
    """
    report = compare(checkpoint, config, head)
    check(checkpoint, report, ignore_mismatched_sizes=ignore_mismatched_sizes)
    for name in expected(config, head):
        if name in report.loaded:
            tensor = checkpoint.tensors[name]
            assign(name, tensor.own() if own else tensor.read())
    return report


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
