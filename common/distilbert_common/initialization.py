"""How parameters start: one rule for the three families, by canonical name."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from distilbert_common.config import DistilBertConfig

__all__ = ["InitScheme", "init_scheme", "sinusoidal_table"]

InitScheme = Literal["zeros", "ones", "normal", "word_table", "sinusoidal"]


def init_scheme(name: str, config: DistilBertConfig) -> InitScheme:
    """Return how a parameter starts.

    Args:
        name: Its canonical (PyTorch) name, with or without prefix.
        config: The model's config.

    Returns:
        "zeros", "ones", "normal" with standard deviation `initializer_range`, "word_table" for the same with a
        zeroed pad row, or "sinusoidal" for the values of `sinusoidal_table`.
    """
    module, _, leaf = name.rpartition(".")
    if leaf == "bias":
        return "zeros"
    if module.endswith(("LayerNorm", "layer_norm")):
        return "ones"
    if module.endswith("word_embeddings"):
        return "word_table"
    if module.endswith("position_embeddings") and config.sinusoidal_pos_embds:
        return "sinusoidal"
    return "normal"


def sinusoidal_table(positions: int, dim: int) -> NDArray[np.float32]:
    """Return the sinusoidal position table (Vaswani et al., arXiv 1706.03762, section 3.5).

    Args:
        positions: Rows.
        dim: Columns; sine in the even ones, cosine in the odd ones.

    Returns:
        float32 (positions, dim), computed in float64 as transformers does.
    """
    column = np.arange(dim)
    angle = np.arange(positions)[:, None] / np.power(10000.0, 2 * (column // 2) / dim)  # (positions, dim)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)
