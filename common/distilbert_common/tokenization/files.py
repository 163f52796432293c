"""The files of a tokenizer: finding, reading and writing them.

vocab.txt or tokenizer.json hold the vocabulary; tokenizer_config.json, special_tokens_map.json, added_tokens.json and
config.json add to it. transformers 4.57 reads what is written here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilbert_common.errors import CheckpointError, TokenizerError
from distilbert_common.files import read_json, resolve, write_text
from distilbert_common.tokenization.settings import MODEL_INPUT_NAMES, TokenizerSettings
from distilbert_common.tokenization.tokenizer_json import render
from distilbert_common.tokenization.vocab import FLAGS

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

    @classmethod
    def find(cls, name_or_path: str | Path, **hub_options: Any) -> TokenizerFiles:
        """Find the files in a directory or at a hub id.

        Args:
            name_or_path: The directory, the id, or the path of a vocabulary file.
            **hub_options: Passed to `resolve`.

        Raises:
            TokenizerError: There is neither tokenizer.json nor vocab.txt.
            CheckpointError: There is no such directory or id.
        """
        if Path(name_or_path).is_file():
            return cls.of_vocabulary(Path(name_or_path))
        found = {name: resolve(name_or_path, file, required=False, **hub_options) for name, file in FILE_NAMES.items()}
        if found["tokenizer"] is None and found["vocab"] is None:
            raise TokenizerError(
                f"{name_or_path} has neither tokenizer.json nor vocab.txt; give the directory or hub id of a saved "
                "DistilBERT tokenizer"
            )
        return cls(**found)

    @classmethod
    def of_vocabulary(cls, path: str | Path) -> TokenizerFiles:
        """Return the files of a tokenizer that consists of one vocabulary file, tokenizer.json or vocab.txt.

        Raises:
            TokenizerError: There is no such file.
        """
        path = Path(path)
        if not path.is_file():
            raise TokenizerError(f"there is no file {path}; expected a vocab.txt or tokenizer.json")
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

    Raises:
        TokenizerError: The file is not UTF-8 text or holds no pieces.
    """
    try:
        with path.open(encoding="utf-8") as file:
            pieces = {line.rstrip("\n"): index for index, line in enumerate(file)}
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read as a vocabulary: {error}") from error
    pieces.pop("", None)
    if not pieces:
        raise TokenizerError(f"{path} holds no pieces; expected one per line")
    return pieces


def write_files(settings: TokenizerSettings, directory: str | Path) -> tuple[str, ...]:
    """Write a tokenizer so that `from_pretrained`, and transformers 4.57, open it with equal results.

    Args:
        settings: The settings of the tokenizer.
        directory: Where to write; made if it does not exist.

    Returns:
        The paths of the files written.

    Raises:
        TokenizerError: `directory` is a file.
    """
    folder = Path(directory)
    if folder.is_file():
        raise TokenizerError(f"{folder} is a file; give a directory to save the tokenizer in")
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "tokenizer_config": _as_json(_tokenizer_config(settings)),
        "special_tokens_map": _as_json(_special_tokens_map(settings)),
        "vocab": _vocab_lines(settings.vocabulary.pieces),
        "tokenizer": _as_json(render(settings)),
    }
    paths = {folder / FILE_NAMES[name]: text for name, text in contents.items()}
    for path, text in paths.items():
        write_text(path, text)
    return tuple(map(str, paths))


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _vocab_lines(pieces: dict[str, int]) -> str:
    """Return the pieces in the order of their ids, with an empty line for an id that no piece has."""
    by_id = {index: piece for piece, index in pieces.items()}
    return "".join(by_id.get(index, "") + "\n" for index in range(max(by_id) + 1))


def _special_tokens_map(settings: TokenizerSettings) -> dict[str, Any]:
    additional = {"additional_special_tokens": settings.additional_special_tokens}
    return {**settings.special_tokens, **(additional if settings.additional_special_tokens else {})}


def _tokenizer_config(settings: TokenizerSettings) -> dict[str, Any]:
    added = {
        str(index): {"content": token.content, **{flag: getattr(token, flag) for flag in FLAGS}}
        for index, token in settings.vocabulary.added_by_id.items()
    }
    unusual = {
        name: getattr(settings, name)
        for name, usual in {"split_special_tokens": False, "model_input_names": list(MODEL_INPUT_NAMES)}.items()
        if getattr(settings, name) != usual
    }
    return {
        "added_tokens_decoder": added,
        "clean_up_tokenization_spaces": settings.clean_up_tokenization_spaces,
        "do_lower_case": settings.normalizer.lowercase,
        "model_max_length": settings.model_max_length,
        "padding_side": settings.padding_side,
        "strip_accents": settings.normalizer.strip_accents,
        "tokenize_chinese_chars": settings.normalizer.handle_chinese_chars,
        "tokenizer_class": "DistilBertTokenizer",
        "truncation_side": settings.truncation_side,
        "mask_token": None,
        **unusual,
        **_special_tokens_map(settings),
    }
