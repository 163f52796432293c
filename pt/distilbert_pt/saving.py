"""What `save_pretrained` writes: a model's weights under the converter's names, and a config that fits them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_pt.arrays import to_array
from distilbert_pt.inventory import COMPILED, PREFIX, backbone_prefix, layer_count, table_names

if TYPE_CHECKING:
    import numpy as np

WRAPPERS = ("module.", COMPILED)
"""What data parallel training and compiling put before every name of a given `state_dict`."""


def weights_to_save(model: nn.Module, state_dict: Mapping[str, Tensor] | None) -> dict[str, np.ndarray]:
    """Return arrays by the converter's names.

    Args:
        model: The model.
        state_dict: The weights to write instead of its own.

    Raises:
        InputError: A value is no tensor, or has no values here.
    """
    tensors = dict(model.state_dict()) if state_dict is None else unwrapped(state_dict)
    unusable = [name for name, value in tensors.items() if not has_numbers(value)]
    if unusable:
        raise InputError(
            f"these entries of the state_dict have no values to write: {', '.join(sorted(unusable))}; "
            "pass state_dict= with tensors, such as the one that was loaded or that your training library gathers"
        )
    for name in dropped(model, tensors):
        del tensors[name]
    names = file_names(model, list(tensors))
    return {names[name]: to_array(tensor) for name, tensor in tensors.items()}


def has_numbers(value: object) -> bool:
    """Whether an entry of a state_dict can be written: not an object, nor a parameter that a first call would make."""
    return isinstance(value, Tensor) and not is_lazy(value) and not value.is_meta


def file_names(model: nn.Module, names: list[str]) -> dict[str, str]:
    """Return under which name the converter gets each weight: those of a backbone elsewhere keep their own."""
    if backbone_prefix(model) in ("", PREFIX):
        return table_names(model, names)
    return {name: name.replace(COMPILED, "") for name in names}


def unwrapped(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a given state_dict without what wrappers put before every name."""
    tensors = dict(state_dict)
    while prefix := next((p for p in WRAPPERS if tensors and all(name.startswith(p) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def dropped(model: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names that are not stored: what the class says, and declared second names of a stored tensor."""
    ignored = [name for name in model._keys_to_ignore_on_save or () if name in tensors]
    tied = [name for name in tensors if any(re.search(pattern, name) for pattern in model._tied_weights_keys or ())]
    saved_memory = {_memory(tensor) for name, tensor in tensors.items() if name not in tied}
    return sorted({*ignored, *(name for name in tied if _memory(tensors[name]) in saved_memory)})


def _memory(tensor: Tensor) -> Any:
    """Return what tells a tensor's memory from another's."""
    return tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride()


def fitting_config(model: nn.Module) -> DistilBertConfig:
    """Return the config as the model is: its class, its dtype, its number of layers, and whether it is tied."""
    from distilbert_pt.loading import is_tied

    changed: dict[str, Any] = {
        "architectures": [type(model).__name__],
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    if model.config.tie_word_embeddings and not is_tied(model):
        warnings.warn(
            "the masked-LM projector is not tied to the word embeddings, though the config ties them: both are saved, "
            "and the saved config says tie_word_embeddings=false; call tie_weights() before to tie them",
            stacklevel=3,
        )
        changed["tie_word_embeddings"] = False
    layers = layer_count(model)
    if layers and layers != model.config.n_layers:
        changed["n_layers"] = layers
    return model.config.updated(**changed)


def call_save_function(files: Sequence[Path], save_function: Callable[..., Any]) -> None:
    """Let a caller's function write files of `torch.save` in its own way, in the place of those just written."""
    for file in files:
        if file.suffix == ".bin":
            save_function(torch.load(file, weights_only=True), str(file))
