"""Changing the size of a model after the fact: vocabulary, positions, attention heads.

Keras layers keep the sizes that they were built with, so layers of the new size take the place of the old ones. An
optimizer that has seen the old weights has to be compiled in anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras
import numpy as np
from keras import ops

from distilbert_common.pruning import check_heads, merged, remaining_columns
from distilbert_tf.arrays import to_array
from distilbert_tf.initialization import initializer
from distilbert_tf.layers import Projector

__all__ = ["prune", "replace_layer", "resize_positions", "resize_tokens"]


def replace_layer(owner: keras.layers.Layer, name: str, new: keras.layers.Layer) -> None:
    """Put a built layer in the place of the one that `owner` holds as `name`; whether it is trained stays as it was."""
    new.trainable = getattr(owner, name).trainable
    setattr(owner, name, new)


def with_rows(old: np.ndarray, new_rows: np.ndarray) -> np.ndarray:
    """Return a table (rows, ...) with the values of `new_rows`, where those of `old` do not replace them."""
    table, rows = new_rows.astype(old.dtype), min(len(old), len(new_rows))
    table[:rows] = old[:rows]
    return table


def resize_tokens(model: keras.Model, vocab_size: int, mean_resizing: bool) -> None:
    """Give the word embeddings, and the masked-LM projector with its bias, another number of rows.

    Args:
        model: Changed in place, its config too.
        vocab_size: The new number of rows.
        mean_resizing: Whether new rows start as the mean of the old ones, or else as a new model's would.
    """
    model.config.vocab_size = vocab_size
    owner = model.base_model.embeddings
    table = resized(
        model, "word_embeddings.weight", to_array(owner.word_embeddings.embeddings), vocab_size, mean_resizing
    )
    new = owner.embed("word_embeddings", vocab_size)
    owner.build_parts(new)
    new.embeddings.assign(table)
    replace_layer(owner, "word_embeddings", new)
    resize_projector(model, mean_resizing)


def resized(model: keras.Model, name: str, old: np.ndarray, rows: int, mean_resizing: bool = False) -> np.ndarray:
    """Return a table with another number of rows: the old ones, then new ones.

    Args:
        model: Whose config says how new rows begin.
        name: The parameter's canonical name.
        old: (old rows, ...).
        rows: How many there shall be.
        mean_resizing: Whether new rows start as the mean of the old ones, or else as a new model's would.
    """
    shape = (rows, *old.shape[1:])
    if mean_resizing:
        return with_rows(old, np.broadcast_to(old.astype(np.float32).mean(axis=0), shape))
    return with_rows(old, ops.convert_to_numpy(initializer(name, model.config)(shape, "float32")))


def resize_projector(model: keras.Model, mean_resizing: bool) -> None:
    """Let the masked-LM projector, where there is one, follow the vocabulary's size in the config."""
    old = model.get_output_embeddings()
    if old is None:
        return
    rows, new = model.config.vocab_size, Projector(model.config, **model.options("vocab_projector"))
    new.build()
    new.bias.assign(resized(model, "vocab_projector.bias", to_array(old.bias), rows, mean_resizing))
    if old.kernel is not None and new.kernel is not None:  # the tied one is the word table
        kernel = resized(model, "vocab_projector.weight", to_array(old.kernel).T, rows, mean_resizing)  # (vocab, dim)
        new.kernel.assign(kernel.T)
    replace_layer(model, "vocab_projector", new)


def resize_positions(model: keras.Model, positions: int) -> None:
    """Give the position table another number of rows; new ones are the sinusoid's where the config says so."""
    model.config.max_position_embeddings = positions
    owner = model.base_model.embeddings
    table = resized(model, "position_embeddings.weight", to_array(owner.position_embeddings.embeddings), positions)
    new = owner.embed("position_embeddings", positions)
    owner.build_parts(new)
    new.embeddings.assign(table)
    replace_layer(owner, "position_embeddings", new)


def prune(model: keras.Model, heads_to_prune: Mapping[int, Iterable[int]]) -> None:
    """Remove attention heads: the matrices become smaller, and the config remembers what is gone."""
    heads_to_prune = check_heads(model.config, heads_to_prune)
    dim = model.config.dim
    for layer, heads in heads_to_prune.items():
        attention = model.base_model.transformer.layer[layer].attention
        columns = remaining_columns(model.config, layer, heads)
        for name in ("q_lin", "k_lin", "v_lin"):
            old, new = getattr(attention, name), attention.linear(name, len(columns))
            new.build((None, None, dim))
            new.kernel.assign(to_array(old.kernel)[:, columns])
            new.bias.assign(to_array(old.bias)[columns])
            replace_layer(attention, name, new)
        old, new = attention.out_lin, attention.linear("out_lin", dim)
        new.build((None, None, len(columns)))
        new.kernel.assign(to_array(old.kernel)[columns])
        new.bias.assign(to_array(old.bias))
        replace_layer(attention, "out_lin", new)
    model.config.pruned_heads = merged(model.config, heads_to_prune)
