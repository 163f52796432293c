"""Features of any task: examples in columns are tokenized some at a time, and joined."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_tasks.features.cache import cache_key, read_features, write_features
from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.fill_mask import fill_mask_features, in_blocks
from distilbert_tasks.features.multiple_choice import multiple_choice_features
from distilbert_tasks.features.options import FeatureOptions, Progress
from distilbert_tasks.features.question_answering import question_answering_features
from distilbert_tasks.features.recipe import Columns, Recipe
from distilbert_tasks.features.text_classification import text_classification_features
from distilbert_tasks.features.token_classification import token_classification_features
from distilbert_tasks.task import find_task

__all__ = ["make_features"]

MakeFeatures = Callable[[Columns, Recipe], Features]

MAKERS: dict[str, MakeFeatures] = {
    "text-classification": text_classification_features,
    "token-classification": token_classification_features,
    "question-answering": question_answering_features,
    "multiple-choice": multiple_choice_features,
    "fill-mask": fill_mask_features,
}

DEFAULT_LENGTHS = {"question-answering": 384}
"""The most tokens in a row where the user says nothing; as many as the model has positions in the other tasks."""


def make_features(
    task: str,
    dataset: Any,
    tokenizer: Any,
    config: DistilBertConfig,
    options: FeatureOptions | None = None,
    progress: Progress | None = None,
) -> Features:
    """Make the features of one split.

    Args:
        task: The task, by any of its names.
        dataset: A `datasets.Dataset` or a mapping of columns, as `load_data` returns them; without labels for
            predictions.
        tokenizer: One of ours.
        config: That of the model, whose number of positions rows fit in.
        options: How; None for the defaults.
        progress: Told how far it is.

    Raises:
        InputError: An option does not fit the model, or examples do not fit together.
    """
    options, name = options or FeatureOptions(), find_task(task).name
    recipe = Recipe(tokenizer, config, options.length(config, DEFAULT_LENGTHS.get(name)), options)
    if options.cache_dir is None:
        features = _joined(list(_parts(name, dataset, recipe, progress)))
    else:
        features = _cached(name, dataset, recipe, progress, Path(options.cache_dir))
    return in_blocks(features, recipe.length) if name == "fill-mask" and not options.line_by_line else features


def _parts(task: str, dataset: Any, recipe: Recipe, progress: Progress | None) -> Iterator[tuple[int, Features]]:
    """Yield the features of some examples at a time, with the number of the first."""
    total, start, size = _size(dataset), 0, recipe.options.examples_at_once
    for columns in _chunks(dataset, size):
        yield start, MAKERS[task](columns, recipe)
        start = min(start + size, total)
        if progress is not None:
            progress(start, total)


def _cached(task: str, dataset: Any, recipe: Recipe, progress: Progress | None, cache_dir: Path) -> Features:
    """Return features from the cache, made before if they are not in it."""
    folder = cache_dir / f"{task}-{cache_key(task, _chunks(dataset, recipe.options.examples_at_once), recipe)}"
    features = read_features(folder)
    if features is None:
        shutil.rmtree(folder, ignore_errors=True)  # what is there is damaged
        write_features(_parts(task, dataset, recipe, progress), folder)
        features = read_features(folder)
    if features is None:
        raise InputError(f"features cannot be stored in {folder}; choose another cache_dir")
    return features


def _size(dataset: Any) -> int:
    return len(next(iter(dataset.values()), ())) if isinstance(dataset, Mapping) else len(dataset)


def _chunks(dataset: Any, size: int) -> Iterator[Columns]:
    """Yield columns of some examples at a time; one empty slice where there are none."""
    for start in range(0, max(_size(dataset), 1), size):
        stop = start + size
        if isinstance(dataset, Mapping):
            yield {name: values[start:stop] for name, values in dataset.items()}
        else:
            yield dataset[start:stop]


def _joined(parts: Sequence[tuple[int, Features]]) -> Features:
    """Join features, each with the number of its first example."""
    first = parts[0][1]
    return Features(
        _join([part.input_ids for _, part in parts]),
        {name: _join([part.labels[name] for _, part in parts]) for name in first.labels},
        np.concatenate([part.example + start for start, part in parts]),
        first.choices,
        {name: _join([part.details[name] for _, part in parts]) for name in first.details},
        first.task,
    )


def _join(values: Sequence[Any]) -> Any:
    """Join arrays or ragged arrays; anything else is the same in all parts."""
    if isinstance(values[0], Ragged):
        sizes = np.concatenate([one.sizes for one in values])
        return Ragged.from_sizes(np.concatenate([one.values for one in values]), sizes)
    return np.concatenate(values) if isinstance(values[0], np.ndarray) else values[0]
