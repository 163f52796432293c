"""Filling a model from a checkpoint: the weights that it has, fresh values for the others."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from distilbert_common.errors import InputError
from distilbert_common.quantization import SCALE_SUFFIX
from distilbert_pt.arrays import to_array, to_tensor
from distilbert_pt.framework.abstract_initialization import SkipRandomInit
from distilbert_pt.inventory import PREFIX, table_names, tensors_of, tied_groups

if TYPE_CHECKING:
    from distilbert_common import DistilBertConfig
    from distilbert_common.load_report import LoadReport
    from distilbert_conversion import Checkpoint


def open_weights(
    name_or_path: str | Path | None, state_dict: Mapping[str, Tensor] | None, prefix: str, options: Mapping[str, Any]
) -> Checkpoint:
    """Open a checkpoint, or look at a state_dict as at one.

    Args:
        name_or_path: The checkpoint.
        state_dict: Its weights, where the caller has them.
        prefix: What stands before the backbone's names in the model, where the checkpoint has several backbones.
        options: Where files are, and which.

    Raises:
        InputError: There is neither.
    """
    from distilbert_conversion import open_checkpoint, view_checkpoint

    wrapper = prefix.removesuffix(PREFIX)
    if state_dict is not None:
        arrays = {name: to_array(tensor) for name, tensor in state_dict.items() if isinstance(tensor, Tensor)}
        return view_checkpoint(arrays, wrapper=wrapper)
    if name_or_path is None:
        raise InputError(
            "pretrained_model_name_or_path is None; give a directory or hub id, or config= and state_dict="
        )
    return open_checkpoint(name_or_path, wrapper=wrapper, **options)


def read_config(
    config_class: type[DistilBertConfig],
    path: str | Path | None,
    name_or_path: str | Path | None,
    checkpoint: Checkpoint,
    hub: Mapping[str, Any],
) -> DistilBertConfig:
    """Return a model's config, as an object of its own class.

    Args:
        config_class: The class.
        path: Where the caller says that the config is; None for the checkpoint's.
        name_or_path: The name of the checkpoint.
        checkpoint: The checkpoint.
        hub: Where files are.

    Raises:
        InputError: There is a state_dict without a config.
    """
    if path is None and checkpoint.files:
        config = config_class.from_dict(checkpoint.fields)
        config.name_or_path = str(name_or_path)
        return config
    source = name_or_path if path is None else path
    if source is None:
        raise InputError("a state_dict alone says nothing of the model's sizes; give config= too")
    return config_class.from_pretrained(source, **hub)


def build(cls: type[Any], config: DistilBertConfig, args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    """Construct a model that is to be filled: without values where the constructor is this project's.

    A user's constructor may compute with values, copy layers or load others' weights: it runs as it always does.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.device("cpu"))
        if cls.__init__.__module__.partition(".")[0] == __package__:
            stack.enter_context(torch.device("meta"))
            stack.enter_context(SkipRandomInit())
        return cls(config, *args, **kwargs)


def constructor_arguments(cls: type[Any], names: Iterable[str], config: DistilBertConfig, chosen: bool) -> set[str]:
    """Return which keywords go to a model's constructor: those that it takes and that are no config fields.

    Args:
        cls: The class.
        names: The keywords.
        config: The config, whose fields they may be.
        chosen: Whether the caller gave the config: the constructor comes first then, as in transformers.
    """
    parameters = inspect.signature(cls.__init__).parameters.values()
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    accepted = {parameter.name for parameter in parameters} - {"self", "config"}
    return {
        name
        for name in names
        if (name in accepted and chosen) or (not hasattr(config, name) and (takes_all or name in accepted))
    }


