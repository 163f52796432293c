"""The answers of a run that divides a file into parts: a file for each part, beside the output, until all are there.

A part is known by its number and by what its rows hold, and its file appears as a whole or not at all. However often a
part is computed, by whichever process, it is there once; a run that goes on computes what is not there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError, OutputExistsError
from distilbert_common.files import read_json, write_text
from distilbert_deploy.scale.run_folder import RunFolder
from distilbert_tasks.prediction.inputs import Row

__all__ = ["Part", "Parts"]

_RECORD = "run.json"


@dataclass(frozen=True)
class Part:
    """Some rows of a file, one after the other.

    Attributes:
        number: Which part it is, from 0.
        first: The number of its first row, from 1.
        size: How many rows it has.
        digest: What they hold.
    """

    number: int
    first: int
    size: int
    digest: str

    @classmethod
    def of(cls, number: int, first: int, rows: Sequence[Row]) -> Part:
        """Return the part that some rows are."""
        content = repr(rows).encode("utf-8", "surrogatepass")
        return cls(number, first, len(rows), blake2b(content, digest_size=16).hexdigest())


@dataclass(frozen=True)
class Parts:
    """The answers that are there.

    Attributes:
        folder: Where they are.
    """

    folder: Path

    @classmethod
    def of_output(cls, output: Path) -> Parts:
        """Return those of an output file."""
        return cls(output.with_name(f"{output.name}.parts"))

    def open(self, facts: Mapping[str, Any], output: Path, *, resume: bool, overwrite: bool) -> None:
        """Make the folder, or see to it that the run in it may go on, or be replaced.

        Args:
            facts: What the answers depend on, but for the rows.
            output: The file that the run is to write.
            resume: Whether a run that was begun there goes on.
            overwrite: Whether the output, and a run that was begun there, are replaced.

        Raises:
            InputError: The run was begun otherwise, or is both to go on and to be replaced.
            OutputExistsError: The output is there, or a run, and neither was asked for; or something else.
        """
        run_folder = RunFolder(self.folder / _RECORD, "run", "give the output another name")
        if output.exists() and not overwrite and not (resume and run_folder.record.exists()):
            raise OutputExistsError(f"{output} is there already; give overwrite (--overwrite), or another name")
        if run_folder.resume_or_create(resume=resume, overwrite=overwrite):
            run_folder.check_same(read_json(run_folder.record), facts)
        else:
            write_text(run_folder.record, json.dumps(facts, indent=2, default=str))

    def has(self, part: Part) -> bool:
        """Return whether a part is answered; answers to other rows do not count."""
        try:
            with self._path(part).open(encoding="utf-8") as file:
                return file.readline() == _header(part)
        except FileNotFoundError:
            return False

    def write(self, part: Part, answers: Sequence[Row]) -> None:
        """Keep the answers to a part."""
        if len(answers) != part.size:
            raise InputError(f"part {part.number} has {part.size} rows and got {len(answers)} answers; run it again")
        write_text(self._path(part), _header(part) + "".join(json.dumps(one) + "\n" for one in answers))

    def read(self, part: Part) -> Iterator[Row]:
        """Yield the answers to a part.

        Raises:
            InputError: They are not there, as of rows that have changed.
        """
        if not self.has(part):
            raise InputError(
                f"rows {part.first:,} to {part.first + part.size - 1:,} have changed since they were answered; run it "
                "again with resume (--resume)"
            )
        with self._path(part).open(encoding="utf-8") as file:
            file.readline()
            yield from map(json.loads, file)

    def remove(self) -> None:
        """Remove them, once the output is there."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_if_empty(self) -> None:
        """Remove a run that has no answer yet, so that the same command, put right, finds nothing in its way."""
        if not any(self.folder.glob("part-*")):
            self.remove()

    def _path(self, part: Part) -> Path:
        return self.folder / f"part-{part.number:06}.jsonl"


def _header(part: Part) -> str:
    return json.dumps({"rows": part.size, "digest": part.digest}) + "\n"
