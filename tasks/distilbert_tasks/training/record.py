"""What a run is, in `training.json` of its folder: read again when it goes on, and at the end with what it measured."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError, UnreadableFileError
from distilbert_common.files import read_json, write_text
from distilbert_common.frameworks import PACKAGES, installed_version
from distilbert_tasks.changes import changes

__all__ = ["RECORD_FILENAME", "RunRecord", "versions_of"]

RECORD_FILENAME = "training.json"
_MAY_CHANGE = {"save_every", "keep_last", "log_every"}
"""Options that no number of the training depends on."""


def versions_of(framework: str) -> dict[str, str]:
    """Return the versions of Python, of this project, and of what a framework consists of."""
    packages = ("distilbert", *PACKAGES[framework], "numpy", "datasets")
    return {"python": platform.python_version()} | {
        name: installed_version(name) or "not installed" for name in packages
    }


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run is, and what came of it.

    Attributes:
        task: The name of the task.
        framework: "pt", "tf" or "flax".
        model: The checkpoint that it began with.
        weights: The fingerprint of that.
        data: By split: its fingerprint, and how many examples and rows it has.
        labels: The names of the labels, where the task has some.
        options: Those of the training, by name.
        features: Those of the features, by name.
        versions: Of the libraries, by name.
        teacher: What is known of the teacher, and of what the student took of it; None where there is none.
        metrics: What the finished model was measured at, by split; None before the end.
        best_step: The step whose weights the finished model has.
        seconds: How long the run took, in all its processes one after the other.
    """

    task: str
    framework: str
    model: str
    weights: str
    data: Mapping[str, Mapping[str, Any]]
    labels: tuple[str, ...] | None
    options: Mapping[str, Any]
    features: Mapping[str, Any]
    versions: Mapping[str, str]
    teacher: Mapping[str, Any] | None = None
    metrics: Mapping[str, Mapping[str, float]] | None = None
    best_step: int | None = None
    seconds: float = 0.0

    @classmethod
    def read(cls, folder: Path) -> RunRecord | None:
        """Return the record in a folder, or None where there is none.

        Raises:
            UnreadableFileError: The file is not such a record.
        """
        path = folder / RECORD_FILENAME
        if not path.exists():
            return None
        values = read_json(path)
        try:
            return cls(**values)
        except TypeError as error:
            raise UnreadableFileError(
                f"{path} is not the record of a run: {error}; remove the folder, and start anew"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the record, all or nothing."""
        write_text(folder / RECORD_FILENAME, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")

    def finished(self, metrics: Mapping[str, Mapping[str, float]], best_step: int, seconds: float) -> RunRecord:
        """Return the record with what came of the run."""
        return replace(self, metrics=metrics, best_step=best_step, seconds=seconds)

    def check_same(self, now: RunRecord, folder: Path) -> None:
        """Require that a run which goes on is the one that was begun.

        Args:
            now: What was asked for.
            folder: Where this record is from.

        Raises:
            InputError: Weights, data, task, framework, labels or an option differ.
        """
        differences = list(_differences(_as_json(self), _as_json(now)))
        if differences:
            raise InputError(
                f"the run in {folder} was begun otherwise: {'; '.join(differences[:4])}; give what it was begun with "
                "to go on, or to start anew overwrite (--overwrite) or another folder"
            )


def _as_json(record: RunRecord) -> dict[str, Any]:
    """Return a record as JSON gives it back: tuples as lists."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(record), default=str))
    return values


def _content(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the facts on a split but for its name, which may be written in several ways."""
    return None if facts is None else {name: value for name, value in facts.items() if name != "source"}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a few words for each thing that differs and matters."""
    differences = changes(before, now, ("task", "framework", "labels"))
    if before["weights"] != now["weights"]:
        differences.append(f"the weights of {now['model']} are not those of {before['model']} at that time")
    differences.extend(_teacher_differences(before["teacher"] or {}, now["teacher"] or {}))
    for split in sorted({*before["data"], *now["data"]}):
        if _content(before["data"].get(split)) != _content(now["data"].get(split)):
            differences.append(f"the {split} data differ")
    for group in ("options", "features"):
        names = sorted({*before[group], *now[group]} - _MAY_CHANGE)
        differences.extend(changes(before[group], now[group], names))
    return differences


def _teacher_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a few words for what differs in the teacher, but for its name, and in what the student takes of it."""
    if before.get("weights") != now.get("weights"):
        return [
            f"the weights of the teacher {now.get('teacher')} are not those of {before.get('teacher')} at that time"
        ]
    return changes(before, now, sorted({*before, *now} - {"teacher"}))
