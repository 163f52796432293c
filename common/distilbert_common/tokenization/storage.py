"""Saving and publishing a tokenizer."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilbert_common.files import write_text
from distilbert_common.hub import check_push_options, push_folder
from distilbert_common.tokenization.call import TokenizerCall
from distilbert_common.tokenization.saving import prefixed, vocab_lines, write_files

_OF_OTHERS = ("max_shard_size", "safe_serialization", "save_function", "save_jinja_files", "state_dict", "variant")
"""Keywords that programs hand to models and tokenizers alike, and that have no meaning here."""


class TokenizerStorage(TokenizerCall):
    """How a tokenizer is written to a folder and to the hub."""

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
            **hub_options: repo_id (the folder's name if not given), token, private and commit_message. Keywords of a
                model's `save_pretrained` are accepted; where `is_main_process` is False nothing is written.

        Returns:
            The paths of the files.

        Raises:
            TokenizerError: `save_directory` is a file.
            TypeError: There is no such option.
        """
        repo_id = hub_options.pop("repo_id", None) or Path(save_directory).name
        hub_options = _for_the_hub(hub_options)
        if not hub_options.pop("is_main_process", True):
            return ()
        paths = write_files(self.settings, save_directory, legacy_format, filename_prefix)
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
        path = folder / prefixed("vocab.txt", filename_prefix)
        write_text(path, vocab_lines(self.settings))
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
        hub_options = _for_the_hub(hub_options)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_folder(folder, repo_id, **{"commit_message": "Upload tokenizer", **hub_options})


def _for_the_hub(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say something here: those for the hub, and `is_main_process`.

    Raises:
        TypeError: There is no such option.
    """
    known = {name: value for name, value in options.items() if name not in _OF_OTHERS}
    if (older := known.pop("use_auth_token", None)) is not None:
        known.setdefault("token", older)
    check_push_options(name for name in known if name != "is_main_process")
    return known
