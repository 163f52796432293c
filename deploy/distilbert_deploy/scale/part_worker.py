"""What a process of Ray Data does: it loads the model once, and answers one part after the other.

A part travels as a row of an Arrow table, and what goes wrong with it as a sentence, so that the program that waits for
it says the sentence, and no stack of calls.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from distilbert_common.errors import DistilBertError
from distilbert_deploy.scale.parts import Part
from distilbert_tasks.prediction.inputs import Row
from distilbert_tasks.prediction.predictor import Predictor

__all__ = ["PartWorker", "block_of"]

_ANSWERED = pa.schema([("number", pa.int64()), ("answers", pa.large_string()), ("error", pa.large_string())])


def block_of(part: Part, rows: Sequence[Row]) -> pa.Table:
    """Return the table in which a part travels; its rows are pickled, as all that Ray's processes send each other."""
    content = pa.array([pickle.dumps(list(rows))], pa.large_binary())
    return pa.table({"number": [part.number], "first": [part.first], "rows": content})


class PartWorker:
    """A process with a model."""

    def __init__(self, model: str, first: Row, name: str, arguments: Mapping[str, Any]) -> None:
        """Load the model.

        Args:
            model: Where it is.
            first: The first row of the file, by which columns are chosen.
            name: What the file is called in errors.
            arguments: Those of `Predictor`.
        """
        self._first, self._name, self._error = first, name, ""
        try:
            self._predictor = Predictor(model, **arguments)
        except DistilBertError as error:
            self._error = str(error)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Answer the parts of a table."""
        return pa.Table.from_pylist([self._answered(**part) for part in table.to_pylist()], schema=_ANSWERED)

    def _answered(self, number: int, first: int, rows: bytes) -> dict[str, Any]:
        try:
            if self._error:
                return {"number": number, "answers": "", "error": self._error}
            answers = self._predictor.answers(pickle.loads(rows), self._first, self._name, number=first)
            return {"number": number, "answers": json.dumps(list(answers)), "error": ""}
        except DistilBertError as error:
            return {"number": number, "answers": "", "error": str(error)}
