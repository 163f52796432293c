"""The input rules, read off tensors; nothing is checked where values are not concrete (compiling, tracing)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distilbert_common import DistilBertConfig
from distilbert_common.checks import check_ids, check_length, warn_token_types


def is_concrete(x: Tensor) -> bool:
    """Whether a tensor's values can be looked at, here and now: not while they are compiled, traced or mapped over."""
    return (
        not torch.compiler.is_compiling()
        and type(x) in (Tensor, nn.Parameter)
        and not x.is_meta
        and not torch.jit.is_tracing()
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
    )


def check_inputs(
    config: DistilBertConfig,
    input_ids: Tensor | None,
    inputs_embeds: Tensor | None,
    position_ids: Tensor | None,
    token_type_ids: Tensor | None,
) -> None:
    """Check length and ids of one call before any compute.

    Args:
        config: The model's config.
        input_ids: (batch, seq) integers, or None.
        inputs_embeds: (batch, seq, dim), or None.
        position_ids: (batch, seq) or (1, seq) integers, or None.
        token_type_ids: Anything; a non-zero value gives a warning.

    Raises:
        InputError: Too long an input, or an id outside its table.
    """
    words = input_ids if inputs_embeds is None else inputs_embeds
    if position_ids is None and is_concrete(words):
        check_length(words.size(1), config.max_position_embeddings)
    _check_range("input_ids", input_ids, config.vocab_size, "vocab_size")
    _check_range("position_ids", position_ids, config.max_position_embeddings, "max_position_embeddings")
    if token_type_ids is not None and is_concrete(token_type_ids) and bool(token_type_ids.any()):
        warn_token_types()


def _check_range(name: str, ids: Tensor | None, limit: int, limit_name: str) -> None:
    if ids is not None and is_concrete(ids) and ids.numel():
        lowest, highest = torch.stack(ids.aminmax()).tolist()
        check_ids(name, lowest, highest, limit, limit_name)
