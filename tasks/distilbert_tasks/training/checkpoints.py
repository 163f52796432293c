"""The checkpoints of a run: folders that appear whole or not at all, from which it goes on to the last bit.

`checkpoints/step-120` holds the engine's state and where the loop stands; `checkpoints/best-80` is a model directory,
the best weights so far. A kill at any moment leaves the newest checkpoint readable, with the best weights it names.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from distilbert_common.errors import UnreadableFileError
from distilbert_common.files import read_json, replacing, write_text
from distilbert_common.training import Arrays
from distilbert_conversion.output.atomic_directory import atomic_directory
from distilbert_tasks.training.state import TrainingState

__all__ = ["Checkpoints"]

_STATE, _ARRAYS = "state.json", "state.safetensors"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints in a folder.

    Attributes:
        folder: Where they are; it need not exist.
        keep_last: How many are kept.
    """

    folder: Path
    keep_last: int = 1

    def newest(self) -> TrainingState | None:
        """Return where the newest checkpoint stands, or None where there is none.

        Raises:
            UnreadableFileError: It is damaged.
        """
        steps = self._steps("step")
        if not steps:
            return None
        path = self._path("step", steps[-1]) / _STATE
        try:
            return TrainingState.from_json(read_json(path))
        except (KeyError, TypeError) as error:
            raise UnreadableFileError(
                f"{path} is not the state of a run: {error}; {self._advice(steps[-1])}"
            ) from error

    def arrays(self, step: int) -> Arrays:
        """Return the engine's state after so many steps.

        Raises:
            UnreadableFileError: The file is damaged.
        """
        path = self._path("step", step) / _ARRAYS
        try:
            arrays: Arrays = load_file(path)
        except (SafetensorError, OSError) as error:
            raise UnreadableFileError(f"{path} cannot be read: {error}; {self._advice(step)}") from error
        return arrays

    def save(self, state: TrainingState, arrays: Mapping[str, Any]) -> None:
        """Write a checkpoint, if there is none of this step, and remove those that it replaces."""
        path = self._path("step", state.step)
        if not path.exists():
            with atomic_directory(path, (), overwrite=False) as temporary:
                with replacing(temporary / _ARRAYS) as file:
                    save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, file)
                write_text(temporary / _STATE, json.dumps(state.to_json(), indent=2))
        self.prune(state)

    def prune(self, state: TrainingState) -> None:
        """Remove what the checkpoint of a state replaces."""
        self._remove("step", self._steps("step")[: -self.keep_last])
        self._remove("best", (step for step in self._steps("best") if step != state.best_step))

    def best(self, step: int) -> Path:
        """Return the folder of the weights that were best after so many steps."""
        return self._path("best", step)

    def save_best(self, step: int, save_model: Callable[[Path], None]) -> None:
        """Write the weights as a model directory; those that the newest checkpoint names stay until the next one."""
        if not self.best(step).exists():
            with atomic_directory(self.best(step), (), overwrite=False) as temporary:
                save_model(temporary)
        newest = self.newest()
        needed = (step, newest.best_step if newest else None)
        self._remove("best", (other for other in self._steps("best") if other not in needed))

    def remove_best(self) -> None:
        """Remove the best weights, which have become the model of the run."""
        self._remove("best", self._steps("best"))

    def _path(self, kind: str, step: int) -> Path:
        return self.folder / f"{kind}-{step}"

    def _steps(self, kind: str) -> list[int]:
        """Return the steps of which there is a folder, in order."""
        numbers = (path.name.removeprefix(f"{kind}-") for path in self.folder.glob(f"{kind}-*"))
        return sorted(int(number) for number in numbers if number.isdecimal())

    def _remove(self, kind: str, steps: Iterable[int]) -> None:
        """Remove folders: renamed first, so that a kill leaves none that is half there under its name."""
        for step in steps:
            path = self._path(kind, step)
            hidden = path.with_name(f".{path.name}.removed")
            shutil.rmtree(hidden, ignore_errors=True)
            path.rename(hidden)
        for hidden in self.folder.glob(".*.removed"):
            shutil.rmtree(hidden, ignore_errors=True)

    def _advice(self, step: int) -> str:
        return f"remove {self._path('step', step)} to go on from the checkpoint before it, or start anew"
