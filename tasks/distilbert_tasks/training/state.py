"""Where a run stands: what the loop must know to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from distilbert_tasks.training.options import TrainingOptions

__all__ = ["TrainingState"]


@dataclass(frozen=True)
class TrainingState:
    """Where a run stands, between two steps.

    Attributes:
        step: Steps done.
        sums: Of the loss and the like, over the steps since the last line of the log.
        summed: How many steps that are.
        evaluated: The step after which there was an evaluation last.
        best: The best value of the metric so far.
        best_step: After how many steps it was reached.
        stale: Evaluations since the last one that was better.
        is_over: Whether training has stopped early.
        seconds: How long the run has taken, without its breaks.
    """

    step: int = 0
    sums: Mapping[str, float] = field(default_factory=dict)
    summed: int = 0
    evaluated: int = 0
    best: float | None = None
    best_step: int | None = None
    stale: int = 0
    is_over: bool = False
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingState:
        """Return the state that `to_json` described."""
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return the state as values that JSON can hold, floats to the last bit."""
        return asdict(self)

    def with_result(self, values: Mapping[str, float]) -> TrainingState:
        """Return the state with the loss and the like of one more step in its sums."""
        sums = {name: self.sums.get(name, 0.0) + value for name, value in values.items()}
        return replace(self, sums=sums, summed=self.summed + 1)

    def logged(self) -> TrainingState:
        """Return the state after a line of the log."""
        return replace(self, sums={}, summed=0)

    def after_evaluation(self, value: float, higher_is_better: bool, options: TrainingOptions) -> TrainingState:
        """Return the state after an evaluation: whether it is the best so far, and whether training is over.

        Args:
            value: Of the metric that counts; NaN is never better.
            higher_is_better: Whether more of it is better.
            options: The patience, and by how much a value must be better to count for it.
        """
        gain = float("inf") if self.best is None else (value - self.best) * (1 if higher_is_better else -1)
        stale = 0 if gain > options.min_delta else self.stale + 1
        best = {"best": value, "best_step": self.step} if gain > 0 and value == value else {}
        is_over = options.patience is not None and stale >= options.patience
        return replace(self, evaluated=self.step, stale=stale, is_over=is_over, **best)  # type: ignore[arg-type]
