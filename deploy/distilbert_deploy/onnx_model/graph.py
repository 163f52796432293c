"""Writing an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = ["Graph"]


class Graph:
    """Nodes and constants as they are added; `add` returns the name of a node's output.

    Attributes:
        opset: The version of ONNX's operators.
        float_dtype: What is computed in: float32 or float16.
    """

    def __init__(self, opset: int, float_dtype: Any = np.float32) -> None:
        self.opset, self.float_dtype = opset, np.dtype(float_dtype)
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def add(self, op: str, *inputs: str, name: str = "", output: str | None = None, **attributes: Any) -> str:
        """Add a node.

        Args:
            op: The operator.
            *inputs: What it takes.
            name: What tells it from others, as "layer.0/scores"; a number when empty.
            output: What the output is called; the node's name when None.
            **attributes: Those of the operator.

        Returns:
            The name of the output.
        """
        name = name or f"{op}_{len(self._nodes)}"
        output = output or name
        self._nodes.append(helper.make_node(op, list(inputs), [output], name=name, **attributes))
        return output

    def add_several(self, op: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Add a node with several outputs, which are named by the caller."""
        self._nodes.append(helper.make_node(op, list(inputs), list(outputs), name=f"{op}_{len(self._nodes)}"))

    @property
    def is_half(self) -> bool:
        """Whether what is computed in has eleven bits."""
        return bool(self.float_dtype == np.float16)

    def constant(self, name: str, values: Any, dtype: Any = None) -> str:
        """Add a tensor that is stored in the file, once for each name; of `float_dtype` if no other is named.

        Returns:
            Its name.
        """
        if name not in self._constants:
            array: NDArray[Any] = np.asarray(values, self.float_dtype if dtype is None else dtype)
            # a scalar stays one, which `ascontiguousarray` gives an axis
            self._constants[name] = numpy_helper.from_array(array.copy(order="C") if array.ndim else array, name)
        return name

    def integers(self, name: str, values: Any) -> str:
        """Add a tensor of int64, such as axes and shapes."""
        return self.constant(name, values, np.int64)

    def to_model(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        """Return the graph as a model."""
        graph = helper.make_graph(self._nodes, name, inputs, outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", self.opset)]
        version = helper.find_min_ir_version_for(opsets)
        return helper.make_model(graph, opset_imports=opsets, ir_version=version)
