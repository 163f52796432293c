"""`distilbert finetune`: a model and data in, a better model out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilbert_cli import arguments as shared
from distilbert_cli import cluster_arguments as on_ray
from distilbert_cli import training_arguments as training
from distilbert_cli.arguments import FEATURES, option, reading_options
from distilbert_cli.option_groups import with_options
from distilbert_cli.stderr import capture_stderr
from distilbert_cli.training_progress import training_progress

if TYPE_CHECKING:
    from distilbert_deploy.scale import Cluster

__all__ = ["finetune"]


@with_options(shared.reading, training.training, on_ray.cluster)
def finetune(
    model: shared.Model,
    task: training.Task,
    train: training.Train,
    out: training.Out,
    validation: training.Validation = None,
    test: Annotated[list[str] | None, typer.Option(help="As --train; measured once, at the end.")] = None,
    framework: shared.FrameworkName = "pt",
    device: shared.Device = "auto",
    resume: training.Resume = False,
    overwrite: training.Overwrite = False,
    as_json: shared.Json = False,
    validation_share: training.ValidationShare = 0.1,
    streaming: training.Streaming = False,
    cache_dir: Annotated[Path | None, option(FEATURES, "Where token lists are kept for the next run.")] = None,
    teacher: Annotated[str, option(training.TEACHER, "Model of the task whose predictions are learned too.")] = "",
    alpha_ce: training.AlphaCe = None,
    alpha_task: training.AlphaTask = None,
    alpha_cos: training.AlphaCos = None,
    temperature: training.Temperature = None,
    project_hidden: training.ProjectHidden = False,
    teacher_precision: training.TeacherPrecision = None,
    label_smoothing: Annotated[float, option(training.OPTIMIZER, "Share of a label that all classes divide.")] = 0.0,
    class_weights: Annotated[
        str, option(training.OPTIMIZER, "What each class counts in the loss, as 1,1,2.5; or balanced.")
    ] = "",
    ray: on_ray.OnRay = False,
    **options: Any,
) -> None:
    """Fine-tune a model: one command, the same numbers in PyTorch, Keras and Flax.

    The folder that is written holds the best weights as a model that every framework and transformers open, with
    metrics, curves and a model card. Ctrl-C stops after the step and saves; --resume goes on from there.
    """
    arguments = locals() | options
    from distilbert_common.training import ALPHAS
    from distilbert_tasks.distillation.options import task_distillation
    from distilbert_tasks.engines import engine_module

    reading = reading_options(arguments)
    distillation_options = {name: arguments[name] for name in (*ALPHAS, "temperature", "teacher_precision")}
    distillation_options["project_hidden"] = project_hidden or None
    distillation = (
        task_distillation(task, **distillation_options)
        if any(value is not None for value in distillation_options.values())
        else None
    )
    if not ray:
        on_ray.refuse_ray_options(options)
        with capture_stderr():
            engine_module(framework)
    run = _run_on(on_ray.cluster_of(options) if ray else None)
    with training_progress() as on_progress:
        result = run(
            task,
            model,
            train=training.one_or_list(train),
            validation=training.one_or_list(validation),
            test=training.one_or_list(test),
            teacher=teacher or None,
            options=training.training_options(arguments, distillation=distillation),
            **reading,
            **training.run_arguments(arguments),
            on_progress=on_progress,
        )
    training.show_result(result, as_json)


def _run_on(cluster: Cluster | None) -> Any:
    """Return the function that fine-tunes in this process, or in those of a cluster."""
    if cluster is None:
        from distilbert_tasks import finetune as run

        return run
    from distilbert_deploy.scale import finetune as run_on_ray

    return partial(run_on_ray, cluster=cluster)
