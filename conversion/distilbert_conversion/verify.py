"""Reading what was written again, and comparing it with what it was written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distilbert_common.errors import CheckpointError
from distilbert_conversion.diff import deviation
from distilbert_conversion.opening import open_checkpoint
from distilbert_conversion.source import Source
from distilbert_conversion.weights.lazy import DTYPES, LazyTensor, cast_float, equal

__all__ = ["Rounding", "rounding", "verify"]


@dataclass(frozen=True)
class Rounding:
    """What another type changed in the values.

    Attributes:
        dtype: The type that they were converted to.
        absolute: The largest change.
        relative: The largest change as a share of the value; 1 where a tiny one became 0.
        largest: The tensors with these two changes.
    """

    dtype: str
    absolute: float
    relative: float
    largest: tuple[str, str]

    def __str__(self) -> str:
        if not self.absolute:
            return f"{self.dtype} holds every value exactly"
        return (
            f"rounded to {self.dtype} by at most {self.absolute:.2g} ({self.largest[0]}), "
            f"relative {self.relative:.2g} ({self.largest[1]})"
        )


def verify(source: Source, tensors: Mapping[str, LazyTensor], dtype: str | None) -> None:
    """Read a checkpoint that was just written, and compare every weight's bits with what it was written from.

    Args:
        source: What was written.
        tensors: What it was written from, by bare canonical name, and a user's own weights by the names they keep.
        dtype: The type that it was converted to; None for each tensor's own.

    Raises:
        CheckpointError: A weight is missing, unexpected or not what it should be; the message lists them.
    """
    with open_checkpoint(source) as written:
        unexpected = (written.tensors.keys() | written.extras.keys()) - tensors.keys() - written.tied
        faulty = {name for name in tensors if not _is_there(written.weight(name), tensors[name], dtype)}
    if changed := sorted(faulty | unexpected):
        raise CheckpointError(
            f"what was written is not what was read: {', '.join(changed)} came back changed, and the "
            "result is not kept; check disk and memory, or report this as a fault of the converter"
        )


def _is_there(written: LazyTensor | None, tensor: LazyTensor, dtype: str | None) -> bool:
    return written is not None and equal(written, cast_float(tensor, dtype))


def rounding(source: Source, tensors: Mapping[str, LazyTensor], dtype: str) -> Rounding | None:
    """Measure what the conversion to another type changed, or return None where all had that type before."""
    rounded = {name: tensor for name, tensor in tensors.items() if tensor.dtype in DTYPES.values()}
    rounded = {name: tensor for name, tensor in rounded.items() if tensor.dtype != DTYPES[dtype]}
    if not rounded:
        return None
    with open_checkpoint(source) as written:
        weights = {**written.tensors, **written.extras}
        changes = {name: deviation(tensor, weights[name]) for name, tensor in rounded.items()}
    absolute = max(changes, key=lambda name: changes[name][0])
    relative = max(changes, key=lambda name: changes[name][1])
    return Rounding(dtype, changes[absolute][0], changes[relative][1], (absolute, relative))
