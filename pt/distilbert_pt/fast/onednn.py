"""Matrix products by oneDNN, where that is faster than what PyTorch takes by itself.

PyTorch multiplies float32 on the CPU by MKL, which does not use AVX-512 on processors of other makers than Intel:
oneDNN, which every build for x86 holds, is more than twice as fast there (`benchmarks/`). On Intel's MKL is as fast
with plain matrices, twice as fast for gradients, whose factors lie transposed, and does not prepare each new number of
rows first; there oneDNN multiplies by packed weights alone.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd
from torch.autograd import forward_ad

from distilbert_common.constants import is_fast

__all__ = [
    "DTYPES",
    "EVERYWHERE",
    "ONEDNN",
    "OneDNNGeluLinear",
    "OneDNNLinear",
    "add_product",
    "can_use_onednn",
    "cast",
    "is_cast_to_bfloat16",
    "is_enabled",
    "is_observed",
    "is_transformed",
    "multiply",
    "product",
]

T = TypeVar("T", Tensor, Tensor | None)

ONEDNN = (
    torch.backends.mkldnn.is_available()
    and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
"""Whether this machine and this PyTorch have what is needed."""


def _made_by_intel() -> bool:
    """Whether Intel made the processor; where that cannot be told, it is taken for another maker's."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return "GenuineIntel" in platform.processor()
    with cpuinfo.open(encoding="utf-8") as file:
        return "GenuineIntel" in file.read(500)  # of the first core; some machines have hundreds


EVERYWHERE = ONEDNN and not _made_by_intel()
"""Whether oneDNN multiplies all float32 matrices, not only by packed weights."""

BFLOAT16 = ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported()
DTYPES = (torch.float32, torch.bfloat16) if BFLOAT16 else (torch.float32,)
"""What oneDNN multiplies here; PyTorch would give it bfloat16 too, but copy the bias before each product."""

CAST_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""What PyTorch casts, where it casts factors; float64 stays as it is."""


class OneDNNLinear(torch.autograd.Function):
    """`a @ b.T + bias`, differentiable any number of times."""

    @staticmethod
    @custom_fwd(device_type="cpu")
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        """(rows, inner), (columns, inner), (columns,) -> (rows, columns)."""
        ctx.save_for_backward(a, b)
        return product(a, b, bias)

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients, each again such a product; oneDNN reads transposed matrices as they lie."""
        (a, b), needed = ctx.saved_tensors, ctx.needs_input_grad
        return (
            OneDNNLinear.apply(d, b.t(), None) if needed[0] else None,
            OneDNNLinear.apply(d.t(), a.t(), None) if needed[1] else None,
            d.sum(dim=0) if needed[2] else None,
        )


class OneDNNGeluLinear(torch.autograd.Function):
    """`gelu(a) @ b.T + bias`, differentiable any number of times, which saves `a` and computes `gelu(a)` again."""

    @staticmethod
    @custom_fwd(device_type="cpu")
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        """(rows, inner), (columns, inner), (columns,) -> (rows, columns)."""
        ctx.save_for_backward(a, b)
        return product(F.gelu(a), b, bias)

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients."""
        (a, b), needed = ctx.saved_tensors, ctx.needs_input_grad
        return (
            torch.ops.aten.gelu_backward(OneDNNLinear.apply(d, b.t(), None), a) if needed[0] else None,
            OneDNNLinear.apply(d.t(), F.gelu(a).t(), None) if needed[1] else None,
            d.sum(dim=0) if needed[2] else None,
        )


def product(a: Tensor, b: Tensor, bias: Tensor | None, activation: str = "none") -> Tensor:
    """Return `activation(a @ b.T + bias)`, by MKL where that is faster: "none", or "gelu" for the exact GELU."""
    if a.dtype == torch.bfloat16 and bias is None and activation == "none":
        return a @ b.t()  # PyTorch calls oneDNN here too, and copies no transposed matrix
    if not (EVERYWHERE or b.is_mkldnn or a.dtype != torch.float32):
        plain = F.linear(a, b, bias)
        return F.gelu(plain) if activation == "gelu" else plain
    algorithm = "none" if activation == "gelu" else ""  # of the GELU: the exact one
    y: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, bias, activation, [], algorithm)
    return y


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `a @ b.T + bias` without recording gradients, by the fastest way."""
    return product(a, b, bias) if is_enabled() and can_use_onednn(a, b) else F.linear(a, b, bias)


def add_product(total: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """Return `total + a @ b` in float32, without recording gradients, and in the same memory where there is a total.

    In bfloat16 each product is rounded before it is added, as autocast rounds the product of all; float16, in which
    small gradients are lost, is multiplied in float32.

    Args:
        total: float32 (rows, columns), or None for 0.
        a: (rows, inner).
        b: (inner, columns).
    """
    if a.dtype == torch.float16:
        a, b = a.float(), b.float()
    by_onednn = EVERYWHERE and is_enabled() and can_use_onednn(a, b)
    if total is not None and a.dtype == torch.float32 and not by_onednn:
        return total.addmm_(a, b)
    y = product(a, b.t(), None) if by_onednn else a @ b
    return y.float() if total is None else total.add_(y)


def is_enabled() -> bool:
    """Whether oneDNN may multiply: it is here and switched on, and nobody records or transforms operators.

    Where PyTorch casts them, it may in training in bfloat16.
    """
    return (
        ONEDNN
        and is_fast()
        and not is_observed()
        and (not torch.is_autocast_enabled("cpu") or (is_cast_to_bfloat16() and torch.is_grad_enabled()))
    )


def is_observed() -> bool:
    """Whether somebody records or transforms operators, and is to see PyTorch's own."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # where sizes are tensors, which warn when they are compared
        or bool(torch._C._len_torch_dispatch_stack())  # as of a counter of FLOPs
        or is_transformed()
    )


def is_transformed() -> bool:
    """Whether a transform of functions runs, as `torch.func.grad`, or derivatives are computed forward."""
    return torch._C._functorch.maybe_current_level() is not None or forward_ad._current_level >= 0


def is_cast_to_bfloat16() -> bool:
    """Whether PyTorch casts factors to bfloat16, and oneDNN can multiply it here."""
    return BFLOAT16 and torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def cast(x: T) -> T:
    """Return a factor or a bias as a product takes it: in bfloat16 where PyTorch would cast it."""
    return x.to(torch.bfloat16) if x is not None and is_cast_to_bfloat16() else x


def can_use_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN multiplies these where it is enabled: plain matrices on the CPU."""
    return (
        type(x) in (Tensor, nn.Parameter)
        and type(weight) in (Tensor, nn.Parameter)
        and x.numel() > 0
        and (x.dtype == weight.dtype or (is_cast_to_bfloat16() and weight.dtype in CAST_DTYPES))
        and x.dtype in DTYPES
        and x.device.type == weight.device.type == "cpu"
    )
