"""Teachers: how one is called, and what one says ahead of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Sharding

from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_common.distillation import check_top_k, mask_of
from distilbert_flax.inventory import named_variables

__all__ = ["place_teacher", "teacher_outputs", "token_mask"]


def place_teacher(teacher: Any, precision: str, everywhere: Sharding) -> None:
    """Cast a teacher's parameters, and put them where a student's lie."""
    for variable in named_variables(teacher).values():
        value = variable.get_raw_value()
        if jnp.issubdtype(value.dtype, jnp.floating):
            value = value.astype(precision)
        variable.set_value(jax.device_put(value, everywhere))


def token_mask(inputs: Mapping[str, Any]) -> Array:
    """Return which tokens of a call are no padding: bool (batch, seq), or (batch * choices, seq)."""
    attended = mask_of(inputs)
    mask = jnp.ones_like(inputs["input_ids"]) if attended is None else attended  # (batch, …, seq)
    return mask.reshape(-1, mask.shape[-1]) != 0


def teacher_outputs(teacher: Any, inputs: Mapping[str, Any], top_k: int) -> dict[str, Array]:
    """Return what `distilbert_common.training.Engine.teacher_outputs` does, as tensors."""
    check_top_k(teacher._table_head, teacher.config.vocab_size, top_k)
    hidden = teacher.distilbert.forward(**inputs, return_dict=True).last_hidden_state  # (batch, seq, dim)
    mask = token_mask(inputs)  # (batch, seq)
    x = teacher.lm_transform(hidden).reshape(-1, hidden.shape[-1])  # (batch * seq, dim)
    weight, bias = teacher.vocab_projector.weights(teacher.get_input_embeddings().embedding[...])
    size = min(LOSS_CHUNK_TOKENS, len(x))
    chunks = jnp.pad(x, ((0, -len(x) % size), (0, 0))).reshape(-1, size, x.shape[-1])  # (chunks, size, dim)
    top = jax.lax.map(lambda chunk: jax.lax.top_k(chunk @ weight.T + bias, top_k), chunks)
    logits, indices = (part.reshape(-1, top_k)[: len(x)].reshape(*mask.shape, top_k) for part in top)
    outputs = {"indices": indices.astype(np.int32), "logits": logits, "hidden": hidden}
    return {name: jnp.where(mask[..., None], value, 0) for name, value in outputs.items()}
