"""What may be chosen about features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError

__all__ = ["FeatureOptions", "Progress"]

Progress = Callable[[int, int], None]
"""Told how many examples are done, and of how many."""

Cut = Literal["longest_first", "only_first", "only_second"]

DOC_STRIDE = 128
"""How many tokens two windows of a context share, as in the examples of SQuAD's authors."""

ROOM = 8
"""How many tokens of a row are left for what is not shared: three special tokens, a question, and new context."""


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """How examples become token lists.

    Attributes:
        max_length: The most tokens in a row, special tokens included; None for 384 in question answering, and
            otherwise as many as the model has positions.
        doc_stride: How many tokens two windows of a long context share; None for 128, or a third of a row if less.
        truncation: Which text of a pair is cut: the longer one, or always the first or the second.
        label_all_pieces: Whether all pieces of a word have its label, not only the first one; after the first piece of
            B-PER comes I-PER, where there is such a label.
        line_by_line: Whether masked LM takes each text by itself, not blocks of the texts joined.
        mlm_probability: The share of tokens that masked LM predicts.
        whole_word_mask: Whether all pieces of a word are predicted, or none.
        examples_at_once: How many examples are tokenized in one call.
        cache_dir: Where features are stored, mapped into memory, and taken from by the next run on the same examples;
            None keeps them in memory.
    """

    max_length: int | None = None
    doc_stride: int | None = None
    truncation: Cut = "longest_first"
    label_all_pieces: bool = False
    line_by_line: bool = False
    mlm_probability: float = 0.15
    whole_word_mask: bool = False
    examples_at_once: int = 1000
    cache_dir: Path | str | None = None

    def __post_init__(self) -> None:
        if self.truncation not in get_args(Cut):
            raise InputError(f"truncation is {self.truncation!r}; choose from {', '.join(get_args(Cut))}")
        if not 0 < self.mlm_probability <= 1:
            raise InputError(f"mlm_probability is {self.mlm_probability}; it is a share, above 0 and of at most 1")

    def stride(self, length: int) -> int:
        """Return how many tokens two windows share.

        Args:
            length: The most tokens in a row.

        Raises:
            InputError: No room is left for a question and a token of the context that is new.
        """
        if self.doc_stride is None:
            return min(DOC_STRIDE, length // 3)
        if not 0 <= self.doc_stride <= length - ROOM:
            raise InputError(
                f"doc_stride is {self.doc_stride}; with rows of {length} tokens it is 0 to {length - ROOM}"
            )
        return self.doc_stride

    def length(self, config: DistilBertConfig, default: int | None = None) -> int:
        """Return the most tokens in a row of a model.

        Args:
            config: That of the model.
            default: What holds where `max_length` is None and the model has as many positions.

        Raises:
            InputError: `max_length` is below 4, or above the number of positions.
        """
        positions: int = config.max_position_embeddings
        if self.max_length is None:
            return min(default or positions, positions)
        if not 4 <= self.max_length <= positions:
            raise InputError(f"max_length is {self.max_length}; this model takes 4 to {positions} tokens in a row")
        return self.max_length
