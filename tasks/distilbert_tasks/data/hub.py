"""Data sets of the hub: nothing is downloaded unless one is named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from distilbert_common.errors import HubError, InputError

__all__ = ["HubDataset", "NamedDataset"]

_ID = re.compile(r"[\w.-]+(?:/[\w.-]+)?(?::[\w.-]*)?(?::[\w.-]+)?")
_VALIDATION = ("validation", "dev", "valid", "val", "validation_matched")


@dataclass(frozen=True)
class NamedDataset:
    """A data set and what errors call it."""

    dataset: Any
    name: str


@dataclass(frozen=True)
class HubDataset:
    """A data set of the hub.

    Attributes:
        repo: Its id, such as "org/name".
        config: Which of its configurations; None for its only one.
        split: The split to take for whichever split it is named; None for the one of that name.
    """

    repo: str
    config: str | None = None
    split: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubDataset | None:
        """Read "org/name", "org/name:config" or "org/name:config:split", where the config may be empty.

        Returns:
            The data set; None for what is a file's name.
        """
        from distilbert_tasks.data.readers import COMPRESSED, SUFFIXES

        is_file = text.lower().endswith((*SUFFIXES, *COMPRESSED))
        if is_file or text.startswith((".", "~", "/")) or not _ID.fullmatch(text):
            return None
        repo, config, split, *_ = (*text.split(":"), "", "")
        return cls(repo, config or None, split or None)

    def splits(self, streaming: bool) -> dict[str, NamedDataset]:
        """Return the splits by our names.

        Raises:
            HubError: The hub cannot be reached, or has no such data set.
            InputError: There is no such split.
        """
        import datasets

        try:
            loaded = datasets.load_dataset(self.repo, self.config, streaming=streaming)
        except Exception as error:  # the library raises whatever a builder, a file system or a parser raised
            raise HubError(
                f"{self.repo} is neither a file here nor could it be had from the hub: {type(error).__name__}: {error}"
            ) from error
        names = {"train": "train", "test": "test"}
        names["validation"] = next((name for name in _VALIDATION if name in loaded), "")
        if self.split is not None:
            if self.split not in loaded:
                raise InputError(f"{self.repo} has the splits {', '.join(loaded)}, and not {self.split}")
            return {"train": self._named(loaded, self.split)}
        return {split: self._named(loaded, name) for split, name in names.items() if name in loaded}

    def _named(self, loaded: Any, split: str) -> NamedDataset:
        return NamedDataset(loaded[split], ":".join(filter(None, (self.repo, self.config, split))))
