"""Loading, saving, publishing and training a tokenizer, and writing its files; `files/` reads them."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from distilbert_common.errors import TokenizerError
from distilbert_common.files import write_text
from distilbert_common.hub import check_push_options, push_folder
from distilbert_common.loading_options import split_options
from distilbert_common.tokenization.files.paths import FILE_NAMES, TokenizerFiles
from distilbert_common.tokenization.files.tokenizer_config import options_of, special_tokens_map
from distilbert_common.tokenization.files.tokenizer_json import render
from distilbert_common.tokenization.rust import Renaming, train
from distilbert_common.tokenization.settings import ROLES, TokenizerSettings
from distilbert_common.tokenization.vocabulary import FLAGS

__all__ = ["StorageMixin"]

_LOGGER = logging.getLogger(__name__)

_OF_MODELS = ("max_shard_size", "safe_serialization", "save_function", "save_jinja_files", "state_dict", "variant")
"""Keywords that programs pass to models and tokenizers alike, and that have no meaning for these."""


class StorageMixin:
    """The files of a tokenizer, and a tokenizer like it with a vocabulary of its own."""

    settings: TokenizerSettings
    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.txt"}

    if TYPE_CHECKING:  # `TokenizerBase` has it

        def __init__(
            self, vocab_file: str | Path | TokenizerFiles | None = None, *inputs: Any, **options: Any
        ) -> None: ...

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The options that make such a tokenizer, in a dictionary of their own."""
        return {**self.settings.extra_fields, **options_of(self.settings)}

    @property
    def chat_template(self) -> Any:
        """The `chat_template` of tokenizer_config.json, which is written back; nothing here reads it."""
        return self.settings.extra_fields.get("chat_template")

    @chat_template.setter
    def chat_template(self, value: Any) -> None:
        self.settings.extra_fields["chat_template"] = value

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *inputs: Any, **options: Any) -> Self:
        """Load a tokenizer.

        Args:
            pretrained_model_name_or_path: A directory, the path of a vocabulary file, or a hub id such as
                distilbert-base-uncased.
            *inputs: Those of the class.
            **options: cache_dir, revision, token, local_files_only, subfolder and force_download say where to look;
                all others are those of the class. vocab_file and tokenizer_file are read in place of those in the
                directory; where there is a tokenizer.json, the fast class reads that, and the other the vocab_file.
                Loading options without a meaning here are accepted.

        Returns:
            The tokenizer.

        Raises:
            TokenizerError: The files are missing, damaged or of another model.
            CheckpointError: There is no such directory or hub id.
        """
        hub_options, _, own_options = split_options(options, "tokenizer")
        named_files = TokenizerFiles.of_keywords(
            own_options.pop("vocab_file", None), own_options.pop("tokenizer_file", None)
        )
        files = TokenizerFiles.find(pretrained_model_name_or_path, named_files, **hub_options)
        if named_files.vocab is not None and files.tokenizer is not None:
            if "tokenizer_file" in cls.vocab_files_names:
                _LOGGER.warning("%s decides, so that vocab_file=%s is not read", files.tokenizer, named_files.vocab)
            else:
                files = replace(files, tokenizer=None)
        return cls(files, *inputs, **{"name_or_path": str(pretrained_model_name_or_path), **own_options})

    def save_pretrained(
        self,
        save_directory: str | Path,
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
        push_to_hub: bool = False,
        **hub_options: Any,
    ) -> tuple[str, ...]:
        """Write vocab.txt, tokenizer.json, tokenizer_config.json, special_tokens_map.json; added_tokens.json if due.

        Args:
            save_directory: Where to; made if it does not exist.
            legacy_format: True leaves out tokenizer.json, False vocab.txt and added_tokens.json; None writes all.
            filename_prefix: What the names of the files begin with, before a hyphen.
            push_to_hub: Whether to upload these files too.
            **hub_options: repo_id (the folder's name by default), token, private and commit_message. Keywords of a
                model's `save_pretrained` are accepted; where `is_main_process` is False nothing is written.

        Returns:
            The paths of the files.

        Raises:
            TokenizerError: `save_directory` is a file.
            TypeError: There is no such option.
        """
        repo_id = hub_options.pop("repo_id", None) or Path(save_directory).name
        hub_options = _hub_options(hub_options)
        if not hub_options.pop("is_main_process", True):
            return ()
        paths = _write_files(self.settings, save_directory, legacy_format, filename_prefix)
        if push_to_hub:
            push_folder(save_directory, repo_id, patterns=[Path(path).name for path in paths], **hub_options)
        return paths

    def save_vocabulary(self, save_directory: str | Path, filename_prefix: str | None = None) -> tuple[str]:
        """Write vocab.txt alone, and return its path.

        Args:
            save_directory: Where to; made if it does not exist.
            filename_prefix: What the name of the file begins with, before a hyphen.
        """
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / _prefixed("vocab.txt", filename_prefix)
        write_text(path, _vocab_lines(self.settings))
        return (str(path),)

    def push_to_hub(self, repo_id: str, **hub_options: Any) -> str:
        """Upload the tokenizer to a model repository, and return the address of the commit.

        Args:
            repo_id: Such as "user/model".
            **hub_options: token, private and commit_message.

        Raises:
            CheckpointError: The hub cannot be reached, or refuses.
            TypeError: There is no such option.
        """
        hub_options = _hub_options(hub_options)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_folder(folder, repo_id, **{"commit_message": "Upload tokenizer", **hub_options})

    def train_new_from_iterator(
        self,
        text_iterator: Iterable[Any],
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: Sequence[Any] | None = None,
        special_tokens_map: Mapping[str, str] | None = None,
        **trainer_options: Any,
    ) -> Self:
        """Make a tokenizer of this kind with a vocabulary learned from texts.

        Args:
            text_iterator: Texts, or lists of them.
            vocab_size: The most pieces to learn, special tokens included.
            length: How many texts or lists there are, for the progress bar.
            new_special_tokens: More special tokens.
            special_tokens_map: New names of special tokens by their present ones.
            **trainer_options: Those of `tokenizers.trainers.WordPieceTrainer`, such as min_frequency.
        """
        renaming = Renaming(special_tokens_map or {}, new_special_tokens or ())
        library_tokenizer = train(self.settings, text_iterator, vocab_size, length, renaming, trainer_options)
        return type(self)(tokenizer_object=library_tokenizer, **renaming.options(self.settings))


