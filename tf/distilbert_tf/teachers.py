"""Teachers: how one is called, and what one says ahead of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_common.distillation import check_top_k, mask_of
from distilbert_tf.arrays import Tensor
from distilbert_tf.layers import table_of

__all__ = ["detached", "encode", "logits_of", "projection_of", "teacher_outputs", "token_mask"]

Tensors = Mapping[str, Any]


def encode(model: Any, inputs: Tensors, *, training: bool) -> Tensor:
    """Return the last hidden state (batch, seq, dim) that a model's head is given."""
    return model.distilbert(**inputs, training=training).last_hidden_state


def projection_of(model: Any, dtype: str) -> tuple[Tensor, Tensor]:
    """Return what a masked LM multiplies by and adds, (vocab, dim) and (vocab,), in a dtype."""
    matrix, bias = model.vocab_projector.matrix(table_of(model.get_input_embeddings()))
    return ops.cast(matrix, dtype), ops.cast(bias, dtype)


def logits_of(model: Any, x: Tensor) -> Tensor:
    """Return the logits of a masked LM: (…, dim) -> (…, vocab)."""
    matrix, bias = projection_of(model, x.dtype)
    return ops.matmul(x, ops.transpose(matrix)) + bias


def detached(output: Any) -> Any:
    """Return a teacher's output, through whose tensors no gradient flows."""
    fixed = type(output)()
    for name, value in output.items():
        fixed[name] = value if isinstance(value, tuple) else ops.stop_gradient(value)
    return fixed


def token_mask(inputs: Tensors) -> Tensor:
    """Return which tokens of a call are no padding: bool (batch, seq), or (batch * choices, seq)."""
    attended = mask_of(inputs)
    mask = ops.ones_like(inputs["input_ids"]) if attended is None else attended  # (batch, …, seq)
    return ops.not_equal(ops.reshape(mask, (-1, ops.shape(mask)[-1])), 0)


def teacher_outputs(teacher: Any, inputs: Tensors, top_k: int) -> dict[str, Tensor]:
    """Return what `distilbert_common.training.Engine.teacher_outputs` does, as tensors."""
    check_top_k(teacher.head, teacher.config.vocab_size, top_k)
    hidden = encode(teacher, inputs, training=False)  # (batch, seq, dim)
    mask = token_mask(inputs)  # (batch, seq)
    x = ops.reshape(teacher.lm_transform(hidden), (-1, hidden.shape[-1]))  # (tokens, dim)
    tokens, missing = ops.shape(x)[0], ops.zeros((LOSS_CHUNK_TOKENS, x.shape[-1]), x.dtype)
    x = ops.concatenate([x, missing])[: -(-tokens // LOSS_CHUNK_TOKENS) * LOSS_CHUNK_TOKENS]
    chunks = ops.reshape(x, (-1, LOSS_CHUNK_TOKENS, x.shape[-1]))  # (chunks, chunk, dim)
    top = ops.map(lambda chunk: tuple(ops.top_k(logits_of(teacher, chunk), top_k)), chunks)  # (chunks, chunk, top_k)
    shape = (*ops.shape(mask), top_k)
    logits, indices = (ops.reshape(ops.reshape(part, (-1, top_k))[:tokens], shape) for part in top)
    outputs = {"indices": ops.cast(indices, "int32"), "logits": logits, "hidden": hidden}
    return {name: ops.where(mask[..., None], value, ops.zeros_like(value)) for name, value in outputs.items()}
