"""The format of a file: by its name, or as the user says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from distilbert_common.errors import InputError
from distilbert_tasks.data.readers.arrow import read_arrow, read_parquet
from distilbert_tasks.data.readers.csv import read_csv
from distilbert_tasks.data.readers.json import read_json, read_jsonl
from distilbert_tasks.data.readers.opening import COMPRESSED, open_binary, plain_name
from distilbert_tasks.data.readers.text import read_conll, read_conllu, read_text
from distilbert_tasks.data.records import Records

__all__ = ["FORMATS", "SUFFIXES", "is_plain_text", "read_file"]

Reader = Callable[[Path], Iterator[Records]]

FORMATS: dict[str, Reader] = {
    "csv": partial(read_csv, delimiter=None),
    "tsv": partial(read_csv, delimiter="\t"),
    "json": read_json,
    "jsonl": read_jsonl,
    "squad": read_json,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "text": read_text,
    "conll": read_conll,
    "conllu": read_conllu,
}
"""The reader of each format."""

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".txt": "text",
    ".text": "text",
    ".raw": "text",
    ".conll": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bio": "conll",
    ".conllu": "conllu",
}
"""The format of files by the ends of their names."""


def read_file(
    path: Path, task: str, file_format: str | None = None, column_names: Sequence[str] | None = None
) -> Iterator[Records]:
    """Yield the records of a file.

    Args:
        path: The file.
        task: The name of the task; text files of token classification are CoNLL files.
        file_format: A name of `FORMATS`; None to tell it by the name of the file.
        column_names: The names of the columns of a CSV file without a line of names.

    Raises:
        InputError: The format is not known, or the file is not of it.
    """
    name = file_format or _format_of(path)
    if task == "token-classification" and file_format is None and name in (None, "text"):
        name = "conll"
    if name is None and path.suffix.lower() == ".zip":
        with open_binary(path):
            pass  # which says what is wrong with it
    if name not in FORMATS:
        reason = f"{path.name}: its name says no format" if name is None else f"{name!r} is not a format"
        raise InputError(
            f"{reason}; choose file_format (--format) from {', '.join(FORMATS)}, or save the data as one of them"
        )
    if name in ("parquet", "arrow") and path.suffix.lower() in COMPRESSED:
        raise InputError(f"{path.name}: {name} files are compressed within; decompress it first")
    if name in ("csv", "tsv"):
        return read_csv(path, "\t" if name == "tsv" else None, column_names)
    return FORMATS[name](path)


def is_plain_text(part: object, file_format: str | None = None) -> bool:
    """Return whether a source is a file without columns, whose lines are its texts.

    Args:
        part: A file, or a data set.
        file_format: A name of `FORMATS`; None to tell it by the name of the file.
    """
    return isinstance(part, Path) and (file_format or _format_of(part)) == "text"


def _format_of(path: Path) -> str | None:
    """Return the format that the name of a file says; None where it says none."""
    return SUFFIXES.get(Path(plain_name(path)).suffix.lower())
