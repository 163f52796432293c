"""Entities: tokens with the scores of labels, joined to words and to groups of one kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from distilbert_tasks.pipelines.scores import Floats

__all__ = ["STRATEGIES", "Entity", "Token", "entities_of", "without_overlaps"]

STRATEGIES = ("none", "simple", "first", "average", "max")
"""How tokens are joined: not at all; tokens of one kind that follow each other; and the same with words that have one
label, that of their first token, of the mean of the scores, or of the token with the highest score."""

Entity = dict[str, Any]
Join = Callable[[list[str]], str]
"""Makes a text of tokens."""


@dataclass(frozen=True)
class Token:
    """A token, or a word.

    Attributes:
        text: The token of the vocabulary; for an unknown one, the text that it stands for.
        scores: (labels,) probabilities.
        start: Where in the text it starts.
        end: Where it ends.
        index: Its place among the tokens.
        continues: Whether it goes on with the word of the token before it.
    """

    text: str
    scores: Floats
    start: int
    end: int
    index: int
    continues: bool


def entities_of(tokens: Sequence[Token], strategy: str, labels: Mapping[int, str], join: Join) -> list[Entity]:
    """Return the entities of one window.

    Args:
        tokens: Its tokens without special ones.
        strategy: One of `STRATEGIES`.
        labels: The name of each class id.
        join: Makes a text of tokens.
    """
    if strategy == "none":
        parts = [_labeled(token, labels) for token in tokens]
        return [
            {"entity": part.pop("entity"), "score": part.pop("score"), "index": token.index, **part}
            for token, part in zip(tokens, parts, strict=True)
        ]
    if strategy == "simple":
        parts = [_labeled(token, labels) for token in tokens]
    else:
        parts = [_labeled(_as_word(word, strategy, join), labels) for word in _runs(tokens, _same_word)]
    return [_as_group(group, join) for group in _runs(parts, _same_group)]


def without_overlaps(entities: Iterable[Entity]) -> list[Entity]:
    """Of entities that overlap, as those of two windows do, keep the longest, and of equally long ones the likeliest.

    Args:
        entities: Those of all windows of a text.
    """
    result: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        last = result[-1] if result else None
        if last is None or not last["start"] <= entity["start"] < last["end"]:
            result.append(entity)
        elif _rank(entity) > _rank(last):
            result[-1] = entity
    return result


def _rank(entity: Entity) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]


def _labeled(token: Token, labels: Mapping[int, str]) -> Entity:
    """Return a token with its likeliest label."""
    best = int(token.scores.argmax())
    score = float(token.scores[best])
    return {"entity": labels[best], "score": score, "word": token.text, "start": token.start, "end": token.end}


def _as_word(tokens: Sequence[Token], strategy: str, join: Join) -> Token:
    """Join the tokens of a word, which gets scores by the strategy."""
    if strategy == "average":
        scores = np.stack([token.scores for token in tokens]).mean(axis=0)  # (labels,)
    elif strategy == "max":
        scores = max((token.scores for token in tokens), key=lambda scores: scores.max())
    else:
        scores = tokens[0].scores
    text = join([token.text for token in tokens])
    return Token(text, scores, tokens[0].start, tokens[-1].end, tokens[0].index, False)


def _as_group(parts: Sequence[Entity], join: Join) -> Entity:
    """Join tokens or words of one kind, whose score is the mean of theirs."""
    return {
        "entity_group": parts[0]["entity"].split("-", 1)[-1],
        "score": float(np.mean([part["score"] for part in parts])),
        "word": join([part["word"] for part in parts]),
        "start": parts[0]["start"],
        "end": parts[-1]["end"],
    }


def _runs(items: Sequence[Any], continues_run: Callable[[Any, Any], bool]) -> list[list[Any]]:
    """Cut a sequence before each item that does not belong to the one before it."""
    runs = [[item] for item in items[:1]]
    for previous, item in pairwise(items):
        if continues_run(previous, item):
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def _same_word(previous: Token, token: Token) -> bool:
    return token.continues


def _same_group(previous: Entity, part: Entity) -> bool:
    """Whether a part goes on with the entity before it: it has its kind, and does not begin anew with B-."""
    is_start, kind = _kind(part["entity"])
    return not is_start and kind == _kind(previous["entity"])[1]


def _kind(label: str) -> tuple[bool, str]:
    """Return whether a label begins an entity, and of which kind; a label without B- or I- goes on with one."""
    return label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label
