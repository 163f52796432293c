"""What a training wrapper puts before every name of a model, and how it is taken off again.

`torch.compile` puts `_orig_mod.` before the names, `DataParallel` `module.`, a LightningModule the attribute that holds
the model, Flax's train states `params/`. The names of the layers tell where a model's own names begin: what stands
before them is the wrapper, whatever it is called. Where layers are wrapped one by one, as for FSDP or to recompute
them, the wrapper's name stands between others, and only the known ones are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from distilbert_common.errors import CheckpointError
from distilbert_conversion.translate import bert
from distilbert_conversion.weights.dialects import dialects_in
from distilbert_conversion.weights.lazy import LazyTensor

__all__ = ["unwrapped", "wrappers"]

_INNER = re.compile(r"(?<=[./])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)[./]")
"""What wrappers of single layers put into names."""


def unwrapped(
    path: Path, file_tensors: Mapping[str, LazyTensor], container: str, wrapper: str = ""
) -> tuple[Mapping[str, LazyTensor], tuple[str, ...]]:
    """Return the tensors without what wrappers put into their names, and what was done, in words.

    Names without the prefix, as those of a loss with weights beside the model, stay as they are.

    Args:
        path: The file, for messages.
        file_tensors: Its tensors by their names in it.
        container: The file's container.
        wrapper: Which prefix is meant where there are several models.

    Raises:
        CheckpointError: There are several models under different prefixes, or taking it off makes two names one.
    """
    inner = sorted({match[0] for name in file_tensors for match in _INNER.finditer(name)})
    notes = [f"{part!r} taken out of its names" for part in inner]
    if inner:
        file_tensors = _renamed(path, {name: _INNER.sub("", name) for name in file_tensors}, file_tensors)
    prefixes = wrappers(file_tensors, container)
    prefix = wrapper if wrapper in prefixes else _common_prefix(path, prefixes)
    if prefix:
        file_tensors = _renamed(path, {name: name.removeprefix(prefix) for name in file_tensors}, file_tensors)
        notes.append(f"prefix {prefix!r} taken off its names")
    return file_tensors, tuple(notes)


def _renamed(path: Path, names: Mapping[str, str], file_tensors: Mapping[str, LazyTensor]) -> dict[str, LazyTensor]:
    """Return the tensors under other names, given by the names that they have."""
    origins: dict[str, str] = {}
    for name, bare in names.items():
        if bare in origins:
            both = " and ".join(map(repr, sorted((origins[bare], name), key=len)))
            raise CheckpointError(f"{path} has both {both}; remove the one that is not the model's")
        origins[bare] = name
    return {bare: file_tensors[name] for bare, name in origins.items()}


def wrappers(names: Iterable[str], container: str) -> set[str]:
    """Return what stands before the names of each model in a file: a DistilBERT's own layers tell, or a BERT's."""
    names = list(names)
    prefixes = {dialect.wrapper_of(name) for dialect in dialects_in(container).values() for name in names}
    if prefixes == {None}:
        prefixes = {bert.wrapper_of(name) for name in names}
    return {prefix for prefix in prefixes if prefix is not None}


def _common_prefix(path: Path, prefixes: set[str]) -> str:
    """Return the prefix that all others begin with: parts of one model; two that do not are two models."""
    shortest = min(prefixes, key=len, default="")
    others = [prefix for prefix in prefixes if not prefix.startswith(shortest)]
    if others:
        models = " and ".join(repr(prefix) for prefix in sorted(prefixes))
        raise CheckpointError(
            f"{path} holds {len(prefixes)} models, under the prefixes {models}; save the state_dict of the one that "
            "you want and use that file"
        )
    return shortest
