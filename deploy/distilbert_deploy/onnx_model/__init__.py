"""ONNX models built from the weight table, without any framework."""

from distilbert_deploy.onnx_model.model import DEFAULT_OPSET, OPSETS, build_model

__all__ = ["DEFAULT_OPSET", "OPSETS", "build_model"]
