"""Fine-tuning: a model and data in, a better model out, with all that was measured on the way."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distilbert_common.files import local_path
from distilbert_tasks.data import DataOptions
from distilbert_tasks.engines import engine_module
from distilbert_tasks.extras import require_train_extra
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.preparation import prepare
from distilbert_tasks.session import Session
from distilbert_tasks.task import find_task
from distilbert_tasks.training.checkpoints import Checkpoints
from distilbert_tasks.training.history import read_history
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.output import CHECKPOINTS, clear_folder, open_folder
from distilbert_tasks.training.progress import Note, OnProgress
from distilbert_tasks.training.record import RunRecord

__all__ = ["FinetuneResult", "finetune"]


@dataclass(frozen=True)
class FinetuneResult:
    """What a run came to.

    Attributes:
        path: The folder with the model, which every family and transformers open, and all else that the run wrote.
        metrics: What the model scores, by split, as {"validation": {"accuracy": 0.9}}.
        best_step: The step whose weights the model has.
        history: The lines of `metrics.jsonl`.
    """

    path: Path
    metrics: Mapping[str, Mapping[str, float]]
    best_step: int
    history: Sequence[Mapping[str, Any]]


def finetune(
    task: str,
    model: str | Path,
    *,
    train: Any,
    out: str | Path,
    validation: Any = None,
    test: Any = None,
    framework: str = "pt",
    device: str = "auto",
    columns: Mapping[str, str | Sequence[str]] | None = None,
    options: TrainingOptions | None = None,
    data_options: DataOptions | None = None,
    feature_options: FeatureOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = True,
    command: str | None = None,
    on_progress: OnProgress | None = None,
) -> FinetuneResult:
    """Fine-tune a model for a task.

    Args:
        task: The task, by any of its names.
        model: A directory, a weights file or a hub id, in any dialect, with or without a head for the task.
        train: A file, several, a pattern, the id of a data set on the hub, or a `datasets.Dataset`.
        out: The folder to write.
        validation: As `train`; where it is None, a part of the training data.
        test: As `train`; measured once, at the end.
        framework: "pt", "tf" or "flax".
        device: "cpu", "gpu", or "auto" for the GPU if there is one.
        columns: The columns to take, by the task's names for them, as {"text": "review"}.
        options: How to train; None for the defaults.
        data_options: How data is read; None for the defaults.
        feature_options: How examples become token lists; None for the defaults.
        resume: Go on with the run in `out`, as if it had never stopped; start one where there is none.
        overwrite: Replace the run in `out`.
        tensorboard: Whether to write for TensorBoard too.
        command: What repeats the run, for the model card.
        on_progress: Who is told how far the run is.

    Raises:
        DistilBertError: Something that was given cannot be used; the message says what, and what to do.
        KeyboardInterrupt: The run was stopped; the message says that its last step is saved.
    """
    require_train_extra("fine-tuning")
    chosen_task, folder, options = find_task(task), local_path(out), options or TrainingOptions()
    feature_options, tell = feature_options or FeatureOptions(), on_progress or _ignore
    data_options = data_options or DataOptions(seed=options.seed)
    engines = engine_module(framework)
    is_first = int(os.environ.get("RANK", "0")) == 0  # of the processes that torchrun starts, the first one writes
    sources = {"train": train, "validation": validation, "test": test}
    if is_first:
        open_folder(folder, resume=resume, overwrite=overwrite, sources=(model, *_flat(sources.values())))
    if columns is not None:
        data_options = replace(data_options, columns=columns)
    prepared = prepare(chosen_task, model, sources, data_options, feature_options, tell)
    record = prepared.record(model, framework, options, feature_options)
    if is_first and overwrite and not resume:
        clear_folder(folder)
    before = RunRecord.read(folder) if resume else None
    if before is not None:
        before.check_same(record, folder)
    if before is not None and before.metrics is not None:
        Checkpoints(folder / CHECKPOINTS).remove_best()  # which a kill at the very end leaves
        tell(Note(f"The run in {folder} is finished already."))
        return _result(folder, before)
    loaded = engines.load_model(chosen_task.head, model, config=prepared.config, dtype="float32", seed=options.seed)
    engine = engines.Engine(loaded, options.engine, device)
    session = Session(engines, engine, prepared, options, folder, record, device, tell)
    return _result(folder, session.run(tensorboard=tensorboard, command=command))


def _result(folder: Path, record: RunRecord) -> FinetuneResult:
    return FinetuneResult(folder, record.metrics or {}, record.best_step or 0, read_history(folder))


def _flat(sources: Iterable[Any]) -> Iterator[Any]:
    """Yield sources one by one, those in lists too."""
    for source in sources:
        yield from source if isinstance(source, (list, tuple)) else (source,)


def _ignore(event: Any) -> None:
    """Tell nobody."""
