"""`corpus.json`: what a corpus was made of and with, and, once it is finished, what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError, UnreadableFileError
from distilbert_common.files import read_json, write_text
from distilbert_tasks.changes import changes
from distilbert_tasks.corpus.options import CorpusOptions

__all__ = ["FILENAME", "Description", "Vocabulary"]

FILENAME = "corpus.json"
VERSION = 1
"""Raised when the same texts make other shards, so that old ones are not mixed with new ones."""


@dataclass(frozen=True)
class Vocabulary:
    """What a corpus must know of its tokenizer.

    Attributes:
        fingerprint: Of all that its ids depend on.
        size: The number of ids.
        mask_token_id: The id of [MASK].
        special_ids: The ids that are never predicted.
    """

    fingerprint: str
    size: int
    mask_token_id: int
    special_ids: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any) -> Vocabulary:
        """Return the vocabulary of a tokenizer."""
        digest = blake2b(digest_size=16)
        vocabulary = tokenizer.get_vocab()
        for value in (repr(tokenizer), sorted(vocabulary.items())):
            digest.update(repr(value).encode("utf-8", "surrogatepass"))
        size = max(vocabulary.values()) + 1
        return cls(digest.hexdigest(), size, tokenizer.mask_token_id, tuple(sorted(tokenizer.all_special_ids)))


@dataclass(frozen=True)
class Description:
    """What is said of a corpus.

    Attributes:
        settings: Options that its tokens depend on, by name.
        vocabulary: That of its tokenizer.
        stamps: What tells of each source that it is as it was; None where nothing does.
        shards: How many shards there are; None while it is built.
        fingerprint: Of all its tokens; None while it is built.
        version: Of the way that texts become shards.
    """

    settings: Mapping[str, Any]
    vocabulary: Vocabulary
    stamps: list[list[Any] | None]
    shards: int | None = None
    fingerprint: str | None = None
    version: int = VERSION

    @classmethod
    def of(cls, options: CorpusOptions, tokenizer: Any, stamps: list[list[Any] | None]) -> Description:
        """Return the description of a corpus that is about to be built."""
        return cls(options.settings, Vocabulary.of(tokenizer), stamps)

    @classmethod
    def read(cls, folder: Path) -> Description | None:
        """Return the description in a folder, or None where there is none.

        Raises:
            UnreadableFileError: The file is damaged.
        """
        path = folder / FILENAME
        if not path.exists():
            return None
        values = read_json(path)
        try:
            vocabulary = values.pop("vocabulary")
            special_ids = tuple(vocabulary.pop("special_ids"))
            return cls(vocabulary=Vocabulary(**vocabulary, special_ids=special_ids), **values)
        except (KeyError, TypeError) as error:
            raise UnreadableFileError(
                f"{path} is not the description of a corpus: {error}; remove the folder, and build the corpus anew"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the description, all or nothing."""
        write_text(folder / FILENAME, json.dumps(asdict(self), indent=2) + "\n")

    def check_same(self, now: Description, folder: Path) -> None:
        """Require that a corpus was made as is asked for now.

        Args:
            now: What is asked for.
            folder: Where this description is from.

        Raises:
            InputError: The tokenizer or an option differs.
        """
        if differences := self._differences(now):
            raise InputError(
                f"the corpus in {folder} was made otherwise: {'; '.join(differences)}; give what it was made with, "
                "another folder, or overwrite to replace it"
            )

    def fits(self, now: Description) -> bool:
        """Return whether a corpus is, or becomes when its build goes on, what is asked for now."""
        return not self._differences(now) and self.has_same_sources(now)

    def _differences(self, now: Description) -> list[str]:
        """Return a few words for each thing that was otherwise than now."""
        differences = changes(self.settings, now.settings, now.settings)
        if self.vocabulary != now.vocabulary:
            differences.append("the tokenizer differs")
        if self.version != now.version:
            differences.append("it is of another version of this package")
        return differences

    def has_same_sources(self, now: Description) -> bool:
        """Return whether the sources are those of now, as far as that shows without reading them."""
        return None not in self.stamps and self.stamps == now.stamps
