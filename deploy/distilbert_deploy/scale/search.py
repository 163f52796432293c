"""A search in its folder: what is tried, and what came of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilbert_common.files import read_json, write_text
from distilbert_deploy.scale.run_folder import RunFolder
from distilbert_deploy.scale.trials import Outcome, Trial, better

__all__ = ["RECORD", "Search"]

RECORD = "tune.json"
_TRIALS = "trials"


@dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
        folder: Where it writes.
        metric: The metric to choose by.
        drawn: The options of each trial.
    """

    folder: Path
    metric: str
    drawn: tuple[Mapping[str, Any], ...]

    @property
    def ray_folder(self) -> Path:
        """Where Ray Tune writes, until the search is over."""
        return self.folder / "ray"

    def trial(self, number: int) -> Trial:
        """Return a trial."""
        return Trial(number, self.folder / _TRIALS / f"{number:03}", self.drawn[number])

    def unfinished(self) -> list[int]:
        """Return the numbers of the trials that have something to do; failed ones are tried again."""
        return [one.number for one in self.outcomes() if one.status in ("running", "failed")]

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what came of each trial, the best one first."""

        def key(outcome: Outcome) -> tuple[bool, float, int]:
            value = outcome.best(self.metric)
            return (value is None, 0.0 if value is None else -better(self.metric, value), outcome.number)

        return tuple(sorted((self.trial(number).outcome(self.metric) for number in range(len(self.drawn))), key=key))

    def open(self, facts: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Make the folder, or see to it that the search in it may go on, or remove that.

        Args:
            facts: What the search is.
            resume: Whether a search that was begun there goes on.
            overwrite: Whether it is replaced.

        Raises:
            InputError: It was begun otherwise, or is both to go on and to be replaced.
            OutputExistsError: There is something else, or neither was asked for.
        """
        run_folder = RunFolder(self.folder / RECORD, "search", "give another folder")
        if run_folder.resume_or_create(resume=resume, overwrite=overwrite):
            before = read_json(run_folder.record)
            recorded = {"metric": before.get("metric"), **before.get("begun_with", {})}
            run_folder.check_same(recorded, {"metric": self.metric, **facts})
        else:
            self.write(facts)

    def write(self, facts: Mapping[str, Any], **results: Any) -> None:
        """Write what the search is, and what came of it."""
        values = {"metric": self.metric, "begun_with": facts, "trials": list(self.drawn), **results}
        write_text(self.folder / RECORD, json.dumps(values, indent=2, default=str) + "\n")

    def remove_if_empty(self) -> None:
        """Remove a search of which no trial has begun, so that the same command, put right, finds nothing there."""
        if not (self.folder / _TRIALS).exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def clean(self) -> None:
        """Remove what only a search that goes on needs."""
        for number in range(len(self.drawn)):
            self.trial(number).end()
        shutil.rmtree(self.ray_folder, ignore_errors=True)
