"""What a run needs before its first step: data, features, config and tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
from distilbert_common.errors import InputError
from distilbert_tasks.corpus import CorpusOptions
from distilbert_tasks.data import DataOptions, TaskData, load_data
from distilbert_tasks.features import FeatureOptions, Features, make_features
from distilbert_tasks.model_config import config_for, folder_of, own_labels
from distilbert_tasks.task import Task
from distilbert_tasks.training.fingerprints import features_fingerprint, weights_fingerprint
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.progress import Note, OnProgress
from distilbert_tasks.training.record import RunRecord, versions_of

__all__ = ["SPLITS", "Prepared", "data_options_for", "in_words", "prepare"]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Prepared:
    """Data and features by split, and the config and tokenizer that go with them.

    Attributes:
        task: The task.
        config: That of the model, with the labels of the data.
        tokenizer: That of the model.
        data: The examples by split, in the columns of the task.
        features: What was made of them; splits that are not there are left out.
        labels: The names of the labels, where the task has some.
        sources: Where each split is from, in words.
        fingerprints: Those of splits that have one already.
    """

    task: Task
    config: DistilBertConfig
    tokenizer: Any
    data: Mapping[str, Any]
    features: Mapping[str, Features]
    labels: tuple[str, ...] | None
    sources: Mapping[str, str]
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def record(
        self,
        model: str | Path,
        framework: str,
        options: TrainingOptions,
        feature_options: FeatureOptions | CorpusOptions,
        teacher: Mapping[str, Any] | None = None,
    ) -> RunRecord:
        """Return what the run is, before it begins.

        Args:
            model: The checkpoint that it begins with.
            framework: "pt", "tf" or "flax".
            options: How to train.
            feature_options: How texts became tokens.
            teacher: The facts on the teacher and its student, where there is one.
        """
        data = {
            name: {
                "source": self.sources[name],
                "examples": len(self.data[name]),
                "rows": len(features),
                "fingerprint": self.fingerprints.get(name) or features_fingerprint(features),
            }
            for name, features in self.features.items()
        }
        training = asdict(options)
        return RunRecord(
            task=self.task.name,
            framework=framework,
            model=str(model),
            weights=weights_fingerprint(model),
            data=data,
            labels=self.labels,
            options=training | (training.pop("distillation") or {}),
            features={name: value for name, value in asdict(feature_options).items() if name not in _NO_EFFECT},
            versions=versions_of(framework),
            teacher=teacher,
        )


_NO_EFFECT = {"examples_at_once", "cache_dir", "shard_tokens", "streaming"}
"""Options of features that only say how they are made."""


def prepare(
    task: Task,
    model: str | Path,
    sources: Mapping[str, Any],
    options: DataOptions,
    feature_options: FeatureOptions,
    on_progress: OnProgress,
) -> Prepared:
    """Load the data of a run, and make features of it.

    Args:
        task: The task.
        model: The checkpoint to begin with, whose config and tokenizer are used.
        sources: What `load_data` takes, by split.
        options: How data is read.
        feature_options: How examples become token lists.
        on_progress: Who is told what was chosen.

    Raises:
        InputError: Something is wrong with the data; the message says where.
    """
    config = DistilBertConfig.from_pretrained(folder_of(model))
    tokenizer = DistilBertTokenizerFast.from_pretrained(folder_of(model))
    data = _load(task, config, sources, options)
    for note in data.notes:
        on_progress(Note(note))
    splits = {name: getattr(data, name) for name in SPLITS if getattr(data, name) is not None}
    config = config_for(config, task, data)
    features = {
        name: make_features(task.name, split, tokenizer, config, feature_options) for name, split in splits.items()
    }
    if "train" in features and not len(features["train"]):
        raise InputError("the training data has no row with a token to learn from; give more text")
    length = feature_options.length(config)
    for name, rows in features.items():
        for note in _losses(task, name, rows, length, feature_options):
            on_progress(Note(note))
    words = {name: in_words(sources.get(name)) for name in splits}
    return Prepared(task, config, tokenizer, splits, features, data.labels, words)


def _losses(task: Task, split: str, rows: Features, length: int, options: FeatureOptions) -> Iterator[str]:
    """Yield a sentence on texts that are cut, where nothing takes the rest up, and on a split without any token."""
    if not len(rows):
        yield f"The {split} set has no row with a token, and is not measured."
    is_cut = task.name in ("text-classification", "multiple-choice") or options.line_by_line
    if is_cut and (full := int((rows.input_ids.sizes == length).sum())):
        count = len(rows.input_ids.sizes)
        yield f"{full} of the {count} texts of {split} fill {length} tokens, where longer ones are cut (max_length)."


def data_options_for(config: DistilBertConfig, task: Task, options: DataOptions) -> DataOptions:
    """Return how data is read for a model that has learned a task: with its own labels, if nothing is said of them."""
    if options.labels is None:
        options = replace(options, labels=own_labels(config, task))
    if options.problem_type is None and task.name == "text-classification":
        problem_type = config.problem_type or ("regression" if config.num_labels == 1 else None)
        options = replace(options, problem_type=problem_type)
    return options


def in_words(source: Any) -> str:
    """Return where a split is from."""
    if source is None:
        return "a part of the training data"
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, Sequence) and all(isinstance(one, (str, Path)) for one in source):
        return ", ".join(map(str, source))
    return f"a {type(source).__name__} in memory"


def _load(task: Task, config: DistilBertConfig, sources: Mapping[str, Any], options: DataOptions) -> TaskData:
    """Load the data; a model that has learned all of its labels keeps their order, and with it its head."""
    data = load_data(task.name, **sources, options=options)
    learned = own_labels(config, task)
    if learned and options.labels is None and data.labels and data.labels != learned and {*data.labels} <= {*learned}:
        data = load_data(task.name, **sources, options=options, labels=learned)
    return data
