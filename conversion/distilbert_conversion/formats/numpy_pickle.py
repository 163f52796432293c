"""NumPy arrays in a PyTorch pickle: how tensors of a TPU, whose memory no storage shows, are saved.

Sources: `torch/_tensor.py` (`Tensor._reduce_ex_internal`), `numpy/core/multiarray` and `numpy.dtype.__reduce__`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from distilbert_conversion.weights.lazy import KNOWN_DTYPES, Array, LazyTensor, lazy

__all__ = ["CALLS", "ArrayRef", "DtypeRef"]


@dataclass
class ArrayRef:
    """An array of a pickle: made empty, then given its contents by `fill`.

    Attributes:
        array: The values; None until they are given.
        dtype: The type that the tensor had; None for the array's own.
    """

    array: Array | None = None
    dtype: str | None = None

    def fill(self, state: Any) -> None:
        """Take (version, shape, dtype, whether in Fortran's order, bytes)."""
        _, shape, dtype, fortran, data = state
        dtype = dtype.dtype
        if type(data) is not bytes or len(data) != prod(shape) * dtype.itemsize:
            raise ValueError("an array whose bytes do not fit its shape")
        self.array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

    def tensor(self, name: str) -> LazyTensor:
        """Return it as a tensor."""
        if self.array is None:
            raise ValueError(f"an array without values as {name!r}")
        tensor = lazy(self.array)
        native = tensor.dtype.newbyteorder("=")
        return tensor.cast(KNOWN_DTYPES.get(self.dtype, native) if self.dtype else native)


@dataclass
class DtypeRef:
    """A NumPy type of a pickle: its letter and size, then its byte order by `fill`."""

    dtype: np.dtype[Any]

    def fill(self, state: Any) -> None:
        """Take (version, byte order, …)."""
        self.dtype = self.dtype.newbyteorder(state[1] if state[1] in "<>|=" else "=")


def _dtype(code: Any, *_: Any) -> DtypeRef:
    dtype = np.dtype(code) if type(code) is str else np.dtype(object)
    if dtype.name not in KNOWN_DTYPES:
        raise ValueError(f"an array of type {dtype}")
    return DtypeRef(dtype)


def _device_tensor(data: Any, dtype: Any, *_: Any) -> Any:
    """Take an array, or the tensor of a CPU that newer versions copy to, as a tensor of the given type."""
    if isinstance(data, ArrayRef):
        return ArrayRef(data.array, dtype.text.removeprefix("torch "))
    return data


def _encode(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding != "latin1":
        raise ValueError("bytes as text of another encoding than latin1")
    return text.encode("latin1")


CALLS: dict[str, Callable[..., Any]] = {
    "_codecs encode": _encode,  # how protocol 2 writes bytes
    "numpy dtype": _dtype,
    "numpy.core.multiarray _reconstruct": lambda *_: ArrayRef(),
    "numpy._core.multiarray _reconstruct": lambda *_: ArrayRef(),
    "torch._utils _rebuild_device_tensor_from_cpu_tensor": _device_tensor,
    "torch._utils _rebuild_device_tensor_from_numpy": _device_tensor,
    "torch._utils _rebuild_xla_tensor": _device_tensor,
}
"""What a pickle may call for an array, by module and name, and what is done instead."""
