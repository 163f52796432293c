"""Several weights files in one folder that do not hold the same model: nobody can know which is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from distilbert_common.errors import DistilBertError
from distilbert_common.user_warnings import warn_user
from distilbert_conversion.weights.lazy import DTYPES, LazyTensor, equal

if TYPE_CHECKING:
    from distilbert_conversion.checkpoint import Checkpoint


def warn_of_rivals(checkpoint: Checkpoint, candidates: Iterable[str], opened: Callable[[Path], Checkpoint]) -> None:
    """Warn loudly where another weights file in the folder of the one that was read holds another model.

    Args:
        checkpoint: The one that was read.
        candidates: The names that weights files have.
        opened: Opens a file.
    """
    folder = checkpoint.path.parent
    for name in candidates:
        path = folder / name
        if path == checkpoint.path or not path.is_file():
            continue
        try:
            with opened(path) as other:
                differing = _first_difference(checkpoint, other)
        except (DistilBertError, OSError):
            continue  # it cannot be read in place of this one
        if differing is not None:
            warn_user(
                f"{folder} holds two different models: {checkpoint.path.name} is read, and {name} differs from it in "
                f"{differing}; remove the one that is out of date, or give the path of the file that you want"
            )


def _first_difference(one: Checkpoint, other: Checkpoint) -> str | None:
    """Return the first weight that two checkpoints do not share, small ones first; None where they are the same.

    A user's own weights count too, as those of a new head on a frozen body may be all that a training has changed.
    """
    names = (one.tensors.keys() | other.tensors.keys()) - _only_repeated(one, other) - _only_repeated(other, one)
    names |= one.extras.keys() | {name for name in other.extras if one.weight(name) is None}
    sizes = {name: max(w.size for c in (one, other) if (w := c.weight(name)) is not None) for name in names}
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        left, right = one.weight(name), other.weight(name)
        if left is None or right is None or not _same(left, right):
            return name
    return None


def _only_repeated(one: Checkpoint, other: Checkpoint) -> set[str]:
    """Return the tied weights of a checkpoint that the other leaves out, or has tied too."""
    return {name for name in one.tied if name not in other.tensors or name in other.tied}


def _same(left: LazyTensor, right: LazyTensor) -> bool:
    """Whether two tensors have the same values, in the narrower type of the two."""
    types = list(DTYPES.values())
    if left.dtype not in types or right.dtype not in types:  # a counter or a mask of a user's own
        return equal(left, right)
    narrow = min(left.dtype, right.dtype, key=lambda dtype: (dtype.itemsize, types.index(dtype)))
    return equal(left.cast(narrow), right.cast(narrow))
