"""`distilbert inspect`: what is in a checkpoint, without loading it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilbert_cli.text import printable

if TYPE_CHECKING:
    from distilbert_conversion import Checkpoint

__all__ = ["describe", "inspect"]


def inspect(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Directory, weights file or hub id, in any dialect.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show a checkpoint's dialect, model, types, files and tensors."""
    from distilbert_conversion import open_checkpoint

    with open_checkpoint(source) as checkpoint:
        facts = describe(checkpoint)
    typer.echo(json.dumps(facts, indent=2)) if as_json else _show(facts)


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what is to be said about a checkpoint, ready for JSON."""
    tied = checkpoint.tied
    weights = {**checkpoint.tensors, **checkpoint.extras}
    return {
        "path": str(checkpoint.path),
        "dialect": checkpoint.dialect,
        "head": checkpoint.head,
        "dtype": checkpoint.dtype,
        "sharded": checkpoint.sharded,
        "files": [file.name for file in checkpoint.files],
        "parameters": sum(tensor.size for name, tensor in weights.items() if name not in tied),
        "nbytes": sum(tensor.nbytes for tensor in checkpoint.file_tensors.values()),
        "tied": sorted(tied),
        "extras": sorted(checkpoint.extras),
        "ignored": sorted(checkpoint.ignored),
        "metadata": checkpoint.metadata,
        "tensors": [
            {"name": name, "shape": list(tensor.shape), "dtype": tensor.dtype.name, "nbytes": tensor.nbytes}
            for name, tensor in checkpoint.file_tensors.items()
        ],
    }


def _show(facts: dict[str, Any]) -> None:
    """Print the facts as text and a table; names from the file are shown as they are, without markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 140  # wide enough for the longest name, so that a pipe gets one line for each tensor
    table = Table("tensor", "shape", "type")
    table.add_column("bytes", justify="right")
    for tensor in facts["tensors"]:
        shape = " x ".join(map(str, tensor["shape"]))
        table.add_row(Text(printable(tensor["name"]), overflow="fold"), shape, tensor["dtype"], f"{tensor['nbytes']:,}")
    console.print(table)
    lines = {
        "file": ", ".join(facts["files"]),
        "dialect": facts["dialect"] + (", sharded" if facts["sharded"] else ""),
        "model": f"DistilBert{facts['head']}",
        "type": facts["dtype"],
        "parameters": f"{facts['parameters']:,}",
        "bytes": f"{facts['nbytes']:,}",
        "tied": ", ".join(facts["tied"]),
        "not a weight": ", ".join(facts["ignored"]),
        "own weights": ", ".join(facts["extras"]),
    }
    for title, value in lines.items():
        if value:
            console.print(Text(f"{title:<13}{printable(value)}"), soft_wrap=True)
