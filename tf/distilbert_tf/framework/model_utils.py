"""What programs ask any model of transformers' TensorFlow classes for: sizes, names, small inputs."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

import keras
from keras import ops

from distilbert_common.errors import InputError
from distilbert_common.pretrained import DUMMY_IDS, PreTrainedMixin
from distilbert_tf.arrays import Tensor
from distilbert_tf.framework.calling import names_of
from distilbert_tf.framework.export import ids_and_mask

__all__ = ["ModelUtils"]


class ModelUtils(PreTrainedMixin, keras.Model):
    """The methods and facts of a model that need nothing of DistilBERT's inside but its config."""

    input_axes: ClassVar[int]
    framework: ClassVar[str] = "tf"

    @property
    def num_labels(self) -> int:
        """The number of labels."""
        return self.config.num_labels

    @property
    def name_or_path(self) -> str:
        """Where the model was loaded from; "" for a new one."""
        return self.config.name_or_path or ""

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Count parameters; a tied one counts once."""
        return sum(prod(v.shape) for v in self.weights if v.trainable or not only_trainable)

    @property
    def dummy_inputs(self) -> dict[str, Tensor]:
        """A small batch that the model takes: (3, 5), or with choices (3, 1, 5)."""
        ids = ops.convert_to_tensor(DUMMY_IDS, "int32")
        return {"input_ids": ids if self.input_axes == 2 else ops.expand_dims(ids, 1)}

    @property
    def input_signature(self) -> dict[str, Any]:
        """The inputs of a served model: ids and mask of any size, as TensorFlow describes them."""
        import tensorflow as tf

        specs = ids_and_mask(self.input_axes, "int32")
        return {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()}

    def serving(self, inputs: dict[str, Tensor]) -> Any:
        """Return the output of ids and mask, as a served model does."""
        return self.serving_output(self(inputs))

    eager_serving = serving

    def serving_output(self, output: Any) -> Any:
        """Return what a served model gives of an output: all that it has."""
        return output

    def get_lm_head(self) -> keras.layers.Layer | None:
        """Return the layer that projects to the vocabulary, or None for a model without one."""
        return getattr(self, "vocab_projector", None)

    def get_output_embeddings(self) -> keras.layers.Layer | None:
        """Return the masked-LM projector, or None for a model without one."""
        return self.get_lm_head()

    def get_prefix_bias_name(self) -> str | None:
        """Return the name of the layer whose bias belongs to the vocabulary, or None for a model without one."""
        head = self.get_lm_head()
        return None if head is None else f"{self.name}/{head.name}"

    def get_bias(self) -> dict[str, keras.Variable] | None:
        """Return the bias of the vocabulary by its name, or None for a model without one."""
        head = self.get_lm_head()
        return None if head is None else {"bias": head.bias}

    def set_bias(self, value: Mapping[str, Tensor]) -> None:
        """Give the bias of the vocabulary other values, (vocab,), under the name that `get_bias` has for it.

        Raises:
            InputError: The model has no such bias.
        """
        biases = self.get_bias() or {}
        for name, values in value.items():
            if name not in biases:
                raise InputError(f"{type(self).__name__} has no bias called {name!r}; get_bias() has those that it has")
            biases[name].assign(values)

    def get_output_layer_with_bias(self) -> keras.layers.Layer | None:
        """Return the layer whose bias belongs to the vocabulary, or None for a model without one."""
        return self.get_lm_head()

    def call_signature_names(self) -> set[str]:
        """Return the names of the arguments of `call`."""
        return names_of(self.call)
