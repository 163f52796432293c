"""What Keras does to layers in their place, quantizing and LoRA: told to a config, and done again from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from distilbert_common.errors import InputError
from distilbert_tf.framework.structure import children, walk

__all__ = ["change_layers", "changed_layers", "enable_lora"]


def changed_layers(model: keras.Model) -> dict[str, dict[str, Any]]:
    """Return what was done to layers, by their paths."""
    changes: dict[str, dict[str, Any]] = {}
    for path, layer in walk(model):
        if layer is model:
            continue
        if getattr(layer, "lora_enabled", False):
            changes[path] = {"lora_rank": layer.lora_rank, "lora_alpha": layer.lora_alpha}
        if (mode := layer.dtype_policy.quantization_mode) is not None:
            config = getattr(layer, "quantization_config", None)
            serialized = None if config is None else keras.saving.serialize_keras_object(config)
            changes.setdefault(path, {}).update(mode=mode, config=serialized)
    return changes


def change_layers(model: keras.Model, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Do to layers what `changed_layers` tells."""
    layers = dict(walk(model))
    for path, change in changes.items():
        layer = layers[path]
        if "lora_rank" in change:
            layer.enable_lora(change["lora_rank"], lora_alpha=change["lora_alpha"])
        if "mode" in change and layer.dtype_policy.quantization_mode is None:
            config = change["config"] and keras.saving.deserialize_keras_object(change["config"])
            layer.quantize(change["mode"], config=config)


def enable_lora(model: keras.Model, rank: int, names: Iterable[str], alpha: float | None) -> None:
    """Freeze a model but for low-rank changes of the layers of some names.

    Raises:
        InputError: There are no such layers.
    """
    leaves = [(path, layer) for path, layer in walk(model) if not any(True for _ in children(layer))]
    chosen = [layer for path, layer in leaves if path.rpartition(".")[2] in set(names)]
    if not chosen:
        raise InputError(f"no layer is called {', '.join(names)}; see the names of attributes, such as q_lin")
    for _, layer in leaves:
        layer.trainable = False
    for layer in chosen:
        layer.trainable = True
        layer.enable_lora(rank, lora_alpha=alpha)
        if getattr(layer, "bias", None) is not None:
            layer.bias.trainable = False
