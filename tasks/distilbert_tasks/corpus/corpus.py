"""A corpus that has been built: token lists mapped into memory, their counts, and features that are masked by these."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import InputError, UnreadableFileError
from distilbert_common.files import local_path
from distilbert_tasks.batches import ROW_LENGTH, best_row_length
from distilbert_tasks.corpus.description import FILENAME, Description
from distilbert_tasks.corpus.masking import CountMasking
from distilbert_tasks.corpus.options import CorpusOptions
from distilbert_tasks.corpus.shards import ShardedTokens, Statistics, map_shard, read_shards
from distilbert_tasks.features import Features, Ragged

__all__ = ["COUNTS", "Corpus"]

COUNTS = "counts.npy"


@dataclass(frozen=True)
class Corpus:
    """A corpus.

    Attributes:
        folder: Where its files are.
        description: What it was made of and with.
        options: How its tokens are masked, besides what is in the description.
    """

    folder: Path
    description: Description
    options: CorpusOptions

    @classmethod
    def open(cls, folder: str | Path, options: CorpusOptions | None = None) -> Corpus:
        """Open the corpus in a folder.

        Args:
            folder: What `build_corpus` was given.
            options: Those of masking count here; None for the defaults.

        Raises:
            InputError: There is none, or it is not finished.
        """
        path = local_path(folder)
        description = Description.read(path)
        if description is None or description.fingerprint is None:
            state = "holds no corpus" if description is None else "holds a corpus that is not finished"
            raise InputError(f"{path} {state}; build it first, with the texts that it is to be made of")
        return cls(path, description, options or CorpusOptions())

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.input_ids[range(len(self))[index]]

    @property
    def fingerprint(self) -> str:
        """Of all tokens, in their order."""
        return str(self.description.fingerprint)

    @cached_property
    def statistics(self) -> Statistics:
        """What became of the texts."""
        return reduce(add, (shard.statistics for shard in read_shards(self.folder)), Statistics())

    @cached_property
    def input_ids(self) -> Ragged:
        """The token lists, special tokens included, mapped into memory."""
        shards = [map_shard(self.folder, number) for number in range(self.description.shards or 0)]
        values: Any = shards[0][0] if len(shards) == 1 else ShardedTokens([ids for ids, _ in shards])
        return Ragged.from_sizes(values, np.concatenate([sizes for _, sizes in shards]).astype(np.int64, copy=False))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(vocab,) how often each token occurs.

        Raises:
            UnreadableFileError: The file is damaged.
        """
        path = self.folder / COUNTS
        try:
            counts: NDArray[np.int64] = np.load(path)
        except (OSError, ValueError) as error:
            raise UnreadableFileError(f"{path} cannot be read: {error}; remove {FILENAME} to build it anew") from error
        return counts

    @cached_property
    def masking(self) -> CountMasking:
        """How tokens are masked: rare ones more often."""
        vocabulary, options = self.description.vocabulary, self.options
        return CountMasking.of(
            self.counts,
            vocabulary.mask_token_id,
            vocabulary.special_ids,
            options.mask_probability,
            options.mask_smoothing,
        )

    @cached_property
    def features(self) -> Features:
        """Features of masked LM, a row for each token list, as training takes them."""
        rows = np.arange(len(self), dtype=np.int64)
        details = {"masking": self.masking, ROW_LENGTH: best_row_length(self.input_ids.sizes)}
        return Features(self.input_ids, {}, rows, details=details, task="fill-mask")
