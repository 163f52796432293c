"""How far two frameworks that run one checkpoint may lie apart, each figure with its reason."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BETWEEN_FRAMEWORKS", "Tolerance"]


class Tolerance(NamedTuple):
    """How far two results may lie apart.

    Attributes:
        value: The largest difference, absolute or relative as the reason says.
        reason: Why this figure.
    """

    value: float
    reason: str


BETWEEN_FRAMEWORKS: dict[str, Tolerance] = {
    "float32": Tolerance(
        5e-5,
        "relative to the largest entry of each output: matrix products add up in another order; the error of one "
        "layer, about 1e-6, grows through six",
    ),
    "float16": Tolerance(2e-2, "relative to the largest entry: 11 bits of mantissa, kept between the layers"),
    "bfloat16": Tolerance(1e-1, "relative to the largest entry: 8 bits of mantissa, kept between the layers"),
}
"""Between two frameworks that run one checkpoint, by compute dtype."""
