"""`distilbert finetune`: a model and data in, a better model out."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilbert_cli.arguments import (
    Columns,
    Device,
    FileFormat,
    FrameworkName,
    Json,
    LabelAllPieces,
    Labels,
    LayoutName,
    LineByLine,
    MaxLength,
    MaxRows,
    MlmProbability,
    Model,
    ProblemType,
    Stride,
    Truncation,
    WholeWordMask,
    data_arguments,
    options_of,
    parts_of,
)
from distilbert_cli.metrics_table import rounded, show_metrics
from distilbert_cli.stderr import capture_stderr
from distilbert_cli.training_progress import training_progress
from distilbert_common.errors import InputError

if TYPE_CHECKING:
    from distilbert_tasks.finetuning import FinetuneResult

__all__ = ["finetune"]

DATA, STEPS, OPTIMIZER, WATCH, COMPUTE = "Data", "Steps and batches", "Optimizer", "Evaluation, checkpoints", "Compute"


def finetune(
    model: Model,
    task: Annotated[
        str,
        typer.Option(help="text-classification, token-classification, question-answering, multiple-choice, fill-mask."),
    ],
    train: Annotated[list[str], typer.Option(help="File, pattern or data set; repeat it for several.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    validation: Annotated[
        list[str] | None, typer.Option(help="As --train; a part of the training data if not given.")
    ] = None,
    test: Annotated[list[str] | None, typer.Option(help="As --train; measured once, at the end.")] = None,
    framework: FrameworkName = "pt",
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    as_json: Json = False,
    column: Columns = None,
    file_format: FileFormat = "",
    labels: Labels = "",
    problem_type: ProblemType = "",
    validation_share: Annotated[
        float,
        typer.Option(help="Share of the training data to validate on, if no other is given.", rich_help_panel=DATA),
    ] = 0.1,
    max_rows: MaxRows = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Read data sets of the hub row by row.", rich_help_panel=DATA)
    ] = False,
    max_length: MaxLength = None,
    doc_stride: Stride = None,
    truncation: Truncation = "longest_first",
    label_all_pieces: LabelAllPieces = False,
    line_by_line: LineByLine = False,
    mlm_probability: MlmProbability = 0.15,
    whole_word_mask: WholeWordMask = False,
    epochs: Annotated[float, typer.Option(help="How often each example is seen.", rich_help_panel=STEPS)] = 3.0,
    max_steps: Annotated[
        int | None, typer.Option(help="Steps to train, whatever --epochs says.", rich_help_panel=STEPS)
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows that a step takes.", rich_help_panel=STEPS)] = 32,
    tokens_per_batch: Annotated[
        int | None, typer.Option(help="Tokens that a step takes, in place of rows.", rich_help_panel=STEPS)
    ] = None,
    accumulation: Annotated[
        int, typer.Option(help="Parts to compute a step in, to need less memory.", rich_help_panel=STEPS)
    ] = 1,
    layout: LayoutName = "packed",
    row_length: Annotated[int | None, typer.Option(help="Tokens in a packed row.", rich_help_panel=STEPS)] = None,
    seed: Annotated[int, typer.Option(help="What all random numbers depend on.", rich_help_panel=STEPS)] = 0,
    learning_rate: Annotated[float, typer.Option(help="The highest one.", rich_help_panel=OPTIMIZER)] = 5e-5,
    schedule: Annotated[str, typer.Option(help="linear, cosine or constant.", rich_help_panel=OPTIMIZER)] = "linear",
    warmup_steps: Annotated[
        int, typer.Option(help="Steps in which the learning rate rises.", rich_help_panel=OPTIMIZER)
    ] = 0,
    warmup_ratio: Annotated[
        float, typer.Option(help="The same as a share of all steps.", rich_help_panel=OPTIMIZER)
    ] = 0.0,
    weight_decay: Annotated[
        float, typer.Option(help="Of all weights but biases and LayerNorms.", rich_help_panel=OPTIMIZER)
    ] = 0.0,
    beta1: Annotated[float, typer.Option(help="Decay rate of the first moment.", rich_help_panel=OPTIMIZER)] = 0.9,
    beta2: Annotated[float, typer.Option(help="Decay rate of the second moment.", rich_help_panel=OPTIMIZER)] = 0.999,
    epsilon: Annotated[float, typer.Option(help="AdamW's epsilon.", rich_help_panel=OPTIMIZER)] = 1e-8,
    max_grad_norm: Annotated[
        float, typer.Option(help="Norm to clip gradients to; 0 for no clipping.", rich_help_panel=OPTIMIZER)
    ] = 1.0,
    label_smoothing: Annotated[
        float, typer.Option(help="Share of a label that all classes divide.", rich_help_panel=OPTIMIZER)
    ] = 0.0,
    class_weights: Annotated[
        str, typer.Option(help="What each class counts in the loss, as 1,1,2.5.", rich_help_panel=OPTIMIZER)
    ] = "",
    frozen: Annotated[
        str, typer.Option(help="Parts to leave as they are, as embeddings,layer.0.", rich_help_panel=OPTIMIZER)
    ] = "",
    layer_decay: Annotated[
        float, typer.Option(help="Learning rate of a layer, as a share of the next one's.", rich_help_panel=OPTIMIZER)
    ] = 1.0,
    eval_every: Annotated[
        int | None, typer.Option(help="Steps between evaluations; each epoch if not given.", rich_help_panel=WATCH)
    ] = None,
    metric_for_best: Annotated[
        str, typer.Option(help="Metric to choose the best weights by; the task's if not given.", rich_help_panel=WATCH)
    ] = "",
    patience: Annotated[
        int | None, typer.Option(help="Evaluations without a better one before it stops.", rich_help_panel=WATCH)
    ] = None,
    min_delta: Annotated[
        float, typer.Option(help="What is better by less than this does not count.", rich_help_panel=WATCH)
    ] = 0.0,
    save_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints; each epoch if not given.", rich_help_panel=WATCH)
    ] = None,
    keep_last: Annotated[int, typer.Option(help="Checkpoints to keep.", rich_help_panel=WATCH)] = 1,
    log_every: Annotated[
        int, typer.Option(help="Steps to average for a line of metrics.jsonl.", rich_help_panel=WATCH)
    ] = 10,
    tensorboard: Annotated[bool, typer.Option(help="Write for TensorBoard too.", rich_help_panel=WATCH)] = True,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16.", rich_help_panel=COMPUTE)] = "float32",
    gradient_checkpointing: Annotated[
        bool,
        typer.Option("--gradient-checkpointing", help="Compute more, to need less memory.", rich_help_panel=COMPUTE),
    ] = False,
    compile: Annotated[
        bool | None, typer.Option(help="Compile the step, where there is a choice.", rich_help_panel=COMPUTE)
    ] = None,
) -> None:
    """Fine-tune a model: one command, the same numbers in PyTorch, Keras and Flax.

    The folder that is written holds the best weights as a model that every framework and transformers open, with
    metrics, curves and a model card. Ctrl-C stops after the step and saves; --resume goes on from there.
    """
    arguments = dict(locals())
    from distilbert_tasks import finetune as run
    from distilbert_tasks.data import DataOptions
    from distilbert_tasks.engines import engine_module
    from distilbert_tasks.features import FeatureOptions
    from distilbert_tasks.training.options import TrainingOptions

    arguments |= data_arguments(column, file_format, labels, problem_type)
    arguments |= {
        "betas": (beta1, beta2),
        "max_grad_norm": max_grad_norm or None,
        "class_weights": _numbers(class_weights),
        "frozen": parts_of(frozen) or (),
        "metric_for_best": metric_for_best or None,
    }
    training, data, features = (options_of(cls, arguments) for cls in (TrainingOptions, DataOptions, FeatureOptions))
    with capture_stderr():
        engine_module(framework)
    with training_progress() as on_progress:
        result = run(
            task,
            model,
            train=_one_or_list(train),
            validation=_one_or_list(validation),
            test=_one_or_list(test),
            out=out,
            framework=framework,
            device=device,
            options=training,
            data_options=data,
            feature_options=features,
            resume=resume,
            overwrite=overwrite,
            tensorboard=tensorboard,
            command=shlex.join(["distilbert", *sys.argv[1:]]),
            on_progress=on_progress,
        )
    _show(result, as_json)


def _one_or_list(sources: list[str] | None) -> Any:
    return sources[0] if sources and len(sources) == 1 else sources or None


def _numbers(text: str) -> tuple[float, ...] | None:
    try:
        return tuple(float(part) for part in parts_of(text) or ()) or None
    except ValueError as error:
        raise InputError(f"--class-weights is {text!r}; expected numbers with commas between, as 1,1,2.5") from error


def _show(result: FinetuneResult, as_json: bool) -> None:
    if as_json:
        metrics = {split: rounded(values) for split, values in result.metrics.items()}
        typer.echo(json.dumps({"path": str(result.path), "best_step": result.best_step, "metrics": metrics}, indent=2))
    else:
        show_metrics(result.metrics)
        typer.echo(f"The model is in {result.path}, with the weights after step {result.best_step}.")
