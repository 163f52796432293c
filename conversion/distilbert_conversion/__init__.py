"""DistilBERT checkpoints without a framework: reading, writing and converting every dialect.

Nothing here imports torch, tensorflow, keras, jax or flax.
"""

from distilbert_common.load_report import LoadReport
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.convert import FORMATS, convert
from distilbert_conversion.diff import CheckpointDiff, TensorDiff, diff
from distilbert_conversion.load import load_weights
from distilbert_conversion.opening import open_checkpoint, view_checkpoint
from distilbert_conversion.report import check, compare
from distilbert_conversion.save import save_checkpoint
from distilbert_conversion.source import Source
from distilbert_conversion.summary import ConversionSummary
from distilbert_conversion.weights.dialects import DIALECTS
from distilbert_conversion.weights.lazy import DTYPES, LazyTensor, fill
from distilbert_conversion.weights.table import (
    HEADS,
    WEIGHTS,
    Weight,
    expected,
    full_name,
    is_backbone,
    is_known,
    is_transposed,
    names,
    weight_row,
)

__all__ = [
    "DIALECTS",
    "DTYPES",
    "FORMATS",
    "HEADS",
    "WEIGHTS",
    "Checkpoint",
    "CheckpointDiff",
    "ConversionSummary",
    "LazyTensor",
    "LoadReport",
    "Source",
    "TensorDiff",
    "Weight",
    "check",
    "compare",
    "convert",
    "diff",
    "expected",
    "fill",
    "full_name",
    "is_backbone",
    "is_known",
    "is_transposed",
    "load_weights",
    "names",
    "open_checkpoint",
    "save_checkpoint",
    "view_checkpoint",
    "weight_row",
]
