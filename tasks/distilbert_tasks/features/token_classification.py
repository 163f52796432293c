"""Features of token classification: words cut into pieces, and the label of a word on its first piece."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.recipe import Columns, Recipe

__all__ = ["token_classification_features"]


def token_classification_features(columns: Columns, recipe: Recipe) -> Features:
    """Make features of the columns `tokens`, which are words, and `tags`, where there are labels.

    A sentence that is too long for one row goes on in the next, so that every word is seen. `details["word"]` has the
    word of each first piece, and -1 elsewhere. A word that has no pieces, such as white space, is in no row.

    Args:
        columns: The examples; each word has a tag.
        recipe: What they are made with.
    """
    sentences = [list(words) for words in columns["tokens"]]
    if not sentences:
        return _features(Ragged.from_lists([]), Ragged.from_lists([]), np.zeros(0, np.int64), None)
    encoded = recipe.tokenizer(
        sentences, is_split_into_words=True, truncation=True, max_length=recipe.length, return_overflowing_tokens=True
    )
    example = np.asarray(encoded["overflow_to_sample_mapping"], np.int64)
    ids = Ragged.from_lists(encoded["input_ids"])
    words = np.asarray([-1 if word is None else word for word in chain(*map(encoded.word_ids, range(len(ids))))])
    is_first = _first_pieces(np.repeat(example, ids.sizes), words)
    labels = None
    if "tags" in columns:
        starts = np.cumsum([0, *map(len, columns["tags"])])  # where the tags of each sentence start
        tags = np.fromiter(chain(*columns["tags"]), np.int32, starts[-1])
        tag = np.full(len(words), IGNORE_INDEX, np.int32)
        is_labeled = words >= 0 if recipe.options.label_all_pieces else is_first
        tag[is_labeled] = tags[(starts[np.repeat(example, ids.sizes)] + words)[is_labeled]]
        tag[is_labeled & ~is_first] = _inside(recipe.config.id2label)[tag[is_labeled & ~is_first]]
        labels = Ragged(tag, ids.offsets)
    return _features(ids, Ragged(np.where(is_first, words, -1).astype(np.int32), ids.offsets), example, labels)


def _first_pieces(example: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which tokens are the first piece of a word, also where a word goes on in the next row: (tokens,)."""
    is_word = words >= 0
    positions = np.flatnonzero(is_word)
    example, numbers = example[positions], words[positions]
    is_new = np.ones(len(positions), bool)
    is_new[1:] = (example[1:] != example[:-1]) | (numbers[1:] != numbers[:-1])
    is_first = np.zeros(len(words), bool)
    is_first[positions[is_new]] = True
    return is_first


def _inside(names: Mapping[int, str]) -> NDArray[np.int32]:
    """Return the label of the further pieces of a word by that of its first one: I-PER for B-PER, or the same."""
    ids = {str(name): number for number, name in names.items()}
    inside = {number: ids.get(f"I-{name[2:]}", number) for name, number in ids.items() if name.startswith("B-")}
    return np.asarray([inside.get(number, number) for number in range(len(names))], np.int32)


def _features(ids: Ragged, word: Ragged, example: NDArray[np.int64], labels: Ragged | None) -> Features:
    by_name = {} if labels is None else {"labels": labels}
    return Features(ids, by_name, example, details={"word": word}, task="token-classification")
