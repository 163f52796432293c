"""`distilbert parity`: one checkpoint, every installed framework, the same text, layer by layer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from distilbert_cli.frameworks import DEVICES, choose
from distilbert_cli.text import printable
from distilbert_cli.tolerances import BETWEEN_FRAMEWORKS as TOLERANCES
from distilbert_common.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from distilbert_cli.compare import Comparison

__all__ = ["parity", "show"]


def parity(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Directory, weights file or hub id, in any dialect.")],
    frameworks: Annotated[
        str,
        typer.Option(help="Which to compare, separated by commas: pt,tf,flax. All that are installed if not given."),
    ] = "",
    device: Annotated[str, typer.Option(help=f"Where to run: {' or '.join(DEVICES)}.")] = "cpu",
    text: Annotated[list[str] | None, typer.Option(help="A sentence to run; repeat it for several.")] = None,
    dtype: Annotated[str, typer.Option(help=f"{', '.join(TOLERANCES)}; the checkpoint's own if not given.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Run a checkpoint in several frameworks on the same text and compare every layer; exit 1 if they disagree."""
    from rich.console import Console

    from distilbert_cli.compare import SENTENCES, compare

    if device not in DEVICES:
        raise InputError(f"--device is {device!r}; expected {' or '.join(DEVICES)}")
    if dtype and dtype not in TOLERANCES:
        raise InputError(f"--dtype is {dtype!r}; expected one of {', '.join(TOLERANCES)}")
    chosen = choose([name.strip() for name in frameworks.split(",")] if frameworks else None)
    if len(chosen) < 2:
        raise InputError(
            f"only {chosen[0].title} is there; a comparison needs two frameworks: pip install 'distilbert[all]'"
        )
    progress = Console(stderr=True)
    with progress.status("loading") as status:
        result = compare(
            source,
            chosen,
            device=device,
            texts=tuple(text or SENTENCES),
            dtype=dtype or None,
            advance=lambda title: status.update(f"running {title}"),
        )
    typer.echo(json.dumps(result.to_dict(), indent=2)) if as_json else show(result, Console())
    if not result.agree:
        raise typer.Exit(1)


def show(result: Comparison, console: Console) -> None:
    """Print a comparison as a table: a row for each output, a column for each pair of frameworks."""
    from rich.markup import escape
    from rich.table import Table

    pairs = list(result.rows[0].differences)
    table = Table(
        title=f"largest absolute difference, {escape(printable(result.source))} ({result.dialect}, {result.head})"
    )
    table.add_column("output")
    table.add_column("largest value", justify="right")
    for pair in pairs:
        table.add_column(pair, justify="right")
    for row in result.rows:
        color = "green" if row.agree else "bold red"
        cells = [f"[{color}]{row.differences[pair]:.1e}[/]" for pair in pairs]
        table.add_row(row.output, f"{row.scale:.3g}", *cells)
    console.print(table)
    batch = f"{len(result.texts)} texts" if result.texts else "fixed ids (the checkpoint has no vocabulary)"
    console.print(f"{batch} as ids of shape {result.shape}; {result.dtype} on {result.device}.")
    figure, reason = result.tolerance
    console.print(f"Tolerance {figure:g}, {reason}.")
    console.print("[green]The frameworks agree.[/]" if result.agree else "[bold red]The frameworks disagree.[/]")
