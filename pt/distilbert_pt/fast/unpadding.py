"""When padding is left out of the computation, and where the other tokens then lie."""

from __future__ import annotations

from torch import Tensor, nn

from distilbert_common.checks import Unpad
from distilbert_common.constants import UNPAD_THRESHOLD, is_fast
from distilbert_pt.checks import is_concrete
from distilbert_pt.framework.hooks import is_watched
from distilbert_pt.layout import Layout, Padded, Unpadded, padded_layout

__all__ = ["choose_layout", "unpadded_layout"]


def choose_layout(
    model: nn.Module,
    attention_mask: Tensor | None,
    segment_ids: Tensor | None,
    unpad: Unpad,
    reads: Tensor | bool | None,
    eager: bool,
) -> Layout:
    """Return how the tokens of a batch lie; arguments as `DistilBertModel.layout_of`.

    Args:
        model: The bare model; where hooks watch its layers, they are to see (batch, seq, dim), padding and all.
        attention_mask: (batch, seq), or with four axes, where padding is never left out.
        segment_ids: (batch, seq) instead of a mask.
        unpad: Whether padding is left out.
        reads: bool (batch, seq), or True: where padding, if there is any, has to be computed.
        eager: Whether attention runs step by step, which computes padding.
    """
    ids = attention_mask if segment_ids is None else segment_ids  # (batch, seq)
    if ids is None or ids.dim() != 2 or not is_concrete(ids) or not is_fast():
        return padded_layout(attention_mask, segment_ids, unpad)
    on_cpu = ids.device.type == "cpu"  # elsewhere counting would wait for the device
    share = int(ids.count_nonzero()) / max(1, ids.numel()) if on_cpu else 1.0
    if segment_ids is None and on_cpu and share == 1:
        return Padded()
    pays = on_cpu and (segment_ids is not None or (share < UNPAD_THRESHOLD and not is_read(ids == 0, reads)))
    chosen = unpad is True or (unpad is not False and pays and not is_watched(model))
    layout = None
    if chosen and not eager:
        layout = unpadded_layout(ids != 0 if segment_ids is None else ids, segment_ids)
    return padded_layout(attention_mask, segment_ids, unpad) if layout is None else layout


def is_read(padding: Tensor, reads: Tensor | bool | None) -> bool:
    """Whether the hidden states at padding (batch, seq) are used; `reads` as in `choose_layout`."""
    return bool((padding & reads).any()) if isinstance(reads, Tensor) else bool(reads)


def unpadded_layout(ids: Tensor, segment_ids: Tensor | None = None) -> Unpadded | None:
    """Return the layout without padding; None if there is no token.

    Args:
        ids: (batch, seq), an attention mask or segment ids: tokens of one row with the same value other than 0 are a
            sequence.
        segment_ids: The same where they are segment ids.
    """
    batch, seq = ids.shape
    ids = ids.long()
    if batch == 1:
        indices = ids[0].nonzero()[:, 0]  # (tokens,)
        if len(indices) and bool((ids[0, indices] == ids[0, indices[0]]).all()):  # one sequence, as of a single text
            return Unpadded(indices, batch, seq, ((1, len(indices)),), segment_ids)
    rows, columns = ids.nonzero(as_tuple=True)  # (tokens,) each
    if not len(rows):
        return None
    sequence = rows * (int(ids.max()) + 1) + ids[rows, columns]  # (tokens,): one number for each sequence
    _, inverse, lengths = sequence.unique(return_inverse=True, return_counts=True)
    order = (lengths[inverse] * len(lengths) + inverse).argsort(stable=True)  # (tokens,): by length, then by sequence
    sizes, counts = lengths.unique(return_counts=True)
    groups = tuple(zip(counts.tolist(), sizes.tolist(), strict=True))
    return Unpadded((rows * seq + columns)[order], batch, seq, groups, segment_ids)
