"""The arguments that several of finetune, evaluate and predict take, each with its help and its place in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, TypeVar

import typer

from distilbert_common.errors import InputError

__all__ = [
    "Columns",
    "Device",
    "FileFormat",
    "FrameworkName",
    "InferenceFramework",
    "Json",
    "LayoutName",
    "MlmProbability",
    "Model",
    "columns_of",
    "numbers_of",
    "option",
    "options_of",
    "parts_of",
    "reading",
    "reading_options",
]

Number = TypeVar("Number", int, float)

DATA, FEATURES = "Data", "Texts to tokens"


def option(panel: str, help: str, *names: str, **settings: Any) -> Any:
    """Return an option that `--help` shows in a panel."""
    return typer.Option(*names, help=help, rich_help_panel=panel, **settings)


Model = Annotated[str, typer.Argument(metavar="MODEL", help="Directory, weights file or hub id, in any dialect.")]
FrameworkName = Annotated[str, typer.Option("--framework", help="pt, tf or flax.")]
InferenceFramework = Annotated[
    str,
    typer.Option("--framework", help="pt, tf, flax, or onnx for an export; if not given, what opens the model."),
]
Device = Annotated[str, typer.Option(help="cpu, gpu, or auto for the GPU if there is one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LayoutName = Annotated[str, typer.Option("--layout", help="packed: several texts in a row; padded: one in each.")]

Columns = Annotated[
    list[str] | None,
    option(
        DATA,
        "Column to take, as text=review or label=stars; repeat it for several. Well-known names are found.",
        "--column",
        metavar="ROLE=NAME",
    ),
]
FileFormat = Annotated[str, option(DATA, "Format of the files, if their names do not tell.", "--format")]
MlmProbability = Annotated[float, option(FEATURES, "Share of tokens to mask.")]


def reading(
    column: Columns = None,
    file_format: FileFormat = "",
    labels: Annotated[str, option(DATA, "Names of the labels, in the order of their ids, as neg,pos.")] = "",
    problem_type: Annotated[
        str,
        option(
            DATA,
            "single_label_classification, multi_label_classification or regression; told by the labels if not given.",
        ),
    ] = "",
    max_rows: Annotated[int | None, option(DATA, "Most rows to read of each split.")] = None,
    max_length: Annotated[
        int | None, option(FEATURES, "Most tokens in a row; the model's positions, or 384 for answers.")
    ] = None,
    doc_stride: Annotated[
        int | None,
        option(FEATURES, "Tokens that two windows of a long context share; 128, or a third of a shorter row."),
    ] = None,
    truncation: Annotated[
        str, option(FEATURES, "Text of a pair to cut: longest_first, only_first, only_second.")
    ] = "longest_first",
    label_all_pieces: Annotated[bool, option(FEATURES, "Label every piece of a word.", "--label-all-pieces")] = False,
    line_by_line: Annotated[bool, option(FEATURES, "Masked LM on each text by itself.", "--line-by-line")] = False,
    mlm_probability: MlmProbability = 0.15,
    whole_word_mask: Annotated[
        bool, option(FEATURES, "Mask all pieces of a word together.", "--whole-word-mask")
    ] = False,
) -> None:
    """How data is read, and made into tokens."""


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


def numbers_of(text: str, kind: Callable[[str], Number], option: str, example: str) -> tuple[Number, ...] | None:
    """Return the numbers in a list with commas; None for no text.

    Args:
        text: What was typed.
        kind: `int` or `float`.
        option: The option that it was typed for.
        example: What might be typed.

    Raises:
        InputError: A part is no number.
    """
    try:
        return tuple(map(kind, parts_of(text) or ())) or None
    except ValueError as error:
        raise InputError(f"{option} is {text!r}; expected numbers with commas between, as {example}") from error


def parts_of(text: str) -> tuple[str, ...] | None:
    """Return the parts of a list with commas; None for no text."""
    return tuple(part.strip() for part in text.split(",")) if text else None


def reading_options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data_options` and `feature_options` from the arguments of a command; text that is empty was not given.

    Raises:
        InputError: A value cannot be used.
    """
    from distilbert_tasks.data import DataOptions
    from distilbert_tasks.features import FeatureOptions

    named = {
        **arguments,
        "columns": columns_of(arguments["column"]),
        "file_format": arguments["file_format"] or None,
        "labels": parts_of(arguments["labels"]),
        "problem_type": arguments["problem_type"] or None,
    }
    return {"data_options": options_of(DataOptions, named), "feature_options": options_of(FeatureOptions, named)}


def options_of(cls: Any, arguments: Mapping[str, Any]) -> Any:
    """Return options of a dataclass from the arguments that have the names of its fields."""
    return cls(**{field.name: arguments[field.name] for field in fields(cls) if field.name in arguments})
