"""Fine-tuning: a model and data in, a better model out, with all that was measured on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distilbert_common.files import local_path
from distilbert_tasks.class_weights import with_class_weights
from distilbert_tasks.data import DataOptions
from distilbert_tasks.distillation.task_teacher import check_student, open_teacher, teacher_facts, with_distillation
from distilbert_tasks.extras import require_train_extra
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.model_files import open_model
from distilbert_tasks.preparation import data_options_for, prepare
from distilbert_tasks.run import Run, RunResult
from distilbert_tasks.task import find_task
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.progress import OnProgress, ignore

__all__ = ["FinetuneResult", "finetune"]

FinetuneResult = RunResult
"""What a run of fine-tuning came to."""


def finetune(
    task: str, model: str | Path, *, train: Any, out: str | Path, validation: Any = None, test: Any = None,
    teacher: str | Path | None = None, framework: str = "pt", device: str = "auto",
    columns: Mapping[str, str | Sequence[str]] | None = None, options: TrainingOptions | None = None,
    data_options: DataOptions | None = None, feature_options: FeatureOptions | None = None, resume: bool = False,
    overwrite: bool = False, tensorboard: bool = True, command: str | None = None,
    on_progress: OnProgress | None = None,
) -> FinetuneResult:  # fmt: skip
    """Fine-tune a model for a task.

    Args:
        task: The task, by any of its names.
        model: A directory, a weights file or a hub id, in any dialect, with or without a head for the task; or a BERT.
        train: A file, several, a pattern, the id of a data set on the hub, or a `datasets.Dataset`.
        out: The folder to write.
        validation: As `train`; where it is None, a part of the training data.
        test: As `train`; measured once, at the end.
        teacher: A model of the task, as `model`, with the labels and the vocabulary of this one: its predictions are
            learned too, as `options.distillation` says.
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
    chosen_task = find_task(task)
    options = with_distillation(options or TrainingOptions(), teacher, chosen_task)
    feature_options, tell = feature_options or FeatureOptions(), on_progress or ignore
    data_options = data_options or DataOptions(seed=options.seed)
    if columns is not None:
        data_options = replace(data_options, columns=columns)
    run = Run(
        folder=local_path(out), framework=framework, device=device, resume=resume, overwrite=overwrite,
        tensorboard=tensorboard, command=command, on_progress=tell,
    )  # fmt: skip
    sources = {"train": train, "validation": validation, "test": test}
    run.open(model, teacher, *sources.values())
    with TemporaryDirectory() as temporary:
        student = open_model(model, Path(temporary))
        instructor = None if teacher is None else open_teacher(teacher, chosen_task, Path(temporary))
        if instructor is not None:
            data_options = data_options_for(instructor.config, chosen_task, data_options)
        prepared = prepare(chosen_task, student.path, sources, data_options, feature_options, tell)
        options = with_class_weights(options, prepared)
        if instructor is not None:
            check_student(instructor, student, prepared, options)
        facts = None if instructor is None else teacher_facts(instructor)
        record = prepared.record(model, framework, options, feature_options, facts)
        session = run.begin(prepared, options, record, student.path, instructor)
    return run.complete(session)
