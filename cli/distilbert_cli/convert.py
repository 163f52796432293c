"""`distilbert convert`: a checkpoint in, the same checkpoint for another framework out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from distilbert_cli.arguments import numbers_of
from distilbert_cli.progress import progress_bar
from distilbert_cli.text import printable

__all__ = ["convert"]


def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Directory, weights file or hub id, in any dialect.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Directory to write.")],
    to: Annotated[str, typer.Option(help="Framework to convert to: pt, tf or flax.")],
    format: Annotated[
        str,
        typer.Option(
            help="pt: safetensors, bin; tf: h5, safetensors, keras, keras-hub; flax: msgpack, safetensors, orbax."
        ),
    ] = "",
    dtype: Annotated[str, typer.Option(help="float32, float16 or bfloat16; each weight's own if not given.")] = "",
    max_shard_size: Annotated[str, typer.Option(help="Divide into files of at most this size, as 2GB.")] = "",
    head: Annotated[str, typer.Option(help="Model to write, as ForMaskedLM; the one in SRC if not given.")] = "",
    layers: Annotated[str, typer.Option(help="Layers to keep, as 0,2,4,7,9,11; all if not given.")] = "",
    fold_token_type: Annotated[bool, typer.Option(help="For a BERT: add token type 0 to every position.")] = True,
    materialize_tied: Annotated[
        bool,
        typer.Option("--materialize-tied", help="For pt: write the tied projector too, for runtimes without ties."),
    ] = False,
    verify: Annotated[bool, typer.Option(help="Read what was written again and compare every weight.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace DST if it is a saved model.")] = False,
) -> None:
    """Convert a checkpoint, with config and tokenizer, to another framework; no framework need be installed.

    A BERT becomes a DistilBERT: what the two share is kept, the rest is left out and listed.
    """
    from distilbert_conversion import convert as run

    with progress_bar("converting") as progress:
        summary = run(
            source,
            target,
            to=to,
            format=format or None,
            dtype=dtype or None,
            max_shard_size=max_shard_size or None,
            overwrite=overwrite,
            head=head or None,
            verify=verify,
            materialize_tied=materialize_tied,
            fold_token_type=fold_token_type,
            layers=numbers_of(layers, int, "--layers", "0,2,4"),
            progress=progress,
        )
    typer.echo(printable(summary.message()))
