"""The input rules, read off tensors; nothing is checked where values are not concrete (in traced code)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from distilbert_common import checks
from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor

__all__ = ["check_labels", "check_shapes", "concrete", "is_concrete", "value_range"]


def value_range(ids: Tensor | None) -> tuple[int, int] | None:
    """Return the lowest and the highest value; None where there is none to look at."""
    values = concrete(ids)
    return None if values is None or not values.size else (int(values.min()), int(values.max()))


def check_labels(labels: Tensor, classes: int | None, ignored: int) -> None:
    """Require that labels are class ids or the ignored value, where they can be looked at.

    Raises:
        InputError: One is neither.
    """
    values = concrete(labels)
    if values is not None and classes is not None:
        checks.check_labels(values, classes, ignored)


def check_shapes(
    input_shape: tuple[int | None, ...], attention_mask: Tensor | None, position_ids: Tensor | None
) -> None:
    """Require a mask and positions for the tokens that there are; a compiled call's own error would name no sizes.

    Args:
        input_shape: (batch, seq), None where a size is not known.
        attention_mask: (batch, seq) or (batch, 1 or heads, seq, seq), or None.
        position_ids: (batch or 1, seq), or None.

    Raises:
        InputError: One has another shape.
    """
    batch, seq = input_shape
    if attention_mask is not None:
        expected = {2: (batch, seq), 4: (batch, None, seq, seq)}.get(len(attention_mask.shape))
        if expected is None or not _broadcasts(tuple(attention_mask.shape), expected):
            raise InputError(
                f"attention_mask has shape {tuple(attention_mask.shape)}; expected (batch, seq) or "
                f"(batch, 1 or heads, seq, seq), here with batch {batch} and seq {seq}"
            )
    if position_ids is not None and not _broadcasts(tuple(position_ids.shape), (batch, seq)):
        raise InputError(
            f"position_ids has shape {tuple(position_ids.shape)}; expected (batch or 1, seq), "
            f"here with batch {batch} and seq {seq}"
        )


def _broadcasts(shape: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether a shape fits another; None fits any size."""
    if len(shape) != len(expected):
        return False
    return all(None in (size, other) or size in (1, other) for size, other in zip(shape, expected, strict=True))


def is_concrete(x: Tensor) -> bool:
    """Whether the values can be looked at here and now."""
    return isinstance(x, np.ndarray) or (
        not isinstance(x, keras.KerasTensor) and _HAS_VALUES[keras.backend.backend()](x)
    )


def concrete(x: Tensor | None) -> np.ndarray | None:
    """Return the values where they can be looked at here and now, or None."""
    return keras.ops.convert_to_numpy(x) if x is not None and is_concrete(x) else None


def _tensorflow_has_values(x: Any) -> bool:
    return hasattr(x, "numpy")  # which tensors of a graph do not have


def _jax_has_values(x: Any) -> bool:
    import jax

    return not isinstance(x, jax.core.Tracer)


def _torch_has_values(x: Any) -> bool:
    import torch

    return not torch.compiler.is_compiling() and x.device.type != "meta"


_HAS_VALUES = {"tensorflow": _tensorflow_has_values, "jax": _jax_has_values, "torch": _torch_has_values}
