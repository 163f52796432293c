"""A run of training, whatever it trains: where it writes, whether it goes on, and what it comes to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilbert_common.errors import DistilBertError
from distilbert_tasks.engines import engine_module
from distilbert_tasks.model_files import ModelFiles
from distilbert_tasks.preparation import Prepared
from distilbert_tasks.session import Session
from distilbert_tasks.training.checkpoints import Checkpoints
from distilbert_tasks.training.history import read_history
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.output import CHECKPOINTS, check_one_of, clear_folder, open_folder
from distilbert_tasks.training.progress import Note, OnProgress, ignore
from distilbert_tasks.training.record import RunRecord

__all__ = ["Run", "RunResult", "check_world", "is_first_process"]


def is_first_process() -> bool:
    """Return whether this is the process that writes and speaks, of those that torchrun starts, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


@dataclass(frozen=True)
class RunResult:
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


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a run is carried out.

    Attributes:
        folder: Where it writes.
        framework: "pt", "tf" or "flax".
        device: "cpu", "gpu", or "auto" for the GPU if there is one.
        resume: Whether a run that was begun there goes on.
        overwrite: Whether a run that was begun there is replaced.
        tensorboard: Whether to write for TensorBoard too.
        command: What repeats the run, for the model card.
        on_progress: Who is told how far it is.
    """

    folder: Path
    framework: str = "pt"
    device: str = "auto"
    resume: bool = False
    overwrite: bool = False
    tensorboard: bool = True
    command: str | None = None
    on_progress: OnProgress = ignore

    def open(self, *sources: Any) -> None:
        """Make the folder, or see to it that the run in it may go on or be replaced; nothing is removed yet.

        Args:
            *sources: What the run reads: models and data, or lists of such.

        Raises:
            InputError: There is no such framework, or the run is both to go on and to be replaced.
            MissingFrameworkError: It is not installed.
            OutputExistsError: There is something else, or neither was asked for, or a source would be lost.
        """
        check_one_of(self.resume, self.overwrite)
        engine_module(self.framework)
        if is_first_process():
            open_folder(self.folder, resume=self.resume, overwrite=self.overwrite, sources=_flat(sources))

    def begin(
        self,
        prepared: Prepared,
        options: TrainingOptions,
        record: RunRecord,
        model: str | Path,
        teacher: ModelFiles | None = None,
    ) -> Session | RunResult:
        """Load what is trained; a run to be replaced is removed.

        Args:
            prepared: Data, features, config and tokenizer.
            options: How to train.
            record: What the run is.
            model: The checkpoint to begin with, which is read here alone.
            teacher: The model whose predictions are learned, likewise; None for none.

        Returns:
            The run as it is ready to start or to go on, or what it came to, where it is finished already.

        Raises:
            InputError: The run that goes on was begun otherwise.
            DistilBertError: The processes of the run did not find each other.
        """
        before = self._before(record)
        if before is not None and before.metrics is not None:
            self.on_progress(Note(f"The run in {self.folder} is finished already."))
            return self._result(before)
        engines, head = engine_module(self.framework), prepared.task.head
        loaded = engines.load_model(head, model, config=prepared.config, dtype="float32", seed=options.seed)
        teacher_model = {} if teacher is None else {"teacher": engines.load_model(head, teacher.path, dtype="float32")}
        engine = engines.Engine(loaded, options.engine, self.device, **teacher_model)
        check_world(engine.world)
        return Session(engines, engine, prepared, options, self.folder, record, self.device, self.on_progress)

    def _before(self, record: RunRecord) -> RunRecord | None:
        """Return the record of the run that goes on; None where there is none, or it is to be replaced."""
        if is_first_process() and self.overwrite:
            clear_folder(self.folder)
        before = RunRecord.read(self.folder) if self.resume else None
        if before is not None:
            before.check_same(record, self.folder)
        if before is not None and before.metrics is not None and is_first_process():
            Checkpoints(self.folder / CHECKPOINTS).remove_best()  # which a kill at the very end leaves
        return before

    def complete(self, session: Session | RunResult) -> RunResult:
        """Train to the end what `begin` returned.

        Raises:
            KeyboardInterrupt: The run was stopped; the message says that its last step is saved.
        """
        if isinstance(session, RunResult):
            return session
        return self._result(session.run(tensorboard=self.tensorboard, command=self.command))

    def _result(self, record: RunRecord) -> RunResult:
        return RunResult(self.folder, record.metrics or {}, record.best_step or 0, read_history(self.folder))


def check_world(world: int) -> None:
    """Require as many processes as were started, so that none trains by itself and nobody notices.

    Raises:
        DistilBertError: There are others.
    """
    started = int(os.environ.get("WORLD_SIZE", world))
    if started != world:
        raise DistilBertError(
            f"{started} processes were started (WORLD_SIZE), and the framework trains in {world}; see to it that they "
            "reach each other at MASTER_ADDR and MASTER_PORT"
        )


def _flat(sources: Iterable[Any]) -> Iterator[Any]:
    """Yield sources one by one, those in lists too."""
    for source in sources:
        yield from source if isinstance(source, (list, tuple)) else (source,)
