"""The Keras layers that the model is built of, with its initial values, dtypes and serialisation."""

from __future__ import annotations

from typing import Any, Self

import keras
from keras import ops

from distilbert_common import DistilBertConfig
from distilbert_common.constants import LAYER_NORM_EPS
from distilbert_common.initialization import init_scheme, sinusoidal_table
from distilbert_tf.arrays import Tensor

serializable = keras.saving.register_keras_serializable(package="distilbert_tf")
"""Registers a class, so that Keras loads it from a file without `custom_objects`."""


@serializable
class Normal(keras.initializers.RandomNormal):
    """Normal values around 0, with one row of zeros."""

    def __init__(self, stddev: float, zero_row: int | None = None, seed: int | None = None, mean: float = 0.0) -> None:
        super().__init__(mean, stddev, seed)
        self.zero_row = zero_row

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """Return a tensor of the given shape and dtype."""
        values = super().__call__(shape, dtype)
        if self.zero_row is None:
            return values
        return ops.where((ops.arange(shape[0]) != self.zero_row)[:, None], values, ops.zeros_like(values))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "zero_row": self.zero_row}


@serializable
class Sinusoidal(keras.initializers.Initializer):
    """The sinusoidal position table."""

    def __call__(self, shape: tuple[int, int], dtype: Any = None) -> Tensor:
        """Return a tensor of the given shape and dtype."""
        return ops.convert_to_tensor(sinusoidal_table(*shape), dtype=dtype)


def initializer(name: str, config: DistilBertConfig) -> keras.initializers.Initializer:
    """Return what gives a parameter its initial value, by `init_scheme`.

    Args:
        name: Its canonical (PyTorch) name, or the end of it.
        config: The model's config.
    """
    kind = init_scheme(name, config)
    if kind == "sinusoidal":
        return Sinusoidal()
    if kind in ("zeros", "ones"):
        return keras.initializers.get(kind)
    return Normal(config.initializer_range, config.pad_token_id if kind == "word_table" else None)


def set_layer(owner: keras.layers.Layer, name: str, new: keras.layers.Layer) -> None:
    """Let `owner` hold a layer as `name`, in the place of what it held there."""
    tracker = vars(owner).get("_tracker")
    locked = tracker is not None and tracker.locked
    if locked:
        tracker.unlock()  # Keras locks layers once they are built, but has no other way to add or replace a part
    try:
        old = vars(owner).get(name)
        if isinstance(old, keras.layers.Layer) and old is not new:
            delattr(owner, name)
            tracker.untrack(old)
        keras.layers.Layer.__setattr__(owner, name, new)
    finally:
        if locked:
            tracker.lock()


class Configured:
    """What is built from a `DistilBertConfig` alone: Keras stores the config's fields and builds it from them again.

    Its parts are named after the attributes that hold them and have its dtype policy.
    """

    config: DistilBertConfig

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a layer takes the place of the one before it, also once Keras has locked this one."""
        if isinstance(value, keras.layers.Layer):
            set_layer(self, name, value)
        else:
            super().__setattr__(name, value)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as values for JSON."""
        fields = {**self.config.to_dict(), "attn_implementation": self.config.attn_implementation}
        return {**super().get_config(), "config": fields}  # type: ignore[misc]

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Build from what `get_config` returned."""
        arguments = dict(config)
        return cls(DistilBertConfig.from_dict(arguments.pop("config")), **arguments)  # type: ignore[call-arg]

    def embed(self, name: str, rows: int) -> keras.layers.Embedding:
        """A table of `rows` rows of `dim`."""
        values = initializer(f"{name}.weight", self.config)
        return keras.layers.Embedding(rows, self.config.dim, embeddings_initializer=values, **self.options(name))

    def linear(self, name: str, out_features: int) -> keras.layers.Dense:
        """A matrix product and a bias."""
        values = initializer(f"{name}.weight", self.config)
        return keras.layers.Dense(out_features, kernel_initializer=values, **self.options(name))

    def norm(self, name: str) -> keras.layers.LayerNormalization:
        """A LayerNorm."""
        return keras.layers.LayerNormalization(epsilon=LAYER_NORM_EPS, **self.options(name))

    def drop(self, name: str, rate: float, **options: Any) -> keras.layers.Dropout:
        """A dropout, which acts in training."""
        return keras.layers.Dropout(rate, **{**self.options(name), **options})

    def options(self, name: str) -> dict[str, Any]:
        """Return what every part is given."""
        return {"name": name, "dtype": self.dtype_policy}  # type: ignore[attr-defined]


class ConfiguredLayer(Configured, keras.layers.Layer):
    """A layer built from a config.

    Its inputs are not cast to the compute dtype: the lowest finite float32 of a mask would not outlive that. Its
    parts cast what they compute with.
    """

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.config = config

    def build_parts(self, *parts: keras.layers.Layer) -> None:
        """Create the weights of parts that take `dim` numbers."""
        for part in parts:
            part.build((None, None, self.config.dim))


@serializable
class Projector(Configured, keras.layers.Layer):
    """The masked-LM projector: dim -> vocab, by the word table where it is tied, or else by a kernel of its own."""

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