def fill(
    model: nn.Module,
    checkpoint: Checkpoint,
    dtype: torch.dtype,
    *,
    ignore_mismatched_sizes: bool = False,
    map_private: bool = False,
) -> LoadReport:
    """Give a model the weights of a checkpoint, and those that it lacks their initial values.

    Args:
        model: Built for the checkpoint.
        checkpoint: An open checkpoint.
        dtype: What floating-point weights become; whole numbers keep the model's type.
        ignore_mismatched_sizes: Whether weights of another shape are left at their initial values.
        map_private: Whether files may be mapped as the parameters' memory.

    Raises:
        CheckpointError: A weight of the backbone is missing, a weight is misshapen, or tied ones differ.
    """
    from distilbert_conversion import check, compare

    tensors = tensors_of(model)
    names = table_names(model, list(tensors))
    groups = {name: group for group in tied_groups(tensors) for name in group}
    expected = {
        names[name]: tuple(tensor.shape)
        for name, tensor in tensors.items()
        if name not in groups or _speaks_for(name, groups[name], names, checkpoint)
    }
    config = model.config.updated(tie_word_embeddings=is_tied(model))
    report = compare(checkpoint, config, model._table_head, expected=expected)
    check(checkpoint, report, ignore_mismatched_sizes=ignore_mismatched_sizes)
    loaded, optional = set(report.loaded), {*report.new_head, *(name for name, _, _ in report.mismatched)}
    fresh = {alias for name in tensors if names[name] in optional for alias in groups.get(name, [name])}
    start_fresh(model, fresh, dtype)
    for name, tensor in tensors.items():
        weight = checkpoint.weight(names[name]) if names[name] in loaded else None
        if weight is not None:
            values = to_tensor(weight.private() if map_private else weight.read(), dtype_of(model, name, tensor, dtype))
            put(model, groups.get(name, [name]), values)
    for module in model.modules():  # not to be initialized again where the model is a part of another
        module._is_hf_initialized = True
    return without_ignored(model, report)


def is_tied(model: nn.Module) -> bool:
    """Whether the masked-LM projector is the table of words; what the config says where there is no projector."""
    projector = tensors_of(model).get("vocab_projector.weight")
    return model.config.tie_word_embeddings if projector is None else projector is model.get_input_embeddings().weight


def _speaks_for(name: str, group: list[str], names: Mapping[str, str], checkpoint: Checkpoint) -> bool:
    """Whether a tied tensor is looked for under a name: under each that the file has, or else under its first."""
    present = [alias for alias in group if checkpoint.weight(names[alias]) is not None]
    return name in (present or group[:1])


def start_fresh(model: nn.Module, names: set[str], dtype: torch.dtype) -> None:
    """Give tensors that no file has their initial values: what the constructor gave them, or the model's rule."""
    modules: set[nn.Module] = set()
    for name in names:
        path, _, _ = name.rpartition(".")
        parts = path.split(".")
        modules.update(model.get_submodule(".".join(parts[: i + 1])) for i in range(len(parts)))
        modules.add(model)
        tensor = model.get_parameter_or_buffer(name)
        if tensor.is_meta:
            put(model, [name], torch.empty(tensor.shape, dtype=dtype_of(model, name, tensor, dtype)))
    model.initialize_weights(modules)


def dtype_of(model: nn.Module, name: str, tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """Return the type of a weight: the model's, but for whole numbers, their scales, and what its class says."""
    if not tensor.is_floating_point():
        return tensor.dtype
    exact = {f"weight{SCALE_SUFFIX}", *(model._keep_in_fp32_modules or ())} & set(name.split("."))
    return torch.float32 if exact and dtype in (torch.float16, torch.bfloat16) else dtype


def cast_others(model: nn.Module, dtype: torch.dtype) -> None:
    """Give what no file has the type that it should have: buffers and parameters as the constructor left them."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        target = dtype_of(model, name, tensor, dtype)
        if tensor.dtype != target:
            tensor.data = tensor.data.to(target)


def put(model: nn.Module, names: list[str], values: Tensor) -> None:
    """Put a tensor in the place of a parameter or buffer that has one or several names.

    Whether a parameter is trained stays as it was; what was tied stays so.
    """
    old = model.get_parameter_or_buffer(names[0])
    new = nn.Parameter(values, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else values
    for name in names:
        path, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(path), leaf, new)


def tie_declared(model: nn.Module) -> None:
    """Tie what a class declares as transformers 5 does: the name of each tied parameter, and of the one it is."""
    if isinstance(model._tied_weights_keys, Mapping):
        for name, source in model._tied_weights_keys.items():
            path, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(path), leaf, model.get_parameter_or_buffer(source))


def without_ignored(model: nn.Module, report: LoadReport) -> LoadReport:
    """Return the report without what the class says does not matter, in transformers' two lists of patterns."""
    optional, ignored = model._keys_to_ignore_on_load_missing or (), model._keys_to_ignore_on_load_unexpected or ()
    return replace(
        report,
        new_extras=tuple(name for name in report.new_extras if not any(re.search(p, name) for p in optional)),
        unexpected=tuple(name for name in report.unexpected if not any(re.search(p, name) for p in ignored)),
    )
