"""What a teacher gave for each step, asked ahead of time: files that every framework trains with.

A file holds one step, token after token in an order that does not depend on the layout of batches, the number of
processes or the framework. It is there whole or not at all, so that a kill at any moment leaves the steps before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from distilbert_common.errors import InputError, OutputExistsError, UnreadableFileError
from distilbert_common.files import local_path, replacing
from distilbert_common.training import Arrays
from distilbert_tasks.batches import NumberedBatch
from distilbert_tasks.corpus.cache_facts import begin
from distilbert_tasks.corpus.folder_lock import locked

__all__ = ["FloatType", "TeacherCache"]

FloatType = Literal["float16", "float32"]

_VERSION = 1
_ENDING = "safetensors"


@dataclass
class TeacherCache:
    """The answers of a teacher to the first steps of a run; `training_batches` gives them to the micro batches.

    Attributes:
        folder: Where the files are.
        facts: What they depend on: the corpus, the teacher's weights, batches, masks and so on, by name.
        steps: For how many steps the teacher is asked; a longer run repeats them.
        logits_type: What logits are stored in.
        hidden_type: What hidden states are stored in.
    """

    folder: Path
    facts: Mapping[str, Any]
    steps: int
    logits_type: FloatType = "float32"
    hidden_type: FloatType = "float16"
    _latest: tuple[int, Arrays] | None = field(default=None, init=False, repr=False)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        facts: Mapping[str, Any],
        steps: int,
        *,
        logits_type: FloatType = "float32",
        hidden_type: FloatType = "float16",
        overwrite: bool = False,
    ) -> TeacherCache:
        """Open the cache in a folder, or begin one.

        Args:
            folder: Where it is, or is to be.
            facts: What it depends on, as values that JSON holds.
            steps: For how many steps the teacher is asked.
            logits_type: What logits are stored in.
            hidden_type: What hidden states are stored in.
            overwrite: Whether a cache that depends on other things is replaced.

        Raises:
            InputError: There is such a cache, or no step is asked for.
            OutputExistsError: The folder holds something else.
        """
        if steps < 1:
            raise InputError(f"steps is {steps}; a teacher is asked for at least 1")
        path = local_path(folder)
        if path.exists() and not path.is_dir():
            raise OutputExistsError(f"{path} is a file; give a folder for what the teacher gives")
        path.mkdir(parents=True, exist_ok=True)
        types = {"logits_type": logits_type, "hidden_type": hidden_type}
        now = json.loads(json.dumps({"version": _VERSION, **types, **facts}))
        with locked(path):
            begin(path, now, overwrite)
        return cls(path, now, steps, logits_type, hidden_type)

    @property
    def is_complete(self) -> bool:
        """Whether the teacher was asked for all steps."""
        return not self.missing()

    def missing(self, rank: int = 0, world: int = 1) -> list[int]:
        """Return the steps that the teacher has to be asked for, in order.

        Args:
            rank: The number of this process.
            world: How many processes ask; each for its part of the steps.
        """
        existing = {path.name for path in self.folder.glob(f"step-*.{_ENDING}")}
        return [step for step in range(rank, self.steps, world) if self._path(step).name not in existing]

    def expected_bytes(self, step: int) -> int:
        """Return about how much room all steps take, by one of them that is there."""
        return self._path(step).stat().st_size * self.steps

    def remove_leftovers(self, rank: int = 0, world: int = 1) -> None:
        """Remove what a process that was killed left half written, of the steps that this process asks for."""
        for path in self.folder.glob(".step-*"):
            number = path.name.removeprefix(".step-").partition(".")[0]
            if number.isdecimal() and int(number) % world == rank:
                path.unlink(missing_ok=True)

    def write(self, step: int, batches: Sequence[NumberedBatch], outputs: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Store what a teacher gave for a step.

        Args:
            step: The number of the step.
            batches: Its micro batches, of all processes: those of `numbered_batches` with one process.
            outputs: What the teacher gave for each: `indices` and `logits` (batch, seq, k), `hidden` (batch, seq, dim).

        Raises:
            InputError: Tokens of the step are missing, or a value cannot be stored.
        """
        numbers = [batch.numbers for batch in batches]
        is_token = [one >= 0 for one in numbers if one is not None]
        order = np.concatenate([one[mask] for one, mask in zip(numbers, is_token, strict=True) if one is not None])
        count = int(order.max(initial=-1)) + 1
        if len(order) != count:
            raise InputError(
                f"step {step} has {count} tokens, and its micro batches {len(order)}; give those of all processes"
            )
        arrays = {}
        for name in outputs[0]:
            values = np.concatenate([np.asarray(one[name])[mask] for one, mask in zip(outputs, is_token, strict=True)])
            arrays[name] = np.empty((count, *values.shape[1:]), self._type(name, values))
            arrays[name][order] = _checked(values, arrays[name].dtype, name, step)
        with replacing(self._path(step)) as temporary:
            save_file(arrays, temporary)

    def read(self, step: int, numbers: NDArray[np.integer]) -> Arrays:
        """Return what the teacher gave for tokens of a step.

        Args:
            step: The number of the step; those beyond `steps` are these again.
            numbers: (batch, seq) which tokens, below 0 where there is none.

        Returns:
            `indices` int32 and `logits` (batch, seq, k), `hidden` (batch, seq, dim); 0 where there is no token.

        Raises:
            InputError: The teacher was not asked for this step.
            UnreadableFileError: A file is damaged.
        """
        is_token, arrays = numbers >= 0, {}
        for name, values in self._step(step % self.steps).items():
            dtype = np.dtype(np.int32) if values.dtype.kind in "iu" else values.dtype
            arrays[name] = np.zeros((*numbers.shape, *values.shape[1:]), dtype)
            arrays[name][is_token] = values[numbers[is_token]]
        return arrays

    def _step(self, step: int) -> Arrays:
        """Return all of a step, which is held until another one is asked for, as it is read by micro batch."""
        if self._latest is None or self._latest[0] != step:
            path = self._path(step)
            if not path.exists():
                raise InputError(f"the teacher was not asked for step {step}, so that {path} is missing; ask it first")
            try:
                self._latest = step, load_file(path)
            except (SafetensorError, OSError) as error:
                raise UnreadableFileError(
                    f"{path} cannot be read: {error}; remove it, and the teacher is asked again"
                ) from error
        return self._latest[1]

    def _type(self, name: str, values: NDArray[Any]) -> Any:
        if values.dtype.kind in "iu":  # token ids, most vocabularies of which fit in two bytes
            return np.uint16 if values.max(initial=0) < 2**16 else np.int32
        return {"logits": self.logits_type, "hidden": self.hidden_type}.get(name, "float32")

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.{_ENDING}"


def _checked(values: NDArray[Any], dtype: Any, name: str, step: int) -> NDArray[Any]:
    """Return values in the type that they are stored in.

    Raises:
        InputError: One is not finite, or too large for it.
    """
    with np.errstate(over="ignore"):
        converted = values.astype(dtype)
    if converted.dtype.kind == "f" and not np.isfinite(converted).all():
        raise InputError(
            f"{name} of step {step} hold values that are not finite in {np.dtype(dtype)}, up to "
            f"{np.abs(values).max():g}; store them in float32, or look at the teacher's weights"
        )
    return converted
