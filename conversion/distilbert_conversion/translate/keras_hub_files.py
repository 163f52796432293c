"""The text files of a KerasHub preset, and what they become beside a model of transformers.

Source: `keras_hub/src/models/distil_bert` and `keras_hub/src/utils/preset_utils.py` of KerasHub 0.32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distilbert_common.config import DistilBertConfig
from distilbert_conversion.source import Source
from distilbert_conversion.translate.text_files import as_json, read_object, read_text, section

__all__ = ["FIELDS", "TASK_CLASSES", "preset_files", "tokenizer_files", "vocabulary_of"]

FIELDS: dict[str, str] = {
    "vocabulary_size": "vocab_size",
    "max_sequence_length": "max_position_embeddings",
    "num_layers": "n_layers",
    "num_heads": "n_heads",
    "hidden_dim": "dim",
    "intermediate_dim": "hidden_dim",
    "dropout": "dropout",
}
"""KerasHub's config fields and ours."""

TASK_CLASSES = {"ForMaskedLM": "DistilBertMaskedLM", "ForSequenceClassification": "DistilBertTextClassifier"}
"""KerasHub's classes of the models with a head."""

VOCABULARY = "assets/tokenizer/vocabulary.txt"
_MODULES = {"ForMaskedLM": "masked_lm", "ForSequenceClassification": "text_classifier"}
_VERSIONS = {"keras_version": "3.15.1", "keras_hub_version": "0.32.0"}  # whose presets these are


def tokenizer_files(source: Source, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the tokenizer's files as transformers has them: name and text."""
    vocabulary = source.sibling(VOCABULARY)
    if vocabulary is None:
        return {}
    settings = section(read_object(source.sibling("tokenizer.json")))
    fields = {
        "do_lower_case": bool(settings.get("lowercase", False)),
        "strip_accents": bool(settings.get("strip_accents", False)),
        "model_max_length": config["max_sequence_length"],
        "tokenizer_class": "DistilBertTokenizer",
    }
    return {"vocab.txt": read_text(vocabulary), "tokenizer_config.json": as_json(fields)}


def preset_files(
    config: DistilBertConfig, head: str, dtype: str, vocabulary: str | None, tokenizer_config: Mapping[str, Any]
) -> dict[str, str]:
    """Return a preset's text files: config, task, metadata, and the tokenizer where there is a vocabulary.

    Args:
        config: The model's sizes.
        head: A key of `HEADS`.
        dtype: The type of the weights.
        vocabulary: The tokens, one a line.
        tokenizer_config: The content of transformers' `tokenizer_config.json`.
    """
    sizes = {theirs: getattr(config, ours) for theirs, ours in FIELDS.items()}
    policy = {**_object("DTypePolicy", "", {"name": dtype}), "module": "keras", "registered_name": None}
    backbone = _object("DistilBertBackbone", "backbone", {"name": "distil_bert_backbone", "dtype": policy, **sizes})
    tokenizer = _object("DistilBertTokenizer", "tokenizer", _tokenizer_settings(tokenizer_config))
    files: dict[str, Any] = {"config.json": backbone, "metadata.json": dict(_VERSIONS)}
    if vocabulary is not None:
        files["tokenizer.json"] = tokenizer
    if head in TASK_CLASSES:
        name, module, extra = TASK_CLASSES[head], _MODULES[head], {}
        if head == "ForSequenceClassification":
            extra = {"num_classes": config.num_labels, "dropout": config.seq_classif_dropout}
        settings = {"tokenizer": tokenizer, "sequence_length": config.max_position_embeddings}
        preprocessor = (
            None if vocabulary is None else _object(f"{name}Preprocessor", f"{module}_preprocessor", settings)
        )
        files["task.json"] = _object(name, module, {"backbone": backbone, "preprocessor": preprocessor, **extra})
    texts = {name: as_json(content) for name, content in files.items()}
    return texts if vocabulary is None else {**texts, VOCABULARY: vocabulary}


def _object(name: str, module: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return one of KerasHub's objects as its JSON files have it."""
    return {
        "module": f"keras_hub.src.models.distil_bert.distil_bert_{module}",
        "class_name": name,
        "config": config,
        "registered_name": f"keras_hub>{name}",
    }


def vocabulary_of(source: Source) -> str | None:
    """Return the source's vocabulary, one token a line: from vocab.txt, else from tokenizer.json."""
    path = source.sibling("vocab.txt")
    if path is not None:
        return read_text(path)
    tokens = section(section(read_object(source.sibling("tokenizer.json")), "model"), "vocab")
    return "".join(f"{token}\n" for token in sorted(tokens, key=lambda token: int(tokens[token]))) or None


def _tokenizer_settings(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of KerasHub's tokenizer; transformers lowers case unless told not to."""
    lowercase = bool(fields.get("do_lower_case", True))
    strip_accents = fields.get("strip_accents")
    return {
        "name": "distil_bert_tokenizer",
        "config_file": "tokenizer.json",
        "vocabulary": None,
        "lowercase": lowercase,
        "strip_accents": lowercase if strip_accents is None else bool(strip_accents),
    }
