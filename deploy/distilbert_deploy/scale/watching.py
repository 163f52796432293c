"""Who watches the trials of Ray Tune: says what they measure, and writes down which were stopped."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback

from distilbert_deploy.scale.search import Search
from distilbert_tasks.training.progress import Note, OnProgress

__all__ = ["Watcher"]


class Watcher(Callback):  # type: ignore[misc]  # Ray is not followed
    """Told by Ray Tune what becomes of trials."""

    def __init__(self, search: Search, tell: OnProgress) -> None:
        self._search, self._tell = search, tell

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        """Say what a trial measured."""
        if "value" in result:
            number = trial.config["trial"]
            self._tell(Note(f"trial {number}, step {result['step']}: {self._search.metric} {result['value']:.4f}"))

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Write down that a trial is over, and say how it ended."""
        one = self._search.trial(trial.config["trial"])
        one.end()
        outcome = one.outcome(self._search.metric)
        value = outcome.best(self._search.metric)
        words = outcome.reason or ("" if value is None else f"{self._search.metric} {value:.4f}")
        self._tell(Note(f"trial {one.number} {outcome.status}: {words}"))
