"""What each class counts in the loss, so that rare ones are not lost among frequent ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.errors import InputError
from distilbert_tasks.features import Features, Ragged
from distilbert_tasks.preparation import Prepared
from distilbert_tasks.training.options import TrainingOptions

__all__ = ["balanced_weights", "with_class_weights"]


def with_class_weights(options: TrainingOptions, prepared: Prepared) -> TrainingOptions:
    """Return options with the class weights that `balance_classes` asks for.

    Args:
        options: How to train.
        prepared: The data.

    Raises:
        InputError: Class weights were given too, or the labels of the data are no classes.
    """
    if not options.balance_classes:
        return options
    if options.class_weights is not None:
        raise InputError("class_weights and balance_classes were given; give one of them")
    if prepared.labels is None or prepared.config.problem_type == "multi_label_classification":
        raise InputError(f"balance_classes was given for {prepared.task.name} whose labels are not one class each")
    return replace(options, class_weights=balanced_weights(prepared.features["train"], len(prepared.labels)))


def balanced_weights(features: Features, classes: int) -> tuple[float, ...]:
    """Return for each class the mean count of the classes that occur, divided by its own; 0 for one that does not.

    Args:
        features: Those of the training set.
        classes: How many classes there are.
    """
    labels = features.labels["labels"]
    values = np.asarray(labels.values if isinstance(labels, Ragged) else labels)
    counts = np.bincount(values[values != IGNORE_INDEX].astype(np.int64), minlength=classes)
    mean = counts.sum() / max(1, np.count_nonzero(counts))
    return tuple((mean / np.maximum(counts, 1) * (counts > 0)).tolist())
