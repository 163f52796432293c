"""The layers of DistilBERT as ONNX operators."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto

from distilbert_common.constants import LAYER_NORM_EPS, MASKED_SCORE
from distilbert_deploy.onnx_model.activations import activate
from distilbert_deploy.onnx_model.graph import Graph
from distilbert_deploy.weights import ModelWeights

__all__ = ["Layers"]


class Layers:
    """Writes the layers of one model into a graph: each method takes and returns names of tensors.

    Attributes:
        graph: Where they are written.
        weights: The model.
        linear_inputs: What is multiplied by each module's matrix, by the module's name.
    """

    def __init__(self, graph: Graph, weights: ModelWeights) -> None:
        self.graph, self.weights = graph, weights
        self.linear_inputs: dict[str, str] = {}

    def linear(self, x: str, module: str, scale: float = 1.0) -> str:
        """(…, in) -> (…, out): the product with a module's matrix, and its bias; both times `scale`."""
        self.linear_inputs[module] = x
        matrix, bias = (self.weights[f"{module}.{leaf}"] * np.float32(scale) for leaf in ("weight", "bias"))
        product = self.graph.add(
            "MatMul", x, self.graph.constant(f"{module}.weight", matrix.T), name=f"{module}/product"
        )
        return self.graph.add("Add", product, self.graph.constant(f"{module}.bias", bias), name=f"{module}/sum")

    def embedding(self, ids: str, module: str) -> str:
        """(…) -> (…, dim): rows of a table."""
        table = self.graph.constant(f"{module}.weight", self.weights[f"{module}.weight"])
        return self.graph.add("Gather", table, ids, name=f"{module}/rows")

    def layer_norm(self, x: str, module: str) -> str:
        """(…, dim) -> (…, dim)."""
        scale, bias = (
            self.graph.constant(f"{module}.{leaf}", self.weights[f"{module}.{leaf}"]) for leaf in ("weight", "bias")
        )
        return self.graph.add("LayerNormalization", x, scale, bias, name=module, axis=-1, epsilon=LAYER_NORM_EPS)

    def projector(self, x: str) -> str:
        """(batch, seq, dim) -> (batch, seq, vocab) logits; a tied matrix is that of the embeddings, stored once."""
        if not self.weights.config.tie_word_embeddings:
            return self.linear(x, "vocab_projector")
        self.linear_inputs["vocab_projector"] = x
        table = self.graph.add(
            "Transpose", "embeddings.word_embeddings.weight", perm=[1, 0], name="vocab_projector/tied"
        )
        product = self.graph.add("MatMul", x, table, name="vocab_projector/product")
        bias = self.graph.constant("vocab_projector.bias", self.weights["vocab_projector.bias"])
        return self.graph.add("Add", product, bias, name="vocab_projector/sum")

    def scores_bias(self, attends: str, name: str) -> str:
        """Bool (batch, 1, …, seq) -> what is added to scores: 0, or the lowest value where nobody attends."""
        values = {"scores.open": 0.0, "scores.masked": MASKED_SCORE}
        zero, low = (self.graph.constant(key, value, np.float32) for key, value in values.items())
        return self.graph.add("Where", attends, zero, low, name=name)

    def block(self, x: str, queries: str, bias: str, layer: int) -> str:
        """Attention and feed-forward network.

        Args:
            x: (batch, seq, dim).
            queries: (batch, tokens, dim), those of `x` whose next hidden states are asked for; `x` itself for all.
            bias: (batch, 1, 1 or tokens, seq), added to the scores.
            layer: The number of the layer.

        Returns:
            (batch, tokens, dim).
        """
        module = f"transformer.layer.{layer}"
        context = self._attention(x, queries, bias, layer)
        attended = self.linear(context, f"{module}.attention.out_lin")
        x = self.layer_norm(self.graph.add("Add", attended, queries), f"{module}.sa_layer_norm")
        hidden = activate(self.graph, self.linear(x, f"{module}.ffn.lin1"), self.weights.config.activation)
        return self.layer_norm(
            self.graph.add("Add", self.linear(hidden, f"{module}.ffn.lin2"), x), f"{module}.output_layer_norm"
        )

    def _attention(self, x: str, queries: str, bias: str, layer: int) -> str:
        """As `block`; queries are scaled by their weights, which costs nothing at run time."""
        module, add = f"transformer.layer.{layer}.attention", self.graph.add
        scale = 1 / math.sqrt(self.weights.head_dim)
        query = self._split(self.linear(queries, f"{module}.q_lin", scale), layer, [0, 2, 1, 3])
        key = self._split(self.linear(x, f"{module}.k_lin"), layer, [0, 2, 3, 1])  # (batch, heads, head_dim, seq)
        value = self._split(self.linear(x, f"{module}.v_lin"), layer, [0, 2, 1, 3])
        scores = add("MatMul", query, key, name=f"{module}/scores")  # (batch, heads, tokens, seq)
        probabilities = self._softmax(scores, bias, f"{module}/probabilities")
        context = add("MatMul", probabilities, value, name=f"{module}/context")  # (batch, heads, tokens, head_dim)
        width = self.weights.heads(layer) * self.weights.head_dim
        merged = self.graph.integers(f"shape.merged.{width}", [0, 0, width])
        return add("Reshape", add("Transpose", context, perm=[0, 2, 1, 3]), merged)  # (batch, tokens, heads * head_dim)

    def _softmax(self, scores: str, bias: str, name: str) -> str:
        """Return probabilities; they are computed in float32 whatever the rest is."""
        add, is_half = self.graph.add, self.graph.is_half
        scores = add("Cast", scores, to=TensorProto.FLOAT) if is_half else scores
        probabilities = add("Softmax", add("Add", scores, bias), axis=-1, name=name)
        return add("Cast", probabilities, to=TensorProto.FLOAT16) if is_half else probabilities

    def _split(self, x: str, layer: int, order: list[int]) -> str:
        """(batch, tokens, heads * head_dim) -> (batch, tokens, heads, head_dim), its axes in another order."""
        heads = self.weights.heads(layer)
        shape = self.graph.integers(f"shape.split.{heads}", [0, 0, heads, self.weights.head_dim])
        return self.graph.add("Transpose", self.graph.add("Reshape", x, shape), perm=order)
