"""Making, loading and saving a tokenizer: the base of both; each only adds how a text is cut into pieces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from distilbert_common.files import HUB_OPTIONS
from distilbert_common.tokenization.call import TokenizerCall
from distilbert_common.tokenization.files import TokenizerFiles, write_files
from distilbert_common.tokenization.loading import OPTIONS, read_settings


class TokenizerBase(TokenizerCall):
    """Everything about a tokenizer but the cutting of texts into pieces.

    The interface is that of transformers' fast tokenizer for DistilBERT. Differences: no token_type_ids unless asked
    for; `model_max_length` comes from the model's config.json where the tokenizer's files do not say; an empty second
    text counts as one.

    Args:
        vocab_file: A vocab.txt or tokenizer.json, or several files found by `TokenizerFiles.find`.
        tokenizer_file: A tokenizer.json.
        **options: do_lower_case, strip_accents, tokenize_chinese_chars, clean_text, unk_token, sep_token, pad_token,
            cls_token, mask_token, additional_special_tokens, model_max_length, padding_side, truncation_side,
            clean_up_tokenization_spaces, split_special_tokens, model_input_names. What is not given comes from the
            files; where these do not say whether text is lower-cased, it is if no piece of the vocabulary holds a
            capital. `repr` tells what was chosen and why.

    Raises:
        TokenizerError: A file is missing, damaged or of another model, or an option makes no sense.
        TypeError: There is no such option.
    """

    def __init__(
        self,
        vocab_file: str | Path | TokenizerFiles | None = None,
        *,
        tokenizer_file: str | Path | None = None,
        **options: Any,
    ) -> None:
        if unknown := sorted(options.keys() - set(OPTIONS)):
            raise TypeError(f"{type(self).__name__} has no option {', '.join(unknown)}; it has {', '.join(OPTIONS)}")
        if isinstance(vocab_file, TokenizerFiles):
            files = vocab_file
        else:
            given = tokenizer_file if tokenizer_file is not None else vocab_file
            files = TokenizerFiles() if given is None else TokenizerFiles.of_vocabulary(given)
        super().__init__(read_settings(files, options, self._defaults(files)))
        self._engine_changed(())

    def _defaults(self, files: TokenizerFiles) -> Mapping[str, Any]:
        """Return what holds for this class where neither the files nor a keyword say otherwise."""
        return {"clean_up_tokenization_spaces": True}

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **options: Any) -> Self:
        """Load a tokenizer.

        Args:
            name_or_path: A directory, the path of a vocabulary file, or a hub id such as distilbert-base-uncased.
            **options: cache_dir, revision, token, local_files_only and subfolder say where to look; all others are
                those of the class.

        Returns:
            The tokenizer.

        Raises:
            TokenizerError: The files are missing, damaged or of another model.
            CheckpointError: There is no such directory or hub id.
        """
        hub_options = {name: options.pop(name) for name in HUB_OPTIONS if name in options}
        return cls(TokenizerFiles.find(name_or_path, **hub_options), **options)

    def save_pretrained(self, save_directory: str | Path) -> tuple[str, ...]:
        """Write vocab.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json.

        Args:
            save_directory: Where to; made if it does not exist.

        Returns:
            The paths of the files.
        """
        return write_files(self.settings, save_directory)

    @property
    def do_lower_case(self) -> bool:
        """Whether text is lower-cased."""
        return self.settings.normalizer.lowercase

    def __repr__(self) -> str:
        settings, normalizer = self.settings, self.settings.normalizer
        sources = settings.sources
        return (
            f"{type(self).__name__}(vocab_size={self.vocab_size}, added_tokens={len(settings.vocabulary.added)}, "
            f"do_lower_case={normalizer.lowercase} ({sources['do_lower_case']}), "
            f"strip_accents={normalizer.strip_accents}, tokenize_chinese_chars={normalizer.handle_chinese_chars}, "
            f"model_max_length={settings.model_max_length} ({sources['model_max_length']}), "
            f"padding_side={settings.padding_side!r}, truncation_side={settings.truncation_side!r}, "
            f"special_tokens={self.special_tokens_map})"
        )
