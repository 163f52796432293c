"""What may be chosen about batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from distilbert_common.errors import InputError

__all__ = ["BatchOptions", "Layout"]

Layout = Literal["packed", "padded"]


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How rows become the batches of training steps.

    Attributes:
        batch_size: How many rows a step takes, all micro batches and processes together; the last step of an epoch
            takes what is left. Of a corpus, whose packed rows are filled before steps take them, about so many.
        tokens_per_batch: About how many tokens a step takes, instead of a number of rows; None for `batch_size`.
        accumulation: How many micro batches a process divides its part of a step into.
        layout: "packed" puts several rows into one, "padded" pads each; multiple choice is always padded.
        row_length: How many tokens a packed row holds; None for the longest row.
        few_shapes: Whether sizes are rounded up, so that compiled code meets few shapes.
        seed: Order and masks depend on this alone, and on the step.
        rank: The number of this process.
        world: How many processes train together; each gets its part of the same step.
        class_weights: What each class counts in the loss, which shares of micro batches depend on.
    """

    batch_size: int = 32
    tokens_per_batch: int | None = None
    accumulation: int = 1
    layout: Layout = "packed"
    row_length: int | None = None
    few_shapes: bool = True
    seed: int = 0
    rank: int = 0
    world: int = 1
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "tokens_per_batch", "accumulation", "row_length", "world"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1")
        if self.layout not in ("packed", "padded"):
            raise InputError(f"layout is {self.layout!r}; choose packed or padded")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; it must be at least 0")
        if not 0 <= self.rank < self.world:
            raise InputError(f"rank is {self.rank}; with {self.world} processes it must be 0 to {self.world - 1}")

    def check_longest(self, longest: int) -> None:
        """Require that a step takes the longest row.

        Raises:
            InputError: It takes fewer tokens.
        """
        if self.tokens_per_batch is not None and longest > self.tokens_per_batch:
            raise InputError(
                f"a row has {longest} tokens, more than tokens_per_batch ({self.tokens_per_batch}); raise it to "
                f"{longest}, or make features with a smaller max_length"
            )
