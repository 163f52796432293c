"""Compiled calls: a call made outside a trace runs a program that JAX compiles once for each shape.

Programs are found by the model's structure, the arguments that are no arrays, and shapes. Reading the structure takes
longer than a small input does, so it is kept until the model changes; labels and ids are checked before the call.

Without labels and outside training, sizes are rounded up to buckets, whose padding is cut off again: whatever sizes up
to 512 tokens come, there are at most 25 lengths and, for each doubling of the batch, 4 batch sizes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any

import jax
from jax import Array

from distilbert_common import ModelOutput
from distilbert_common.checks import check_unpad
from distilbert_flax.checks import check_values
from distilbert_flax.fast.bucketing import cut, to_bucket
from distilbert_flax.fast.programs import program, shapes_of
from distilbert_flax.fast.snapshots import Snapshot, snapshot_of
from distilbert_flax.fast.unpadding import without_padding
from distilbert_flax.framework.variables import Params, bind, flat_params
from distilbert_flax.segments import count_segments, segment_ids_of

__all__ = ["call"]

Arrays = dict[str, Any]

NOT_CONCRETE = (jax.core.Tracer, jax.ShapeDtypeStruct)
"""Values of a call that is being traced, and of a model without parameters."""


def call(
    model: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    params: Params | None,
    dropout_rng: Array | None,
    train: bool | None,
) -> Any:
    """Run `model.forward` as a compiled program, or as it is where something is being traced or cannot be known.

    Args:
        model: The model.
        args: Arguments of `forward` in order.
        kwargs: Arguments of `forward` by name.
        params: The parameters to use instead of the model's own.
        dropout_rng: The key of dropout instead of the model's own streams.
        train: Whether dropout is active; None for the model's mode.
    """
    inputs = _by_name(model, args, kwargs)
    if inputs is None:
        return bind(model, params, dropout_rng, train).forward(*args, **kwargs)  # which raises
    snapshot = snapshot_of(model)
    replaced = None if params is None else flat_params(model, params, snapshot.parameters)
    values = snapshot.values() if replaced is None else snapshot.with_params(replaced)
    arrays, flags = _split(inputs)
    if not _can_compile(snapshot, values, arrays, flags, dropout_rng) or not _check(model, arrays):
        return bind(model, params, dropout_rng, train).forward(**inputs)
    check_unpad(flags.get("unpad"))
    as_output = _set_flags(model, arrays, flags)
    sized = arrays if (snapshot.training if train is None else train) else _resize(model, snapshot, arrays, flags)
    run = program(snapshot.description, tuple(sorted(flags.items())), train, replaced is not None, shapes_of(sized))
    output, changed = run(values, sized, dropout_rng)
    if dropout_rng is None and replaced is None:
        for number, value in changed.items():
            snapshot.changing[number].set_value(value)
    if sized is not arrays:
        cut(output, model._table_head, arrays["input_ids"].shape)
    return output if as_output or not isinstance(output, ModelOutput) else output.to_tuple()


@lru_cache
def _names(forward: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the arguments of a class' `forward` in order."""
    return tuple(inspect.signature(forward).parameters)[1:]


def _by_name(model: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arrays | None:
    """Return the arguments of `forward` by name, without those that are None; None where they do not fit."""
    names = _names(type(model).forward)
    if len(args) > len(names) or kwargs.keys() & set(names[: len(args)]):
        return None
    named = {**dict(zip(names, args, strict=False)), **kwargs}
    return {name: value for name, value in named.items() if value is not None or name not in names}


def _split(inputs: Arrays) -> tuple[Arrays, Arrays]:
    """Return the arguments that are arrays, a layout among them, and the others."""
    arrays = {name: value for name, value in inputs.items() if hasattr(value, "shape") or name == "layout"}
    return arrays, {name: value for name, value in inputs.items() if name not in arrays}


def _can_compile(snapshot: Snapshot, values: list[Any], arrays: Arrays, flags: Arrays, dropout_rng: Any) -> bool:
    """Whether all values are there, and what is no array can be part of a program's key."""
    leaves = (*values, *jax.tree.leaves(arrays), dropout_rng)
    return (
        snapshot.description is not None
        and not any(isinstance(leaf, NOT_CONCRETE) for leaf in leaves)
        and all(isinstance(flag, Hashable) for flag in flags.values())
    )


def _check(model: Any, arrays: Arrays) -> bool:
    """Refuse ids and labels that are outside their range; return whether that could be told."""
    check_values(model.config, *(arrays.get(name) for name in ("input_ids", "position_ids", "token_type_ids")))
    return "labels" not in arrays or bool(model.check_labels(arrays))


def _set_flags(model: Any, arrays: Arrays, flags: Arrays) -> bool:
    """Set the flags that a program is to have; return whether the call is to return an output, or else a tuple."""
    names = _names(type(model).forward)
    if model.takes_segments is not None:  # None: a forward of a user's own, which is given what the call was
        num_segments, segment_ids = flags.pop("num_segments", None), segment_ids_of(arrays)
        if model.takes_segments and segment_ids is not None:
            flags["num_segments"] = count_segments(segment_ids, arrays.get("labels"), num_segments)
    as_output = bool(flags.get("return_dict", model.config.use_return_dict))
    if "return_dict" in names:
        flags["return_dict"] = True
    return as_output


def _resize(model: Any, snapshot: Snapshot, arrays: Arrays, flags: Arrays) -> Arrays:
    """Return a call's arrays without padding or rounded up to a bucket; the same dict where neither may be."""
    if not (model.padding_is_unseen and snapshot.per_token):
        return arrays
    config, unpad = model.config, flags.get("unpad", "auto")
    attentions = flags.get("output_attentions")
    attentions = config.output_attentions if attentions is None else attentions
    eager = attentions or config.attn_implementation == "eager"
    sized = arrays
    if unpad is not False and not eager:
        sized = without_padding(model, arrays, unpad)
    return to_bucket(arrays, config.max_position_embeddings) if sized is arrays else sized
