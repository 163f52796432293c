"""The activations as ONNX operators."""

from __future__ import annotations

import math
from collections.abc import Callable

from distilbert_common.config_fields import by_config_name
from distilbert_deploy.onnx_model.graph import Graph

__all__ = ["activate"]

_GELU_OPSET = 20
"""From this version on ONNX has GELU as one operator; before it is written out as runtimes look for it."""


def activate(graph: Graph, x: str, activation: str) -> str:
    """Add an activation by its name in the config."""
    return _ACTIVATIONS[activation](graph, x)


def _scaled(graph: Graph, x: str, factor: float) -> str:
    return graph.add("Mul", x, graph.constant(f"constant.{factor!r}", factor))


def _plus(graph: Graph, x: str, number: float) -> str:
    return graph.add("Add", x, graph.constant(f"constant.{number!r}", number))


def _clip(graph: Graph, x: str, low: float, high: float) -> str:
    return graph.add("Clip", x, graph.constant(f"constant.{low!r}", low), graph.constant(f"constant.{high!r}", high))


def _gelu(graph: Graph, x: str) -> str:
    if graph.opset >= _GELU_OPSET:
        return graph.add("Gelu", x)
    erf = graph.add("Erf", graph.add("Div", x, graph.constant("constant.sqrt2", math.sqrt(2))))
    return _scaled(graph, graph.add("Mul", x, _plus(graph, erf, 1.0)), 0.5)


def _gelu_tanh(graph: Graph, x: str) -> str:
    if graph.opset >= _GELU_OPSET:
        return graph.add("Gelu", x, approximate="tanh")
    cube = graph.add("Mul", graph.add("Mul", x, x), x)
    inner = _scaled(graph, graph.add("Add", x, _scaled(graph, cube, 0.044715)), math.sqrt(2 / math.pi))
    return _scaled(graph, graph.add("Mul", x, _plus(graph, graph.add("Tanh", inner), 1.0)), 0.5)


def _silu(graph: Graph, x: str) -> str:
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _quick_gelu(graph: Graph, x: str) -> str:
    return graph.add("Mul", x, graph.add("Sigmoid", _scaled(graph, x, 1.702)))


def _laplace(graph: Graph, x: str) -> str:
    erf = graph.add("Erf", _scaled(graph, _plus(graph, x, -0.707107), 1 / (0.282095 * math.sqrt(2))))
    return _scaled(graph, _plus(graph, erf, 1.0), 0.5)


def _mish(graph: Graph, x: str) -> str:
    return graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x)))


def _relu2(graph: Graph, x: str) -> str:
    positive = graph.add("Relu", x)
    return graph.add("Mul", positive, positive)


_ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = by_config_name(
    {
        "gelu": _gelu,
        "gelu_10": lambda graph, x: _clip(graph, _gelu(graph, x), -10.0, 10.0),
        "gelu_new": _gelu_tanh,
        "laplace": _laplace,
        "leaky_relu": lambda graph, x: graph.add("LeakyRelu", x, alpha=0.01),
        "linear": lambda graph, x: x,
        "mish": _mish,
        "quick_gelu": _quick_gelu,
        "relu": lambda graph, x: graph.add("Relu", x),
        "relu2": _relu2,
        "relu6": lambda graph, x: _clip(graph, x, 0.0, 6.0),
        "sigmoid": lambda graph, x: graph.add("Sigmoid", x),
        "silu": _silu,
        "tanh": lambda graph, x: graph.add("Tanh", x),
    }
)
