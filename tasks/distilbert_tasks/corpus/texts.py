"""The texts of a corpus, from files, data sets of the hub or memory, in batches that depend on the texts alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.corpus.options import CorpusOptions
from distilbert_tasks.data.canonical.values import texts as checked_texts
from distilbert_tasks.data.columns import choose_columns
from distilbert_tasks.data.readers import is_plain_text
from distilbert_tasks.data.records import Records
from distilbert_tasks.data.sources import Source, training_parts

__all__ = ["TextBatch", "open_parts", "stamp", "text_batches", "text_hashes"]

TEXTS_AT_ONCE = 10_000
CHARS_AT_ONCE = 2**20
"""How many texts, and about how many characters, are tokenized at a time; where a batch ends decides where a shard
may end, so that another value makes other shards of the same texts."""


@dataclass(frozen=True)
class TextBatch:
    """Some texts.

    Attributes:
        texts: They, without white space around them.
        part: The number of the part, such as a file, that the last one is from.
    """

    texts: list[str]
    part: int


def open_parts(sources: Any, options: CorpusOptions, notes: list[str]) -> list[Any]:
    """Return what the texts are read from: files, data sets in memory, data sets of the hub.

    Args:
        sources: A file, a folder, a pattern, a hub id, a data set in memory, or a list of such.
        options: How they are read.
        notes: Where sentences for the user are added.

    Raises:
        InputError: A file is not there, or none fits a pattern.
        HubError: A data set cannot be had from the hub.
    """
    is_list = isinstance(sources, Sequence) and not isinstance(sources, str)
    items = sources if is_list and not all(isinstance(one, Mapping) for one in sources) else [sources]
    return [part for one in items for part in training_parts(one, options.data, notes)]


def stamp(part: Any) -> list[Any] | None:
    """Return what tells that a part is as it was without reading it; None where nothing does."""
    if isinstance(part, Path):
        facts = part.stat()
        return [str(part.resolve()), facts.st_size, facts.st_mtime_ns]
    fingerprint = getattr(getattr(part, "dataset", part), "_fingerprint", None)
    return None if fingerprint is None else [str(fingerprint)]


def text_batches(parts: Sequence[Any], options: CorpusOptions) -> Iterator[TextBatch]:
    """Yield all texts in order, in batches that depend on the texts alone.

    Args:
        parts: What `open_parts` returned.
        options: How they are read.

    Raises:
        InputError: A row has no text, or a file cannot be read; the message says where.
    """
    batch, chars, last = list[str](), 0, 0
    most_chars = min(CHARS_AT_ONCE, options.shard_tokens)  # so that shards of few tokens have about as many as they may
    for text, part in islice(_texts(parts, options), options.max_documents):
        if batch and (len(batch) == TEXTS_AT_ONCE or chars + len(text) > most_chars):
            yield TextBatch(batch, last)
            batch, chars = [], 0
        batch.append(text)
        chars, last = chars + len(text), part
    if batch:
        yield TextBatch(batch, last)


def text_hashes(texts: Iterable[str]) -> NDArray[np.uint64]:
    """Return a number for each text, (texts,), the same on every machine."""
    digests = (blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), "<u8")


def _texts(parts: Sequence[Any], options: CorpusOptions) -> Iterator[tuple[str, int]]:
    """Yield each text without white space around it, and the number of its part."""
    for number, part in enumerate(parts):
        texts = _texts_of(part, options)
        if options.sample_by != "line" and is_plain_text(part, options.file_format):
            texts = _paragraphs(texts) if options.sample_by == "paragraph" else iter(["\n".join(texts)])
        for text in texts:
            yield text.strip(), number


def _texts_of(part: Any, options: CorpusOptions) -> Iterator[str]:
    """Yield the texts of a part; those of a plain text file are its lines."""
    column = None
    for records in Source((part,)).records("fill-mask", options.data):
        column = column or _text_column(records, options)
        yield from checked_texts(records, column)


def _text_column(records: Records, options: CorpusOptions) -> str:
    chosen = choose_columns("fill-mask", list(records.columns), options.data.columns, False, records.source)
    return chosen["text"][0]


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Join the lines up to a blank one."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield "\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield "\n".join(paragraph)
