"""Gradients, updates and outputs as compiled programs.

In TensorFlow they are graphs that write to variables, in JAX pure functions of the variables' values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import keras
from keras import ops

from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor

__all__ = ["Stepping", "stepping"]

Tensors = Mapping[str, Tensor]
Parts = Mapping[str, Tensors]
"""Arrays by name, in groups by name."""
Flags = Hashable
Loss = Callable[[Parts, Any], tuple[Tensor, dict[str, Tensor]]]
"""Takes arrays, and arguments that are no arrays, and returns a loss, and its terms by name."""
Update = Callable[..., tuple[list[Tensor], Tensor]]
"""Takes the values of variables and further tensors, and returns the new values and a result."""


class Stepping(Protocol):
    """How a backend of Keras trains."""

    def gradients(
        self, loss: Loss, trained: Sequence[keras.Variable], others: Sequence[keras.Variable]
    ) -> Callable[[Parts, Flags, Tensor], tuple[tuple[Tensor, dict[str, Tensor]], list[Tensor]]]:
        """Return a function of arrays, flags and a factor: the loss times the factor, its terms, and its gradients.

        Args:
            loss: What is differentiated.
            trained: The variables to differentiate for.
            others: The other variables that the loss depends on.
        """
        ...

    def update(self, function: Update, variables: Sequence[keras.Variable]) -> Callable[..., Tensor]:
        """Return a function that gives variables the new values that `function` computes, and returns its result."""
        ...

    def outputs(self, model: Any) -> Callable[[Tensors, Flags], Any]:
        """Return a function of arrays and flags: what the model gives without dropout."""
        ...

    def program(
        self, function: Callable[[Tensors, Any], Any], variables: Sequence[keras.Variable]
    ) -> Callable[[Tensors, Flags], Any]:
        """Return a function of arrays and flags as a compiled one.

        Args:
            function: What is compiled.
            variables: What it reads.
        """
        ...


def stepping(compile: bool | None) -> Stepping:
    """Return how Keras' backend trains.

    Args:
        compile: Whether TensorFlow's graphs are compiled by XLA too; None for no.

    Raises:
        InputError: The backend is another.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise InputError(
            f"Keras trains here on TensorFlow and JAX, not on {backend}; set KERAS_BACKEND, or use PyTorch"
        )
    return JaxStepping() if backend == "jax" else TensorFlowStepping(bool(compile))


class TensorFlowStepping:
    """Graphs that read and write variables.

    All their sizes are open from the first call on: a graph for one size rounds in another way, and which sizes came
    before would tell in the last bit of a run that goes on.
    """

    def __init__(self, xla: bool) -> None:
        import tensorflow as tf

        self._graph = partial(tf.function, autograph=False, jit_compile=xla or None)

    def gradients(self, loss: Loss, trained: Sequence[keras.Variable], others: Sequence[keras.Variable]) -> Any:
        """See `Stepping.gradients`."""
        import tensorflow as tf

        watched = [variable.value for variable in trained]

        def run(arrays: Any, flags: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(watched)
                total, terms = loss(arrays, flags)
                total = total * arrays["factor"]
            gradients = tape.gradient(total, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return (total, terms), [tf.convert_to_tensor(gradient) for gradient in gradients]

        program = self.program(run, trained)
        return lambda arrays, flags, factor: program({**arrays, "factor": factor}, flags)

    def update(self, function: Update, variables: Sequence[keras.Variable]) -> Any:
        """See `Stepping.update`."""

        def run(*arguments: Any) -> Tensor:
            values, result = function([variable.value for variable in variables], *arguments)
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            return result

        return self._graph(run)

    def outputs(self, model: Any) -> Any:
        """See `Stepping.outputs`; a call of the model compiles itself."""
        return lambda arrays, flags: model(**arrays, **dict(flags), training=False, return_dict=True)

    def program(self, function: Callable[[Any, Any], Any], variables: Sequence[keras.Variable]) -> Any:
        """See `Stepping.program`; a graph finds the variables itself."""
        import tensorflow as tf

        graphs: dict[Any, Any] = {}

        def call(arrays: Any, flags: Any) -> Any:
            specs = tf.nest.map_structure(lambda x: tf.TensorSpec([None] * len(x.shape), x.dtype), arrays)
            key = (flags, str(specs))
            if key not in graphs:
                graphs[key] = self._graph(lambda arrays: function(arrays, flags), input_signature=[specs])
            return graphs[key](arrays)

        return call


class JaxStepping:
    """Pure functions of values; what they change, they take over the memory of."""

    def gradients(self, loss: Loss, trained: Sequence[keras.Variable], others: Sequence[keras.Variable]) -> Any:
        """See `Stepping.gradients`."""
        import jax

        def run(trained_values: Any, other_values: Any, arrays: Parts, factor: Tensor, flags: Any) -> Any:
            def scaled(values: Any) -> tuple[Tensor, dict[str, Tensor]]:
                mapping = [*zip(trained, values, strict=True), *zip(others, other_values, strict=True)]
                with keras.StatelessScope(mapping):
                    total, terms = loss(arrays, flags)
                return total * factor, terms

            return jax.value_and_grad(scaled, has_aux=True)(trained_values)

        program = jax.jit(run, static_argnames="flags")
        return lambda arrays, flags, factor: program(values_of(trained), values_of(others), arrays, factor, flags=flags)

    def update(self, function: Update, variables: Sequence[keras.Variable]) -> Any:
        """See `Stepping.update`."""
        import jax

        program = jax.jit(function, donate_argnums=0)

        def run(*arguments: Any) -> Tensor:
            values, result = program(values_of(variables), *arguments)
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            return result

        return run

    def outputs(self, model: Any) -> Any:
        """See `Stepping.outputs`."""

        def call(arrays: Tensors, flags: Any) -> Any:
            return model(**arrays, **dict(flags), training=False, return_dict=True)

        return self.program(call, model.variables)

    def program(self, function: Callable[[Any, Any], Any], variables: Sequence[keras.Variable]) -> Any:
        """See `Stepping.program`."""
        import jax

        def run(values: Any, arrays: Tensors, flags: Any) -> Any:
            with keras.StatelessScope(list(zip(variables, values, strict=True))):
                return function(arrays, flags)

        program = jax.jit(run, static_argnames="flags")
        return lambda arrays, flags: program(values_of(variables), arrays, flags=flags)


def values_of(variables: Sequence[keras.Variable]) -> list[Tensor]:
    """Return the values of variables."""
    return [ops.convert_to_tensor(variable) for variable in variables]
