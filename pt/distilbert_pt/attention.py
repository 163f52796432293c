"""The masking rule and the attention implementations, on (batch, heads, seq, head_dim).

Scores are scaled by 1/sqrt(head_dim), the softmax runs in float32, and a masked score is `MASKED_SCORE`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from distilbert_common.checks import check_mask
from distilbert_common.constants import MASKED_SCORE
from distilbert_common.errors import ConfigError
from distilbert_pt.fast.attention import scaled_dot_product_attention

__all__ = [
    "DEFAULT",
    "HALF",
    "IMPLEMENTATIONS",
    "check_implementation",
    "eager_attention",
    "expand_mask",
    "flash_attention",
    "sdpa_attention",
    "varlen_attention",
    "varlen_kernel",
    "warn_once",
]


def expand_mask(attention_mask: Tensor) -> Tensor:
    """Bring a mask, of a form that `check_mask` takes, into one: bool, True attends, or float32 to be added.

    `padded_layout` calls it. The result can be broadcast to (batch, heads, seq, seq).
    """
    check_mask(attention_mask.shape)
    if attention_mask.dim() == 2:
        return (attention_mask != 0)[:, None, None, :]  # (batch, 1, 1, seq)
    additive = attention_mask.is_floating_point()
    return attention_mask.float().clamp(min=MASKED_SCORE) if additive else attention_mask != 0


def eager_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float = 0.0,
    head_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention step by step: the context, and the probabilities (batch, heads, seq, seq) as transformers returns them.

    The mask is what `expand_mask` returns, None where all attend; dropout is the share of probabilities zeroed; the
    head mask multiplies them in the end, broadcast to their shape.
    """
    query = query.float() / math.sqrt(query.size(-1))
    scores = torch.matmul(query, key.float().transpose(2, 3)).float()  # (batch, heads, seq, seq); autocast rounds it
    if mask is not None:
        scores = scores.masked_fill(~mask, MASKED_SCORE) if mask.dtype == torch.bool else scores + mask
    probabilities = F.dropout(scores.softmax(dim=-1), dropout).to(value.dtype)  # (batch, heads, seq, seq)
    if head_mask is not None:
        probabilities = probabilities * head_mask
    return torch.matmul(probabilities, value), probabilities


def sdpa_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Attention by PyTorch's fused kernels: `eager_attention` without the probabilities.

    The mask is added as the lowest finite value, not given as bool: the kernels return zeros, not the uniform mean,
    for a row that a bool mask closes. float16 has no value low enough to drown a score, so there a row with nothing
    to attend to gets zero queries, whose scores are all equal, and an open mask.
    """
    if mask is not None and mask.dtype == torch.bool:
        if query.dtype == torch.float16:
            open_rows = mask.any(dim=-1, keepdim=True)  # (batch, 1 or heads, 1 or seq, 1)
            query, mask = query * open_rows, mask | ~open_rows
        else:
            closed = torch.finfo(query.dtype).min
            mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, closed)
    elif mask is not None:
        mask = mask.to(query.dtype).clamp(min=torch.finfo(query.dtype).min)
    return scaled_dot_product_attention(query, key, value, mask, dropout)


def flash_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Attention by flash kernels: those of the flash-attn package where it is installed, or else PyTorch's own.

    On a GPU they take half precision and non-padding tokens only, and a row with nothing to attend to gives zeros.
    Other dtypes, and masks that are not mere padding, go to `sdpa_attention`. So does all on the CPU, where it is a
    flash kernel itself.
    """
    padding = mask is None or (mask.dtype == torch.bool and mask.shape[1:3] == (1, 1))
    kernel = varlen_kernel(dropout) if query.is_cuda and query.dtype in HALF and padding else None
    if kernel is not None:
        return varlen_attention(kernel, query, key, value, mask)
    return sdpa_attention(query, key, value, mask, dropout)


def varlen_kernel(dropout: float) -> Callable[..., Tensor] | None:
    """Return flash attention over sequences of several lengths that lie end to end, or None where nothing has it.

    Args:
        dropout: Rate at which probabilities are zeroed, which PyTorch's own kernel does not do.
    """
    if find_spec("flash_attn") is not None:
        from flash_attn import flash_attn_varlen_func

        return partial(flash_attn_varlen_func, dropout_p=dropout)
    if dropout or find_spec("torch.nn.attention.varlen") is None or torch.cuda.get_device_capability() < (8, 0):
        return None
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn


def varlen_attention(
    kernel: Callable[..., Tensor], query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> Tensor:
    """Call a kernel for sequences of several lengths on the tokens that a padding mask (batch, 1, 1, seq) leaves."""
    batch, heads, seq, head_dim = query.shape
    attends = torch.ones(batch, seq, dtype=torch.bool, device=query.device) if mask is None else mask[:, 0, 0].clone()
    lengths = attends.sum(dim=1, dtype=torch.int32)  # (batch,)
    cu_seqlens = F.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0))  # (batch + 1,)
    max_seqlen = int(lengths.max())
    tokens = (x.transpose(1, 2)[attends] for x in (query, key, value))  # three of (tokens, heads, head_dim)
    context = query.new_zeros(batch, seq, heads, head_dim)
    context[attends] = kernel(*tokens, cu_seqlens, cu_seqlens, max_seqlen, max_seqlen)
    return context.transpose(1, 2)  # (batch, heads, seq, head_dim)


def check_implementation(name: str | None) -> None:
    """Require an attention implementation that exists, or None for the default; say once what stands in for another.

    Raises:
        ConfigError: There is no such implementation.
    """
    if name is not None and name not in IMPLEMENTATIONS:
        advice = "; nothing is downloaded to compute with" if "/" in str(name) else ""
        raise ConfigError(
            f"attn_implementation is {name!r}; it must be one of {', '.join(IMPLEMENTATIONS)}{advice}, "
            "and 'sdpa' serves everywhere"
        )
    if name == "flex_attention":
        warn_once("attn_implementation 'flex_attention': computed by 'sdpa', which gives the same numbers")
    elif name is not None and name.startswith("flash") and find_spec("flash_attn") is None:
        warn_once(
            f"attn_implementation {name!r}: the flash-attn package is not installed; the flash kernels of PyTorch "
            "itself are used, on a GPU in float16 and bfloat16"
        )


@cache
def warn_once(message: str) -> None:
    """Warn, the first time only."""
    warnings.warn(message, stacklevel=4)


HALF = (torch.float16, torch.bfloat16)
DEFAULT = "sdpa"
IMPLEMENTATIONS = {
    "eager": eager_attention,
    "sdpa": sdpa_attention,
    "flash_attention_2": flash_attention,
    "flash_attention_3": flash_attention,
    "flash_attention_4": flash_attention,
    "flex_attention": sdpa_attention,
}
"""The attention implementations by the names of transformers; attentions and head masks always take the first."""
