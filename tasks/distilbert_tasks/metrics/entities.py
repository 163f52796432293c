"""Entity scores, as conlleval counts them.

An entity is right where its type and both ends are. Labels may be IOB1, IOB2, IOE, IOBES or BILOU, mixed and broken
too: an entity starts at B or S, after E, S or O, and where the type changes; it ends where the next one starts.
Labels without such a prefix, beside O, are entities as long as they do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common.errors import InputError
from distilbert_tasks.metrics.scores import Scores, class_scores, ratio

__all__ = ["TagScheme", "entity_spans", "has_entities", "score_entities"]

Ints = NDArray[np.int64]
OUTSIDE = "O"
PREFIXES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
"""What a prefix of another scheme stands for."""


@dataclass(frozen=True)
class TagScheme:
    """What the labels say, by class id.

    Attributes:
        types: The types of entities, sorted.
        type_ids: (classes,) the type of each label, -1 outside of entities.
        opens: (classes,) whether an entity starts at the label in any case.
        closes: (classes,) whether an entity ends with the label in any case.
    """

    types: tuple[str, ...]
    type_ids: Ints
    opens: NDArray[np.bool_]
    closes: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: Sequence[str]) -> TagScheme:
        """Read the labels."""
        parts = [_split(label) for label in labels]
        types = tuple(sorted({kind for _, kind in parts if kind is not None}))
        type_ids = np.array([-1 if kind is None else types.index(kind) for _, kind in parts], np.int64)
        opens, closes = (np.array([prefix in ends for prefix, _ in parts], bool) for ends in (("B", "S"), ("E", "S")))
        return cls(types, type_ids, opens, closes)


def _split(label: str) -> tuple[str, str | None]:
    """Return the prefix and the type of a label."""
    if label == OUTSIDE:
        return OUTSIDE, None
    prefix, dash, kind = label.partition("-")
    if dash and prefix in PREFIXES:
        return PREFIXES[prefix], kind
    return ("I", label) if label not in PREFIXES else (PREFIXES[label], "")


def has_entities(labels: Sequence[str]) -> bool:
    """Return whether labels mark entities; others, such as parts of speech, are classes of tokens."""
    return any(label == OUTSIDE or (label[1:2] == "-" and label[0] in PREFIXES) for label in labels)


def entity_spans(tags: ArrayLike, scheme: TagScheme, lengths: ArrayLike | None = None) -> Ints:
    """Return the entities in class ids.

    Args:
        tags: (words,) class ids, sentence after sentence.
        scheme: What the ids stand for.
        lengths: (sentences,) how many words each has; None for one sentence.

    Returns:
        (entities, 3) the first word, the word after the last one, and the number of the type.
    """
    ids = np.asarray(tags, np.int64)
    kinds = scheme.type_ids[ids]  # (words,)
    first = np.zeros(len(ids) + 1, bool)  # (words + 1,)
    first[np.cumsum([0] if lengths is None else [0, *np.asarray(lengths)])] = True
    opens, closed = scheme.opens[ids], np.append(True, scheme.closes[ids])[:-1]  # (words,)
    changes = kinds != np.append(-1, kinds)[:-1]
    inside = kinds >= 0
    starts = inside & (opens | closed | changes | first[:-1])
    bounds = np.append(np.flatnonzero(starts | ~inside | first[:-1]), len(ids))
    indices = np.flatnonzero(starts)
    ends = bounds[np.searchsorted(bounds, indices, side="right")]
    return np.stack([indices, ends, kinds[indices]], axis=1)  # (entities, 3)


def score_entities(predicted: Sequence[ArrayLike], expected: Sequence[ArrayLike], labels: Sequence[str]) -> Scores:
    """Score entities, all together and by type.

    Args:
        predicted: For each sentence, (words,) class ids.
        expected: As many sentences of as many words.
        labels: The name of each class.

    Returns:
        Precision, recall and F1 of entities, 0 where there are none; F1 averaged over the types that occur
        (`f1_macro`); the share of words with the right label (`accuracy`).

    Raises:
        InputError: The numbers of words differ, or there is no word.
    """
    lengths = [len(np.asarray(tags)) for tags in expected]
    if lengths != [len(np.asarray(tags)) for tags in predicted]:
        raise InputError("predicted and expected labels differ in number; give one of each for every word")
    if not sum(lengths):
        raise InputError("there is no labeled word to score; give labeled sentences")
    scheme = TagScheme.of(labels)
    guesses, truth = (np.concatenate([np.asarray(tags, np.int64) for tags in side]) for side in (predicted, expected))
    predicted_spans, expected_spans = entity_spans(guesses, scheme, lengths), entity_spans(truth, scheme, lengths)
    counts = [
        _count(spans, len(scheme.types))
        for spans in (_common(predicted_spans, expected_spans), predicted_spans, expected_spans)
    ]
    classes = class_scores(scheme.types, *counts)
    correct, guessed, support = (int(count.sum()) for count in counts)
    metrics = {
        "precision": ratio(correct, guessed),
        "recall": ratio(correct, support),
        "f1": ratio(2 * correct, guessed + support),
        "f1_macro": np.mean([one.f1 for one, n in zip(classes, counts[1] + counts[2], strict=True) if n] or [0.0]),
        "accuracy": (guesses == truth).mean(),
    }
    return Scores({name: float(value) for name, value in metrics.items()}, classes)


def _common(spans: Ints, others: Ints) -> Ints:
    """Return the entities that are in both: (n, 3) and (m, 3) -> (k, 3). A word starts one entity at most."""
    _, indices, to = np.intersect1d(spans[:, 0], others[:, 0], assume_unique=True, return_indices=True)
    common: Ints = spans[indices][(spans[indices] == others[to]).all(axis=1)]
    return common


def _count(spans: Ints, types: int) -> Ints:
    return np.bincount(spans[:, 2], minlength=types)
