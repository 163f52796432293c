"""The folder of a run or a search that may go on there: a file, the first to be there, says what it was begun with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError, OutputExistsError
from distilbert_common.files import check_own_folder
from distilbert_tasks.changes import changes
from distilbert_tasks.training.output import check_one_of, clear_folder

__all__ = ["RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run of prediction, or of a search.

    Attributes:
        record: The file that says what it was begun with.
        kind: What it is, in a word.
        advice: What to do where the folder is somebody else's, in words.
    """

    record: Path
    kind: str
    advice: str

    def resume_or_create(self, *, resume: bool, overwrite: bool) -> bool:
        """Return whether one that is there goes on; else make the folder, without what was in it.

        Args:
            resume: Whether one that is there goes on.
            overwrite: Whether it is replaced.

        Raises:
            InputError: It is both to go on and to be replaced.
            OutputExistsError: There is something else, or neither was asked for.
        """
        check_one_of(resume, overwrite, self.kind)
        folder, is_there = self.record.parent, self.record.exists()
        if folder.exists() and not folder.is_dir():
            raise OutputExistsError(f"{folder} is a file; {self.advice}")
        folder.mkdir(parents=True, exist_ok=True)
        check_own_folder(self.record, self.kind, self.advice)
        if is_there and not resume and not overwrite:
            raise OutputExistsError(
                f"{folder} holds a {self.kind}; go on with resume (--resume), replace it with overwrite (--overwrite), "
                f"or {self.advice}"
            )
        if is_there and overwrite:
            clear_folder(folder)
        return is_there and resume

    def check_same(self, before: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Require that what goes on is what was begun.

        Args:
            before: What it was begun with, as JSON gives it back.
            facts: What was asked for.

        Raises:
            InputError: They differ.
        """
        now = json.loads(json.dumps(facts, default=str))
        if differences := changes(before, now, sorted({*before, *now})):
            raise InputError(
                f"the {self.kind} in {self.record.parent} was begun otherwise: {'; '.join(differences)}; give what it "
                "was begun with to go on, or overwrite (--overwrite) to start anew"
            )
