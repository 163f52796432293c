"""What a target is told of the model that it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from distilbert_deploy.samples import Batch
from distilbert_deploy.weights import ModelWeights

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """One export.

    Attributes:
        weights: The model.
        precision: "float32", "float16", "bfloat16" or "int8".
        opset: The version of ONNX's operators.
        metadata: What is written into the file beside the model, by name.
        calibration: Texts that int8 is calibrated with; empty for scales that are computed with each call.
        reduce_range: Whether the weights of int8 have seven bits.
    """

    weights: ModelWeights
    precision: str
    opset: int
    metadata: Mapping[str, str]
    calibration: Sequence[Batch] = field(default=())
    reduce_range: bool = False
