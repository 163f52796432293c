"""A whole model as ONNX: inputs, encoder, head, outputs, and what is to be known of it.

Inputs are `input_ids` and `attention_mask`, (batch, seq) or (batch, choices, seq). Two more may be given, so that rows
can hold several texts each (`distilbert_common.packing`): `segment_starts` (batch, seq), where in its row the text of
each token starts, and, for the models that read first tokens, `first_tokens` (batch, segments), where each text starts;
logits are then (batch * segments, num_labels). They have defaults, which programs that know nothing of them leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from distilbert_common.outputs import per_token_outputs
from distilbert_deploy.onnx_files import DEFAULT_OPSET, check_opset
from distilbert_deploy.onnx_model.activations import activate
from distilbert_deploy.onnx_model.graph import Graph
from distilbert_deploy.onnx_model.layers import Layers
from distilbert_deploy.weights import ModelWeights

__all__ = ["build_model"]


@dataclass(frozen=True)
class _Tokens:
    """What the encoder is given, by the names of tensors in the graph.

    Attributes:
        ids: (batch, seq) token ids.
        mask: (batch, seq), non-zero attends.
        starts: (1 or batch, 1 or seq), where the text of each token starts.
    """

    ids: str
    mask: str
    starts: str


def build_model(
    weights: ModelWeights,
    *,
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
    float_dtype: Any = np.float32,
    make_layers: Callable[[Graph, ModelWeights], Layers] = Layers,
) -> Any:
    """Build a model from its weights.

    Args:
        weights: The model.
        opset: The version of ONNX's operators, one of `distilbert_deploy.onnx_files.OPSETS`.
        metadata: What is written beside the graph, by name.
        float_dtype: What is stored and computed in, float32 or float16; outputs are float32.
        make_layers: What writes layers, such as `QuantizedLayers`.

    Returns:
        An `onnx.ModelProto`.

    Raises:
        ExportError: There is no such version.
    """
    check_opset(opset)
    graph = Graph(opset, float_dtype)
    layers = make_layers(graph, weights)
    tokens = _inputs(graph, weights)
    outputs = _head(layers, _encoder(layers, tokens))
    for name, tensor in outputs.items():
        if graph.is_half:
            graph.add("Cast", tensor, output=name, name=f"output/{name}", to=TensorProto.FLOAT)
        else:
            graph.add("Identity", tensor, output=name, name=f"output/{name}")
    model = graph.to_model(f"DistilBert{weights.head}", _input_types(weights), _output_types(weights, list(outputs)))
    model.producer_name = "distilbert"
    helper.set_model_props(model, dict(metadata or {}))
    return model


def _inputs(graph: Graph, weights: ModelWeights) -> _Tokens:
    graph.integers("segment_starts", [[0]])
    if weights.reads_first_token and not weights.is_multiple_choice:
        graph.integers("first_tokens", [[0]])
    if not weights.is_multiple_choice:
        return _Tokens("input_ids", "attention_mask", "segment_starts")
    last = graph.add("Shape", "input_ids", start=2)  # (1,): seq
    rows = graph.add("Concat", graph.integers("constant.-1", [-1]), last, axis=0)
    ids, mask = (graph.add("Reshape", name, rows) for name in ("input_ids", "attention_mask"))  # (batch * choices, seq)
    return _Tokens(ids, mask, "segment_starts")


def _encoder(layers: Layers, tokens: _Tokens) -> str:
    """Return the last hidden states: (batch, seq, dim), or (batch, segments, dim) where first tokens are read."""
    graph, weights = layers.graph, layers.weights
    add = graph.add
    zero, one = graph.integers("integer.0", 0), graph.integers("integer.1", 1)
    seq = add("Squeeze", add("Shape", tokens.ids, start=1), graph.integers("axes.0", [0]))
    indices = add("Range", zero, seq, one, name="indices")  # (seq,)
    positions = add("Sub", indices, tokens.starts, name="positions")  # (1 or batch, seq)
    word_embeddings = layers.embedding(tokens.ids, "embeddings.word_embeddings")
    embedded = add("Add", word_embeddings, layers.embedding(positions, "embeddings.position_embeddings"))
    x = layers.layer_norm(embedded, "embeddings.LayerNorm")  # (batch, seq, dim)
    bias = _scores_bias(layers, tokens, tokens.starts, "tokens")
    *most, last = range(weights.config.n_layers)
    for layer in most:
        x = layers.block(x, x, bias, layer)
    if not weights.reads_first_token:
        return layers.block(x, x, bias, last)
    firsts = "first_tokens" if not weights.is_multiple_choice else graph.integers("first_tokens", [[0]])
    return layers.block(x, _gather_tokens(graph, x, firsts), _scores_bias(layers, tokens, firsts, "first"), last)


def _scores_bias(layers: Layers, tokens: _Tokens, query_starts: str, name: str) -> str:
    """Return what is added to scores, (batch, 1, 1 or queries, seq): a token attends within its text, not to padding.

    Args:
        layers: The layers.
        tokens: What attends.
        query_starts: (1 or batch, 1 or queries), where the text of each query starts.
        name: What tells it from another.
    """
    graph, add = layers.graph, layers.graph.add
    of_keys, of_queries = graph.integers("axes.1.2", [1, 2]), graph.integers("axes.1.3", [1, 3])
    is_token = add("Cast", add("Unsqueeze", tokens.mask, of_keys), to=TensorProto.BOOL)  # (batch, 1, 1, seq)
    query_start = add("Unsqueeze", query_starts, of_queries)  # (1 or batch, 1, 1 or queries, 1)
    is_own = add("Equal", query_start, add("Unsqueeze", tokens.starts, of_keys))
    return layers.scores_bias(add("And", is_token, is_own, name=f"attends.{name}"), f"scores_bias.{name}")


def _gather_tokens(graph: Graph, x: str, tokens: str) -> str:
    """(batch, seq, dim) -> (batch, segments, dim): some tokens of each row."""
    add = graph.add
    batch, seq = (add("Shape", x, start=axis, end=axis + 1) for axis in (0, 1))  # (1,) each
    rows = add("Range", graph.integers("integer.0", 0), add("Squeeze", batch), graph.integers("integer.1", 1))
    offsets = add("Unsqueeze", add("Mul", rows, seq), graph.integers("axes.1", [1]))  # (batch, 1)
    indices = add("Add", offsets, tokens)  # (batch, segments), in the rows laid end to end
    dim = add("Shape", x, start=2)
    flat = add("Reshape", x, add("Concat", graph.integers("constant.-1", [-1]), dim, axis=0))  # (batch * seq, dim)
    return add("Gather", flat, indices, name="first_tokens/rows")


def _head(layers: Layers, x: str) -> dict[str, str]:
    """Return the outputs by name."""
    head, graph, config = layers.weights.head, layers.graph, layers.weights.config
    if head == "Model":
        return {"last_hidden_state": x}
    if head == "ForMaskedLM":
        x = activate(graph, layers.linear(x, "vocab_transform"), config.activation)
        return {"logits": layers.projector(layers.layer_norm(x, "vocab_layer_norm"))}
    if head == "ForTokenClassification":
        return {"logits": layers.linear(x, "classifier")}
    if head == "ForQuestionAnswering":
        logits = layers.linear(x, "qa_outputs")  # (batch, seq, 2)
        names = ("start_logits", "end_logits")
        return {
            name: graph.add("Gather", logits, graph.integers(f"integer.{i}", i), axis=2) for i, name in enumerate(names)
        }
    logits = layers.linear(graph.add("Relu", layers.linear(x, "pre_classifier")), "classifier")
    if head == "ForMultipleChoice":
        shape = graph.add("Shape", "input_ids", end=2)
        return {"logits": graph.add("Reshape", logits, shape)}  # (batch, choices)
    labels = graph.integers("shape.logits", [-1, config.num_labels])
    return {"logits": graph.add("Reshape", logits, labels)}  # (batch * segments, num_labels)


def _input_types(weights: ModelWeights) -> list[Any]:
    axes = ["batch", "choices", "seq"] if weights.is_multiple_choice else ["batch", "seq"]
    types = {"input_ids": axes, "attention_mask": axes}
    if not weights.is_multiple_choice:
        types["segment_starts"] = ["segment_rows", "segment_seq"]
    if weights.reads_first_token and not weights.is_multiple_choice:
        types["first_tokens"] = ["segment_rows", "segments"]
    return [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name, axes in types.items()]


def _output_types(weights: ModelWeights, names: list[str]) -> list[Any]:
    config, head = weights.config, weights.head
    widths = {"Model": [config.dim], "ForMaskedLM": [config.vocab_size], "ForTokenClassification": [config.num_labels]}
    per_row = {"ForSequenceClassification": ["batch", config.num_labels], "ForMultipleChoice": ["batch", "choices"]}
    types = []
    for name in names:
        axes = ["batch", "seq", *widths.get(head, [])] if name in per_token_outputs(head) else per_row[head]
        types.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, axes))
    return types
