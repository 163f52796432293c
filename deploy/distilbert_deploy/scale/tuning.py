"""`tune` on Ray Tune: many runs of fine-tuning with options drawn from a search space; bad ones are stopped early."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from distilbert_common.errors import DistilBertError, InputError
from distilbert_common.files import local_path
from distilbert_common.frameworks import MODULES, is_installed, require
from distilbert_deploy.scale.cluster import Cluster, connected, require_ray
from distilbert_deploy.scale.paths import absolute_source, check_data, fingerprint
from distilbert_deploy.scale.search import Search
from distilbert_deploy.scale.space import SearchSpace
from distilbert_deploy.scale.trials import Outcome, Trial, run_trial
from distilbert_deploy.scale.tune_report import differing, facts_of, write_report
from distilbert_tasks.data import DataOptions
from distilbert_tasks.extras import require_train_extra
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.task import find_task
from distilbert_tasks.training.progress import Note, OnProgress, ignore

__all__ = ["TuneResult", "tune"]

_ASKED_FOR = "tuning"
_PROBLEM_METRICS = {"regression": "pearson", "multi_label_classification": "f1_micro"}
MOST_EVALUATIONS = 2**20


@dataclass(frozen=True)
class TuneResult:
    """What a search came to.

    Attributes:
        path: Its folder.
        metric: The metric that it chose by.
        outcomes: What came of each trial, the best one first.
        best: The folder of the best trial that came to its end, which holds a model; None where none did.
    """

    path: Path
    metric: str
    outcomes: tuple[Outcome, ...]
    best: Path | None

    @property
    def searched(self) -> list[str]:
        """The options in which trials differ."""
        return differing([one.options for one in self.outcomes])

    def facts(self) -> list[dict[str, Any]]:
        """Return the outcomes as JSON has them."""
        return [facts_of(one, self.metric) for one in self.outcomes]


def tune(
    task: str,
    model: str | Path,
    space: SearchSpace | str | Path,
    *,
    train: Any,
    out: str | Path,
    validation: Any = None,
    test: Any = None,
    framework: str = "pt",
    device: str = "auto",
    cluster: Cluster | None = None,
    max_failures: int = 2,
    resume: bool = False,
    overwrite: bool = False,
    data_options: DataOptions | None = None,
    feature_options: FeatureOptions | None = None,
    on_progress: OnProgress | None = None,
) -> TuneResult:
    """Search for good options of training.

    Args:
        task: The task, by any of its names.
        model: A directory, a weights file or a hub id, which each machine opens by this name.
        space: What is tried, or the file that says so.
        train: As `distilbert_tasks.finetune` takes it, which each machine reads; so are `validation` and `test`.
        out: The folder to write, which all machines share.
        validation: As `train`; where it is None, a part of the training data, the same for all trials.
        test: As `train`.
        framework: "pt", "tf" or "flax".
        device: "cpu", "gpu" or "auto".
        cluster: Where to compute, and how many trials at once.
        max_failures: How often a trial begins again at its last checkpoint after its process has died.
        resume: Go on with the search in `out`; start one where there is none.
        overwrite: Replace the search in `out`.
        data_options: How data is read.
        feature_options: How examples become token lists.
        on_progress: Who is told what trials measure.

    Raises:
        DistilBertError: Something that was given cannot be used, or all trials failed.
        KeyboardInterrupt: The search was stopped; the message says how to go on.
    """
    require_ray(_ASKED_FOR)
    require_train_extra(_ASKED_FOR)
    chosen_task = find_task(task)
    plan = space if isinstance(space, SearchSpace) else SearchSpace.read(space)
    if framework not in MODULES:
        raise InputError(f"{framework!r} is not a framework; choose from {', '.join(MODULES)}")
    if not is_installed(framework):
        require(framework)
    data_options, tell = data_options or DataOptions(), on_progress or ignore
    metric = plan.metric or _PROBLEM_METRICS.get(data_options.problem_type or "", chosen_task.metric)
    sources = {"train": train, "validation": validation, "test": test}
    run_arguments = {name: absolute_source(source) for name, source in sources.items()}
    check_data(chosen_task.name, run_arguments, data_options)
    run_arguments |= {
        "task": chosen_task.name,
        "model": absolute_source(model),
        "framework": framework,
        "device": device,
    }
    facts = run_arguments | {"model": fingerprint(run_arguments["model"]), "space": asdict(plan)}
    search = Search(local_path(out).absolute(), metric, tuple(plan.draw()))
    search.open(facts, resume=resume, overwrite=overwrite)
    features = feature_options or FeatureOptions()
    if features.cache_dir is None:
        features = replace(features, cache_dir=search.folder / "features")  # made once, for all trials
    run_arguments |= {"data_options": data_options, "feature_options": features}
    if len(search.unfinished()):
        try:
            with connected(cluster or Cluster(), _ASKED_FOR):
                _fit(search, plan, run_arguments, cluster or Cluster(), max_failures, tell)
        finally:
            search.remove_if_empty()
    else:
        tell(Note(f"The search in {search.folder} is finished already."))
    search.clean()
    outcomes = search.outcomes()
    _check_any(outcomes, metric)
    write_report(search, facts, outcomes)
    finished = [one for one in outcomes if one.status == "finished" and one.points]
    return TuneResult(search.folder, metric, outcomes, search.trial(finished[0].number).folder if finished else None)


def _check_any(outcomes: tuple[Outcome, ...], metric: str) -> None:
    """Require a trial that was measured.

    Raises:
        InputError: None was.
    """
    if not any(one.points for one in outcomes):
        reasons = [one.reason for one in outcomes if one.reason]
        raise InputError(
            f"all trials failed, the first so: {reasons[0]}"
            if reasons
            else f"no trial measured {metric!r}; name a metric of the task in the search space (metric)"
        )


def _fit(
    search: Search,
    plan: SearchSpace,
    run_arguments: Mapping[str, Any],
    cluster: Cluster,
    max_failures: int,
    tell: OnProgress,
) -> None:
    """Run Ray Tune to its end.

    Raises:
        KeyboardInterrupt: Somebody stopped it.
    """
    from ray import tune as ray_tune

    from distilbert_deploy.scale.watching import Silence, Watcher

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    metric_for_best = plan.metric  # what the task chooses by is not checked again in each trial
    trainable = ray_tune.with_parameters(
        _run, search=search, run_arguments=dict(run_arguments), metric_for_best=metric_for_best
    )
    tuner = ray_tune.Tuner(
        ray_tune.with_resources(trainable, cluster.resources),
        param_space={"trial": ray_tune.grid_search(list(range(len(search.drawn))))},
        tune_config=ray_tune.TuneConfig(
            metric="score", mode="max", scheduler=_scheduler(plan), max_concurrent_trials=cluster.workers
        ),
        run_config=ray_tune.RunConfig(
            name="search",
            storage_path=str(search.ray_folder),
            failure_config=ray_tune.FailureConfig(max_failures=max_failures),
            callbacks=[Watcher(search, tell), Silence()],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; resume the search to go on from the last checkpoints of its trials") from None
    except (ray_tune.TuneError, RuntimeError) as error:
        raise DistilBertError(f"the search failed: {error}; resume (--resume) to go on with it") from error


def _scheduler(plan: SearchSpace) -> Any:
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule

    if plan.stop == "asha":
        return ASHAScheduler(grace_period=plan.grace, reduction_factor=2, max_t=MOST_EVALUATIONS)
    if plan.stop == "median":
        return MedianStoppingRule(time_attr="training_iteration", grace_period=plan.grace, min_samples_required=2)
    return FIFOScheduler()


def _run(config: dict[str, Any], search: Search, run_arguments: Mapping[str, Any], metric_for_best: str | None) -> None:
    """Run a trial in a process of Ray Tune."""
    from ray import tune as ray_tune

    trial: Trial = search.trial(config["trial"])
    run_trial(trial, search.metric, run_arguments, ray_tune.report, metric_for_best=metric_for_best)
