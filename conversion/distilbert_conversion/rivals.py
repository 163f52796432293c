"""Several weights files in one folder that do not hold the same model: nobody can know which is meant."""

from __future__ import annotations

from collections.abc import Callable

from distilbert_common.errors import DistilBertError
from distilbert_common.user_warnings import warn_user
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.source import Source
from distilbert_conversion.weights.lazy import DTYPES, LazyTensor, equal

__all__ = ["warn_of_rivals"]


def warn_of_rivals(checkpoint: Checkpoint, open_source: Callable[[Source], Checkpoint]) -> None:
    """Warn loudly where another weights file in the folder of the one that was read holds another model.

    Args:
        checkpoint: The one that was read.
        open_source: Opens a weights file.
    """
    folder = checkpoint.path.parent
    for path in checkpoint.source.rivals:
        try:
            with open_source(checkpoint.source.rival(path)) as other:
                differing = _first_difference(checkpoint, other)
        except (DistilBertError, OSError):
            continue  # it cannot be read in place of this one
        if differing is not None:
            warn_user(
                f"{folder} holds two different models: {checkpoint.path.name} is read, and {path.name} differs from "
                f"it in {differing}; remove the one that is out of date, or give the path of the file that you want"
            )


def _first_difference(one: Checkpoint, other: Checkpoint) -> str | None:
    """Return a weight that two checkpoints do not share; None where they are the same.

    Only equal models are read whole: a name or a shape that one of the two has alone shows without reading, and of the
    values those of small tensors, which a training changes as surely as the large ones, are compared first.
    A user's own weights count too, as those of a new head on a frozen body may be all that a training has changed.
    """
    if _are_one_file(one, other):
        return None
    names = (one.tensors.keys() | other.tensors.keys()) - _only_repeated(one, other) - _only_repeated(other, one)
    names |= one.extras.keys() | {name for name in other.extras if one.weight(name) is None}
    pairs = []
    for name in sorted(names):
        left, right = one.weight(name), other.weight(name)
        if left is None or right is None or left.shape != right.shape:
            return name
        pairs.append((name, left, right))
    pairs.sort(key=lambda pair: pair[1].size)
    return next((name for name, left, right in pairs if not _same_values(left, right)), None)


def _are_one_file(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two checkpoints are links to the same files, read in the same dialect."""
    if one.dialect != other.dialect or len(one.files) != len(other.files):
        return False
    return all(left.samefile(right) for left, right in zip(one.files, other.files, strict=True))


def _only_repeated(one: Checkpoint, other: Checkpoint) -> set[str]:
    """Return the tied weights of a checkpoint that the other leaves out, or has tied too."""
    return {name for name in one.tied if name not in other.tensors or name in other.tied}


def _same_values(left: LazyTensor, right: LazyTensor) -> bool:
    """Whether two tensors have the same values, in the narrower type of the two."""
    types = list(DTYPES.values())
    if left.dtype not in types or right.dtype not in types:  # a counter or a mask of a user's own
        return equal(left, right)
    narrow = min(left.dtype, right.dtype, key=lambda dtype: (dtype.itemsize, types.index(dtype)))
    return equal(left.cast(narrow), right.cast(narrow))
