"""Sessions of ONNX Runtime, imported when one is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilbert_common.errors import DeviceError, InputError
from distilbert_deploy.runtimes import require_module

__all__ = ["open_session", "runtime"]

_ERRORS_ONLY = 3
_GPU = "CUDAExecutionProvider"


def runtime() -> Any:
    """Return the module `onnxruntime`.

    Raises:
        MissingFrameworkError: It is not installed.
    """
    return require_module("onnxruntime", "onnxruntime", "export", "an exported ONNX model")


def open_session(model: Path | bytes, device: str = "cpu", threads: int | None = None) -> Any:
    """Open an ONNX model.

    Args:
        model: The file, or its content.
        device: "cpu", "gpu", or "auto" for the GPU if ONNX Runtime has one.
        threads: How many threads one call computes in; None for one to each core.

    Raises:
        DeviceError: There is no GPU.
        InputError: ONNX Runtime cannot open the model.
    """
    ort = runtime()
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    content = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(content, options, providers=_providers(ort, device))
    except (RuntimeError, ValueError, OSError) as error:  # what ONNX Runtime raises derives from Exception alone
        raise InputError(_unreadable(model, error)) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "onnxruntime":
            raise
        raise InputError(_unreadable(model, error)) from error


def _providers(ort: Any, device: str) -> list[str]:
    available = ort.get_available_providers()
    if device == "gpu" and _GPU not in available:
        raise DeviceError("there is no GPU for ONNX Runtime; pass device='cpu', or install onnxruntime-gpu")
    return [_GPU, "CPUExecutionProvider"] if device != "cpu" and _GPU in available else ["CPUExecutionProvider"]


def _unreadable(model: Path | bytes, error: Exception) -> str:
    name = "the model" if isinstance(model, bytes) else model
    return f"ONNX Runtime cannot open {name}: {error}; export it again"
