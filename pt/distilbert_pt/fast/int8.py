"""Products of whole numbers: by the processor's own instructions, or exactly so by those for float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distilbert_common.constants import is_fast

__all__ = ["INT8", "int8_product"]


def _is_exact() -> bool:
    """Whether products do not saturate, as they do where oneDNN is held to older instructions than there are."""
    most = torch.full((32, 32), 127, dtype=torch.int8)
    return bool((torch._int_mm(most, most) == 32 * 127**2).all())


INT8 = torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported() and _is_exact()
"""Whether this processor multiplies int8; others take many times as long for it as for float32."""


def int8_product(a: Tensor, b: Tensor) -> Tensor:
    """Return `a @ b.T` in float32, with the value of whole numbers' up to rounding.

    Args:
        a: int8 (rows, inner).
        b: int8 (columns, inner).
    """
    if is_fast() and _is_supported(a, b):
        return torch._int_mm(a, b.t()).float()  # what torchao calls too; PyTorch has no public name for it
    return F.linear(a.float(), b.float())


def _is_supported(a: Tensor, b: Tensor) -> bool:
    """Whether there is such a product; CUDA's takes more than 16 rows, and sizes that are multiples of 8."""
    if a.device.type == "cpu":
        return INT8
    return a.device.type == "cuda" and a.size(0) > 16 and a.size(1) % 8 == 0 and b.size(0) % 8 == 0
