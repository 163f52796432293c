"""Changing the size of a model after the fact: vocabulary, positions, attention heads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from distilbert_common.initialization import sinusoidal_table
from distilbert_common.pruning import check_heads, merged, remaining_columns

__all__ = ["prune", "resize_positions", "resize_tokens", "resized_bias"]


def with_rows(old: Tensor, new_rows: Tensor) -> Tensor:
    """Return a table (rows, ...) with the values of `new_rows`, where those of `old` do not replace them."""
    table = new_rows.to(old.dtype).to(old.device)
    rows = min(len(old), len(table))
    table[:rows] = old[:rows]
    return table


@torch.no_grad()
def resize_tokens(model: nn.Module, vocab_size: int, mean_resizing: bool) -> None:
    """Give the word embeddings, and the masked-LM projector with its bias, another number of rows.

    Args:
        model: Changed in place, its config too.
        vocab_size: The new number of rows.
        mean_resizing: Whether new rows start as the mean of the old ones, or else as a new model's would.
    """
    model.config.vocab_size = model.vocab_size = vocab_size
    embeddings, projector = model.get_input_embeddings(), model.get_output_embeddings()
    embeddings.weight = resized(model, embeddings.weight, vocab_size, mean_resizing)
    embeddings.num_embeddings = vocab_size
    if projector is not None:
        projector.weight = resized(model, projector.weight, vocab_size, mean_resizing)
        if projector.bias is not None:
            projector.bias = resized(model, projector.bias, vocab_size, mean_resizing)
        projector.out_features = vocab_size
    model.tie_weights()


def resized(model: nn.Module, old: nn.Parameter, rows: int, mean_resizing: bool) -> nn.Parameter:
    """Return a parameter with another number of rows: the old ones, then new ones; itself where it has that many."""
    if len(old) == rows:
        return old
    fresh = torch.empty(rows, *old.shape[1:])
    if mean_resizing:
        fresh[:] = old.float().mean(dim=0)
    else:
        fresh.normal_(0.0, model.config.initializer_range) if old.dim() > 1 else fresh.zero_()
    return nn.Parameter(with_rows(old, fresh), requires_grad=old.requires_grad)


def resized_bias(bias: nn.Parameter, rows: int) -> nn.Parameter:
    """Return a projector's bias with another number of rows; new ones are 0."""
    return nn.Parameter(with_rows(bias.detach(), torch.zeros(rows)), requires_grad=bias.requires_grad)


@torch.no_grad()
def resize_positions(model: nn.Module, positions: int) -> None:
    """Give the position table another number of rows; new ones are the sinusoid's where the config says so."""
    model.config.max_position_embeddings = positions
    table = model.get_position_embeddings()
    fresh = torch.empty(positions, model.config.dim).normal_(0.0, model.config.initializer_range)
    if model.config.sinusoidal_pos_embds:
        fresh = torch.from_numpy(sinusoidal_table(positions, model.config.dim))
    table.weight = nn.Parameter(with_rows(table.weight, fresh), requires_grad=table.weight.requires_grad)
    table.num_embeddings = positions


@torch.no_grad()
def prune(model: nn.Module, heads_to_prune: Mapping[int, Iterable[int]]) -> None:
    """Remove attention heads: the matrices become smaller, and the config remembers what is gone."""
    heads_to_prune = check_heads(model.config, heads_to_prune)
    for layer, heads in heads_to_prune.items():
        attention = model.base_model.transformer.layer[layer].attention
        columns = torch.from_numpy(remaining_columns(model.config, layer, heads)).to(model.device)
        for lin in (attention.q_lin, attention.k_lin, attention.v_lin):
            lin.weight, lin.bias = (nn.Parameter(p[columns], p.requires_grad) for p in (lin.weight, lin.bias))
            lin.out_features = len(columns)
        out = attention.out_lin
        out.weight = nn.Parameter(out.weight[:, columns], out.weight.requires_grad)
        out.in_features = len(columns)
    model.config.pruned_heads = merged(model.config, heads_to_prune)
