"""The six models in NumPy: what every export is compared with, whatever framework is installed.

The plainest form of the parity contract: padding is computed, nothing is fused, attention goes head by head in one
product. It is no faster than it needs to be for a few sentences.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from distilbert_common.config_fields import by_config_name
from distilbert_common.constants import LAYER_NORM_EPS, MASKED_SCORE
from distilbert_deploy.weights import Floats, ModelWeights

__all__ = ["ACTIVATIONS", "forward"]


def forward(
    weights: ModelWeights, input_ids: NDArray[np.integer], attention_mask: NDArray[np.integer]
) -> dict[str, Floats]:
    """Compute a model's outputs.

    Args:
        weights: The model.
        input_ids: (batch, seq), or (batch, choices, seq) for multiple choice.
        attention_mask: The same shape; non-zero attends.

    Returns:
        The outputs by name, as the model of each framework names them.
    """
    ids, mask = (x.reshape(-1, x.shape[-1]) for x in (input_ids, attention_mask))  # (batch [* choices], seq)
    x = _encode(weights, ids, mask != 0)  # (batch [* choices], seq, dim)
    if weights.head == "Model":
        return {"last_hidden_state": x}
    if weights.head == "ForMaskedLM":
        x = ACTIVATIONS[weights.config.activation](_linear(weights, x, "vocab_transform"))
        return {"logits": _linear(weights, _layer_norm(weights, x, "vocab_layer_norm"), "vocab_projector")}
    if weights.head == "ForTokenClassification":
        return {"logits": _linear(weights, x, "classifier")}  # (batch, seq, num_labels)
    if weights.head == "ForQuestionAnswering":
        logits = _linear(weights, x, "qa_outputs")  # (batch, seq, 2)
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}
    x = np.maximum(_linear(weights, x[:, 0], "pre_classifier"), 0)  # (batch [* choices], dim)
    logits = _linear(weights, x, "classifier")  # (batch, num_labels) or (batch * choices, 1)
    return {"logits": logits.reshape(input_ids.shape[:2]) if weights.is_multiple_choice else logits}


def _encode(weights: ModelWeights, ids: NDArray[np.integer], attends: NDArray[np.bool_]) -> Floats:
    """(batch, seq) ids -> (batch, seq, dim) hidden states."""
    positions = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]  # (seq, dim)
    x = _layer_norm(weights, weights["embeddings.word_embeddings.weight"][ids] + positions, "embeddings.LayerNorm")
    activation = ACTIVATIONS[weights.config.activation]
    for layer in range(weights.config.n_layers):
        block = f"transformer.layer.{layer}"
        context = _attend(weights, x, attends, layer)
        x = _layer_norm(weights, _linear(weights, context, f"{block}.attention.out_lin") + x, f"{block}.sa_layer_norm")
        hidden = activation(_linear(weights, x, f"{block}.ffn.lin1"))  # (batch, seq, hidden_dim)
        x = _layer_norm(weights, _linear(weights, hidden, f"{block}.ffn.lin2") + x, f"{block}.output_layer_norm")
    return x


def _attend(weights: ModelWeights, x: Floats, attends: NDArray[np.bool_], layer: int) -> Floats:
    """(batch, seq, dim) -> (batch, seq, heads * head_dim)."""
    query, key, value = (_heads(weights, x, layer, part) for part in ("q_lin", "k_lin", "v_lin"))
    scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(weights.head_dim))  # (batch, heads, seq, seq)
    scores = np.where(attends[:, None, None, :], scores, np.float32(MASKED_SCORE))
    probabilities = np.exp(scores - scores.max(axis=-1, keepdims=True))
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    context: Floats = (probabilities @ value).transpose(0, 2, 1, 3)  # (batch, seq, heads, head_dim)
    return context.reshape(*x.shape[:2], -1)  # (batch, seq, heads * head_dim)


def _heads(weights: ModelWeights, x: Floats, layer: int, part: str) -> Floats:
    """(batch, seq, dim) -> (batch, heads, seq, head_dim) of queries, keys or values."""
    projected = _linear(weights, x, f"transformer.layer.{layer}.attention.{part}")
    split = projected.reshape(*x.shape[:2], -1, weights.head_dim)  # (batch, seq, heads, head_dim)
    return split.transpose(0, 2, 1, 3)


def _linear(weights: ModelWeights, x: Floats, module: str) -> Floats:
    """Multiply by a module's matrix, stored (out, in), and add its bias; as one product, not one for each row."""
    product = x.reshape(-1, x.shape[-1]) @ weights[f"{module}.weight"].T + weights[f"{module}.bias"]
    return product.reshape(*x.shape[:-1], -1)  # (…, out)


def _layer_norm(weights: ModelWeights, x: Floats, module: str) -> Floats:
    """Normalize the last axis."""
    centered = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.square(centered).mean(axis=-1, keepdims=True) + np.float32(LAYER_NORM_EPS))
    normalized: Floats = centered / deviation * weights[f"{module}.weight"] + weights[f"{module}.bias"]
    return normalized


def _erf(x: Floats) -> Floats:
    """The error function of each value, which NumPy does not have."""
    values = np.fromiter(map(math.erf, x.ravel().tolist()), np.float32, x.size)
    return values.reshape(x.shape)


def _gelu(x: Floats) -> Floats:
    return np.float32(0.5) * x * (1 + _erf(x * np.float32(math.sqrt(0.5))))


def _gelu_tanh(x: Floats) -> Floats:
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
    return np.float32(0.5) * x * (1 + _tanh(inner))


def _tanh(x: Floats) -> Floats:
    values: Floats = np.tanh(x)
    return values


def _sigmoid(x: Floats) -> Floats:
    return np.float32(0.5) * (1 + _tanh(np.float32(0.5) * x))  # which no x makes overflow


def _laplace(x: Floats) -> Floats:
    return np.float32(0.5) * (1 + _erf((x - np.float32(0.707107)) / np.float32(0.282095 * math.sqrt(2))))


def _mish(x: Floats) -> Floats:
    return x * _tanh(np.logaddexp(x, np.float32(0)))


ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = by_config_name(
    {
        "gelu": _gelu,
        "gelu_10": lambda x: np.clip(_gelu(x), -10, 10),
        "gelu_new": _gelu_tanh,
        "laplace": _laplace,
        "leaky_relu": lambda x: np.where(x > 0, x, np.float32(0.01) * x),
        "linear": lambda x: x,
        "mish": _mish,
        "quick_gelu": lambda x: x * _sigmoid(np.float32(1.702) * x),
        "relu": lambda x: np.maximum(x, 0),
        "relu2": lambda x: np.square(np.maximum(x, 0)),
        "relu6": lambda x: np.clip(x, 0, 6),
        "sigmoid": _sigmoid,
        "silu": lambda x: x * _sigmoid(x),
        "tanh": _tanh,
    }
)
"""The activations by their names in the config."""
