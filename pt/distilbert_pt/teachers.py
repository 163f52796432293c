"""Teachers: how one is called, and what one says ahead of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_common.distillation import check_top_k, mask_of

__all__ = ["frozen", "teacher_outputs", "token_mask"]

Tensors = Mapping[str, Any]


@contextmanager
def frozen(teacher: nn.Module) -> Iterator[None]:
    """Record no gradients, and compute in the teacher's own dtype."""
    with torch.no_grad(), torch.autocast(teacher.device.type, enabled=False):
        yield


def token_mask(inputs: Tensors) -> Tensor:
    """Return which tokens of a call are no padding: bool (batch, seq), or (batch * choices, seq)."""
    attended = mask_of(inputs)
    mask = torch.ones_like(inputs["input_ids"]) if attended is None else attended  # (batch, …, seq)
    return mask.flatten(0, -2) != 0


def teacher_outputs(teacher: Any, inputs: Tensors, top_k: int) -> dict[str, Tensor]:
    """Return what `distilbert_common.training.Engine.teacher_outputs` does, as tensors."""
    check_top_k(teacher._table_head, teacher.config.vocab_size, top_k)
    hidden = teacher.distilbert(**inputs, return_dict=True).last_hidden_state  # (batch, seq, dim)
    mask = token_mask(inputs)  # (batch, seq)
    x = teacher.lm_transform(hidden[mask])  # (tokens, dim)
    top = [teacher.vocab_projector(chunk).topk(top_k) for chunk in x.split(LOSS_CHUNK_TOKENS)]
    indices = hidden.new_zeros(*mask.shape, top_k, dtype=torch.int32)
    logits = hidden.new_zeros(*mask.shape, top_k)
    if top:
        indices[mask] = torch.cat([one.indices for one in top]).int()  # (tokens, top_k)
        logits[mask] = torch.cat([one.values for one in top]).to(logits.dtype)
    return {"indices": indices, "logits": logits, "hidden": hidden.where(mask[..., None], 0)}
