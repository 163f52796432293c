"""NumPy arrays to tensors and back, bfloat16 included; dtypes and devices by name; outputs as trees."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from distilbert_common import OUTPUT_TYPES, ModelOutput
from distilbert_common.errors import DeviceError, InputError
from distilbert_common.loading_options import sole_value

PLACED_BY_LIBRARY = ("auto", "balanced", "balanced_low_0", "sequential")
"""The words with which transformers leaves the choice of a device to a library."""


def to_tensor(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Return an array as a tensor of the given dtype.

    A writable array in C order becomes the tensor's memory, as one from `load_weights` is then nobody else's. Any
    other, such as a read-only view of a file, is copied once, into memory aligned as PyTorch computes fastest.
    """
    if not (array.flags.writeable and array.flags.c_contiguous):
        return copied(array, dtype)
    if array.dtype.name == "bfloat16":  # torch does not know NumPy's bfloat16: the bits go over as integers
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16).to(dtype)
    return torch.from_numpy(array).to(dtype)


def copied(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Return a copy of an array as a tensor of the given dtype."""
    from distilbert_conversion import DTYPES, fill

    if not dtype.is_floating_point:
        return torch.from_numpy(array.copy()).to(dtype)
    if str(dtype).removeprefix("torch.") not in DTYPES:  # as float8, which NumPy has not
        return copied(array, torch.float32).to(dtype)
    tensor = torch.empty(array.shape, dtype=dtype)
    with np.errstate(over="ignore"):  # as PyTorch does
        fill(to_array(tensor), array)
    return tensor


def to_array(tensor: Tensor) -> np.ndarray:
    """Return the tensor's values as an array; memory is shared where the tensor is on the CPU."""
    if hasattr(tensor, "full_tensor"):  # one that is spread over processes
        tensor = tensor.full_tensor()
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes  # here, as PyTorch itself does without it

        return tensor.contiguous().view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def as_dtype(dtype: torch.dtype | str | None, default: str) -> torch.dtype:
    """Return the torch dtype of a name such as "float16"; of `default` when None or "auto".

    Raises:
        ConfigError: A mapping has no dtype for the model itself.
        InputError: The name is not a floating-point dtype of torch.
    """
    dtype = sole_value("dtype", dtype)
    if dtype is None or dtype == "auto":
        dtype = default
    resolved = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(resolved, torch.dtype) or not resolved.is_floating_point:
        raise InputError(f"dtype is {dtype!r}; expected a floating-point dtype such as 'float32' or torch.bfloat16")
    return resolved


def as_device(device: torch.device | str | int | Mapping[str, Any] | None) -> torch.device:
    """Return the device of a name.

    Args:
        device: None for PyTorch's default device; "auto", as all of `PLACED_BY_LIBRARY`, for the GPU if there is one;
            a mapping whose values are one device, as `{"": 0}`.

    Raises:
        DeviceError: There is no such device, several were named, or it holds no values.
    """
    named = set(device.values()) if isinstance(device, Mapping) else {device}
    name = next(iter(named)) if len(named) == 1 else device
    if isinstance(name, str) and name in PLACED_BY_LIBRARY:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch_device = torch.get_default_device() if name is None else torch.device(name)
        torch.empty(0, device=torch_device)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise DeviceError(f"device is {device!r}; expected one device such as 'cpu', 'cuda' or 'cuda:1'") from error
    if torch_device.type == "meta":
        raise DeviceError("device 'meta' holds no values; load on another, or make a model there from a config alone")
    return torch_device


def register_output(output_type: type[ModelOutput]) -> None:
    """Make an output type a tree for `torch.export`, `torch.func` and data parallel training."""

    def flatten(output: ModelOutput) -> tuple[list[Any], list[str]]:
        return list(output.values()), list(output.keys())

    def unflatten(values: Iterable[Any], names: list[str]) -> ModelOutput:
        output = output_type()  # any object may stand in a tree: nothing may look at the values
        for name, value in zip(names, values, strict=True):
            output[name] = value
        return output

    def flatten_with_keys(output: ModelOutput) -> tuple[list[tuple[Any, Any]], list[str]]:
        return [(pytree.MappingKey(name), value) for name, value in output.items()], list(output.keys())

    with contextlib.suppress(ValueError):  # another family, or an earlier import, has done it
        pytree.register_pytree_node(
            output_type,
            flatten,
            unflatten,
            serialized_type_name=f"{output_type.__module__}.{output_type.__name__}",
            flatten_with_keys_fn=flatten_with_keys,
        )


for each_type in OUTPUT_TYPES:
    register_output(each_type)
