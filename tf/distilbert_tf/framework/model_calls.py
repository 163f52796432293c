"""`model(...)`: any calling style, checked before any compute, and compiled where that can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from distilbert_common import DistilBertConfig
from distilbert_common.checks import check_inputs, check_one_input, check_one_mask, check_unpad
from distilbert_common.constants import IGNORE_INDEX
from distilbert_tf.checks import check_labels, check_shapes, concrete, value_range
from distilbert_tf.fast.compiled import call as compiled_call
from distilbert_tf.fast.compiled import compiles
from distilbert_tf.framework.calling import bind, inputs_argument

__all__ = ["ModelCalls"]


class ModelCalls(keras.Model):
    """How a model is called."""

    config: DistilBertConfig
    input_axes: ClassVar[int]

    def __call__(self, *args: Any, jit: bool = True, **kwargs: Any) -> Any:
        """Check the arguments and call the model; on TensorFlow as a graph.

        Args:
            *args: Arguments of `call` in order, or one dict or list of them.
            jit: Whether to compile; see `distilbert_tf.fast.compiled`. A call inside a graph becomes a part of it.
            **kwargs: Arguments of `call` by name.
        """
        arguments = bind(self.call, args, kwargs)
        self.check(**self.inputs_by_name(arguments))
        if jit and compiles(self, arguments):
            return compiled_call(self, arguments)
        return super().__call__(**arguments)

    def inputs_by_name(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments of a call by the names that inputs have: of `call(self, inputs)` those in `inputs`."""
        inputs_name = inputs_argument(self.call)
        inputs = arguments if inputs_name is None else arguments.get(inputs_name)
        return inputs if isinstance(inputs, Mapping) else {"input_ids": inputs} if hasattr(inputs, "shape") else {}

    def check(self, **inputs: Any) -> None:
        """Check the arguments of one call before any compute; see `check_inputs`."""
        if not inputs and inputs_argument(self.call):
            return  # in a form of the user's own
        input_ids: Any = inputs.get("input_ids")
        inputs_embeds: Any = inputs.get("inputs_embeds")
        attention_mask, position_ids = inputs.get("attention_mask"), inputs.get("position_ids")
        segment_ids, labels = inputs.get("segment_ids"), inputs.get("labels")
        check_one_input(input_ids, inputs_embeds)
        check_one_mask(attention_mask, segment_ids, inputs.get("layout"))
        check_unpad(inputs.get("unpad"))
        input_shape = tuple(input_ids.shape) if inputs_embeds is None else tuple(inputs_embeds.shape[:-1])
        token_type_ids = inputs.get("token_type_ids")
        check_inputs(self.config, input_shape[-1], input_ids, position_ids, token_type_ids, value_range)
        if self.input_axes == len(input_shape) == 2:
            check_shapes(input_shape, attention_mask, position_ids)
        if labels is not None and segment_ids is None:
            check_labels(labels, self.classes_of(labels), IGNORE_INDEX)

    def reads(self, inputs: Mapping[str, Any]) -> np.ndarray | bool | None:
        """Tell where the hidden states of a call are used: bool (batch, seq), True for everywhere, None for nowhere.

        Args:
            inputs: The arguments of the call by name.
        """
        labels = concrete(inputs.get("labels"))
        return None if labels is None else labels != IGNORE_INDEX  # (batch, seq)

    def classes_of(self, labels: Any) -> int | None:
        """Return how many classes labels may name, or None where they are no classes."""
        return None

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Call the model as a pure function of its variables, as Keras' JAX backend does."""
        arguments = bind(self.call, args, kwargs)
        return super().stateless_call(
            trainable_variables, non_trainable_variables, return_losses=return_losses, **arguments
        )
