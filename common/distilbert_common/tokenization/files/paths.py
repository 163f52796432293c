"""The files of a tokenizer: finding and reading them.

vocab.txt or tokenizer.json hold the vocabulary; tokenizer_config.json, special_tokens_map.json, added_tokens.json and
config.json add to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distilbert_common.errors import CheckpointError, TokenizerError, TokenizerNotFoundError
from distilbert_common.files import NOT_REACHED, check_fetched, local_path, read_json, resolve

__all__ = ["FILE_NAMES", "TokenizerFiles", "read_object", "read_vocab"]

FILE_NAMES = {
    "tokenizer": "tokenizer.json",
    "vocab": "vocab.txt",
    "tokenizer_config": "tokenizer_config.json",
    "special_tokens_map": "special_tokens_map.json",
    "added_tokens": "added_tokens.json",
    "config": "config.json",
}
"""The files that `from_pretrained` looks for."""


@dataclass(frozen=True)
class TokenizerFiles:
    """The paths of a tokenizer's files; None for a file that is not there."""

    tokenizer: Path | None = None
    vocab: Path | None = None
    tokenizer_config: Path | None = None
    special_tokens_map: Path | None = None
    added_tokens: Path | None = None
    config: Path | None = None

    @property
    def where(self) -> str:
        """The directory or file that the tokenizer is read from, for messages."""
        path = self.tokenizer_config or self.tokenizer or self.vocab
        return "the tokenizer" if path is None else str(path if path == self.vocab else path.parent)

    @classmethod
    def find(
        cls, name_or_path: str | Path, vocabulary: TokenizerFiles | None = None, **hub_options: Any
    ) -> TokenizerFiles:
        """Find the files in a directory or at a hub id.

        Args:
            name_or_path: The directory, the id, or the path of a vocabulary file.
            vocabulary: Vocabulary files to read in place of those there.
            **hub_options: Passed to `resolve`.

        Raises:
            TokenizerNotFoundError: There is neither tokenizer.json nor vocab.txt.
            CheckpointError: There is no such directory or id.
        """
        vocabulary_paths = (
            {} if vocabulary is None else {name: path for name, path in vars(vocabulary).items() if path is not None}
        )
        local = local_path(name_or_path)
        if local.is_file():
            return replace(cls.of_vocabulary(local), **vocabulary_paths)
        paths = {name: resolve(name_or_path, file, required=False, **hub_options) for name, file in FILE_NAMES.items()}
        paths |= vocabulary_paths
        if paths["tokenizer"] is None and paths["vocab"] is None:
            advice = "give the directory or hub id of a saved DistilBERT tokenizer"
            raise TokenizerNotFoundError(
                f"{name_or_path} has neither tokenizer.json nor vocab.txt; {advice if local.is_dir() else NOT_REACHED}"
            )
        return cls(**paths)

    @classmethod
    def of(cls, source: str | Path | TokenizerFiles | None) -> TokenizerFiles:
        """Return files that are such already, those of one vocabulary file, or none."""
        if source is None:
            return cls()
        return source if isinstance(source, TokenizerFiles) else cls.of_vocabulary(source)

    @classmethod
    def of_keywords(cls, vocab_file: str | Path | None, tokenizer_file: str | Path | None) -> TokenizerFiles:
        """Return the vocabulary files that a caller names in addition to a directory or hub id.

        Raises:
            TokenizerNotFoundError: There is no such file.
        """
        first, second = cls.of(vocab_file), cls.of(tokenizer_file)
        return cls(tokenizer=second.tokenizer or first.tokenizer, vocab=first.vocab or second.vocab)

    @classmethod
    def of_vocabulary(cls, path: str | Path) -> TokenizerFiles:
        """Return the files of a tokenizer that consists of one vocabulary file, tokenizer.json or vocab.txt.

        Raises:
            TokenizerNotFoundError: There is no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise TokenizerNotFoundError(f"there is no file {path}; expected a vocab.txt or tokenizer.json")
        return cls(tokenizer=path) if path.suffix == ".json" else cls(vocab=path)


def read_object(path: Path | None) -> dict[str, Any]:
    """Read a JSON object; an absent file gives an empty one.

    Raises:
        TokenizerError: The file is damaged.
    """
    try:
        return {} if path is None else read_json(path)
    except CheckpointError as error:
        raise TokenizerError(str(error)) from error


def read_vocab(path: Path) -> dict[str, int]:
    """Read a vocab.txt: one piece per line, its id the number of the line.

    As in transformers, empty lines at the end take up one id together, and of equal lines the last one counts.

    Raises:
        TokenizerError: The file is not UTF-8 text or holds no pieces.
    """
    try:
        check_fetched(path)
        lines = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except CheckpointError as error:
        raise TokenizerError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read as a vocabulary: {error}") from error
    while lines[-2:] == ["", ""]:
        lines.pop()
    pieces = {line: index for index, line in enumerate(lines)}
    if not any(pieces):
        raise TokenizerError(f"{path} holds no pieces; expected one per line")
    return pieces
