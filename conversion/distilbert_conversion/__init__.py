"""DistilBERT checkpoints without a framework: reading, writing and converting every dialect.

Nothing here imports torch, tensorflow, keras, jax or flax.
"""

from distilbert_conversion.checkpoint import Checkpoint, open_checkpoint, view_checkpoint
from distilbert_conversion.convert import FORMATS, ConversionSummary, convert
from distilbert_conversion.dialects import DIALECTS
from distilbert_conversion.diff import CheckpointDiff, TensorDiff, diff
from distilbert_conversion.lazy import LazyTensor
from distilbert_conversion.report import LoadReport, load_weights
from distilbert_conversion.save import save_checkpoint
from distilbert_conversion.table import HEADS, WEIGHTS, Weight, expected, full_name, weight_row

__all__ = [
    "DIALECTS",
    "FORMATS",
    "HEADS",
    "WEIGHTS",
    "Checkpoint",
    "CheckpointDiff",
    "ConversionSummary",
    "LazyTensor",
    "LoadReport",
    "TensorDiff",
    "Weight",
    "convert",
    "diff",
    "expected",
    "full_name",
    "load_weights",
    "open_checkpoint",
    "save_checkpoint",
    "view_checkpoint",
    "weight_row",
]
