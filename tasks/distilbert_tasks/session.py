"""One run of fine-tuning once everything is prepared: training, then the model, the pictures and the card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_common.training import Engine, MicroBatch
from distilbert_tasks.batches import BatchOptions, CachedTeacher, steps_per_epoch, training_batches
from distilbert_tasks.engines import compiles_each_shape
from distilbert_tasks.measure import measure
from distilbert_tasks.metrics import LESS_IS_BETTER, Scores, best_metric
from distilbert_tasks.preparation import Prepared
from distilbert_tasks.training.checkpoints import Checkpoints
from distilbert_tasks.training.history import History
from distilbert_tasks.training.interruption import interruptible
from distilbert_tasks.training.loop import Batches, Evaluator, TrainingRun
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.output import CHECKPOINTS, copy_model, forget_run, model_saver, publish
from distilbert_tasks.training.progress import Note, OnProgress
from distilbert_tasks.training.record import RunRecord
from distilbert_tasks.training.report import write_report
from distilbert_tasks.training.state import TrainingState

__all__ = ["Session"]


@dataclass
class Session:
    """A run that is ready to start, or to go on.

    Attributes:
        engines: The module of the family's engine.
        engine: The engine of the model that is trained.
        prepared: Data, features, config and tokenizer.
        options: How to train.
        folder: Where the run writes.
        record: What the run is.
        device: "cpu", "gpu" or "auto".
        on_progress: Who is told how far the run is.
        cached_teacher: What a teacher gave ahead of time; None where it is asked in each step, or there is none.
    """

    engines: Any
    engine: Engine
    prepared: Prepared
    options: TrainingOptions
    folder: Path
    record: RunRecord
    device: str
    on_progress: OnProgress
    cached_teacher: CachedTeacher | None = None

    def run(self, *, tensorboard: bool, command: str | None) -> RunRecord:
        """Train, write the model, and return the record with what it scores, which the first process alone measures.

        Args:
            tensorboard: Whether to write for TensorBoard too.
            command: What repeats the run, for the model card.
        """
        state = self._restored()
        if self._is_first:
            self.record.write(self.folder)
        history = History(self.folder, state, tensorboard) if self._is_first else None
        try:
            state = self._train(state, history)
        except InputError:
            if self._is_first and self._checkpoints.newest() is None:
                forget_run(self.folder)  # so that the same command, put right, finds an empty folder
            raise
        finally:
            if history is not None:
                history.close()
        save = self._final_weights(state)
        if self._is_first:
            publish(save, self.folder)
        scores = self._final_scores(state) if self._is_first else {}  # whose model the others may not see yet
        metrics = {name: one.metrics for name, one in scores.items()}
        record = self.record.finished(metrics, state.best_step or state.step, state.seconds)
        if self._is_first:
            lines = history.lines if history is not None else []
            write_report(self.folder, record, scores, lines, self._metric[0] if self._validates else None, command)
            record.write(self.folder)
            self._checkpoints.remove_best()
        return record

    @property
    def _is_first(self) -> bool:
        return self.engine.rank == 0

    @property
    def _validates(self) -> bool:
        return len(self.prepared.features.get("validation", ())) > 0

    @cached_property
    def _checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / CHECKPOINTS, self.options.keep_last)

    @cached_property
    def _metric(self) -> tuple[str, bool]:
        """The metric by which the best weights are chosen, and whether more of it is better."""
        name, higher_is_better = best_metric(self.prepared.task.name, self.prepared.config)
        chosen = self.options.metric_for_best
        return (name, higher_is_better) if chosen in (None, name) else (str(chosen), chosen not in LESS_IS_BETTER)

    def _restored(self) -> TrainingState:
        """Return where the run stands, with the engine as it was there."""
        state = self._checkpoints.newest()
        if state is None:
            return TrainingState()
        self.engine.restore(self._checkpoints.arrays(state.step))
        self.on_progress(Note(f"Going on after step {state.step}."))
        return state

    def _train(self, state: TrainingState, history: History | None) -> TrainingState:
        with interruptible() as interruption:
            run = TrainingRun(
                self.engine,
                self.batches,
                self.options,
                self._checkpoints,
                history,
                self._evaluator() if self._validates else None,
                self.on_progress,
                interruption,
                state,
            )
            return run.run()

    @cached_property
    def batch_options(self) -> BatchOptions:
        """How rows become the batches of this process."""
        options = self.options
        return BatchOptions(
            batch_size=options.batch_size,
            tokens_per_batch=options.tokens_per_batch,
            accumulation=options.accumulation,
            layout=options.layout,
            row_length=options.row_length,
            few_shapes=self._few_shapes,
            seed=options.seed,
            rank=self.engine.rank,
            world=self.engine.world,
            class_weights=options.class_weights,
        )

    @cached_property
    def batches(self) -> Batches:
        """The batches of the training set."""
        options, features = self.batch_options, self.prepared.features["train"]
        steps = steps_per_epoch(features, options)

        def between(start: int, stop: int) -> Iterator[list[MicroBatch]]:
            teacher = self.cached_teacher
            return training_batches(features, options, start_step=start, stop_step=stop, teacher=teacher)

        return Batches(steps, len(features) / steps, between)

    @property
    def _few_shapes(self) -> bool:
        """Whether each new shape costs a compilation."""
        return compiles_each_shape(self.record.framework) or bool(self.options.compile)

    def _evaluator(self) -> Evaluator:
        metric, higher_is_better = self._metric
        save = model_saver(self.engine.model, self.prepared.tokenizer)
        return Evaluator(lambda: self._measure(self.engine, "validation").metrics, metric, higher_is_better, save)

    def _measure(self, engine: Engine, split: str) -> Scores:
        prepared = self.prepared
        return measure(
            engine,
            prepared.data[split],
            prepared.features[split],
            prepared.config,
            layout=self.options.layout,
            few_shapes=self._few_shapes,
        )

    def _final_weights(self, state: TrainingState) -> Callable[[Path], None]:
        """Return what writes the best weights, or where nothing was measured the last ones."""
        if state.best_step in (None, state.step):
            return model_saver(self.engine.model, self.prepared.tokenizer)
        return copy_model(self._checkpoints.best(state.best_step))

    def _final_scores(self, state: TrainingState) -> Mapping[str, Scores]:
        """Return what the finished model scores, by split, as `evaluate` would."""
        splits = [name for name in ("validation", "test") if len(self.prepared.features.get(name, ()))]
        if not splits:
            return {}
        engine = self.engine
        if state.best_step not in (None, state.step) or self.options.precision != "float32":
            model = self.engines.load_model(self.prepared.task.head, self.folder)
            engine = self.engines.Engine(model, None, self.device)
        return {name: self._measure(engine, name) for name in splits}
