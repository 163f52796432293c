"""`distilbert export`: a checkpoint in, a model for another runtime out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from distilbert_cli.arguments import Columns, Json, columns_of
from distilbert_cli.stderr import capture_stderr
from distilbert_cli.text import printable
from distilbert_cli.training_progress import training_progress

__all__ = ["export"]


def export(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Directory, weights file or hub id, in any dialect.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Directory to write.")],
    to: Annotated[
        str, typer.Option(help="onnx, openvino, saved-model, litert, stablehlo, torch-export or executorch.")
    ] = "onnx",
    quantize: Annotated[str, typer.Option(help="int8; matrices stay float32 if not given.")] = "",
    reduce_range: Annotated[
        bool, typer.Option("--reduce-range", help="Seven bits of weights in int8: for x86 processors without VNNI.")
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="File with texts, from which int8 takes fixed scales."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="File with labels, on which the export and its source are scored.")
    ] = None,
    column: Columns = None,
    dtype: Annotated[
        str, typer.Option(help="float16 (onnx) or bfloat16 (torch-export, stablehlo); float32 if not given.")
    ] = "",
    opset: Annotated[int, typer.Option(help="Version of ONNX's operators, 17 to 23, for onnx and openvino.")] = 20,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace DST if it is a saved model.")] = False,
    as_json: Json = False,
) -> None:
    """Export a model with config and tokenizer; it appears at DST once it gives the model's numbers in its runtime."""
    from distilbert_deploy import export as run

    with capture_stderr(), training_progress() as on_progress:
        report = run(
            source, target, target=to, quantize=quantize or None, reduce_range=reduce_range, dtype=dtype or None,
            calibration=calibrate, labeled=None if data is None else str(data), columns=columns_of(column), opset=opset,
            overwrite=overwrite, on_progress=on_progress,
        )  # fmt: skip
    typer.echo(json.dumps(report.to_dict(), indent=2) if as_json else printable(report.message()))
