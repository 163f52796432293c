"""ONNX models built from the weight table, without any framework."""

from distilbert_deploy.onnx_model.model import OPSETS, build_model

__all__ = ["OPSETS", "build_model"]
