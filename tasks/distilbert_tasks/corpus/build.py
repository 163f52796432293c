"""Building a corpus: texts in, shards out; a build that was stopped at any moment goes on, and gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from hashlib import blake2b
from operator import add
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import InputError, OutputExistsError
from distilbert_common.files import check_own_folder, local_path, replacing
from distilbert_tasks.corpus.corpus import COUNTS, Corpus
from distilbert_tasks.corpus.description import FILENAME, Description
from distilbert_tasks.corpus.duplicates import SeenTexts
from distilbert_tasks.corpus.folder_lock import locked
from distilbert_tasks.corpus.options import CorpusOptions
from distilbert_tasks.corpus.sequences import Sequences, make_sequences
from distilbert_tasks.corpus.shards import Shard, Statistics, map_shard, read_shards, remove_others, write_shard
from distilbert_tasks.corpus.texts import TextBatch, open_parts, stamp, text_batches, text_hashes
from distilbert_tasks.training.progress import Note, OnProgress, Tokenization, ignore

__all__ = ["build_corpus"]


def build_corpus(
    sources: Any,
    tokenizer: Any,
    folder: str | Path,
    options: CorpusOptions | None = None,
    on_progress: OnProgress | None = None,
    *,
    overwrite: bool = False,
) -> Corpus:
    """Tokenize texts into a folder, or open what is there of the same texts.

    A build that was killed goes on where its last shard ends. Of several processes that are called alike, one builds
    and the others wait.

    Args:
        sources: A file, a folder, a pattern such as "data/*.txt.gz", a data set of the hub as "org/name", a
            `datasets.Dataset`, a mapping of columns, or a list of such.
        tokenizer: One of ours; the fast one works on all cores.
        folder: Where the corpus is, or is to be.
        options: How texts become token lists; None for the defaults.
        on_progress: Who is told how far it is.
        overwrite: Whether to build it anew where there is one.

    Raises:
        InputError: A row has no text, no token list is left, or the folder holds a corpus of other texts or options.
        HubError: A data set cannot be had from the hub.
        OutputExistsError: The folder holds something else.
    """
    options, tell = options or CorpusOptions(), on_progress or ignore
    path, notes = local_path(folder), list[str]()
    parts = open_parts(sources, options, notes)
    for note in notes:
        tell(Note(note))
    now = Description.of(options, tokenizer, [stamp(part) for part in parts])
    if path.exists() and not path.is_dir():
        raise OutputExistsError(f"{path} is a file; give a folder for the corpus")
    path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        before = _description(path, now, overwrite)
        if before.fingerprint is None or not before.has_same_sources(now):
            _Build(path, parts, tokenizer, options, replace(now, shards=None), tell).run()
    return Corpus.open(path, options)


def _description(folder: Path, now: Description, overwrite: bool) -> Description:
    """Return the description of what is in a folder, which may go on; a new one where there is nothing."""
    check_own_folder(folder / FILENAME, "corpus")
    before = Description.read(folder)
    if before is None or (overwrite and not before.fits(now)):
        remove_others(folder, 0)
        now.write(folder)
        return now
    before.check_same(now, folder)
    return before


@dataclass
class _Build:
    """A build on its way.

    Attributes:
        folder: That of the corpus.
        parts: What the texts are read from.
        tokenizer: What makes tokens of them.
        options: How.
        description: What is written when all is done.
        tell: Who is told how far it is.
        shards: Those that are written.
        verified: How many of these are of the texts read so far, or were written now.
        pending: The sequences that are in no shard yet.
        statistics: What became of the texts that are in no shard yet, or not verified.
    """

    folder: Path
    parts: Sequence[Any]
    tokenizer: Any
    options: CorpusOptions
    description: Description
    tell: OnProgress
    shards: list[Shard] = field(default_factory=list)
    verified: int = 0
    pending: list[Sequences] = field(default_factory=list)
    statistics: Statistics = field(default_factory=Statistics)
    _digest: Any = field(default_factory=lambda: blake2b(digest_size=16))
    _seen: SeenTexts = field(default_factory=SeenTexts)
    _speed: tuple[float, int] = (0.0, 0)

    def run(self) -> None:
        """Read all texts: those in shards are compared, the others become shards."""
        self.shards = read_shards(self.folder)
        remove_others(self.folder, len(self.shards))
        for batch in text_batches(self.parts, self.options):
            hashes = text_hashes(batch.texts)
            self._digest.update(hashes)
            is_new = self._seen.add(hashes) if self.options.deduplicate else np.ones(len(hashes), np.bool_)
            if self.verified < len(self.shards):
                self._verify(len(batch.texts))
            else:
                self._add(batch, is_new)
            self._report(batch)
        self._write_corpus()

    @property
    def _total(self) -> Statistics:
        return reduce(add, (shard.statistics for shard in self.shards[: self.verified]), self.statistics)

    def _verify(self, documents: int) -> None:
        """Compare texts with those that a shard was made of, at its end."""
        shard = self.shards[self.verified]
        self.statistics = replace(self.statistics, documents=self.statistics.documents + documents)
        if self.statistics.documents > shard.statistics.documents:
            raise self._changed()
        if self.statistics.documents == shard.statistics.documents:
            if self._digest.hexdigest() != shard.texts_digest:
                raise self._changed()
            self._next_shard()

    def _add(self, batch: TextBatch, is_new: NDArray[np.bool_]) -> None:
        """Make sequences of texts, and a shard when there are enough."""
        if self.verified and self.shards[-1].statistics.tokens < self.options.shard_tokens:
            raise self._changed()  # the last shard says that there are no more texts
        started = perf_counter()
        texts = [text for text, new in zip(batch.texts, is_new, strict=True) if new]
        sequences = make_sequences(texts, self.tokenizer, self.options)
        self.pending.append(sequences)
        self.statistics += Statistics(
            len(batch.texts),
            len(batch.texts) - len(texts),
            len(sequences.sizes),
            len(sequences.ids),
            sequences.short,
            sequences.unknown,
        )
        self._speed = self._speed[0] + perf_counter() - started, self._speed[1] + len(sequences.ids)
        if self.statistics.tokens >= self.options.shard_tokens:
            self._write()

    def _write(self) -> None:
        dtype = np.uint16 if self.description.vocabulary.size <= 2**16 else np.int32
        ids = np.concatenate([one.ids.astype(dtype) for one in self.pending])
        sizes = np.concatenate([one.sizes for one in self.pending])
        digest = self._digest.hexdigest()
        self.shards.append(write_shard(self.folder, len(self.shards), ids, sizes, self.statistics, digest))
        self._next_shard()

    def _next_shard(self) -> None:
        self.verified += 1
        self.pending, self.statistics, self._digest = [], Statistics(), blake2b(digest_size=16)

    def _report(self, batch: TextBatch) -> None:
        total, (seconds, tokens) = self._total, self._speed
        speed = tokens / seconds if seconds else 0.0
        self.tell(Tokenization(total.documents, total.sequences, total.tokens, batch.part + 1, len(self.parts), speed))

    def _write_corpus(self) -> None:
        """Write what is left, and what makes a corpus of the shards."""
        if self.verified < len(self.shards):
            raise self._changed()
        if self.statistics.documents:
            self._write()
        statistics = self._total
        if not statistics.sequences:
            raise InputError(
                f"{statistics.words} Nothing is left to learn from; give more text, or allow shorter sequences "
                f"(min_length is {self.options.min_length})"
            )
        with replacing(self.folder / COUNTS) as temporary, temporary.open("wb") as file:
            np.save(file, self._counts())
        digest = blake2b("".join(shard.ids_digest for shard in self.shards).encode(), digest_size=16)
        replace(self.description, shards=len(self.shards), fingerprint=digest.hexdigest()).write(self.folder)
        self.tell(Note(statistics.words))

    def _counts(self) -> NDArray[np.int64]:
        """Return how often each token occurs, (vocab,)."""
        counts = np.zeros(self.description.vocabulary.size, np.int64)
        for number in range(len(self.shards)):
            ids, _ = map_shard(self.folder, number)
            counts += np.bincount(ids, minlength=len(counts))
        return counts

    def _changed(self) -> InputError:
        return InputError(
            f"the texts are not those that the corpus in {self.folder} was begun with; give those, another folder, or "
            "overwrite to build it anew"
        )
