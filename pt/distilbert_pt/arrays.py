"""NumPy arrays to tensors and back, bfloat16 included; dtypes and devices by name; outputs as trees."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from distilbert_common import ModelOutput
from distilbert_common.errors import InputError


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
    from distilbert_conversion.lazy import DTYPES, fill

    if str(dtype).removeprefix("torch.") not in DTYPES:  # as float8, which NumPy has not
        return copied(array, torch.float32).to(dtype)
    tensor = torch.empty(array.shape, dtype=dtype)
    with np.errstate(over="ignore"):  # as PyTorch does
        fill(to_array(tensor), array)
    return tensor


def to_array(tensor: Tensor) -> np.ndarray:
    """Return the tensor's values as an array; memory is shared where the tensor is on the CPU."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes  # here, as PyTorch itself does without it

        return tensor.contiguous().view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def as_dtype(dtype: torch.dtype | str | None, default: str) -> torch.dtype:
    """Return the torch dtype of a name such as "float16"; of `default` when None or "auto".

    Raises:
        InputError: The name is not a floating-point dtype of torch.
    """
    if dtype is None or dtype == "auto":
        dtype = default
    found = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(f"dtype is {dtype!r}; expected a floating-point dtype such as 'float32' or torch.bfloat16")
    return found


def as_device(device: torch.device | str | int | None) -> torch.device:
    """Return the device of a name; None is the CPU, "auto" the GPU if there is one.

    Raises:
        InputError: There is no such device, or a map of several was given.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device("cpu" if device is None else device)
        torch.empty(0, device=found)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise InputError(f"device is {device!r}; expected one device such as 'cpu', 'cuda' or 'cuda:1'") from error
    return found


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
