"""`predict` on Ray Data: the parts of a file to a pool of processes that each hold the model, a row out for each in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_common.files import local_path
from distilbert_deploy.scale.cluster import Cluster, require_ray
from distilbert_deploy.scale.job import ASKED_FOR, Job
from distilbert_deploy.scale.parts import Parts
from distilbert_deploy.scale.paths import absolute_source, fingerprint
from distilbert_tasks.pipelines.loading import framework_for
from distilbert_tasks.prediction import OUTPUT_FORMATS, read_rows, write_rows
from distilbert_tasks.training.progress import OnProgress, ignore

__all__ = ["PredictResult", "predict"]

ROWS_PER_PART = 1024
"""Enough for a model to fill its batches, and few enough that little is lost with a process."""


@dataclass(frozen=True)
class PredictResult:
    """What a run came to.

    Attributes:
        path: The file that it wrote.
        rows: How many rows that has, one for each of the input.
        computed: How many of them were computed in this run; the others were there from one before.
    """

    path: Path
    rows: int
    computed: int


def predict(
    model: str | Path,
    *,
    file: str | Path,
    output: str | Path,
    cluster: Cluster | None = None,
    file_format: str | None = None,
    framework: str | None = None,
    device: str = "auto",
    rows_per_part: int = ROWS_PER_PART,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> PredictResult:
    """Predict a file in several processes, on one machine or many; the output is that of `distilbert_tasks.predict`.

    Answers are kept part by part in `OUTPUT.parts`, and become the output once all are there. A process that dies is
    replaced, and what it had not finished is computed again.

    Args:
        model: A directory, a weights file or a hub id, in any dialect; each machine opens it by this name.
        file: The file with examples, which this machine alone reads.
        output: The file to write: jsonl, csv, tsv or parquet.
        cluster: Where to compute; None for this machine, or the cluster that RAY_ADDRESS names.
        file_format: The format of `file`; None to tell it by the name.
        framework: As `distilbert_tasks.predict` takes it.
        device: "cpu", "gpu" or "auto".
        rows_per_part: How many rows are computed, and kept, together.
        resume: Go on with the run that was begun there, as if it had never stopped; start one where there is none.
        overwrite: Replace the output, and a run that was begun there.
        on_progress: Who is told how far the run is.
        **options: The others of `distilbert_tasks.predict`: `task`, `columns`, `batch_size`, and those of the task's
            pipeline, as `top_k`.

    Raises:
        DistilBertError: Something that was given cannot be used; the message says what, and what to do.
        KeyboardInterrupt: The run was stopped; the message says that its answers are kept.
    """
    require_ray(ASKED_FOR)
    source, target, model_path = local_path(file), local_path(output), absolute_source(model)
    _check(source, target, rows_per_part)
    arguments = {"framework": framework or framework_for(model_path), "device": device, **options}
    first = next(read_rows(source, file_format), None)
    parts, tell = Parts.of_output(target), on_progress or ignore
    facts = {
        "model": fingerprint(model_path),
        "rows_per_part": rows_per_part,
        "first_columns": list(first or ()),
        **arguments,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    parts.open(facts, target, resume=resume, overwrite=overwrite)
    job = Job(source, file_format, rows_per_part, parts, tell)
    try:
        computed = 0 if first is None else job.run(cluster or Cluster(), (model_path, first, source.name, arguments))
    finally:
        parts.remove_if_empty()
    rows = write_rows(job.merged(), target)
    parts.remove()
    return PredictResult(target, rows, computed)


def _check(source: Path, target: Path, rows_per_part: int) -> None:
    """Require what can be told before anything is read.

    Raises:
        InputError: There is no such file, no such format, or the output is the input.
    """
    if not source.is_file():
        raise InputError(f"there is no file {source}; give one with examples (--file)")
    if source.resolve() == target.resolve():
        raise InputError(f"{target} is the file with the examples; give the output (--output) another name")
    if target.suffix.lower().removeprefix(".") not in OUTPUT_FORMATS:
        raise InputError(f"{target} ends in {target.suffix or 'nothing'}; expected one of {', '.join(OUTPUT_FORMATS)}")
    if rows_per_part < 1:
        raise InputError(f"rows_per_part is {rows_per_part}; expected a whole number of at least 1")
