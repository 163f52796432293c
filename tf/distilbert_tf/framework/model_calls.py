"""`model(...)`: any calling style, checked before any compute, and compiled where that can be."""

from __future__ import annotations

from typing import Any

from distilbert_common import DistilBertConfig, ModelOutput
from distilbert_common.checks import check_one_input, check_one_mask
from distilbert_common.constants import IGNORE_INDEX
from distilbert_tf.checks import check_inputs, check_labels
from distilbert_tf.fast.compiled import call as compiled_call
from distilbert_tf.fast.compiled import compiles
from distilbert_tf.framework.calling import bind

__all__ = ["ModelCalls"]


class ModelCalls:
    """How a model is called; a base beside `keras.Model`."""

    config: DistilBertConfig

    def __call__(self, *args: Any, jit: bool = True, unpad: bool = True, **kwargs: Any) -> Any:
        """Check the arguments and call the model; on TensorFlow as a graph.

        Args:
            *args: Arguments of `call` in order, or one dict or list of them.
            jit: Whether to compile; see `distilbert_tf.compiled`. A call inside a graph becomes a part of it.
            unpad: Whether a compiled call may leave padding out where that pays; its hidden states are 0 then. False
                computes them as transformers does.
            **kwargs: Arguments of `call` by name.
        """
        arguments = bind(self.call, args, kwargs)
        self.check(**arguments)
        if jit and compiles(self, arguments):
            return compiled_call(self, arguments, unpad)
        return super().__call__(**arguments)

    def check(
        self,
        input_ids: Any = None,
        inputs_embeds: Any = None,
        position_ids: Any = None,
        token_type_ids: Any = None,
        attention_mask: Any = None,
        segment_ids: Any = None,
        labels: Any = None,
        **_: Any,
    ) -> None:
        """Check one call before any compute; see `check_inputs`."""
        check_one_input(input_ids, inputs_embeds)
        check_one_mask(attention_mask, segment_ids)
        check_inputs(self.config, input_ids, inputs_embeds, position_ids, token_type_ids)
        if labels is not None and segment_ids is None:
            check_labels(labels, self.classes_of(labels), IGNORE_INDEX)

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

    def result(self, output: ModelOutput, return_dict: bool | None) -> Any:
        """Return the output as it is, or as a tuple where the call or the config asks for one."""
        return output if (self.config.return_dict if return_dict is None else return_dict) else output.to_tuple()
