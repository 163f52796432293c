"""Figures that all three families share."""

from __future__ import annotations

import os

import numpy as np

__all__ = [
    "ATTENTION_IMPLEMENTATIONS",
    "FAST_SWITCH",
    "IGNORE_INDEX",
    "LAYER_NORM_EPS",
    "LOSS_CHUNK_TOKENS",
    "MASKED_SCORE",
    "MIN_ROW_LENGTH",
    "UNPAD_THRESHOLD",
    "is_fast",
]

IGNORE_INDEX = -100
"""The label of a token that counts for nothing in a loss."""

LAYER_NORM_EPS = 1e-12
"""What every LayerNorm adds to the variance, as in BERT."""

MASKED_SCORE = float(np.finfo(np.float32).min)
"""The value of a masked score, the lowest finite float32: a row with nothing to attend to attends uniformly.

So it is in transformers 4 (PR 15326); minus infinity would give NaN there.
"""

ATTENTION_IMPLEMENTATIONS = ("eager", "sdpa")
"""How attention may be computed in every family: step by step, or fused; PyTorch knows more names."""

LOSS_CHUNK_TOKENS = 512
"""How many labeled tokens the chunked cross-entropy projects to the vocabulary at a time."""

UNPAD_THRESHOLD = 0.9
"""Padding is left out where less than this share of the batch's tokens is left to compute: then it is faster."""

MIN_ROW_LENGTH = 16
"""The shortest row that packed tokens are given."""

FAST_SWITCH = "DISTILBERT_FAST"
"""The environment variable whose value 0 switches off everything that is only there to be fast."""


def is_fast() -> bool:
    """Return whether the fast paths are on; read at each call, so that both ways can be compared in one process."""
    return os.environ.get(FAST_SWITCH) != "0"
