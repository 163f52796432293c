"""The NNX layers that the model is built of, with its dtypes and without values: those come from a file or a key.

They are NNX's own, whose changes are counted; see `framework.changes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from distilbert_common.constants import LAYER_NORM_EPS
from distilbert_flax.activations import ACTIVATIONS
from distilbert_flax.fast.recomputation import recomputed
from distilbert_flax.framework.changes import Module

__all__ = [
    "Dropout",
    "Embed",
    "Frozen",
    "LayerFactory",
    "LayerNorm",
    "Linear",
    "List",
    "Projector",
    "out_features",
]


class Frozen(nnx.Variable[Array]):
    """A stored weight that is not trained: no `nnx.Param`, so that `nnx.grad` and `nnx.Optimizer` pass it by."""


def abstract_init(_: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Initialize nothing: a shape and a dtype, until the model is filled."""
    return jax.ShapeDtypeStruct(shape, dtype)


class Linear(Module, nnx.Linear):
    """A matrix product and a bias."""


class LayerNorm(Module, nnx.LayerNorm):
    """A LayerNorm."""


class Dropout(Module, nnx.Dropout):
    """A dropout."""


class List(Module, nnx.List[Any]):
    """A list of modules."""

    __hash__ = object.__hash__  # one is itself, whatever it holds


class Embed(Module, nnx.Embed):
    """A table of which rows are looked up by id.

    Gradients pass by a frozen table, and by the pad row as in PyTorch. An id outside the table, which only traced
    code can bring this far, gives NaN: it cannot be refused there, and another row's values would pass unseen.
    """

    def __init__(self, rows: int, dim: int, *, padding_idx: int | None = None, frozen: bool = False, **kwargs: Any):
        super().__init__(rows, dim, **kwargs)
        self.padding_idx = padding_idx
        if frozen:
            self.embedding: nnx.Variable[Array] = Frozen(self.embedding.get_raw_value())

    def __call__(self, ids: Array) -> Array:
        """(batch, seq) -> (batch, seq, dim)."""
        ids = jnp.asarray(ids)
        table = jnp.asarray(self.embedding[...])  # (rows, dim)
        if isinstance(self.embedding, Frozen):
            table = jax.lax.stop_gradient(table)
        x = table.at[ids].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)  # (batch, seq, dim)
        if self.padding_idx is not None:
            x = jnp.where((ids == self.padding_idx)[..., None], jax.lax.stop_gradient(x), x)
        return x.astype(self.dtype)


class Projector(Module):
    """The masked-LM projector: dim -> vocab, by the word table where it is tied, or else by a kernel of its own."""

    def __init__(self, dim: int, vocab: int, tied: bool, dtype: DTypeLike, param_dtype: DTypeLike) -> None:
        self.kernel = None if tied else nnx.Param(jax.ShapeDtypeStruct((dim, vocab), param_dtype))
        self.bias = nnx.Param(jax.ShapeDtypeStruct((vocab,), param_dtype))
        self.dtype = dtype

    @property
    def out_features(self) -> int:
        """The size of the vocabulary."""
        return int(self.bias.get_raw_value().shape[0])

    def __call__(self, x: Array, table: Array) -> Array:
        """(batch, seq, dim), and the word table (vocab, dim) -> (batch, seq, vocab)."""
        weight, bias = self.weights(table)
        return jnp.matmul(jnp.asarray(x, self.dtype), weight.T) + bias

    def weights(self, table: Array) -> tuple[Array, Array]:
        """Return what is multiplied and added, given the word table: (vocab, dim), (vocab,), in the compute dtype."""
        weight = table if self.kernel is None else self.kernel[...].T  # (vocab, dim)
        return jnp.asarray(weight, self.dtype), jnp.asarray(self.bias[...], self.dtype)


def out_features(layer: Any) -> int | None:
    """Return the size of what a layer gives; None where its class does not tell."""
    if isinstance(layer, nnx.Sequential) and len(layer.layers):
        return out_features(layer.layers[-1])
    return int(layer.out_features) if isinstance(layer, (nnx.Linear, nnx.LoRA, Projector)) else None


@dataclass(frozen=True)
class LayerFactory:
    """Makes the layers of a model, with what they have in common.

    Attributes:
        dtype: What the layers compute in.
        param_dtype: What their weights are stored in.
        rngs: Where the weights' initial values and the dropout layers' random streams come from.
        fill: Whether the model that is built of them is to be given initial values.
    """

    dtype: DTypeLike
    param_dtype: DTypeLike
    rngs: nnx.Rngs
    fill: bool = True

    def inner(self) -> dict[str, Any]:
        """Return the constructor's options for a model inside the model, which has its config and is filled by it."""
        return {**self._dtypes(), "_do_init": False, "_is_inner": True}

    def _dtypes(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "param_dtype": self.param_dtype, "rngs": self.rngs}

    def embed(self, rows: int, dim: int, *, padding_idx: int | None = None, frozen: bool = False) -> Embed:
        """A table; see `Embed`."""
        return Embed(rows, dim, padding_idx=padding_idx, frozen=frozen, embedding_init=abstract_init, **self._dtypes())

    def linear(self, in_features: int, out_features: int) -> Linear:
        """A matrix product and a bias."""
        return Linear(in_features, out_features, kernel_init=abstract_init, bias_init=abstract_init, **self._dtypes())

    def norm(self, dim: int) -> LayerNorm:
        """A LayerNorm whose variance is that of the differences from the mean, which large means do not blur."""
        options = {"scale_init": abstract_init, "bias_init": abstract_init, **self._dtypes()}
        return LayerNorm(dim, epsilon=LAYER_NORM_EPS, use_fast_variance=False, **options)

    def dropout(self, rate: float) -> Dropout:
        """A dropout, switched off until `train()` or `train=True`."""
        return Dropout(rate, deterministic=True, rngs=self.rngs)

    def activation(self, name: str) -> Callable[[Array], Array]:
        """An activation by its config name."""
        return recomputed(ACTIVATIONS[name])

    def projector(self, dim: int, vocab: int, *, tied: bool) -> Projector:
        """The masked-LM projector."""
        return Projector(dim, vocab, tied, self.dtype, self.param_dtype)
