"""ONNX models built from the weight table, without any framework."""

from distilbert_deploy.onnx_files import OPSETS
from distilbert_deploy.onnx_model.model import build_model

__all__ = ["OPSETS", "build_model"]
