"""Who watches the trials of Ray Tune: says what they measure, and writes down which were stopped."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback
from ray.tune.progress_reporter import TrialProgressCallback

from distilbert_deploy.scale.search import Search
from distilbert_tasks.training.progress import Note, OnProgress, ignore

__all__ = ["Silence", "Watcher"]


class Watcher(Callback):  # type: ignore[misc]  # Ray is not followed
    """Told by Ray Tune what becomes of trials."""

    def __init__(self, search: Search, tell: OnProgress) -> None:
        self._search, self._tell = search, tell

    def __getstate__(self) -> dict[str, Any]:
        """Return what Ray keeps of it for a search that goes on, which ours do not read: a terminal is not kept."""
        return {"_search": self._search, "_tell": ignore}

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


class Silence(TrialProgressCallback):  # type: ignore[misc]
    """In the place of what Ray Tune prints of trials, whatever it is asked."""

    def log_result(self, trial: Any, result: dict[str, Any], error: bool = False) -> None:
        """Print nothing."""

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Print nothing."""
