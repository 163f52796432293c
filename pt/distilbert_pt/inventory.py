"""What a model holds, as the converter calls it: known weights by their canonical names, all others by their own.

A model may be any module tree with a DistilBERT in it: one of the six, one with layers added or replaced, or one with
a head of the user's own.
"""

from __future__ import annotations

from collections import defaultdict

from torch import Tensor, nn

COMPILED = "_orig_mod."
"""What `torch.compile` puts before the names of a module that it wraps."""
PREFIX = "distilbert."
"""What the six models put before the names of their backbone."""


def backbone_prefix(model: nn.Module) -> str:
    """Return what stands before the backbone's names, as "distilbert."; "" in the bare model.

    The backbone is the module that `base_model_prefix` names, or else the first DistilBERT in the model.
    """
    paths = [
        f"{path}.".replace(COMPILED, "") if path else ""
        for path, module in model.named_modules()
        if getattr(module, "_table_head", None) == "Model"
    ]
    usual = f"{model.base_model_prefix}."
    return usual if usual in paths or not paths else paths[0]


def table_names(model: nn.Module, names: list[str]) -> dict[str, str]:
    """Return the converter's name of each weight.

    Args:
        model: The model.
        names: As in its `state_dict`.
    """
    from distilbert_conversion import is_backbone

    prefix = backbone_prefix(model)
    wrapper = prefix.removesuffix(PREFIX)  # "" where the backbone lies as in the six models
    named = {}
    for name in names:
        uncompiled = name.replace(COMPILED, "")
        inner = uncompiled.removeprefix(prefix)
        named[name] = (
            inner if uncompiled.startswith(prefix) and is_backbone(inner) else uncompiled.removeprefix(wrapper)
        )
    return named


def layer_count(model: nn.Module) -> int:
    """Return the number of transformer blocks that the backbone has, whatever the config says; 0 without a backbone."""
    start = f"{backbone_prefix(model)}transformer.layer."
    names = (name.replace(COMPILED, "") for name in model.state_dict())
    return len({name.removeprefix(start).partition(".")[0] for name in names if name.startswith(start)})


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return all that a model's `state_dict` would hold, as parameters and buffers themselves, tied ones repeatedly."""
    state_dict = model.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in state_dict.items() if isinstance(tensor, Tensor)}


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return all that a model stores by the converter's names, each tensor once."""
    tensors = tensors_of(model)
    unique = {id(tensor): name for name, tensor in reversed(tensors.items())}
    return {
        name: tensors[key] for key, name in table_names(model, list(tensors)).items() if unique[id(tensors[key])] == key
    }


def tied_groups(tensors: dict[str, Tensor]) -> list[list[str]]:
    """Return the names of each tensor that has several."""
    groups: dict[int, list[str]] = defaultdict(list)
    for name, tensor in tensors.items():
        groups[id(tensor)].append(name)
    return [group for group in groups.values() if len(group) > 1]
