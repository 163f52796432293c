"""The input rules, read off tensors; nothing is checked where values are not concrete (compiling, tracing)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distilbert_common import DistilBertConfig, checks

__all__ = ["check_inputs", "is_concrete", "value_range"]


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
    """Check length and ids of one call before any compute; see `distilbert_common.checks.check_inputs`."""
    inputs = input_ids if inputs_embeds is None else inputs_embeds
    seq = inputs.size(1) if inputs is not None and is_concrete(inputs) else None  # a length that is traced may be any
    checks.check_inputs(config, seq, input_ids, position_ids, token_type_ids, value_range)


def value_range(ids: Tensor | None) -> tuple[int, int] | None:
    """Return the lowest and the highest value, read in one transfer; None where there is none to look at."""
    if ids is None or not is_concrete(ids) or not ids.numel():
        return None
    lowest, highest = torch.stack(ids.aminmax()).tolist()
    return lowest, highest
