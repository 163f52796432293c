"""KerasHub's DistilBERT presets: a directory with Keras' config, the backbone's weights, and a task's in a second file.

A preset's weights are those of this project's Keras classes under other names, with the attention heads as an axis
of their own: query (dim, heads, head_dim), output (heads, head_dim, dim). Of the config it knows the sizes, one
dropout rate and the type; of the heads, masked LM and text classification.
Source: `keras_hub/src/models/distil_bert` and `keras_hub/src/utils/preset_utils.py` of KerasHub 0.32.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError, UnsupportedFormatError
from distilbert_conversion import formats
from distilbert_conversion.source import Source
from distilbert_conversion.translate.keras_hub_files import FIELDS, TASK_CLASSES, tokenizer_files
from distilbert_conversion.translate.text_files import read_object, section
from distilbert_conversion.translate.translated_checkpoint import TranslatedCheckpoint
from distilbert_conversion.weights.lazy import LazyTensor
from distilbert_conversion.weights.table import PREFIX

__all__ = ["BACKBONE", "NOTES", "TASKS", "read_preset", "renamed_for_preset"]

_BLOCK, _OURS = "layers/transformer_encoder{_i}", "transformer/layer/transformer_block{_i}"
_TABLES = "layers/token_and_position_embedding"
BACKBONE: dict[str, str] = {
    f"{_TABLES}/token_embedding": "embeddings/word_embeddings",
    f"{_TABLES}/position_embedding": "embeddings/position_embeddings",
    "layers/layer_normalization": "embeddings/LayerNorm",
    f"{_BLOCK}/_self_attention_layer/query_dense": f"{_OURS}/attention/q_lin",
    f"{_BLOCK}/_self_attention_layer/key_dense": f"{_OURS}/attention/k_lin",
    f"{_BLOCK}/_self_attention_layer/value_dense": f"{_OURS}/attention/v_lin",
    f"{_BLOCK}/_self_attention_layer/output_dense": f"{_OURS}/attention/out_lin",
    f"{_BLOCK}/_self_attention_layer_norm": f"{_OURS}/sa_layer_norm",
    f"{_BLOCK}/_feedforward_intermediate_dense": f"{_OURS}/ffn/lin1",
    f"{_BLOCK}/_feedforward_output_dense": f"{_OURS}/ffn/lin2",
    f"{_BLOCK}/_feedforward_layer_norm": f"{_OURS}/output_layer_norm",
}
"""Modules in `model.weights.h5`, and in this project's Keras files."""

TASKS: dict[str, dict[str, str]] = {
    "ForMaskedLM": {
        "layers/masked_lm_head/_intermediate_dense": "vocab_transform",
        "layers/masked_lm_head/_intermediate_layer_norm": "vocab_layer_norm",
        "layers/masked_lm_head": "vocab_projector",
    },
    "ForSequenceClassification": {"layers/dense": "pre_classifier", "layers/dense_1": "classifier"},
}
"""The same for `task.weights.h5`, by head."""

NOTES = {
    "ForMaskedLM": (
        "KerasHub's masked-LM head has a LayerNorm epsilon of 1e-5, not 1e-12, so the logits are not quite the same",
    )
}
TASK_WEIGHTS = "task.weights.h5"
_LAYER = {
    "theirs": re.compile(r"(layers/transformer_encoder)(_[0-9]{1,4})?(?=/)"),
    "ours": re.compile(r"(layer/transformer_block)(_[0-9]{1,4})?(?=/)"),
}


def read_preset(source: Source) -> tuple[list[Path], TranslatedCheckpoint] | None:
    """Return the weights files of a preset and what they hold; None where the config is not a preset's.

    Args:
        source: The backbone's weights.

    Raises:
        CheckpointError: A file is damaged, or a size is missing.
    """
    fields, task = (read_object(source.sibling(name)) for name in ("config.json", "task.json"))
    config = fields.get("config")
    if fields.get("class_name") != "DistilBertBackbone" or not isinstance(config, dict):
        return None
    absent = sorted(FIELDS.keys() - config.keys())
    if absent:
        raise CheckpointError(f"the preset's config.json beside {source.path} has no {', '.join(absent)}; get it again")
    head = next((head for head, name in TASK_CLASSES.items() if name == task.get("class_name")), "Model")
    extra = source.sibling(TASK_WEIGHTS) if head in TASKS else None
    files = [source.path] if extra is None else [source.path, extra]
    file_tensors = {name: tensor for file in files for name, tensor in formats.read(file, "keras_hub").items()}
    translated_config = {
        **{ours: config[theirs] for theirs, ours in FIELDS.items()},
        **({"num_labels": section(task).get("num_classes", 2)} if head == "ForSequenceClassification" else {}),
        "attention_dropout": config["dropout"],
        "activation": "gelu",
        "architectures": [f"DistilBert{head}"],
        "model_type": "distilbert",
    }
    sidecar_files = tokenizer_files(source, config)
    return files, TranslatedCheckpoint(
        translated_config, _renamed(file_tensors, head), notes=NOTES.get(head, ()), sidecar_files=sidecar_files
    )


