"""`finetune` on Ray Train: several processes, each with a part of every batch, that begin again where one has died."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from distilbert_common.errors import DistilBertError, InputError
from distilbert_common.files import local_path, write_text
from distilbert_conversion import Source
from distilbert_deploy.scale.cluster import Cluster, connected, require_ray
from distilbert_deploy.scale.paths import absolute_source, check_data
from distilbert_deploy.scale.relay import Relay
from distilbert_tasks.data import DataOptions
from distilbert_tasks.extras import require_train_extra
from distilbert_tasks.run import Run, RunResult
from distilbert_tasks.task import find_task
from distilbert_tasks.training.history import read_history
from distilbert_tasks.training.progress import OnProgress, Progress, ignore
from distilbert_tasks.training.record import RunRecord

__all__ = ["finetune"]

_ASKED_FOR = "training on Ray (--ray)"
_BEGUN, _ERROR = "begun", "error"
"""Files that tell the next try of a run that the last one began, and that there is no point in trying again."""
_PATIENCE = 10.0
"""Seconds in which what one process cannot use is to be found by all."""


def finetune(
    task: str,
    model: str | Path,
    *,
    train: Any,
    out: str | Path,
    validation: Any = None,
    test: Any = None,
    teacher: str | Path | None = None,
    framework: str = "pt",
    device: str = "auto",
    cluster: Cluster | None = None,
    max_failures: int = 3,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    **arguments: Any,
) -> RunResult:
    """Fine-tune a model in several processes, on one machine or many; the run is that of `distilbert_tasks.finetune`.

    Args:
        task: The task, by any of its names.
        model: A directory, a weights file or a hub id, which each machine opens by this name.
        train: As `distilbert_tasks.finetune` takes it, which each machine reads; so are `validation` and `test`.
        out: The folder to write, which all machines share.
        validation: As `train`.
        test: As `train`.
        teacher: A model whose predictions are learned too.
        framework: "pt", "tf" or "flax".
        device: "cpu", "gpu", or "auto" for the GPU that a process has, if it has one.
        cluster: Where to compute, and in how many processes: 2 if nothing is said.
        max_failures: How often the run begins again at its last checkpoint after a process has died.
        resume: Go on with the run in `out`; start one where there is none.
        overwrite: Replace the run in `out`.
        on_progress: Who is told how far the run is.
        **arguments: The others of `distilbert_tasks.finetune`, as `options`.

    Raises:
        DistilBertError: Something that was given cannot be used, or processes died too often.
        KeyboardInterrupt: The run was stopped; the message says how to go on.
    """
    require_ray(_ASKED_FOR)
    require_train_extra("fine-tuning")
    chosen_task = find_task(task)
    folder, tell = local_path(out).absolute(), on_progress or ignore
    sources = {"train": train, "validation": validation, "test": test}
    models = {"model": model, "teacher": teacher}
    run_arguments = {name: absolute_source(source) for name, source in (sources | models).items()}
    data_options = arguments.get("data_options") or DataOptions()
    check_data(chosen_task.name, {name: run_arguments[name] for name in sources}, data_options)
    for name in models:
        if run_arguments[name] is not None:  # its files are there, before processes are started that read them
            Source.find(run_arguments[name]).shards()
    is_fresh = not folder.exists()
    Run(folder=folder, framework=framework, resume=resume, overwrite=overwrite).open(
        *models.values(), *sources.values()
    )
    run_arguments |= {"task": task, "out": folder, "framework": framework, "device": device, **arguments}
    storage = folder.with_name(f".{folder.name}.ray")
    shutil.rmtree(storage, ignore_errors=True)
    storage.mkdir()
    try:
        with connected(cluster or Cluster(), _ASKED_FOR):
            _fit(run_arguments, overwrite, cluster or Cluster(), storage, max_failures, tell)
    finally:
        shutil.rmtree(storage, ignore_errors=True)
        if is_fresh and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    record = RunRecord.read(folder)
    if record is None or record.metrics is None:
        raise DistilBertError(f"the run in {folder} did not come to its end; resume (--resume) to go on with it")
    return RunResult(folder, record.metrics, record.best_step or 0, read_history(folder))


def _fit(
    run_arguments: Mapping[str, Any],
    overwrite: bool,
    cluster: Cluster,
    storage: Path,
    max_failures: int,
    tell: OnProgress,
) -> None:
    """Run Ray Train to its end, in a thread, so that Ctrl-C reaches this one and not Ray.

    Raises:
        InputError: What was given cannot be used.
        DistilBertError: Processes died too often.
        KeyboardInterrupt: Somebody stopped the run.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from distilbert_deploy.scale.processes import Torchrun

    relay, failures = Relay.new(), []
    trainer = DataParallelTrainer(
        _train,
        train_loop_config={"run_arguments": run_arguments, "overwrite": overwrite, "storage": storage, "relay": relay},
        backend_config=Torchrun(),
        scaling_config=ScalingConfig(
            num_workers=cluster.workers or 2, use_gpu=cluster.gpus > 0, resources_per_worker=cluster.resources
        ),
        run_config=RunConfig(
            name="run", storage_path=str(storage), failure_config=FailureConfig(max_failures=max_failures)
        ),
    )

    def fit() -> None:
        try:
            trainer.fit()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            relay.show(tell, 0.2)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; resume the run to go on from its last checkpoint") from None
    relay.show(tell)
    for error_file in sorted(storage.glob(f"{_ERROR}-*")):
        raise InputError(error_file.read_text(encoding="utf-8"))
    if failures:
        raise DistilBertError(
            f"the processes failed {max_failures + 1} times, at last so: {_reason(failures[0])}; resume (--resume) to "
            "go on from the last checkpoint"
        ) from failures[0]


def _reason(error: BaseException) -> str:
    causes = getattr(error, "worker_failures", None) or {0: error}
    return str(next(iter(causes.values()))).strip().splitlines()[-1]


@dataclass
class _EventSender:
    """Sends what the first process tells, and remembers that the run has begun to train.

    Attributes:
        relay: Where events go.
        begun_file: The file that says so.
        is_first: Whether this is the first process.
    """

    relay: Relay
    begun_file: Path
    is_first: bool

    def __call__(self, event: Any) -> None:
        if self.is_first:
            if isinstance(event, Progress) and not self.begun_file.exists():
                write_text(self.begun_file, "")
            self.relay.send(event)


def _train(config: dict[str, Any]) -> None:
    """Train in one of the processes; a run that was begun goes on."""
    from distilbert_tasks import finetune as run
    from distilbert_tasks.run import is_first_process

    storage: Path = config["storage"]
    begun_file = storage / _BEGUN
    if any(storage.glob(f"{_ERROR}-*")):
        return  # to try again would end as before
    overwrite = config["overwrite"] and not begun_file.exists()
    tell = _EventSender(config["relay"], begun_file, is_first_process())
    try:
        run(**config["run_arguments"], resume=not overwrite, overwrite=overwrite, on_progress=tell)
    except DistilBertError as error:
        is_lost = type(error) is DistilBertError  # which a process gets that has lost another one
        if is_lost or not _all_say(storage, str(error)):
            raise


def _all_say(storage: Path, message: str) -> bool:
    """Write down why a process cannot go on, and return whether all of them do, so that none waits for the others."""
    rank, world = os.environ["RANK"], int(os.environ["WORLD_SIZE"])
    write_text(storage / f"{_ERROR}-{rank}", message)
    until = monotonic() + _PATIENCE
    while monotonic() < until:
        if len(list(storage.glob(f"{_ERROR}-*"))) == world:
            return True
        sleep(0.1)
    return False
