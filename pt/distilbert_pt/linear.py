"""The matrix products of the model, by oneDNN where that is faster than what PyTorch takes by itself.

PyTorch multiplies float32 on the CPU by MKL, which does not use AVX-512 on processors of other makers than Intel:
oneDNN, which every build for x86 holds, is more than twice as fast there (`benchmarks/`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

ONEDNN = (
    torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
"""Whether this machine and this PyTorch have what is needed."""

BFLOAT16 = ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()
DTYPES = (torch.float32, torch.bfloat16) if BFLOAT16 else (torch.float32,)
"""What oneDNN multiplies here; PyTorch would give it bfloat16 too, but copy the bias before each product."""


class Product(torch.autograd.Function):
    """`a @ b.T + bias`, differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        """(rows, inner), (columns, inner), (columns,) -> (rows, columns)."""
        ctx.save_for_backward(a, b)
        return product(a, b, bias)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients, each again such a product; oneDNN reads transposed matrices as they lie."""
        (a, b), needed = ctx.saved_tensors, ctx.needs_input_grad
        return (
            Product.apply(d, b.t(), None) if needed[0] else None,
            Product.apply(d.t(), a.t(), None) if needed[1] else None,
            d.sum(dim=0) if needed[2] else None,
        )


class ProductOfGelu(torch.autograd.Function):
    """`gelu(a) @ b.T + bias`, differentiable any number of times, which keeps `a` and computes `gelu(a)` again."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor) -> Tensor:
        """(rows, inner), (columns, inner), (columns,) -> (rows, columns)."""
        ctx.save_for_backward(a, b)
        return product(F.gelu(a), b, bias)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients."""
        (a, b), needed = ctx.saved_tensors, ctx.needs_input_grad
        return (
            torch.ops.aten.gelu_backward(Product.apply(d, b.t(), None), a) if needed[0] else None,
            Product.apply(d.t(), F.gelu(a).t(), None) if needed[1] else None,
            d.sum(dim=0) if needed[2] else None,
        )


def product(a: Tensor, b: Tensor, bias: Tensor | None, then: str = "none") -> Tensor:
    """Return `a @ b.T + bias` with an elementwise function after it: "none", or "gelu" for the exact GELU."""
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, then, [], "none" if then == "gelu" else "")


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `a @ b.T + bias` without recording gradients, by the faster of the two ways."""
    return product(a, b, bias) if takes_onednn(a, b) else F.linear(a, b, bias)


def takes_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN multiplies these: plain matrices on the CPU, here and now; else PyTorch does as it always does."""
    return (
        ONEDNN
        and x.numel() > 0
        and x.dtype == weight.dtype
        and x.dtype in DTYPES
        and x.device.type == "cpu"
        and type(weight) in (Tensor, nn.Parameter)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.is_autocast_enabled("cpu")
        and torch._C._functorch.maybe_current_level() is None
        and forward_ad._current_level < 0
    )


class Linear(nn.Linear):
    """`nn.Linear`, the same parameters and values."""

    _packed: Tensor | None = None
    _stamp: tuple[int, int, int] | None = None
    prepacked = False

    def prepack(self, wanted: bool = True) -> None:
        """Keep the weight a second time as oneDNN lays it out, for calls without gradients; or let go of it."""
        self.prepacked, self._packed, self._stamp = wanted, None, None

    def laid_out(self) -> Tensor:
        """Return the weight as it is multiplied fastest; laid out anew where PyTorch has counted a change of it."""
        weight = self.weight
        if not self.prepacked or weight.is_inference():
            return weight
        stamp = (id(weight), weight._version, weight.data_ptr())
        if self._packed is None or stamp != self._stamp:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
            self._stamp = stamp
        return self._packed

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # PyTorch neither copies nor stores what is laid out

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        if not takes_onednn(x, self.weight):
            return F.linear(x, self.weight, self.bias)
        rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
        trained = self.is_trained_with(x)
        found = Product.apply(rows, self.weight, self.bias) if trained else product(rows, self.laid_out(), self.bias)
        return found.view(*x.shape[:-1], self.out_features)

    def is_trained_with(self, x: Tensor) -> bool:
        """Whether a gradient is to be taken through `forward`."""
        wanted = x.requires_grad or self.weight.requires_grad or self.bias.requires_grad
        return wanted and torch.is_grad_enabled()

    def takes_gelu(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> bool:
        """Whether an activation beside the product is the exact GELU and can be one step with it."""
        hooked = self._forward_hooks or self._forward_pre_hooks
        return activation is F.gelu and not hooked and takes_onednn(x, self.weight)

    def then(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the activation of `forward`, in one step where that can be: the exact GELU without gradients."""
        if not torch.is_grad_enabled() and self.takes_gelu(x, activation):
            rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
            return product(rows, self.laid_out(), self.bias, "gelu").view(*x.shape[:-1], self.out_features)
        return activation(self(x))

    def after(self, activation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Return `forward` of the activation; the exact GELU is computed again for the gradients where that can be."""
        if self.is_trained_with(x) and self.takes_gelu(x, activation):
            rows = x.reshape(-1, x.size(-1))  # (rows, in_features)
            return ProductOfGelu.apply(rows, self.weight, self.bias).view(*x.shape[:-1], self.out_features)
        return self(activation(x))
