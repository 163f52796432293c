"""The `distilbert` command: subcommands, and what becomes of errors.

Exit status: 0 good, 1 a comparison failed, 2 bad input, 130 interrupted. A subcommand imports what it needs when it
runs, so that `distilbert convert` imports no framework.
"""

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from distilbert_cli.compare_models import compare
from distilbert_cli.convert import convert
from distilbert_cli.diff import diff
from distilbert_cli.distil import distil
from distilbert_cli.evaluate import evaluate
from distilbert_cli.export import export
from distilbert_cli.finetune import finetune
from distilbert_cli.inspect import inspect
from distilbert_cli.parity import parity
from distilbert_cli.predict import predict
from distilbert_cli.serve import serve
from distilbert_cli.text import printable
from distilbert_cli.tune import tune
from distilbert_common.errors import DistilBertError
from distilbert_common.frameworks import installed_version

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """The subcommands; an error on purpose, or of the file system, becomes one sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except DistilBertError as error:
            message = str(error)
        except BrokenPipeError:
            raise
        except OSError as error:
            message = f"{error.filename or 'the file system'}: {error.strerror or error}"
            if isinstance(error, (FileExistsError, NotADirectoryError)):
                message += "; a file is where a folder has to be, give another place"
        except KeyboardInterrupt as error:
            if str(error):
                typer.echo(f"distilbert: {error}", err=True)
            raise typer.Exit(130) from None
        typer.echo(f"distilbert: {printable(message)}", err=True)
        raise typer.Exit(2)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Say a warning in one sentence, without the line of code that led to it."""
    typer.echo(f"distilbert: warning: {printable(str(message))}", err=True)


app = typer.Typer(
    cls=_Commands,
    help="DistilBERT in PyTorch, Keras and Flax: finetune, distil, tune, evaluate, predict, serve, convert, export, …",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    finetune, distil, tune, evaluate, predict, serve, compare, convert, export, inspect, diff, parity,
):  # fmt: skip
    app.command()(command)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"distilbert {installed_version('distilbert') or '(not installed)'}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; characters that the terminal does not know are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()
