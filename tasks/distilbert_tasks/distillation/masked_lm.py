"""Distillation: a teacher and texts in, a smaller masked LM out, with all that was measured on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distilbert_common.files import local_path
from distilbert_common.training import DistillationOptions
from distilbert_tasks.corpus import CorpusOptions
from distilbert_tasks.distillation.ahead import AheadOptions, ask_ahead
from distilbert_tasks.distillation.checks import check_pair
from distilbert_tasks.distillation.options import default_options
from distilbert_tasks.distillation.preparation import Texts, prepare_distillation
from distilbert_tasks.distillation.student import StudentOptions, make_student
from distilbert_tasks.distillation.task_teacher import open_teacher, teacher_facts
from distilbert_tasks.extras import require_train_extra
from distilbert_tasks.run import Run, RunResult
from distilbert_tasks.session import Session
from distilbert_tasks.task import TASKS
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.progress import Note, OnProgress, ignore

__all__ = ["DistilResult", "distil"]


@dataclass(frozen=True)
class DistilResult(RunResult):
    """What a distillation came to.

    Attributes:
        student: What the student began with, in words.
        layers: The layers that it took of its teacher; None where it took none.
    """

    student: str
    layers: tuple[int, ...] | None


def distil(
    teacher: str | Path, corpus: Any, *, out: str | Path, framework: str = "pt", device: str = "auto",
    layers: Sequence[int] | None = None, student: str | Path | None = None, random_init: bool = False,
    vocab_transform: bool = True, options: TrainingOptions | None = None,
    distillation: DistillationOptions | None = None, corpus_options: CorpusOptions | None = None,
    corpus_dir: str | Path | None = None, ahead: AheadOptions | None = None, validation: Any = None,
    validation_share: float = 0.05, resume: bool = False, overwrite: bool = False, tensorboard: bool = True,
    command: str | None = None, on_progress: OnProgress | None = None,
) -> DistilResult:  # fmt: skip
    """Distil a masked LM.

    Args:
        teacher: A masked LM in any dialect, or a BERT with its masked-LM head: a directory, a weights file or a hub id.
        corpus: A file, several, a folder, a pattern, the id of a data set on the hub, or a `datasets.Dataset`.
        out: The folder to write.
        framework: "pt", "tf" or "flax".
        device: "cpu", "gpu", or "auto" for the GPU if there is one.
        layers: The layers that the student takes of its teacher, from 0; None for every second one.
        student: A checkpoint that the student is instead, of the teacher's vocabulary.
        random_init: Whether the student begins with random weights; of `student` only the config counts then.
        vocab_transform: Whether the student takes the teacher's layers between hidden states and vocabulary.
        options: How to train; None for the authors' figures.
        distillation: What the three terms of the loss count, and the temperature; None for the paper's.
        corpus_options: How texts become rows of tokens; None for the authors' way, in rows that both models
            take.
        corpus_dir: Where the tokenized corpus is, or is to be; None for a folder in `out`.
        ahead: How the teacher is asked ahead of time, into files; None to ask it in each step.
        validation: As `corpus`; where it is None, some rows of the corpus.
        validation_share: What share of the rows that is; 0 for none.
        resume: As `finetune` takes it, and so are the next four.
        overwrite: Replace the run in `out`.
        tensorboard: Whether to write for TensorBoard too.
        command: What repeats the run.
        on_progress: Who is told how far it is.

    Raises:
        DistilBertError: Something that was given cannot be used; the message says what, and what to do.
        KeyboardInterrupt: The run was stopped; the message says that its last step is saved.
    """
    require_train_extra("distillation")
    student_options = StudentOptions(
        layers=None if layers is None else tuple(layers), checkpoint=student, random_init=random_init,
        vocab_transform=vocab_transform,
    )  # fmt: skip
    texts = Texts(
        corpus=corpus, validation=validation, validation_share=validation_share, folder=corpus_dir,
        options=corpus_options or CorpusOptions(),
    )  # fmt: skip
    options = options or default_options()
    distillation = distillation or options.distillation or DistillationOptions()
    options = replace(options, distillation=distillation)
    run = Run(
        folder=local_path(out), framework=framework, device=device, resume=resume, overwrite=overwrite,
        tensorboard=tensorboard, command=command, on_progress=on_progress or ignore,
    )  # fmt: skip
    run.open(teacher, student, corpus, validation)
    with TemporaryDirectory() as temporary:
        files = open_teacher(teacher, TASKS["fill-mask"], Path(temporary))
        pupil = make_student(files, student_options, Path(temporary), options.seed)
        check_pair(files, pupil.config, TASKS["fill-mask"], distillation)
        if ahead is not None:
            ahead.check(files, distillation)
            if distillation.project_hidden:
                options = replace(options, distillation=replace(distillation, teacher_dim=files.config.dim))
        run.on_progress(Note(f"The student begins with {pupil.origin}."))
        corpus_options = texts.fitting_options(files, pupil)
        prepared = prepare_distillation(files, pupil, texts, corpus_options, options.seed, run)
        facts = teacher_facts(files) | {"student": pupil.origin, "validation_share": validation_share}
        facts |= {} if ahead is None else ahead.facts
        record = prepared.record(teacher, framework, options, corpus_options, facts)
        session = run.begin(prepared, options, record, pupil.path, files if ahead is None else None)
        if ahead is not None and isinstance(session, Session):
            session.cached_teacher = ask_ahead(files, session, distillation, ahead)
    return DistilResult(**vars(run.complete(session)), student=pupil.origin, layers=pupil.layers)
