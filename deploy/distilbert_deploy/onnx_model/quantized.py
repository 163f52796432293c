"""The layers with matrices and tables of eight bits.

Weights are signed and symmetric, each output of a matrix and each row of a table with a scale of its own. Activations
are unsigned: their scale is computed with each call, or fixed by calibration. The last layer of a head, which is tiny,
stays as it is. ONNX Runtime makes one operator of what is written here for each matrix.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from distilbert_deploy.onnx_model.graph import Graph
from distilbert_deploy.onnx_model.layers import Layers
from distilbert_deploy.weights import Floats, ModelWeights

__all__ = ["QuantizedLayers", "Range", "Ranges", "quantize_rows"]

Range = tuple[float, float]
Ranges = Mapping[str, Range]
"""The lowest and the highest input of each module, by its name."""

_FLOAT_MODULES = ("classifier", "qa_outputs")
_LARGEST, _STEPS = 127, 255
_LARGEST_REDUCED = 63
"""With it two products of any activations add up to less than 2**15, where AVX2 adds pairs in 16 bits."""


def quantize_rows(matrix: Floats, steps: int = _LARGEST) -> tuple[NDArray[np.int8], Floats]:
    """Round each row to as many steps below zero as above it.

    Args:
        matrix: (rows, columns).
        steps: The steps above zero.

    Returns:
        (rows, columns) int8, and the (rows,) factors that make floats of them again.
    """
    largest = np.abs(matrix).max(axis=1)  # (rows,)
    scales = np.where(largest > 0, largest / steps, 1.0).astype(np.float32)
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales


class QuantizedLayers(Layers):
    """Writes the layers of one model with eight bits."""

    def __init__(
        self, graph: Graph, weights: ModelWeights, ranges: Ranges | None = None, *, reduce_range: bool = False
    ) -> None:
        """Take a graph.

        Args:
            graph: Where layers are written.
            weights: The model.
            ranges: Those of calibration; None for scales that are computed with each call.
            reduce_range: Whether weights have seven bits, for processors whose sums of eight saturate.
        """
        super().__init__(graph, weights)
        self._steps = _LARGEST_REDUCED if reduce_range else _LARGEST
        self._ranges = ranges
        self._quantized: dict[str, tuple[str, str, str]] = {}

    def linear(self, x: str, module: str, scale: float = 1.0) -> str:
        """(…, in) -> (…, out), as `Layers.linear`."""
        if module in _FLOAT_MODULES:
            return super().linear(x, module, scale)
        integers, scales = quantize_rows(self.weights[f"{module}.weight"] * np.float32(scale), self._steps)
        matrix = self.graph.constant(f"{module}.weight.int8", integers.T, np.int8)
        factors = self.graph.constant(f"{module}.weight.scale", scales)
        bias = self.graph.constant(f"{module}.bias", self.weights[f"{module}.bias"] * np.float32(scale))
        return self._product(x, module, matrix, factors, bias)

    def embedding(self, ids: str, module: str) -> str:
        """(…) -> (…, dim): rows of a table, as floats again."""
        integers, scales = quantize_rows(self.weights[f"{module}.weight"], self._steps)
        table = self.graph.constant(f"{module}.weight.int8", integers, np.int8)
        factors = self.graph.constant(f"{module}.weight.scale", scales)
        rows = self.graph.add("Cast", self.graph.add("Gather", table, ids), to=TensorProto.FLOAT)  # (…, dim)
        last = self.graph.integers("axes.-1", [-1])
        scale = self.graph.add("Unsqueeze", self.graph.add("Gather", factors, ids), last)  # (…, 1)
        return self.graph.add("Mul", rows, scale, name=f"{module}/rows")

    def projector(self, x: str) -> str:
        """(batch, seq, dim) -> (batch, seq, vocab); a tied matrix has the steps and scales of the embeddings."""
        module = "embeddings.word_embeddings"
        if not self.weights.config.tie_word_embeddings:
            return self.linear(x, "vocab_projector")
        matrix = self.graph.add("Transpose", f"{module}.weight.int8", perm=[1, 0], name="vocab_projector/tied")
        bias = self.graph.constant("vocab_projector.bias", self.weights["vocab_projector.bias"])
        return self._product(x, "vocab_projector", matrix, f"{module}.weight.scale", bias)

    def _product(self, x: str, module: str, matrix: str, factors: str, bias: str) -> str:
        """Multiply by a matrix of eight bits, and add a bias."""
        add = self.graph.add
        if self._ranges is not None:
            rounded = self._round(x, self._ranges[module])
            weight = add("DequantizeLinear", matrix, factors, axis=1, name=f"{module}.weight")
            return add("Add", add("MatMul", rounded, weight, name=f"{module}/product"), bias, name=f"{module}/sum")
        integers, scale, zero_point = self._quantize(x)
        sums = add("MatMulInteger", integers, matrix, zero_point, name=f"{module}/integers")
        floats = add("Cast", sums, to=TensorProto.FLOAT, name=f"{module}/floats")
        product = add("Mul", floats, add("Mul", scale, factors, name=f"{module}/scale"), name=f"{module}/product")
        return add("Add", product, bias, name=f"{module}/sum")

    def _quantize(self, x: str) -> tuple[str, str, str]:
        """Return a tensor in eight bits, its scale and its zero point, once for all who ask for it."""
        if x not in self._quantized:
            outputs = (f"{x}.uint8", f"{x}.scale", f"{x}.zero_point")
            self.graph.add_several("DynamicQuantizeLinear", (x,), outputs)
            self._quantized[x] = outputs
        return self._quantized[x]

    def _round(self, x: str, limits: Range) -> str:
        """Return a tensor rounded to 255 steps between two limits, of which zero is one of the steps."""
        if x not in self._quantized:
            low, high = min(limits[0], 0.0), max(limits[1], 0.0)
            step = (high - low) / _STEPS or 1.0
            scale = self.graph.constant(f"{x}.scale", step)
            zero_point = self.graph.constant(f"{x}.zero_point", round(-low / step), np.uint8)
            integers = self.graph.add("QuantizeLinear", x, scale, zero_point)
            floats = self.graph.add("DequantizeLinear", integers, scale, zero_point)
            self._quantized[x] = (floats, scale, zero_point)
        return self._quantized[x][0]
