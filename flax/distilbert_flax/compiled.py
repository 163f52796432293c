"""Compiled calls: a call made outside a trace runs a program that JAX compiles once for each shape.

Programs are found by the model's structure, the arguments that are no arrays, and shapes. Finding the structure out
takes longer than a small input does, so it is kept beside the model and only looked over at each call.

Without labels and outside training, sizes are rounded up to buckets, whose padding is cut off again: whatever sizes up
to 512 tokens come, there are at most 25 lengths and, for each doubling of the batch, 4 batch sizes.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
from jax import Array

from distilbert_common import ModelOutput
from distilbert_flax.bucketing import cut, to_bucket
from distilbert_flax.checks import check_values
from distilbert_flax.programs import program, shapes_of
from distilbert_flax.segments import count_segments
from distilbert_flax.structure import Structure, structure_of
from distilbert_flax.unpadding import without_padding

if TYPE_CHECKING:
    from distilbert_flax.functional import FunctionalModule, Params

Arrays = dict[str, Any]

NOT_CONCRETE = (jax.core.Tracer, jax.ShapeDtypeStruct)
"""Values of a call that is being traced, and of a model without parameters."""


@lru_cache
def _names(model_class: type[FunctionalModule]) -> tuple[str, ...]:
    """Return the names of `forward`'s arguments in order."""
    return tuple(inspect.signature(model_class.forward).parameters)[1:]


def call(
    model: FunctionalModule,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    params: Params | None,
    dropout_rng: Array | None,
    train: bool | None,
    unpad: bool = True,
) -> Any:
    """Run `model.forward` as a compiled program, or as it is where something given is being traced.

    Args:
        model: The model.
        args: Arguments of `forward` in order.
        kwargs: Arguments of `forward` by name.
        params: The parameters to use instead of the model's own.
        dropout_rng: The key of dropout instead of the model's own streams.
        train: Whether dropout is active; None for the model's mode.
        unpad: Whether padding may be left out.
    """
    inputs = _by_name(model, args, kwargs)
    if inputs is None:
        return model._bound(params, dropout_rng, train).forward(*args, **kwargs)  # which raises
    structure = structure_of(model)
    values = (
        structure.values() if params is None else structure.with_params(model.flat_params(params, structure.stored))
    )
    arrays = {name: value for name, value in inputs.items() if hasattr(value, "shape")}
    flags = {name: value for name, value in inputs.items() if name not in arrays}
    plain = any(isinstance(x, NOT_CONCRETE) for x in (*values, *jax.tree.leaves(inputs), dropout_rng))
    if plain or structure.description is None or not all(isinstance(flag, Hashable) for flag in flags.values()):
        return model._bound(params, dropout_rng, train).forward(**inputs)
    check_values(model.config, *(arrays.get(name) for name in ("input_ids", "position_ids", "token_type_ids")))
    names = _names(type(model))
    if "segment_ids" in arrays and "num_segments" in names:
        flags["num_segments"] = count_segments(arrays["segment_ids"], inputs.get("labels"), inputs.get("num_segments"))
    as_output = flags.get("return_dict", model.config.return_dict)
    if "return_dict" in names:
        flags["return_dict"] = True
    active, pure = structure.training if train is None else train, params is not None
    fitted = arrays if active else _fitted(model, structure, arrays, flags, unpad)
    run = program(structure.description, tuple(sorted(flags.items())), train, pure, shapes_of(fitted))
    if "labels" in arrays:
        model.check_labels(run.output_shapes(values, fitted, dropout_rng), arrays)
    output, changed = run(values, fitted, dropout_rng)
    if dropout_rng is None and not pure:
        for variable, value in zip(structure.changing, changed, strict=True):
            variable.set_value(value)
    if fitted is not arrays:
        cut(output, model._table_head, arrays["input_ids"].shape)
    return output if as_output or not isinstance(output, ModelOutput) else output.to_tuple()


def _by_name(model: FunctionalModule, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arrays | None:
    """Return the arguments of `forward` by name, without those that are None; None where they do not fit."""
    names = _names(type(model))
    if len(args) > len(names) or kwargs.keys() & set(names[: len(args)]):
        return None
    named = {**dict(zip(names, args, strict=False)), **kwargs}
    return {name: value for name, value in named.items() if value is not None or name not in names}


def _fitted(model: FunctionalModule, structure: Structure, arrays: Arrays, flags: Arrays, unpad: bool) -> Arrays:
    """Return a call's arrays without padding or rounded up to a bucket; the same dict where neither may be."""
    if not (model.padding_is_unseen and structure.per_token):
        return arrays
    packed = without_padding(arrays, flags, model._table_head, model.config) if unpad else arrays
    return to_bucket(arrays, model.config.max_position_embeddings) if packed is arrays else packed
