"""Changing the size of a model after the fact: vocabulary, positions, attention heads.

The model is given new variables and another config, so that what `nnx.split` and `nnx.clone` gave before stays whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from distilbert_common.errors import InputError
from distilbert_common.pruning import check_heads, merged, remaining_columns
from distilbert_flax.framework.variables import is_shape

__all__ = ["prune", "resize_positions", "resize_tokens"]


def with_rows(old: Array, new_rows: Array) -> Array:
    """Return a table (rows, ...) with the values of `new_rows`, where those of `old` do not replace them."""
    rows = min(len(old), len(new_rows))
    return new_rows.astype(old.dtype).at[:rows].set(old[:rows])


def change_config(model: nnx.Module, **fields: Any) -> None:
    """Put a config with other sizes in the place of the model's, which the layers inside share.

    Raises:
        InputError: The model holds no parameters, which would have to change too.
        ConfigError: The sizes break a rule.
    """
    if any(map(is_shape, model.flat_variables().values())):
        raise InputError("the model holds no parameters (_do_init=False); set them first: model.params = params")
    config = model.config.updated(**fields)
    for _, module in nnx.iter_modules(model):
        if hasattr(module, "config"):
            module.config = config


def resize_tokens(model: nnx.Module, vocab_size: int, mean_resizing: bool) -> None:
    """Give the word embeddings, and the masked-LM projector with its bias, another number of rows.

    Args:
        model: Changed in place, its config too.
        vocab_size: The new number of rows.
        mean_resizing: Whether new rows start as the mean of the old ones, or else as a new model's would.

    Raises:
        InputError: The model holds no parameters.
    """
    change_config(model, vocab_size=vocab_size)
    embeddings, projector = model.get_input_embeddings(), model.get_output_embeddings()
    embeddings.embedding = resized(model, "word_embeddings.weight", embeddings.embedding, vocab_size, mean_resizing)
    embeddings.num_embeddings = vocab_size
    if projector is not None:
        projector.bias = resized(model, "vocab_projector.bias", projector.bias, vocab_size, mean_resizing)
        if projector.kernel is not None:  # the tied one is the word table
            table = projector.kernel.replace(projector.kernel[...].T)  # (vocab, dim)
            table = resized(model, "vocab_projector.weight", table, vocab_size, mean_resizing)
            projector.kernel = table.replace(table[...].T)


def resized(
    model: nnx.Module, name: str, old: nnx.Variable[Array], rows: int, mean_resizing: bool = False
) -> nnx.Variable[Array]:
    """Return a variable with another number of rows: the old ones, then new ones; itself where it has that many."""
    if len(old[...]) == rows:
        return old
    like = jax.ShapeDtypeStruct((rows, *old.shape[1:]), old.dtype)
    if mean_resizing:
        fresh = jnp.broadcast_to(old[...].astype(jnp.float32).mean(axis=0), like.shape)
    else:
        key = model.base_model.embeddings.dropout.rngs()  # the model's own stream: its seed sets the values
        fresh = model.initial_value(name, like, key)
    return old.replace(with_rows(old[...], fresh))


def resize_positions(model: nnx.Module, positions: int) -> None:
    """Give the position table another number of rows; new ones are the sinusoid's where the config says so."""
    change_config(model, max_position_embeddings=positions)
    table = model.get_position_embeddings()
    table.embedding = resized(model, "position_embeddings.weight", table.embedding, positions)
    table.num_embeddings = positions


def prune(model: nnx.Module, heads_to_prune: Mapping[int, Iterable[int]]) -> None:
    """Remove attention heads: the matrices become smaller, and the config remembers what is gone."""
    before, heads_to_prune = model.config, check_heads(model.config, heads_to_prune)
    change_config(model, pruned_heads=merged(before, heads_to_prune))
    for layer, heads in heads_to_prune.items():
        attention = model.base_model.transformer.layer[layer].attention
        columns = remaining_columns(before, layer, heads)
        for lin in (attention.q_lin, attention.k_lin, attention.v_lin):
            lin.kernel = lin.kernel.replace(lin.kernel[:, columns])
            lin.bias = lin.bias.replace(lin.bias[columns])
            lin.out_features = len(columns)
        out = attention.out_lin
        out.kernel = out.kernel.replace(out.kernel[columns])
        out.in_features = len(columns)
