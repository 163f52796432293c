"""What the models compute with Keras' own layers, and the projector to the vocabulary.

Tools of Keras look for exactly its own layers, to quantize them or to give them LoRA, so that is what the models hold.
Where its formulas fall short of PyTorch's numbers, the functions here compute with a layer's weights; a layer of any
other class, and one that was quantized or given LoRA, is called.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from distilbert_common import DistilBertConfig
from distilbert_tf.arrays import Tensor, with_dense_gradient
from distilbert_tf.checks import is_concrete
from distilbert_tf.framework.configured import Configured
from distilbert_tf.initialization import initializer, serializable

__all__ = ["Projector", "is_plain", "look_up", "normalize", "table_of"]


def is_plain(layer: keras.layers.Layer, kind: type[keras.layers.Layer]) -> bool:
    """Whether a layer is exactly of a class of Keras, with its weights as they were made."""
    changed = getattr(layer, "lora_enabled", False) or layer.dtype_policy.quantization_mode is not None
    return type(layer) is kind and layer.built and not changed and layer.activity_regularizer is None


def look_up(layer: keras.layers.Layer, ids: Tensor, padding_idx: int | None = None) -> Tensor:
    """Return rows of a table: (batch, seq) -> (batch, seq, dim).

    Gradients pass by the pad row, as in PyTorch. An id outside the table, which only traced code can bring this far,
    gives NaN, or TensorFlow's own error: it cannot be refused there, and another row's values would pass unseen.

    Args:
        layer: The embedding.
        ids: (batch, seq).
        padding_idx: The row that no gradient reaches.
    """
    if not keras.backend.is_int_dtype(ids.dtype):  # as Keras' own: it builds models with float ids at times
        ids = ops.cast(ids, "int32")
    if is_plain(layer, keras.layers.Embedding):
        table = with_dense_gradient(ops.convert_to_tensor(layer.embeddings))  # (rows, dim)
        rows = ops.cast(ops.take(table, ids, axis=0), layer.compute_dtype)  # (batch, seq, dim)
    else:
        rows = layer(ids)  # (batch, seq, dim)
    if not is_concrete(ids) and hasattr(layer, "input_dim"):
        inside = ops.logical_and(ids >= 0, ids < layer.input_dim)  # (batch, seq)
        rows = ops.where(ops.expand_dims(inside, -1), rows, ops.cast(float("nan"), rows.dtype))
    if padding_idx is None:
        return rows
    pad = ops.equal(ids, padding_idx)  # (batch, seq)
    return ops.where(ops.expand_dims(pad, -1), ops.stop_gradient(rows), rows)


def table_of(layer: keras.layers.Layer) -> Tensor:
    """Return the whole table of an embedding (rows, dim); one that was quantized as what its rows stand for."""
    if layer.dtype_policy.quantization_mode is None:
        return ops.convert_to_tensor(layer.embeddings)
    return layer(ops.arange(layer.input_dim))


def normalize(layer: keras.layers.Layer, x: Tensor) -> Tensor:
    """(..., dim) -> (..., dim): a LayerNorm as its formula reads, (x - mean) / sqrt(variance + epsilon) * gamma + beta.

    In float32. Keras multiplies x and the mean out, which costs digits where the mean is large against the deviation.
    """
    plain = is_plain(layer, keras.layers.LayerNormalization) and layer.center and layer.scale and not layer.rms_scaling
    if not plain or layer.axis not in (-1, [-1], len(x.shape) - 1):
        return layer(x)
    dtype, x = layer.compute_dtype, ops.cast(x, "float32")
    x = x - ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(x), axis=-1, keepdims=True)
    gamma, beta = ops.cast(layer.gamma, "float32"), ops.cast(layer.beta, "float32")
    return ops.cast(x * ops.rsqrt(variance + layer.epsilon) * gamma + beta, dtype)


@serializable
class Projector(Configured, keras.layers.Layer):
    """The masked-LM projector: dim -> vocab, by the word table where it is tied, or else by a kernel of its own."""

    kernel: keras.Variable | None

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.kernel = None

    def build(self, input_shape: Any = None) -> None:
        """Create the bias and, where it is not tied, the kernel."""
        dim, vocab, tied = self.config.dim, self.config.vocab_size, self.config.tie_word_embeddings
        self.bias = self.add_weight(shape=(vocab,), initializer="zeros", name="bias")
        if not tied:
            values = initializer("vocab_projector.weight", self.config)
            self.kernel = self.add_weight(shape=(dim, vocab), initializer=values, name="kernel")

    def call(self, x: Tensor, table: Tensor) -> Tensor:
        """(batch, seq, dim), and the word table (vocab, dim) -> (batch, seq, vocab)."""
        if self.kernel is None:
            return ops.einsum("bsd,vd->bsv", x, table) + ops.cast(self.bias, x.dtype)
        return ops.matmul(x, self.kernel) + ops.cast(self.bias, x.dtype)

    def matrix(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is multiplied and added, given the word table: (vocab, dim) and (vocab,)."""
        rows = table if self.kernel is None else ops.transpose(self.kernel)  # (vocab, dim)
        return rows, ops.convert_to_tensor(self.bias)
