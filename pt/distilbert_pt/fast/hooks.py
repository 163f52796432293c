"""Whether somebody looks into a model: hooks, replaced calls, other layers than PyTorch's own."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.module import _has_any_global_hook

FORWARD = nn.Linear.forward


def has_hooks(module: nn.Module) -> bool:
    """Whether a call of the module runs hooks, its own or those for all modules."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or _has_any_global_hook()
    )


def is_plain_linear(module: nn.Module) -> bool:
    """Whether a layer is exactly `nn.Linear`, and a call of it the product and nothing else."""
    return (
        type(module) is nn.Linear
        and "forward" not in vars(module)
        and nn.Linear.forward is FORWARD
        and not has_hooks(module)
    )
