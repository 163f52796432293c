"""Exporting a model: written into a hidden folder, run beside its source, and published if it gives its numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from distilbert_common.errors import DistilBertError, TokenizerNotFoundError
from distilbert_common.files import local_path
from distilbert_common.frameworks import installed_version
from distilbert_common.tokenization import DistilBertTokenizerFast
from distilbert_conversion import Checkpoint, open_checkpoint
from distilbert_conversion.output.atomic_directory import atomic_directory, check_target
from distilbert_conversion.output.sidecar_files import check_sidecar_files, write_sidecar_files
from distilbert_deploy.errors import ExportError
from distilbert_deploy.onnx_files import DEFAULT_OPSET, check_opset
from distilbert_deploy.report import ExportReport, Scores
from distilbert_deploy.samples import Batch, sample_batches
from distilbert_deploy.targets import TARGETS, target_module
from distilbert_deploy.targets.job import Job
from distilbert_deploy.verification import Difference, Run, compare_with_source, require_agreement
from distilbert_deploy.weights import ModelWeights, read_weights
from distilbert_tasks.data import DataOptions
from distilbert_tasks.data.columns import Requested
from distilbert_tasks.training.progress import Note, OnProgress, ignore

__all__ = ["export"]

_FOLDERS = [target.folder for target in TARGETS.values() if target.folder]


def export(
    source: str | Path,
    destination: str | Path,
    *,
    target: str = "onnx",
    quantize: str | None = None,
    reduce_range: bool = False,
    dtype: str | None = None,
    calibration: str | Path | None = None,
    labeled: Any = None,
    columns: Requested = None,
    opset: int = DEFAULT_OPSET,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    **hub: Any,
) -> ExportReport:
    """Export a model for a runtime, with config and tokenizer beside it.

    What is written was run in its runtime beside the source on real text first; an export that does not give the
    source's numbers is never seen at the destination.

    Args:
        source: A directory, a weights file or a hub id, in any dialect, or a BERT.
        destination: The directory to write.
        target: A key of `distilbert_deploy.targets.TARGETS`.
        quantize: "int8" for matrices of eight bits; None for none.
        reduce_range: Whether int8 keeps weights in seven bits: for x86 processors without VNNI, where ONNX Runtime adds
            products of eight in 16 bits, which can overflow.
        dtype: "float16" or "bfloat16" to store weights and compute in, as the target can; None for float32.
        calibration: A file with some hundred texts like those of use, from which int8 takes fixed scales; None for
            scales that are computed with each call.
        labeled: Labeled data, as `distilbert_tasks.evaluate` takes it, on which the export and its source are scored.
        columns: The columns of these two to take, by the task's names for them; None to look for well-known ones.
        opset: The version of ONNX's operators, for onnx and openvino.
        overwrite: Replace the destination if it holds a saved or exported model.
        on_progress: Who is told what is being done.
        **hub: Options of `from_pretrained` that say where files are, as `revision`.

    Returns:
        What was written, how far it is from its source, and how large it is.

    Raises:
        ExportError: The target cannot hold the model, or its outputs are off; nothing is written.
        CheckpointError: The source is damaged, or no DistilBERT.
        OutputExistsError: The destination is not empty, or is the source.
        MissingFrameworkError: The framework or runtime of the target is not installed.
    """
    started, tell = perf_counter(), on_progress or ignore
    precision = _precision(target_module(target).PRECISIONS, target, quantize, dtype)
    _check_opset(opset, target)
    _check_texts(target, precision, calibration, labeled, columns)
    if reduce_range and precision != "int8":
        raise ExportError("reduce_range is for int8 alone; ask for int8 (--quantize int8), or leave it out")
    output = local_path(destination)
    with open_checkpoint(source, fold_token_type=True, **hub) as checkpoint:
        inputs = [checkpoint.path, *checkpoint.files]
        check_target(output, inputs, overwrite=overwrite, folders=_FOLDERS)
        check_sidecar_files(checkpoint.source)
        tell(Note("Reading the weights."))
        weights = read_weights(checkpoint)
        with atomic_directory(output, inputs, overwrite=overwrite, folders=_FOLDERS) as temporary:
            tokenizer = _write_sidecar_files(checkpoint, temporary)
            if tokenizer is None and not (calibration is None and labeled is None):
                raise ExportError(
                    "the source has no tokenizer for the texts that were given; put its files beside it, or give none"
                )
            batches = () if calibration is None else _calibration(calibration, tokenizer, weights, columns)
            job = Job(weights, precision, opset, _metadata(weights), batches, reduce_range)
            files, difference = _write_verified(target, job, temporary, tokenizer, tell)
            scores = Scores() if labeled is None else _scores(weights, files[0], temporary, labeled, columns, tell)
            _sync(temporary)
            nbytes = sum(path.stat().st_size for file in files for path in _files_of(file))
            names = [path.relative_to(temporary) for path in files]
    return ExportReport(
        target=target,
        precision=precision,
        head=weights.head,
        files=tuple(output / name for name in names),
        nbytes=nbytes,
        source_nbytes=sum(array.nbytes for array in weights.arrays.values()),
        difference=difference,
        metrics=scores.metrics,
        agreement=scores.agreement,
        seconds=perf_counter() - started,
        notes=checkpoint.notes,
    )


def _write_verified(
    target: str, job: Job, directory: Path, tokenizer: Any | None, tell: OnProgress
) -> tuple[list[Path], Difference]:
    """Write a model, and run it beside its source.

    Raises:
        ExportError: It is off.
    """
    module = target_module(target)
    tell(Note(f"Writing {target}."))
    files: list[Path] = module.write(job, directory)
    tell(Note("Running it beside the source."))
    batches = sample_batches(job.weights, tokenizer)
    with _as_export_error(target):
        run: Run = module.open_run(files)
    difference = compare_with_source(job.weights, batches, _as_export_error(target)(run))
    require_agreement(difference, job.precision, target)
    return files, difference


@contextmanager
def _as_export_error(target: str) -> Iterator[None]:
    """Say in a sentence that a runtime does not take an export, as LiteRT where it lacks an operator.

    Raises:
        ExportError: It does not.
    """
    try:
        yield
    except DistilBertError:
        raise
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(
            f"the {target} export of this model cannot be run: {reason}; nothing was written: export to onnx"
        ) from error


def _sync(directory: Path) -> None:
    """Make what was written last, whoever wrote it."""
    for path in _files_of(directory):
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _files_of(path: Path) -> list[Path]:
    return [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]


def _precision(supported: tuple[str, ...], target: str, quantize: str | None, dtype: str | None) -> str:
    """Return what the export computes in.

    Raises:
        ExportError: The target has no such precision.
    """
    if quantize not in (None, "int8"):
        raise ExportError(f"quantize is {quantize!r}; expected 'int8', or None")
    if quantize and dtype not in (None, "float32"):
        raise ExportError(f"quantize is {quantize!r} and dtype is {dtype!r}; give one of them")
    precision = quantize or dtype or "float32"
    if precision not in supported:
        raise ExportError(f"{target} cannot be exported in {precision}; expected {', '.join(supported)}")
    return precision


def _check_opset(opset: int, target: str) -> None:
    """Require a version of ONNX's operators that there is, and a target that has a use for it.

    Raises:
        ExportError: There is no such version, or it is of no use.
    """
    takers = [name for name, one in TARGETS.items() if one.takes_opset]
    if opset != DEFAULT_OPSET and target not in takers:
        raise ExportError(f"opset is for {' and '.join(takers)}; leave it out for {target}")
    check_opset(opset)


def _check_texts(target: str, precision: str, calibration: Any, labeled: Any, columns: Requested) -> None:
    """Require that texts, and columns of them, are given only where there is a use for them.

    Raises:
        ExportError: They are of no use.
        InputError: Columns are not given by role.
    """
    if calibration is not None and precision != "int8":
        raise ExportError(
            f"a calibration file was given, and {precision} needs none; ask for int8 (--quantize int8), or give no file"
        )
    if labeled is not None and target != "onnx":
        raise ExportError(f"labeled data was given, and only exports to onnx are scored; export to {target} without it")
    DataOptions(columns=columns)  # which checks them
    if columns and calibration is None and labeled is None:
        raise ExportError(
            "columns (--column) are those of labeled data (--data) or of texts to calibrate with (--calibrate), and "
            "neither was given; give one, or leave them out"
        )


def _calibration(file: str | Path, tokenizer: Any, weights: ModelWeights, columns: Requested) -> Sequence[Batch]:
    from distilbert_deploy.calibration import calibration_batches

    return calibration_batches(local_path(file), tokenizer, weights, columns)


def _scores(
    weights: ModelWeights, file: Path, directory: Path, labeled: Any, columns: Requested, tell: OnProgress
) -> Scores:
    from distilbert_deploy.scoring import score_beside_source

    return score_beside_source(weights, file, directory, labeled, columns, tell)


def _write_sidecar_files(checkpoint: Checkpoint, directory: Path) -> Any | None:
    """Write config and tokenizer, and return the tokenizer, None where there is none.

    `tokenizer.json` is made where there is none, as transformers.js reads no other file; and no runtime cuts texts that
    are longer than the model takes, unless the tokenizer knows how long they may be.
    """
    write_sidecar_files(checkpoint, directory, checkpoint.head, "float32")
    try:
        tokenizer = DistilBertTokenizerFast.from_pretrained(directory)
    except TokenizerNotFoundError:
        return None
    positions = checkpoint.config().max_position_embeddings
    if tokenizer.model_max_length > positions or not (directory / "tokenizer.json").is_file():
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
        tokenizer.save_pretrained(directory)
    return tokenizer


def _metadata(weights: ModelWeights) -> dict[str, str]:
    """Return what is to be known of a model that stands without its folder."""
    config, packages = weights.config, ("distilbert", "onnx", "onnxruntime")
    return {
        "model_type": config.model_type,
        "architecture": f"DistilBert{weights.head}",
        "max_length": str(config.max_position_embeddings),
        "labels": json.dumps([str(config.id2label[index]) for index in range(config.num_labels)]),
        "problem_type": config.problem_type or "",
        "versions": json.dumps({name: installed_version(name) or "unknown" for name in packages}),
    }
