"""Export for serving: what a SavedModel, LiteRT or ONNX file takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras

from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor

__all__ = ["check_format", "export_saved_model", "ids_and_mask"]

ENDPOINTS = {"serve": "int32", "serve_int64": "int64"}
"""The signatures of a SavedModel, and the dtype of the ids and masks that each takes."""


UNUSABLE = {
    "onnx": "Keras writes an ONNX file of these models that ONNX Runtime refuses",
    "openvino": "Keras writes OpenVINO files from its OpenVINO backend only",
    "torch": "Keras writes PyTorch files from its PyTorch backend only",
}
"""Formats of `keras.Model.export` that give nothing that works, and why."""

FORMATS = ("tf_saved_model", "litert")
"""Those that do."""


def check_format(format: str) -> None:
    """Require a format that can be written.

    Raises:
        InputError: It cannot, or is none.
    """
    if format not in FORMATS:
        reason = f"{UNUSABLE[format]}; " if format in UNUSABLE else ""
        raise InputError(f"format is {format!r}; {reason}expected one of {', '.join(FORMATS)}")


def ids_and_mask(axes: int, dtype: str) -> dict[str, keras.InputSpec]:
    """Return the inputs of a model: ids and mask, of any size.

    Args:
        axes: 2, or 3 with choices.
        dtype: "int32" or "int64".
    """
    return {
        name: keras.InputSpec(shape=(None,) * axes, dtype=dtype, name=name) for name in ("input_ids", "attention_mask")
    }


def export_saved_model(model: keras.Model, axes: int, path: str | Path, verbose: bool | None) -> None:
    """Write a SavedModel with the signatures `ENDPOINTS`, and the first of them as `serving_default`.

    Args:
        model: One of this package.
        axes: The axes of ids and mask.
        path: The directory to write.
        verbose: Whether Keras prints the signatures.
    """

    def serve(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(model(inputs, output_attentions=False, output_hidden_states=False, return_dict=True))

    archive = keras.export.ExportArchive()  # which would write the variables of a model that it tracks twice
    for name, dtype in ENDPOINTS.items():
        archive.add_endpoint(name, serve, [ids_and_mask(axes, dtype)])
    archive.write_out(str(path), verbose=verbose)
