"""Tiny models with random weights, the same wherever NumPy is, for transformers and for this project."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from safetensors.numpy import save_file

VOCAB = Path(__file__).resolve().parents[2] / "demo" / "model" / "vocab.txt"
DIM, HIDDEN, LAYERS, HEADS, POSITIONS = 32, 64, 2, 4, 512

ENTITIES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
MODELS: dict[str, dict[str, Any]] = {
    "base": {"head": "Model"},
    "mlm": {"head": "ForMaskedLM"},
    "three": {"head": "ForSequenceClassification", "labels": ("negative", "neutral", "positive")},
    "one": {"head": "ForSequenceClassification", "labels": ("toxic",)},
    "several": {
        "head": "ForSequenceClassification",
        "labels": ("card", "loan", "transfer", "fraud"),
        "problem_type": "multi_label_classification",
    },
    "regression": {"head": "ForSequenceClassification", "labels": ("stars",), "problem_type": "regression"},
    "entailment": {"head": "ForSequenceClassification", "labels": ("contradiction", "neutral", "entailment")},
    "entailment-first": {"head": "ForSequenceClassification", "labels": ("ENTAILMENT", "NOT_ENTAILMENT")},
    "no-entailment": {"head": "ForSequenceClassification", "labels": ("yes", "no")},
    "entities": {"head": "ForTokenClassification", "labels": ENTITIES},
    "kinds": {"head": "ForTokenClassification", "labels": ("O", "NAME", "PLACE")},
    "short": {"head": "ForTokenClassification", "labels": ENTITIES, "model_max_length": 16},
    "answers": {"head": "ForQuestionAnswering", "labels": ("start", "end")},
}
"""What each model is for; `model_max_length` is the tokenizer's."""


def write_model(name: str, folder: Path) -> Path:
    """Write a model with its tokenizer, unless it is there, and return its directory."""
    target = folder / name
    if not target.exists():
        target.mkdir(parents=True)
        spec = MODELS[name]
        labels = spec.get("labels", ("LABEL_0", "LABEL_1"))
        save_file(_weights(name, spec["head"], len(labels)), target / "model.safetensors", {"format": "pt"})
        shutil.copy(VOCAB, target / "vocab.txt")
        longest = spec.get("model_max_length", POSITIONS)
        tokenizer = {"tokenizer_class": "DistilBertTokenizer", "model_max_length": longest}
        (target / "tokenizer_config.json").write_text(json.dumps(tokenizer))
        (target / "config.json").write_text(json.dumps(_config(spec, labels)))
    return target


def _vocab_size() -> int:
    return len(VOCAB.read_text(encoding="utf-8").splitlines())


def _config(spec: dict[str, Any], labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "model_type": "distilbert",
        "architectures": [f"DistilBert{spec['head']}"],
        "vocab_size": _vocab_size(),
        "max_position_embeddings": POSITIONS,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "dim": DIM,
        "hidden_dim": HIDDEN,
        "problem_type": spec.get("problem_type"),
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def _weights(name: str, head: str, labels: int) -> dict[str, np.ndarray]:
    """Return the weights by PyTorch's names; large enough for answers that differ from token to token."""
    weights: dict[str, np.ndarray] = {}

    def draw(key: str, *shape: int, scale: float) -> None:
        random = np.random.Generator(np.random.PCG64(crc32(f"{name} {key}".encode())))
        weights[key] = (random.standard_normal(shape) * scale).astype(np.float32)

    def linear(key: str, rows: int, columns: int, scale: float = 1.5) -> None:
        draw(f"{key}.weight", rows, columns, scale=scale / columns**0.5)
        draw(f"{key}.bias", rows, scale=0.1)

    def norm(key: str) -> None:
        weights[f"{key}.weight"], weights[f"{key}.bias"] = np.ones(DIM, np.float32), np.zeros(DIM, np.float32)

    body = "" if head == "Model" else "distilbert."
    draw(f"{body}embeddings.word_embeddings.weight", _vocab_size(), DIM, scale=1.0)
    draw(f"{body}embeddings.position_embeddings.weight", POSITIONS, DIM, scale=0.3)
    norm(f"{body}embeddings.LayerNorm")
    for layer in range(LAYERS):
        block = f"{body}transformer.layer.{layer}"
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            linear(f"{block}.attention.{part}", DIM, DIM)
        norm(f"{block}.sa_layer_norm")
        linear(f"{block}.ffn.lin1", HIDDEN, DIM)
        linear(f"{block}.ffn.lin2", DIM, HIDDEN)
        norm(f"{block}.output_layer_norm")
    if head == "ForMaskedLM":
        linear("vocab_transform", DIM, DIM)
        norm("vocab_layer_norm")
        draw("vocab_projector.bias", _vocab_size(), scale=0.1)
    elif head == "ForQuestionAnswering":
        linear("qa_outputs", 2, DIM, scale=3.0)
    elif head != "Model":
        if head == "ForSequenceClassification":
            linear("pre_classifier", DIM, DIM)
        linear("classifier", labels, DIM, scale=2.0)
    return weights
