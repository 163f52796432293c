"""Layers and models that Keras builds again from a `DistilBertConfig`: its way of saving and loading them."""

from __future__ import annotations

from typing import Any, Self

import keras

from distilbert_common import DistilBertConfig
from distilbert_common.constants import LAYER_NORM_EPS
from distilbert_tf.initialization import initializer

__all__ = ["Configured", "ConfiguredLayer", "NumberedLayer", "set_layer"]


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


class NumberedLayer(ConfiguredLayer):
    """A layer that each block has one of, built from a config and the number of its block."""

    def __init__(self, config: DistilBertConfig, layer: int, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.layer = layer

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as values for JSON."""
        return {**super().get_config(), "layer": self.layer}
