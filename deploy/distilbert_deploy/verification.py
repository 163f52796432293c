"""Comparing an export with its source, in the export's own runtime, before anybody sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_deploy.errors import ExportError
from distilbert_deploy.reference import forward
from distilbert_deploy.samples import Batch
from distilbert_deploy.weights import ModelWeights

__all__ = ["LIMITS", "Difference", "Run", "compare_with_source", "require_agreement"]

Run = Callable[[Batch], Mapping[str, NDArray[Any]]]
"""An export in its runtime: inputs in, outputs by name out."""


@dataclass(frozen=True)
class Limit:
    """How far an export may be off.

    Attributes:
        measure: "largest", the largest difference over the largest output; "rms", the root mean square of the
            difference over the standard deviation of the outputs.
        value: The most that it may be.
        reason: Why so much.
    """

    measure: str
    value: float
    reason: str


LIMITS = {
    "float32": Limit("largest", 1e-4, "the same sums in another order: about 1e-6 in six layers"),
    "float16": Limit("largest", 2e-2, "eleven bits of every weight and every sum, through six layers"),
    "bfloat16": Limit("rms", 1e-1, "eight bits of every weight and every sum, through six layers"),
    "int8": Limit("rms", 2e-1, "eight bits of weights and activations; 0.03 to 0.1 is usual"),
}
"""What is asked of an export by what it computes in."""

_SMALLEST_SCALE = 0.1
"""Outputs that are smaller are sums of larger terms, whose rounding they keep."""


@dataclass(frozen=True)
class Difference:
    """How far an export's outputs are from its source's: of several outputs, those of the worst.

    Attributes:
        absolute: The largest difference.
        scale: The largest output of the source.
        rms: The root mean square of the difference over the standard deviation of the source's outputs.
    """

    absolute: float
    scale: float
    rms: float

    @property
    def largest(self) -> float:
        """The largest difference as a share of the largest output."""
        return self.absolute / max(self.scale, _SMALLEST_SCALE)


def compare_with_source(weights: ModelWeights, batches: Sequence[Batch], run: Run) -> Difference:
    """Compare the outputs of an export on several batches with those of its weights in NumPy.

    Raises:
        ExportError: An output is missing, of another shape, or not finite.
    """
    pairs: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for batch in batches:
        expected, actual = forward(weights, **batch), run(batch)
        for name, values in expected.items():
            pairs.setdefault(name, []).append((values, _checked(name, values, actual, batch)))
    differences = [_difference(some) for some in pairs.values()]
    worst = max(differences, key=lambda difference: difference.largest)
    return replace(worst, rms=max(difference.rms for difference in differences))


def _checked(name: str, expected: NDArray[Any], actual: Mapping[str, NDArray[Any]], batch: Batch) -> NDArray[Any]:
    """Return an output as float32."""
    shape = batch["input_ids"].shape
    if name not in actual:
        raise ExportError(f"the export gives {', '.join(actual)} for inputs {shape}; expected {name} too")
    values = np.asarray(actual[name], np.float32)
    if values.shape != expected.shape:
        raise ExportError(f"the export's {name} is {values.shape} for inputs {shape}; expected {expected.shape}")
    if not np.isfinite(values).all():
        raise ExportError(f"the export's {name} is not finite for inputs {shape}; nothing was written")
    return values


def _difference(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> Difference:
    expected, actual = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    differences = actual - expected
    deviation = max(float(expected.std()), 1e-6)
    rms = float(np.sqrt(np.square(differences).mean()))
    return Difference(float(np.abs(differences).max()), float(np.abs(expected).max()), rms / deviation)


def require_agreement(difference: Difference, precision: str, target: str) -> None:
    """Require an export to give its source's numbers.

    Args:
        difference: How far it is off.
        precision: A key of `LIMITS`.
        target: What was exported to, for the message.

    Raises:
        ExportError: It does not.
    """
    limit = LIMITS[precision]
    value = getattr(difference, limit.measure)
    if not value <= limit.value:  # which NaN is not, either
        unit = "of the largest output" if limit.measure == "largest" else "rms, of the outputs' standard deviation"
        raise ExportError(
            f"the {target} export is off by {value:.2g} {unit}, where {precision} may be off by {limit.value:g} "
            f"({limit.reason}); nothing was written{_advice(precision)}"
        )


def _advice(precision: str) -> str:
    if precision == "int8":
        return ": export float32, or calibrate with texts like those of use (--calibrate FILE)"
    return ": export float32" if precision != "float32" else ": please report this with the model's config"
