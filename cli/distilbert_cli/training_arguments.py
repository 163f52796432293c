"""The arguments that finetune and distil share: steps, optimizer, evaluation, computing, and how a teacher is used."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilbert_cli.arguments import DATA, numbers_of, option, options_of, parts_of
from distilbert_cli.metrics_table import rounded, show_metrics

if TYPE_CHECKING:
    from distilbert_tasks.run import RunResult
    from distilbert_tasks.training.options import TrainingOptions

__all__ = [
    "Accumulation",
    "AlphaCe",
    "AlphaCos",
    "AlphaTask",
    "BatchSize",
    "Beta1",
    "Beta2",
    "Compile",
    "Epochs",
    "Epsilon",
    "EvalEvery",
    "Frozen",
    "GradientCheckpointing",
    "KeepLast",
    "LayerDecay",
    "LearningRate",
    "LogEvery",
    "MaxGradNorm",
    "MaxSteps",
    "MetricForBest",
    "MinDelta",
    "Out",
    "Overwrite",
    "Patience",
    "PrecisionName",
    "ProjectHidden",
    "Resume",
    "RowLength",
    "SaveEvery",
    "ScheduleName",
    "Seed",
    "Streaming",
    "TeacherPrecision",
    "Temperature",
    "Tensorboard",
    "TokensPerBatch",
    "ValidationShare",
    "WarmupRatio",
    "WarmupSteps",
    "WeightDecay",
    "one_or_list",
    "show_result",
    "training_options",
    "typed_command",
]

BALANCED = "balanced"
WEIGHTS_EXAMPLE = f"1,1,2.5, or {BALANCED}"
TEACHER, STEPS, OPTIMIZER = "Teacher", "Steps and batches", "Optimizer"
WATCH, COMPUTE = "Evaluation, checkpoints", "Compute"

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

Epochs = Annotated[float, option(STEPS, "How often each example is seen.")]
MaxSteps = Annotated[int | None, option(STEPS, "Steps to train, whatever --epochs says.", "--max-steps", "--steps")]
BatchSize = Annotated[int, option(STEPS, "Rows that a step takes.")]
TokensPerBatch = Annotated[int | None, option(STEPS, "Tokens that a step takes, in place of rows.")]
Accumulation = Annotated[int, option(STEPS, "Parts to compute a step in, to need less memory.")]
RowLength = Annotated[int | None, option(STEPS, "Tokens in a packed row.")]
Seed = Annotated[int, option(STEPS, "What all random numbers depend on.")]

LearningRate = Annotated[float, option(OPTIMIZER, "The highest one.")]
ScheduleName = Annotated[str, option(OPTIMIZER, "linear, cosine or constant.", "--schedule")]
WarmupSteps = Annotated[int, option(OPTIMIZER, "Steps in which the learning rate rises.")]
WarmupRatio = Annotated[float, option(OPTIMIZER, "The same as a share of all steps.")]
WeightDecay = Annotated[float, option(OPTIMIZER, "Of all weights but biases and LayerNorms.")]
Beta1 = Annotated[float, option(OPTIMIZER, "Decay rate of the first moment.")]
Beta2 = Annotated[float, option(OPTIMIZER, "Decay rate of the second moment.")]
Epsilon = Annotated[float, option(OPTIMIZER, "AdamW's epsilon.")]
MaxGradNorm = Annotated[float, option(OPTIMIZER, "Norm to clip gradients to; 0 for no clipping.")]
Frozen = Annotated[str, option(OPTIMIZER, "Parts to leave as they are, as embeddings,layer.0.")]
LayerDecay = Annotated[float, option(OPTIMIZER, "Learning rate of a layer, as a share of the next one's.")]

EvalEvery = Annotated[int | None, option(WATCH, "Steps between evaluations; each epoch if not given.")]
MetricForBest = Annotated[str, option(WATCH, "Metric to choose the best weights by; the task's if not given.")]
Patience = Annotated[int | None, option(WATCH, "Evaluations without a better one before it stops.")]
MinDelta = Annotated[float, option(WATCH, "What is better by less than this does not count.")]
SaveEvery = Annotated[int | None, option(WATCH, "Steps between checkpoints; each epoch if not given.")]
KeepLast = Annotated[int, option(WATCH, "Checkpoints to keep.")]
LogEvery = Annotated[int, option(WATCH, "Steps to average for a line of metrics.jsonl.")]
Tensorboard = Annotated[bool, option(WATCH, "Write for TensorBoard too.")]

PrecisionName = Annotated[str, option(COMPUTE, "float32, bfloat16 or float16.", "--precision")]
GradientCheckpointing = Annotated[
    bool, option(COMPUTE, "Compute more, to need less memory.", "--gradient-checkpointing")
]
Compile = Annotated[bool | None, option(COMPUTE, "Compile the step, where there is a choice.")]


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


def typed_command() -> str:
    """Return the command that was typed, for the model card."""
    return shlex.join(["distilbert", *sys.argv[1:]])


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
