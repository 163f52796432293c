"""The NNX layers that the model is built of, with its dtypes and without values: those come from a file or a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from distilbert_common.constants import LAYER_NORM_EPS


class Frozen(nnx.Variable[Array]):
    """A stored weight that is not trained: no `nnx.Param`, so that `nnx.grad` and `nnx.Optimizer` pass it by."""


def no_values(_: Array, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Initialise nothing: a shape and a dtype, until the model is filled."""
    return jax.ShapeDtypeStruct(shape, dtype)


class Embed(nnx.Embed):
    """A table of which rows are looked up by id.

    Gradients pass by a frozen table, and by the pad row as in PyTorch. An id outside the table, which only traced
    code can bring this far, gives NaN: it cannot be refused there, and another row's values would pass unseen.
    """

    def __init__(self, rows: int, dim: int, *, padding_idx: int | None = None, frozen: bool = False, **kwargs: Any):
        super().__init__(rows, dim, **kwargs)
        self.padding_idx = padding_idx
        if frozen:
            self.embedding = Frozen(self.embedding.get_raw_value())

    def __call__(self, ids: Array) -> Array:
        """(batch, seq) -> (batch, seq, dim)."""
        ids = jnp.asarray(ids)
        table = jnp.asarray(self.embedding[...])  # (rows, dim)
        if isinstance(self.embedding, Frozen):
            table = jax.lax.stop_gradient(table)
        found = table.at[ids].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)  # (batch, seq, dim)
        if self.padding_idx is not None:
            found = jnp.where((ids == self.padding_idx)[..., None], jax.lax.stop_gradient(found), found)
        return found.astype(self.dtype)


class Projector(nnx.Module):
    """The masked-LM projector: dim -> vocab, by the word table where it is tied, or else by a kernel of its own."""

    def __init__(self, dim: int, vocab: int, tied: bool, dtype: DTypeLike, param_dtype: DTypeLike) -> None:
        self.kernel = None if tied else nnx.Param(jax.ShapeDtypeStruct((dim, vocab), param_dtype))
        self.bias = nnx.Param(jax.ShapeDtypeStruct((vocab,), param_dtype))
        self.dtype = dtype

    def __call__(self, x: Array, table: Array) -> Array:
        """(batch, seq, dim), and the word table (vocab, dim) -> (batch, seq, vocab)."""
        rows, bias = self.weights(table)
        return jnp.matmul(jnp.asarray(x, self.dtype), rows.T) + bias

    def weights(self, table: Array) -> tuple[Array, Array]:
        """Return what is multiplied and added, given the word table: (vocab, dim), (vocab,), in the compute dtype."""
        rows = table if self.kernel is None else self.kernel[...].T  # (vocab, dim)
        return jnp.asarray(rows, self.dtype), jnp.asarray(self.bias[...], self.dtype)


@dataclass(frozen=True)
class Layers:
    """What all layers of a model have in common, and the layers themselves.

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
        """Return the constructor's options for a model inside the model, which the outer one fills."""
        return {**self._dtypes(), "_do_init": False}

    def _dtypes(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "param_dtype": self.param_dtype, "rngs": self.rngs}

    def embed(self, rows: int, dim: int, *, padding_idx: int | None = None, frozen: bool = False) -> Embed:
        """A table; see `Embed`."""
        return Embed(rows, dim, padding_idx=padding_idx, frozen=frozen, embedding_init=no_values, **self._dtypes())

    def linear(self, in_features: int, out_features: int) -> nnx.Linear:
        """A matrix product and a bias."""
        return nnx.Linear(in_features, out_features, kernel_init=no_values, bias_init=no_values, **self._dtypes())

    def norm(self, dim: int) -> nnx.LayerNorm:
        """A LayerNorm whose variance is that of the differences from the mean, which large means do not blur."""
        options = {"scale_init": no_values, "bias_init": no_values, **self._dtypes()}
        return nnx.LayerNorm(dim, epsilon=LAYER_NORM_EPS, use_fast_variance=False, **options)

    def dropout(self, rate: float) -> nnx.Dropout:
        """A dropout, switched off until `train()` or `train=True`."""
        return nnx.Dropout(rate, deterministic=True, rngs=self.rngs)

    def projector(self, dim: int, vocab: int, *, tied: bool) -> Projector:
        """The masked-LM projector."""
        return Projector(dim, vocab, tied, self.dtype, self.param_dtype)
