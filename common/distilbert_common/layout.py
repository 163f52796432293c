"""How the tokens of a batch lie in the layers: padded, without padding, or packed; what of it needs no framework.

Outside, a batch is (batch, seq). Each of the three types says what the layers see of it: `gather` and `positions` go
before the embeddings, `attend` stands in attention, `scatter` goes after the blocks. Keras and Flax build on the types
here, whose shapes depend on rows and their length alone, so that compiled code serves any content. PyTorch has its own:
its tokens lie end to end, and `torch.compile` of its older releases follows no subclass of a named tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["Packed", "Padded", "Unpadded"]

Array = TypeVar("Array", bound=Any)


class Padded(NamedTuple, Generic[Array]):
    """Every token is computed, padding too.

    Attributes:
        mask: Who attends to whom, as `expand_mask` returns it; None where all attend to all.
        padding: bool (batch, seq), True where outputs are to have the fill value; None for nowhere.
    """

    mask: Array | None = None
    padding: Array | None = None

    @property
    def segment_ids(self) -> None:
        """None: a row is one sequence."""
        return None

    def gather(self, x: Array) -> Array:
        """(batch, seq, …) -> what the layers see: the same."""
        return x

    def positions(self, position_ids: Array | None) -> Array | None:
        """(batch or 1, seq) -> the same; None for 0, 1, 2, …."""
        return position_ids

    def attend(self, attention: Callable[..., Array], query: Array, key: Array, value: Array, dropout: Any) -> Array:
        """Call an attention function: three of (batch, heads, seq, head_dim) -> (batch, heads, seq, head_dim)."""
        return attention(query, key, value, self.mask, dropout)


class Packed(NamedTuple, Generic[Array]):
    """Rows of several sequences, which attend within themselves.

    Attributes:
        segment_ids: (batch, seq) integers.
        mask: What `segment_mask` returns.
    """

    segment_ids: Array
    mask: Array

    def gather(self, x: Array) -> Array:
        """(batch, seq, …) -> what the layers see: the same."""
        return x

    def attend(self, attention: Callable[..., Array], query: Array, key: Array, value: Array, dropout: Any) -> Array:
        """Call an attention function, as `Padded.attend`."""
        return attention(query, key, value, self.mask, dropout)


class Unpadded(NamedTuple, Generic[Array]):
    """Padding left out: the tokens in rows, each sequence a segment of one; `pack_batch` of `unpadding` fills them.

    Attributes:
        indices: (rows, length) where each token is among the batch * seq of the padded batch; 0 where there is none.
        segments: (rows, length) one number for each sequence of a row, from 1; 0 where there is no token.
        inverse: (batch, seq) where each token is among the rows * length; -1 at padding.
    """

    indices: Array
    segments: Array
    inverse: Array

    @property
    def segment_ids(self) -> None:
        """None: a row of the padded batch is one sequence."""
        return None

    @property
    def padding(self) -> Any:
        """Bool (batch, seq), True where there is no token."""
        return self.inverse < 0
