"""Whether a call of a module is more than its `forward`: hooks, replaced calls, other layers than PyTorch's own."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.module import _has_any_global_hook

__all__ = ["has_hooks", "is_plain_linear", "is_watched"]

FORWARD = nn.Linear.forward


def has_hooks(module: nn.Module) -> bool:
    """Whether a call of the module runs hooks, its own or those for all modules."""
    return has_own_hooks(module) or _has_any_global_hook()


def has_own_hooks(module: nn.Module) -> bool:
    """Whether a call of the module runs hooks of its own."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def is_watched(model: nn.Module) -> bool:
    """Whether hooks see what a module inside takes and gives; asked at each call, so without PyTorch's slow walk."""
    if _has_any_global_hook():
        return True
    modules = [model]
    for module in modules:  # which grows meanwhile
        modules += [part for part in module._modules.values() if part is not None]
    return any(map(has_own_hooks, modules[1:]))


def is_plain_linear(module: nn.Module) -> bool:
    """Whether a layer is exactly `nn.Linear`, and a call of it the product and nothing else."""
    return (
        type(module) is nn.Linear
        and "forward" not in vars(module)
        and nn.Linear.forward is FORWARD
        and not has_hooks(module)
    )