def _hub_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say something here: those for the hub, and `is_main_process`.

    Raises:
        TypeError: There is no such option.
    """
    known = {name: value for name, value in options.items() if name not in _OF_MODELS}
    if (older := known.pop("use_auth_token", None)) is not None:
        known.setdefault("token", older)
    check_push_options(name for name in known if name != "is_main_process")
    return known


def _write_files(
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
        contents["vocab"] = _vocab_lines(settings)
        contents |= _added_tokens(settings)
    if legacy_format is not True:
        contents["tokenizer"] = _as_json(render(settings))
    paths = {name: folder / _prefixed(file, filename_prefix) for name, file in FILE_NAMES.items()}
    for name, text in contents.items():
        write_text(paths[name], text)
    for name in {"added_tokens", "tokenizer"}.difference(contents):
        paths[name].unlink(missing_ok=True)
    return tuple(str(paths[name]) for name in contents)


def _prefixed(name: str, prefix: str | None) -> str:
    """Return the name of a file with a prefix."""
    return f"{prefix}-{name}" if prefix else name


def _vocab_lines(settings: TokenizerSettings) -> str:
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
    tokenizer_fields = {"added_tokens_decoder": added, "tokenizer_class": "DistilBertTokenizer"}
    return {**settings.extra_fields, **tokenizer_fields, **absent, **options}
