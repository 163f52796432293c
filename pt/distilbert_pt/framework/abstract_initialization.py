"""Building a model without values, before a checkpoint brings them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["SkipRandomInit"]


class SkipRandomInit(TorchFunctionMode):
    """Leaves out random values: to be entered after `torch.device("meta")`, where there is nothing to fill.

    There PyTorch would take `normal_` from its reference operators, for which it imports its compiler: as long as
    the remainder of loading.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of PyTorch, unless it draws normal values."""
        kwargs = kwargs or {}
        if func in (Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
