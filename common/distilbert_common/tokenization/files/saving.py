"""Writing the files of a tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.files import write_text
from distilbert_common.tokenization.files.paths import FILE_NAMES
from distilbert_common.tokenization.files.tokenizer_config import options_of, special_tokens_map
from distilbert_common.tokenization.files.tokenizer_json import render
from distilbert_common.tokenization.settings import ROLES, TokenizerSettings
from distilbert_common.tokenization.vocabulary import FLAGS

__all__ = ["prefixed", "vocab_lines", "write_files"]


def write_files(
    settings: TokenizerSettings,
    directory: str | Path,
    legacy_format: bool | None = None,
    filename_prefix: str | None = None,
) -> tuple[str, ...]:
    """Write a tokenizer so that `from_pretrained`, and transformers 4.57 and 5, open it with equal results.

    Files of an earlier tokenizer that would be read along with the new ones are removed.

    Args:
        settings: The settings of the tokenizer.
        directory: Where to write; made if it does not exist.
        legacy_format: True leaves out tokenizer.json, False vocab.txt and added_tokens.json; None writes all.
        filename_prefix: What the names of the files begin with, before a hyphen.

    Returns:
        The paths of the files written.

    Raises:
        TokenizerError: `directory` is a file.
    """
    folder = Path(directory)
    if folder.is_file():
        raise TokenizerError(f"{folder} is a file; give a directory to save the tokenizer in")
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"tokenizer_config": _as_json(_tokenizer_config(settings))}
    contents["special_tokens_map"] = _as_json(special_tokens_map(settings))
    if legacy_format is not False:
        contents["vocab"] = vocab_lines(settings)
        contents |= _added_tokens(settings)
    if legacy_format is not True:
        contents["tokenizer"] = _as_json(render(settings))
    paths = {name: folder / prefixed(file, filename_prefix) for name, file in FILE_NAMES.items()}
    for name, text in contents.items():
        write_text(paths[name], text)
    for name in {"added_tokens", "tokenizer"}.difference(contents):
        paths[name].unlink(missing_ok=True)
    return tuple(str(paths[name]) for name in contents)


def prefixed(name: str, prefix: str | None) -> str:
    """Return the name of a file with a prefix."""
    return f"{prefix}-{name}" if prefix else name


def vocab_lines(settings: TokenizerSettings) -> str:
    """Return the pieces in the order of their ids, with an empty line for an id that no piece has."""
    by_id = {index: piece for piece, index in settings.vocabulary.pieces.items()}
    return "".join(by_id.get(index, "") + "\n" for index in range(max(by_id) + 1))


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _added_tokens(settings: TokenizerSettings) -> dict[str, str]:
    """Return added_tokens.json, which transformers before 4.34 reads, where there are tokens beyond the pieces."""
    vocabulary = settings.vocabulary
    added = {token: vocabulary[token] for token in vocabulary.added if token not in vocabulary.pieces}
    return {"added_tokens": _as_json(added)} if added else {}


def _tokenizer_config(settings: TokenizerSettings) -> dict[str, Any]:
    added = {
        str(index): {"content": token.content, **{flag: getattr(token, flag) for flag in FLAGS}}
        for index, token in settings.vocabulary.added_by_id.items()
    }
    absent = {role: None for role, usual in ROLES.items() if usual is not None}
    options = {name: value for name, value in options_of(settings).items() if name != "name_or_path"}
    own = {"added_tokens_decoder": added, "tokenizer_class": "DistilBertTokenizer"}
    return {**settings.extra_fields, **own, **absent, **options}
