"""What may be chosen about a corpus."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from distilbert_common.errors import InputError
from distilbert_tasks.data import DataOptions

__all__ = ["CorpusOptions", "SampleBy"]

SampleBy = Literal["line", "paragraph", "document"]

_WITHOUT_EFFECT = ("text_column", "file_format", "streaming", "mask_probability", "mask_smoothing")
"""Options that tokens do not depend on, once the texts are the same."""


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """How texts become a corpus; the defaults are those of the paper's code (Sanh et al., arXiv 1910.01108).

    Attributes:
        max_length: The most tokens in a sequence, special tokens included; longer texts make several.
        min_length: The fewest; shorter sequences are left out.
        max_unknown: The share of [UNK] from which on a sequence is left out.
        deduplicate: Whether texts that occur again are left out.
        text_column: The column of the texts; None to look for it.
        sample_by: What one text of a plain text file is: a line, the lines up to a blank one, or the file.
        file_format: The format of the files, as `DataOptions` has it; None to tell it by their names.
        streaming: Whether data sets of the hub are read row by row, and not downloaded as files first.
        max_documents: The most texts to read; None for all.
        shard_tokens: After how many tokens a file is full; what a kill loses is less than that.
        mask_probability: The share of the tokens of a step that are predicted.
        mask_smoothing: A token that occurs n times is predicted with a probability in proportion to n to minus this; 0
            makes all tokens equally likely.
    """

    max_length: int = 512
    min_length: int = 12
    max_unknown: float = 0.5
    deduplicate: bool = False
    text_column: str | None = None
    sample_by: SampleBy = "line"
    file_format: str | None = None
    streaming: bool = False
    max_documents: int | None = None
    shard_tokens: int = 2**24
    mask_probability: float = 0.15
    mask_smoothing: float = 0.7

    def __post_init__(self) -> None:
        if self.sample_by not in get_args(SampleBy):
            raise InputError(f"sample_by is {self.sample_by!r}; choose from {', '.join(get_args(SampleBy))}")
        if self.max_length < 4:
            raise InputError(f"max_length is {self.max_length}; it must be at least 4")
        if not 0 <= self.min_length <= self.max_length:
            raise InputError(f"min_length is {self.min_length}; it must be from 0 to max_length, {self.max_length}")
        if self.shard_tokens < 1:
            raise InputError(f"shard_tokens is {self.shard_tokens}; it must be at least 1")
        if self.max_unknown <= 0:
            raise InputError(f"max_unknown is {self.max_unknown}; it is a share, above 0; above 1 leaves nothing out")
        if not 0 < self.mask_probability <= 1:
            raise InputError(f"mask_probability is {self.mask_probability}; it is a share, above 0 and of at most 1")
        if self.mask_smoothing < 0:
            raise InputError(f"mask_smoothing is {self.mask_smoothing}; it must be at least 0")

    @property
    def data(self) -> DataOptions:
        """How the sources are read."""
        columns = None if self.text_column is None else {"text": self.text_column}
        return DataOptions(
            columns=columns,
            file_format=self.file_format,
            labeled=False,
            max_rows=self.max_documents,
            streaming=self.streaming,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The options that the tokens of a corpus depend on, by name."""
        return {name: value for name, value in asdict(self).items() if name not in _WITHOUT_EFFECT}
