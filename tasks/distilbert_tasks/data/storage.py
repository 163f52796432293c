"""Columns of text while a split is read: in memory, or, where they are large, in a file that is mapped into memory."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["MEMORY_BYTES", "TableWriter"]

MEMORY_BYTES = 256 * 2**20
"""How many bytes of a split are held in memory; all of a larger one goes to a file."""


class TableWriter:
    """Collects columns, and gives them as one table."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._limit = memory_bytes
        self._tables: list[Any] = []
        self._bytes = 0
        self._path: str | None = None
        self._writer: Any = None

    @property
    def is_on_disk(self) -> bool:
        """Whether rows went to a file."""
        return self._writer is not None

    def add(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Take the next rows."""
        import pyarrow as pa

        types = _types()
        table = pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
        self._tables.append(table)
        self._bytes += table.nbytes
        if self.is_on_disk or self._bytes > self._limit:
            self._spill()

    def table(self) -> Any:
        """Return all rows."""
        import pyarrow as pa

        if self._path is None:
            return pa.concat_tables(self._tables)
        self._writer.close()
        mapped = pa.ipc.open_stream(pa.memory_map(self._path)).read_all()
        with contextlib.suppress(OSError):  # what is mapped stays until it is let go; Windows removes no open file
            os.unlink(self._path)
        return mapped

    def _spill(self) -> None:
        import pyarrow as pa

        if self._writer is None:
            descriptor, self._path = tempfile.mkstemp(suffix=".arrow")
            os.close(descriptor)
            self._writer = pa.ipc.new_stream(self._path, self._tables[0].schema)
        for table in self._tables:
            self._writer.write_table(table)
        self._tables = [self._tables[0].slice(0, 0)]  # for its schema


def _types() -> dict[str, Any]:
    """Return the types of columns, so that a part without values has them too."""
    import pyarrow as pa

    answers = pa.struct({"text": pa.list_(pa.string()), "answer_start": pa.list_(pa.int64())})
    text = dict.fromkeys(("id", "text", "text_pair", "question", "context", "prompt"), pa.string())
    return {**text, **dict.fromkeys(("tokens", "choices"), pa.list_(pa.string())), "answers": answers}
