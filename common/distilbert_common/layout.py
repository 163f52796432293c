"""How the tokens of a batch lie in the layers: padded or without padding; what of it needs no framework.

Outside, a batch is (batch, seq). Each of the types says what the layers see of it: `gather` and `positions` go before
the embeddings, `attend` stands in attention; `scatter` in a family's `layout` module goes after the blocks. Keras and
Flax build on `UnpaddedRows`, whose shapes depend on rows and their length alone, so that compiled code serves any
content. PyTorch has a type of its own: its tokens lie end to end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Padded", "UnpaddedRows"]


class Padded(NamedTuple):
    """Every token is computed, padding too.

    Attributes:
        mask: Who attends to whom, as `expand_mask` or `segment_mask` returns it; None where all attend to all.
        padding: bool (batch, seq), True where outputs are to have the fill value; None for nowhere.
        segment_ids: (batch, seq) integers where rows hold several sequences, which attend within themselves, else None.
    """

    mask: Any = None
    padding: Any = None
    segment_ids: Any = None

    def gather(self, x: Any) -> Any:
        """(batch, seq, …) -> what the layers see: the same."""
        return x

    def positions(self, position_ids: Any) -> Any:
        """(batch or 1, seq) -> the same; None for 0, 1, 2, …."""
        return position_ids

    def attend(self, attention: Callable[..., Any], query: Any, key: Any, value: Any, dropout: Any) -> Any:
        """Call an attention function: three of (batch, heads, seq, head_dim) -> (batch, heads, seq, head_dim)."""
        return attention(query, key, value, self.mask, dropout)


class UnpaddedRows(NamedTuple):
    """Padding left out: the tokens in rows, each sequence a segment of one; `pack_batch` of `unpadding` fills them.

    Attributes:
        indices: (rows, length) where each token is among the batch * seq of the padded batch; 0 where there is none.
        segments: (rows, length) one number for each sequence of a row, from 1; 0 where there is no token.
        inverse: (batch, seq) where each token is among the rows * length; -1 at padding.
    """

    indices: Any
    segments: Any
    inverse: Any

    @property
    def segment_ids(self) -> None:
        """None: a row of the padded batch is one sequence."""
        return None

    @property
    def padding(self) -> Any:
        """Bool (batch, seq), True where there is no token."""
        return self.inverse < 0
