"""`distilbert predict`: examples in, answers out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from distilbert_cli import cluster_arguments as on_ray
from distilbert_cli.arguments import Columns, Device, InferenceFramework, Json, Model, columns_of, option, parts_of
from distilbert_cli.metrics_table import DIGITS
from distilbert_cli.option_groups import with_options
from distilbert_cli.stderr import capture_stderr
from distilbert_cli.text import printable
from distilbert_cli.training_progress import training_progress

__all__ = ["predict"]


@with_options(on_ray.cluster)
def predict(
    model: Model,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Texts, or JSON objects with the columns that the task needs."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="File with examples: txt, jsonl, json, csv, tsv or parquet, also compressed.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write: jsonl, csv, tsv or parquet. Standard output if not given.")
    ] = None,
    task: Annotated[str, typer.Option(help="The task; the one that the model was trained for if not given.")] = "",
    framework: InferenceFramework = "",
    device: Device = "auto",
    as_json: Json = False,
    column: Columns = None,
    file_format: Annotated[
        str, typer.Option("--format", help="Format of the file, or of standard input, which is text if not given.")
    ] = "",
    top_k: Annotated[int | None, typer.Option(help="How many answers to each example.")] = None,
    context: Annotated[str, typer.Option(help="The text in which questions are answered.")] = "",
    candidate_labels: Annotated[str, typer.Option(help="Labels of zero-shot classification, as sports,politics.")] = "",
    aggregation_strategy: Annotated[
        str, typer.Option(help="How pieces become entities: none, simple, first, average or max.")
    ] = "",
    batch_size: Annotated[int | None, typer.Option(help="Examples to read ahead of the first answer.")] = None,
    ray: on_ray.OnRay = False,
    resume: Annotated[bool, option(on_ray.RAY, "Go on with the run to --output, if there is one.", "--resume")] = False,
    overwrite: Annotated[bool, option(on_ray.RAY, "Replace --output, and a run to it.", "--overwrite")] = False,
    **of_cluster: Any,
) -> None:
    """Predict: texts as arguments, a file, or standard input, one text a line; a row with the answer for each."""
    from distilbert_common.errors import InputError
    from distilbert_tasks import predict as run
    from distilbert_tasks.prediction import write_rows

    if file is not None and output is not None and file.resolve() == output.resolve():
        raise InputError(f"{output} is the file with the examples; give --output another name")

    options: dict[str, Any] = {
        "top_k": top_k,
        "candidate_labels": parts_of(candidate_labels),
        "aggregation_strategy": aggregation_strategy or None,
    }
    arguments: dict[str, Any] = {
        "file_format": file_format or None,
        "task": task or None,
        "framework": framework or None,
        "device": device,
        "columns": columns_of(column),
        **{name: value for name, value in options.items() if value is not None},
    }
    if ray:
        if texts or context or file is None or output is None:
            raise InputError("--ray reads a file and writes one; give --file and --output, and no texts or --context")
        arguments |= {"batch_size": batch_size, "resume": resume, "overwrite": overwrite}
        cluster = on_ray.cluster_of(of_cluster)
        _predict_on_ray(model, file=file, output=output, cluster=cluster, **arguments)
        return
    on_ray.refuse_ray_options({**of_cluster, "resume": resume, "overwrite": overwrite}, "resume", "overwrite")
    with capture_stderr():
        rows = run(
            model,
            file=file if texts or not context else None,
            rows=None if file is not None and not texts and not context else _rows(texts, file, file_format, context),
            batch_size=1 if batch_size is None and _is_typed(texts, file) else batch_size,
            **arguments,
        )
    if output is not None:
        typer.echo(f"{write_rows(rows, output)} rows are in {output}.", err=True)
    else:
        _print(rows, as_json)


def _predict_on_ray(model: str, **arguments: Any) -> None:
    """Predict a file in several processes."""
    from distilbert_deploy.scale import predict as run

    with training_progress() as on_progress:
        result = run(model, on_progress=on_progress, **arguments)
    typer.echo(f"{result.rows} rows are in {result.path}.", err=True)


def _rows(texts: list[str] | None, file: Path | None, file_format: str, context: str) -> Iterator[dict[str, Any]]:
    """Return examples from the command line, a file, or standard input, with the context that questions are about."""
    from distilbert_tasks.prediction import read_rows, rows_of_texts

    if texts:
        rows = rows_of_texts(texts)
    elif file is not None:
        rows = read_rows(file, file_format or None)
    else:
        rows = _typed_rows(file_format)
    return (_with_context(row, context) if context else row for row in rows)


def _typed_rows(file_format: str) -> Iterator[dict[str, Any]]:
    """Return examples from standard input: UTF-8, also with the mark that Windows puts in front."""
    from distilbert_tasks.prediction import rows_of_stream

    if _is_typed(None, None):
        typer.echo("Type texts, one a line; Ctrl-D ends.", err=True)
    elif isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")
    return rows_of_stream(sys.stdin, file_format or "text", "standard input")


def _is_typed(texts: list[str] | None, file: Path | None) -> bool:
    """Return whether somebody types the examples, and waits for each answer."""
    return not texts and file is None and sys.stdin.isatty()


def _with_context(row: dict[str, Any], context: str) -> dict[str, Any]:
    """Return a question with the text that it is about, where it has none of its own."""
    if "text" in row and "question" not in row:
        return {"question": row["text"], "context": context}
    return {**row, "context": row.get("context") or context}


def _print(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    """Print rows as they come: as JSON lines, or as columns with tabs between."""
    from distilbert_tasks.prediction import write_csv, write_jsonl

    if as_json:
        write_jsonl(rows, sys.stdout)
    else:
        write_csv(({name: _shown(value) for name, value in row.items()} for row in rows), sys.stdout, "\t")


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.{DIGITS}f}"
    return printable(value) if isinstance(value, str) else value
