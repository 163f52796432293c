"""The gradient of a model's loss for every parameter, in each framework, as arrays under PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from distilbert_conversion import full_name, weight_row
from parity_tests.helpers.compilation import FAST

Arrays = dict[str, np.ndarray]

ZERO_BY_SYMMETRY = {
    "Model": (),
    "ForMaskedLM": ("k_lin.bias",),
    "ForSequenceClassification": ("k_lin.bias",),
    "ForMultipleChoice": ("k_lin.bias", "classifier.bias"),
    "ForTokenClassification": ("k_lin.bias",),
    "ForQuestionAnswering": ("k_lin.bias", "qa_outputs.bias", "layer.{last}.output_layer_norm.bias"),
}
"""Parameters whose gradient is exactly zero, so that only rounding is left of it: a softmax does not change when all
its scores move together. A key bias moves all scores of one query; an output bias all choices or positions, and so
does the last bias before a linear output. `{last}` is the last layer."""


def pt_gradients(model: Any, inputs: Arrays, **flags: Any) -> Arrays:
    """Return the gradients of a PyTorch model."""
    import torch

    model.zero_grad()
    model(**{name: torch.as_tensor(array) for name, array in inputs.items()}, **flags).loss.backward()
    return {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}


def tf_gradients(model: Any, inputs: Arrays, **flags: Any) -> Arrays:
    """Return the gradients of a Keras model on TensorFlow."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = model(inputs, training=False, **flags).loss
    variables = {bare: v for bare, v in model.named_variables() if v.trainable}
    gradients = tape.gradient(loss, [v.value for v in variables.values()])
    dense = [tf.convert_to_tensor(g).numpy() for g in gradients]
    return _canonical(dict(zip(variables, dense, strict=True)), model.head)


def flax_gradients(model: Any, inputs: Arrays, **flags: Any) -> Arrays:
    """Return the gradients of a Flax model with respect to `params=`."""
    from flax.traverse_util import flatten_dict

    from distilbert_conversion import DIALECTS

    bare_name = DIALECTS["flax-msgpack"].bare_name
    arrays = {name: array for name, array in inputs.items() if isinstance(array, np.ndarray)}
    others = {name: value for name, value in inputs.items() if name not in arrays}
    gradients = _flax_gradient(model, frozenset({**others, **flags}.items()))(model.params, arrays)
    flat = flatten_dict(gradients, sep="/")
    return _canonical({bare_name(path): np.asarray(g) for path, g in flat.items()}, model._table_head)


@lru_cache(maxsize=1)
def _flax_gradient(model: Any, flags: frozenset[tuple[str, Any]]) -> Callable[..., Any]:
    """Return the gradient of a Flax model's loss as one program for each shape, compiled fast, as it runs once."""
    import jax

    gradient = jax.grad(lambda params, arrays: model(**arrays, **dict(flags), params=params).loss)
    return jax.jit(gradient, compiler_options=FAST)


def _canonical(gradients: Arrays, head: str) -> Arrays:
    """Turn bare names and the framework's layout into full names and PyTorch's layout."""
    return {
        full_name(bare, head): g.T if weight_row(bare, head).transform == "transpose" else g
        for bare, g in gradients.items()
    }


GRADIENTS = {"pt": pt_gradients, "tf": tf_gradients, "flax": flax_gradients}
