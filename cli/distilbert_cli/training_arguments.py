"""The arguments that finetune and distil share: steps, optimizer, evaluation, computing, and how a teacher is used."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilbert_cli.arguments import DATA, LayoutName, numbers_of, option, options_of, parts_of
from distilbert_cli.metrics_table import rounded, show_metrics

if TYPE_CHECKING:
    from distilbert_tasks.run import RunResult
    from distilbert_tasks.training.options import TrainingOptions

__all__ = [
    "AlphaCe",
    "AlphaCos",
    "AlphaTask",
    "Out",
    "Overwrite",
    "ProjectHidden",
    "Resume",
    "Streaming",
    "Task",
    "TeacherPrecision",
    "Temperature",
    "Train",
    "Validation",
    "ValidationShare",
    "one_or_list",
    "run_arguments",
    "show_result",
    "training",
    "training_options",
]

BALANCED = "balanced"
WEIGHTS_EXAMPLE = f"1,1,2.5, or {BALANCED}"
TEACHER, STEPS, OPTIMIZER = "Teacher", "Steps and batches", "Optimizer"
WATCH, COMPUTE = "Evaluation, checkpoints", "Compute"

Task = Annotated[
    str,
    typer.Option(help="text-classification, token-classification, question-answering, multiple-choice, fill-mask."),
]
Train = Annotated[list[str], typer.Option(help="File, pattern or data set; repeat it for several.")]
Validation = Annotated[
    list[str] | None, typer.Option(help="Data to validate on; a part of the training data if not given.")
]
Out = Annotated[Path, typer.Option(help="Folder to write.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")]

ValidationShare = Annotated[float, option(DATA, "Share of the training data to validate on, if no other is given.")]
Streaming = Annotated[bool, option(DATA, "Read data sets of the hub row by row.", "--streaming")]

AlphaCe = Annotated[float | None, option(TEACHER, "Weight of the teacher's predictions in the loss.")]
AlphaTask = Annotated[float | None, option(TEACHER, "Weight of the labels in the loss.")]
AlphaCos = Annotated[float | None, option(TEACHER, "Weight of the direction of the last hidden states.")]
Temperature = Annotated[float | None, option(TEACHER, "What logits are divided by before they are compared; 2.")]
ProjectHidden = Annotated[
    bool, option(TEACHER, "Learn a projection to the teacher's width, for --alpha-cos.", "--project-hidden")
]
TeacherPrecision = Annotated[str | None, option(TEACHER, "What the teacher computes in: float32, bfloat16 or float16.")]


def training(
    epochs: Annotated[float, option(STEPS, "How often each example is seen.")] = 3.0,
    max_steps: Annotated[
        int | None, option(STEPS, "Steps to train, whatever --epochs says.", "--max-steps", "--steps")
    ] = None,
    batch_size: Annotated[int, option(STEPS, "Rows that a step takes.")] = 32,
    tokens_per_batch: Annotated[int | None, option(STEPS, "Tokens that a step takes, in place of rows.")] = None,
    accumulation: Annotated[int, option(STEPS, "Parts to compute a step in, to need less memory.")] = 1,
    layout: LayoutName = "packed",
    row_length: Annotated[int | None, option(STEPS, "Tokens in a packed row.")] = None,
    seed: Annotated[int, option(STEPS, "What all random numbers depend on.")] = 0,
    learning_rate: Annotated[float, option(OPTIMIZER, "The highest one.")] = 5e-5,
    schedule: Annotated[str, option(OPTIMIZER, "linear, cosine or constant.", "--schedule")] = "linear",
    warmup_steps: Annotated[int, option(OPTIMIZER, "Steps in which the learning rate rises.")] = 0,
    warmup_ratio: Annotated[float, option(OPTIMIZER, "The same as a share of all steps.")] = 0.0,
    weight_decay: Annotated[float, option(OPTIMIZER, "Of all weights but biases and LayerNorms.")] = 0.0,
    beta1: Annotated[float, option(OPTIMIZER, "Decay rate of the first moment.")] = 0.9,
    beta2: Annotated[float, option(OPTIMIZER, "Decay rate of the second moment.")] = 0.999,
    epsilon: Annotated[float, option(OPTIMIZER, "AdamW's epsilon.")] = 1e-8,
    max_grad_norm: Annotated[float, option(OPTIMIZER, "Norm to clip gradients to; 0 for no clipping.")] = 1.0,
    frozen: Annotated[str, option(OPTIMIZER, "Parts to leave as they are, as embeddings,layer.0.")] = "",
    layer_decay: Annotated[float, option(OPTIMIZER, "Learning rate of a layer, as a share of the next one's.")] = 1.0,
    eval_every: Annotated[int | None, option(WATCH, "Steps between evaluations; each epoch if not given.")] = None,
    metric_for_best: Annotated[
        str, option(WATCH, "Metric to choose the best weights by; the task's if not given.")
    ] = "",
    patience: Annotated[int | None, option(WATCH, "Evaluations without a better one before it stops.")] = None,
    min_delta: Annotated[float, option(WATCH, "What is better by less than this does not count.")] = 0.0,
    save_every: Annotated[int | None, option(WATCH, "Steps between checkpoints; each epoch if not given.")] = None,
    keep_last: Annotated[int, option(WATCH, "Checkpoints to keep.")] = 1,
    log_every: Annotated[int, option(WATCH, "Steps to average for a line of metrics.jsonl.")] = 10,
    tensorboard: Annotated[bool, option(WATCH, "Write for TensorBoard too.")] = True,
    precision: Annotated[str, option(COMPUTE, "float32, bfloat16 or float16.", "--precision")] = "float32",
    gradient_checkpointing: Annotated[
        bool, option(COMPUTE, "Compute more, to need less memory.", "--gradient-checkpointing")
    ] = False,
    compile: Annotated[bool | None, option(COMPUTE, "Compile the step, where there is a choice.")] = None,
) -> None:
    """Steps, optimizer, evaluation and computing."""


def training_options(arguments: Mapping[str, Any], **more: Any) -> TrainingOptions:
    """Return how to train from the arguments of a command.

    Args:
        arguments: Those of the command, by name.
        **more: Fields of the options that no argument has the name of.
    """
    from distilbert_tasks.training.options import TrainingOptions

    weights = arguments.get("class_weights", "")
    is_balanced = weights == BALANCED
    named: dict[str, Any] = {
        **arguments,
        "betas": (arguments["beta1"], arguments["beta2"]),
        "max_grad_norm": arguments["max_grad_norm"] or None,
        "balance_classes": is_balanced,
        "class_weights": None if is_balanced else numbers_of(weights, float, "--class-weights", WEIGHTS_EXAMPLE),
        "frozen": parts_of(arguments["frozen"]) or (),
        "metric_for_best": arguments["metric_for_best"] or None,
        **more,
    }
    options: TrainingOptions = options_of(TrainingOptions, named)
    return options


def one_or_list(sources: list[str] | None) -> Any:
    """Return one source by itself, several as a list, and None for none."""
    return sources[0] if sources and len(sources) == 1 else sources or None


def run_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return where and how a command is to train, and the command as it was typed, for the model card."""
    names = ("out", "framework", "device", "resume", "overwrite", "tensorboard")
    return {name: arguments[name] for name in names} | {"command": shlex.join(["distilbert", *sys.argv[1:]])}


def show_result(result: RunResult, as_json: bool) -> None:
    """Print what a run came to; of several processes the first alone does."""
    from distilbert_tasks.run import is_first_process

    if not is_first_process():
        return
    if as_json:
        metrics = {split: rounded(values) for split, values in result.metrics.items()}
        typer.echo(json.dumps({"path": str(result.path), "best_step": result.best_step, "metrics": metrics}, indent=2))
    else:
        show_metrics(result.metrics)
        typer.echo(f"The model is in {result.path}, with the weights after step {result.best_step}.")
