"""The training loop: steps, and between them logging, evaluation, checkpoints, and the end.

Training is a function of weights, data and seed: batches depend on seed and epoch, random numbers on seed and step. So
a run that goes on from a checkpoint computes what it would have computed without the break, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from time import perf_counter

from distilbert_common.errors import InputError
from distilbert_common.training import Engine, MicroBatch, StepResult
from distilbert_tasks.training.checkpoints import Checkpoints
from distilbert_tasks.training.history import History
from distilbert_tasks.training.interruption import Interruption
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.progress import Evaluation, OnProgress, Progress
from distilbert_tasks.training.schedule import learning_rate_at
from distilbert_tasks.training.speed import Speed
from distilbert_tasks.training.state import TrainingState

__all__ = ["Batches", "Evaluator", "TrainingRun"]


@dataclass(frozen=True)
class Batches:
    """The training data, as batches that depend on the number of the step alone.

    Attributes:
        steps_per_epoch: How many steps an epoch has.
        rows_per_step: How many rows a step takes, on average, in all processes.
        between: Yields what each step takes of this process, from the first number to before the second one.
    """

    steps_per_epoch: int
    rows_per_step: float
    between: Callable[[int, int], Iterator[Sequence[MicroBatch]]]

    def steps(self, options: TrainingOptions) -> int:
        """Return how many steps a run has."""
        return options.max_steps or max(1, round(options.epochs * self.steps_per_epoch))


@dataclass(frozen=True)
class Evaluator:
    """How the model is measured while it is trained.

    Attributes:
        evaluate: Returns the metrics of the present weights.
        metric: The name of the one by which the best weights are chosen.
        higher_is_better: Whether more of it is better.
        save_model: Writes the present weights as a model directory.
    """

    evaluate: Callable[[], Mapping[str, float]]
    metric: str
    higher_is_better: bool
    save_model: Callable[[Path], None]


@dataclass
class TrainingRun:
    """One run, from where `state` stands to its end.

    Attributes:
        engine: The framework half.
        batches: The training data.
        options: Every figure of the run.
        checkpoints: Where process 0 saves.
        history: What process 0 records; None elsewhere.
        evaluator: How it is measured; None without validation data.
        on_progress: Who is told.
        interruption: Who may stop it.
        state: Where it stands.
    """

    engine: Engine
    batches: Batches
    options: TrainingOptions
    checkpoints: Checkpoints
    history: History | None = None
    evaluator: Evaluator | None = None
    on_progress: OnProgress = lambda event: None
    interruption: Interruption = field(default_factory=Interruption)
    state: TrainingState = field(default_factory=TrainingState)
    _pending: list[StepResult] = field(default_factory=list, init=False)
    _loss: float | None = field(default=None, init=False)
    _speed: Speed = field(default_factory=Speed, init=False)
    _since: float = field(default_factory=perf_counter, init=False)

    def run(self) -> TrainingState:
        """Train to the end, and return where that is.

        Raises:
            InputError: The loss is not finite, or a metric is asked for that there is not.
            KeyboardInterrupt: Somebody stopped it; the message says how to go on.
        """
        if self.engine.rank == 0:
            self.checkpoints.prune(self.state)
        self._check_metric()
        self._evaluate_when_due()  # after a stop between a step and its evaluation
        for micro_batches in self.batches.between(self.state.step, self.steps):
            if self.state.is_over:
                break
            rate = learning_rate_at(self.state.step, self.steps, self.options)
            self._pending.append(self.engine.train_step(micro_batches, self.state.step, rate))
            self.state = replace(self.state, step=self.state.step + 1)
            self._speed.add(self.batches.rows_per_step)
            if self._is_due(self.options.log_every):
                self._log(rate)
            self._tell(rate)
            self._stop_when_asked()
            self._evaluate_when_due()
            if self._is_due(self.options.save_every):
                self._save()
            self._speed.start()
        return self.state

    @property
    def steps(self) -> int:
        """How many steps the run has in all."""
        return self.batches.steps(self.options)

    @property
    def _epochs_done(self) -> float:
        return self.state.step / self.batches.steps_per_epoch

    def _check_metric(self) -> None:
        """Measure the weights at the start where that shows whether there is the metric that somebody asks for."""
        if self.options.metric_for_best is None and self.options.patience is None:
            return
        if self.evaluator is None:
            raise InputError(
                "metric_for_best and patience need validation data, and there are none; give some, or leave them out"
            )
        if self.options.metric_for_best is not None and self.state.step == 0:
            _metric(self.evaluator.evaluate(), self.evaluator.metric)

    def _is_done(self) -> bool:
        return self.state.step >= self.steps or self.state.is_over

    def _is_due(self, every: int | None) -> bool:
        """Whether something is due after this step: every so many, or else after each epoch; and always at the end."""
        return self.state.step > 0 and (
            self.state.step % (every or self.batches.steps_per_epoch) == 0 or self._is_done()
        )

    def _settle(self) -> None:
        """Wait for the latest steps, and add their losses up."""
        for result in self._pending:
            values = {"loss": result.loss, "grad_norm": result.grad_norm, **(result.terms or {})}
            self.state = self.state.with_result({name: float(value) for name, value in values.items()})
        self._pending.clear()
        if not isfinite(self.state.sums.get("loss", 0.0)):
            raise InputError(
                f"the loss became {self.state.sums['loss']} within the last {self.state.summed} steps before step "
                f"{self.state.step}; lower the learning rate ({self.options.learning_rate:g}), lengthen the warm-up, "
                "or look for labels far out of range"
            )

    def _log(self, rate: float) -> None:
        """Record the means since the last line."""
        self._settle()
        means = {name: total / self.state.summed for name, total in self.state.sums.items()}
        self._loss = means["loss"]
        if self.history is not None:
            values = {**means, "learning_rate": rate, "examples_per_second": round(self._speed.rows_per_second, 1)}
            self.history.add("train", self.state.step, self._epochs_done, values)
        self.state = self.state.logged()

    def _tell(self, rate: float) -> None:
        seconds_left = (self.steps - self.state.step) * self._speed.seconds_per_step
        speed = self._speed.rows_per_second
        epoch = self._epochs_done
        self.on_progress(Progress(self.state.step, self.steps, epoch, self._loss, rate, speed, seconds_left))

    def _stop_when_asked(self) -> None:
        if self.interruption.is_requested and not self._is_done():
            self._save()
            where = f"step {self.state.step} of {self.steps}"
            raise KeyboardInterrupt(f"stopped after {where}, which is saved; resume the run to go on from there")

    def _evaluate_when_due(self) -> None:
        """Measure the weights, and keep them where they are the best so far."""
        evaluator, step = self.evaluator, self.state.step
        if evaluator is None or self.state.evaluated == step or not self._is_due(self.options.eval_every):
            return
        metrics = evaluator.evaluate()
        value = _metric(metrics, evaluator.metric)
        self.state = self.state.after_evaluation(value, evaluator.higher_is_better, self.options)
        is_best = self.state.best_step == step
        if self.engine.rank == 0:
            if is_best:
                self.checkpoints.save_best(step, evaluator.save_model)
            if self.history is not None:
                self.history.add("validation", step, self._epochs_done, metrics)
        self.on_progress(Evaluation(step, metrics, is_best))

    def _save(self) -> None:
        self._settle()
        now = perf_counter()
        self.state = replace(self.state, seconds=self.state.seconds + now - self._since)
        self._since = now
        if self.engine.rank == 0:
            self.checkpoints.save(self.state, self.engine.state())


def _metric(metrics: Mapping[str, float], name: str) -> float:
    """Return the metric by which the best weights are chosen.

    Raises:
        InputError: There is none of that name.
    """
    if name not in metrics:
        raise InputError(f"there is no metric {name!r} to choose the best weights by; choose from {', '.join(metrics)}")
    return metrics[name]
