"""The arguments that several of finetune, evaluate and predict take, each with its help and its place in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

import typer

from distilbert_common.errors import InputError

__all__ = [
    "Columns",
    "Device",
    "FileFormat",
    "FrameworkName",
    "Json",
    "LabelAllPieces",
    "Labels",
    "LayoutName",
    "LineByLine",
    "MaxLength",
    "MaxRows",
    "MlmProbability",
    "Model",
    "ProblemType",
    "Stride",
    "Truncation",
    "WholeWordMask",
    "columns_of",
    "data_arguments",
    "options_of",
    "parts_of",
]

DATA, FEATURES = "Data", "Texts to tokens"

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Directory, weights file or hub id, in any dialect.")]
FrameworkName = Annotated[str, typer.Option("--framework", help="pt, tf or flax.")]
Device = Annotated[str, typer.Option(help="cpu, gpu, or auto for the GPU if there is one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LayoutName = Annotated[str, typer.Option("--layout", help="packed: several texts in a row; padded: one in each.")]

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="ROLE=NAME",
        help="Column to take, as text=review or label=stars; repeat it for several. Well-known names are found.",
        rich_help_panel=DATA,
    ),
]
FileFormat = Annotated[
    str, typer.Option("--format", help="Format of the files, if their names do not tell.", rich_help_panel=DATA)
]
Labels = Annotated[
    str, typer.Option(help="Names of the labels, in the order of their ids, as neg,pos.", rich_help_panel=DATA)
]
ProblemType = Annotated[
    str,
    typer.Option(
        help="single_label_classification, multi_label_classification or regression; told by the labels if not given.",
        rich_help_panel=DATA,
    ),
]
MaxRows = Annotated[int | None, typer.Option(help="Most rows to read of each split.", rich_help_panel=DATA)]

MaxLength = Annotated[
    int | None,
    typer.Option(help="Most tokens in a row; the model's positions, or 384 for answers.", rich_help_panel=FEATURES),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--doc-stride",
        help="Tokens that two windows of a long context share; 128, or a third of a shorter row.",
        rich_help_panel=FEATURES,
    ),
]
Truncation = Annotated[
    str,
    typer.Option(help="Text of a pair to cut: longest_first, only_first, only_second.", rich_help_panel=FEATURES),
]
LabelAllPieces = Annotated[
    bool, typer.Option("--label-all-pieces", help="Label every piece of a word.", rich_help_panel=FEATURES)
]
LineByLine = Annotated[
    bool, typer.Option("--line-by-line", help="Masked LM on each text by itself.", rich_help_panel=FEATURES)
]
WholeWordMask = Annotated[
    bool, typer.Option("--whole-word-mask", help="Mask all pieces of a word together.", rich_help_panel=FEATURES)
]
MlmProbability = Annotated[float, typer.Option(help="Share of tokens to mask.", rich_help_panel=FEATURES)]


def columns_of(pairs: list[str] | None) -> dict[str, Any] | None:
    """Return the columns that `--column` names, by role; a role that is named several times has a list.

    Raises:
        InputError: An argument has no "=".
    """
    columns: dict[str, list[str]] = {}
    for pair in pairs or ():
        role, equals, name = pair.partition("=")
        if not (role and equals and name):
            raise InputError(f"--column is {pair!r}; expected a role and a column, as text=review")
        columns.setdefault(role.strip(), []).append(name)
    return {role: names[0] if len(names) == 1 else names for role, names in columns.items()} or None


def parts_of(text: str) -> tuple[str, ...] | None:
    """Return the parts of a list with commas; None for no text."""
    return tuple(part.strip() for part in text.split(",")) if text else None


def data_arguments(column: list[str] | None, file_format: str, labels: str, problem_type: str) -> dict[str, Any]:
    """Return what was said of the data under the names of `DataOptions`; text that is empty was not given."""
    return {
        "columns": columns_of(column),
        "file_format": file_format or None,
        "labels": parts_of(labels),
        "problem_type": problem_type or None,
    }


def options_of(cls: Any, arguments: Mapping[str, Any]) -> Any:
    """Return options of a dataclass from the arguments that have the names of its fields."""
    return cls(**{field.name: arguments[field.name] for field in fields(cls) if field.name in arguments})