def _renamed(file_tensors: Mapping[str, LazyTensor], head: str) -> dict[str, LazyTensor]:
    """Return tensors by the names of this project's Keras files, heads in one axis; others as they are."""
    modules = {**BACKBONE, **TASKS.get(head, {})}
    tensors = {}
    for path, tensor in file_tensors.items():
        module, _, parameter = path.rpartition("/vars/")
        layer = _LAYER["theirs"].search(path)
        ours = modules.get(_LAYER["theirs"].sub(r"\1{_i}", module))
        name = f"{ours}/vars/{parameter}".replace("{_i}", (layer[2] or "") if layer else "") if ours else path
        tensors[name] = _with_heads_joined(tensor, name) if ours else tensor
    return tensors


def renamed_for_preset(
    file_tensors: Mapping[str, LazyTensor], config: DistilBertConfig, head: str | None, extras: Sequence[str] = ()
) -> list[dict[str, LazyTensor]]:
    """Return tensors by a preset's names, heads as an axis: those of the backbone's file and those of the head's.

    Args:
        file_tensors: By the names of this project's Keras files.
        config: The model's sizes.
        head: A key of `HEADS`; None for a model with a head of its own.
        extras: The names of a user's own weights.

    Raises:
        UnsupportedFormatError: A preset cannot hold the model.
    """
    _check_config(config, head, extras)
    theirs = {ours: path for path, ours in {**BACKBONE, **TASKS.get(head or "", {})}.items()}
    of_backbone: dict[str, LazyTensor] = {}
    of_head: dict[str, LazyTensor] = {}
    for name, tensor in file_tensors.items():
        module, _, parameter = name.removeprefix(f"{PREFIX}/").rpartition("/vars/")
        layer = _LAYER["ours"].search(module)
        path = theirs[_LAYER["ours"].sub(r"\1{_i}", module)].replace("{_i}", (layer[2] or "") if layer else "")
        file = of_backbone if name.startswith(f"{PREFIX}/") else of_head
        file[f"{path}/vars/{parameter}"] = _with_heads_apart(tensor, name, config)
    return [file for file in (of_backbone, of_head) if file]


def _check_config(config: DistilBertConfig, head: str | None, extras: Sequence[str] = ()) -> None:
    """Raise unless KerasHub has such a model.

    Raises:
        UnsupportedFormatError: The message says what it lacks.
    """
    lacks = {
        f"the model DistilBert{head} (it has {', '.join(TASKS)} and Model)": head not in (None, "Model", *TASKS),
        f"weights of its own ({', '.join(extras)})": bool(extras),
        f"the activation {config.activation!r} (it has gelu)": config.activation not in ("gelu", "gelu_python"),
        "pruned heads": bool(config.pruned_heads),
        "an untied projector": head == "ForMaskedLM" and not config.tie_word_embeddings,
    }
    if lacking := [what for what, is_lacking in lacks.items() if is_lacking]:
        raise UnsupportedFormatError(f"a KerasHub preset cannot hold {'; '.join(lacking)}; use format keras or h5")


def _with_heads_apart(tensor: LazyTensor, name: str, config: DistilBertConfig) -> LazyTensor:
    """Return an attention weight with its heads as an axis of their own; the reverse of `_with_heads_joined`."""
    heads = (config.n_heads, config.dim // config.n_heads)
    if "/attention/" not in name or (name.endswith("vars/1") and "out_lin" in name):
        return tensor
    if name.endswith("vars/1"):
        return tensor.reshaped(heads)
    return tensor.reshaped((*heads, config.dim) if "out_lin" in name else (config.dim, *heads))


def _with_heads_joined(tensor: LazyTensor, name: str) -> LazyTensor:
    """Return an attention weight with its heads in one axis."""
    if "/attention/" not in name or len(tensor.shape) < 2:
        return tensor
    if name.endswith("vars/1"):
        return tensor.reshaped((tensor.size,))
    inner = name.endswith("out_lin/vars/0")
    dim = tensor.shape[-1 if inner else 0]
    return tensor.reshaped((tensor.size // max(dim, 1), dim) if inner else (dim, tensor.size // max(dim, 1)))
