"""The last block, where a head reads few of its tokens: the feed-forward network computes those alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor, nn

from distilbert_common.constants import is_fast
from distilbert_pt.framework.hooks import is_watched
from distilbert_pt.layout import Layout, Unpadded

__all__ = ["block_layouts", "leave_out_unread", "reads_few_tokens"]

Output = tuple[Tensor, Tensor | None]
"""(batch, seq, dim), and the attention probabilities or None."""


def leave_out_unread(model: nn.Module, layout: Layout, reads: Tensor | None, all_states: bool) -> Layout:
    """Return the layout that tells the last block which tokens are read, where it can make use of that.

    Args:
        model: The bare model; where hooks watch its layers, they are to see every token.
        layout: How the tokens lie.
        reads: bool (batch or 1, seq), the only tokens whose last hidden state is used; None for all.
        all_states: Whether hidden states are returned.
    """
    if reads is None or all_states or not isinstance(layout, Unpadded) or not is_fast() or is_watched(model):
        return layout
    is_token_read = reads.expand(layout.batch, -1).flatten()[layout.indices]  # (tokens,)
    return layout._replace(reads=is_token_read.nonzero()[:, 0])


def block_layouts(layout: Layout, n_layers: int) -> list[Layout]:
    """Return the layout for each block: what is read of the last one, the others compute whole."""
    inner = layout._replace(reads=None) if isinstance(layout, Unpadded) else layout
    return [*[inner] * (n_layers - 1), layout][:n_layers]


def reads_few_tokens(forward: Callable[..., Output]) -> Callable[..., Output]:
    """Have the `forward` of a block compute what is read; the other tokens of its output are 0."""

    @wraps(forward)
    def narrowed(block: Any, x: Tensor, layout: Layout, *args: Any, **kwargs: Any) -> Output:
        if not isinstance(layout, Unpadded) or layout.reads is None:
            return forward(block, x, layout, *args, **kwargs)
        context, probabilities = block.attention(x, layout, *args, **kwargs)  # (1, tokens, dim)
        y = block.sa_layer_norm((context + x).index_select(1, layout.reads))  # (1, read, dim)
        y = block.output_layer_norm(block.ffn(y) + y)
        return y.new_zeros(x.shape).index_copy(1, layout.reads, y), probabilities

    return narrowed
