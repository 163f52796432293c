"""What a run tells whoever watches it: a progress bar, a notebook, a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Answering", "Asking", "Evaluation", "Event", "Note", "OnProgress", "Progress", "Tokenization", "ignore"]


@dataclass(frozen=True)
class Progress:
    """How far training is, after each step.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        epoch: Epochs done, as 1.5.
        loss: The mean loss of the steps that were logged last; None before the first of them.
        learning_rate: That of the step.
        examples_per_second: Rows a second, of all processes, since this process began to train.
        seconds_left: How long the remaining steps will take at that speed.
    """

    step: int
    steps: int
    epoch: float
    loss: float | None
    learning_rate: float
    examples_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one evaluation.

    Attributes:
        step: After how many steps.
        metrics: By name.
        is_best: Whether these weights are the best so far.
    """

    step: int
    metrics: Mapping[str, float]
    is_best: bool


@dataclass(frozen=True)
class Note:
    """A sentence for the user: what was chosen where nothing was said."""

    text: str


@dataclass(frozen=True)
class Tokenization:
    """How far a corpus is tokenized, after each batch of texts.

    Attributes:
        documents: Texts read.
        sequences: Token lists made of them.
        tokens: The tokens in these.
        part: The number of the file or data set that is being read, from 1.
        parts: How many there are.
        tokens_per_second: Since this process began to tokenize.
    """

    documents: int
    sequences: int
    tokens: int
    part: int
    parts: int
    tokens_per_second: float


@dataclass(frozen=True)
class Asking:
    """How far a teacher has been asked ahead of time, after each step.

    Attributes:
        step: Steps that this process has asked for, and those that were there.
        steps: Steps that it asks for in all.
        tokens_per_second: Since it began.
    """

    step: int
    steps: int
    tokens_per_second: float


@dataclass(frozen=True)
class Answering:
    """How far a file is predicted, after each part of it.

    Attributes:
        rows: Rows that are answered.
        total: Rows in all.
        rows_per_second: Since this process began to answer.
    """

    rows: int
    total: int
    rows_per_second: float


Event = Progress | Evaluation | Note | Tokenization | Asking | Answering
OnProgress = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Tell nobody."""
