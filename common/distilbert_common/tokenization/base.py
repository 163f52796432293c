"""Making, loading and saving a tokenizer: the base of both; each only adds how a text is cut into pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

from distilbert_common.loading_options import split_options
from distilbert_common.tokenization.files import TokenizerFiles
from distilbert_common.tokenization.loading import read_settings
from distilbert_common.tokenization.storage import TokenizerStorage
from distilbert_common.tokenization.tokenizer_config import OPTIONS, options_of, unknown_options
from distilbert_common.tokenization.tokenizer_json import TokenizerJson, from_memory
from distilbert_common.tokenization.training import Renaming, train

_VOCABULARIES = ("tokenizer_file", "tokenizer_object", "vocab")
"""Keywords that give the vocabulary."""


class TokenizerBase(TokenizerStorage):
    """Everything about a tokenizer but the cutting of texts into pieces.

    The interface is that of transformers' fast tokenizer for DistilBERT. Differences: no token_type_ids unless asked
    for; `model_max_length` comes from the model's config.json where the tokenizer's files do not say; an empty second
    text counts as one.

    Args:
        vocab_file: A vocab.txt or tokenizer.json, or several files found by `TokenizerFiles.find`.
        *inputs: More options in the order of transformers' class of this name; see `positional`.
        tokenizer_file: A tokenizer.json; it comes first.
        **options: tokenizer_object (a `tokenizers.Tokenizer`) or vocab (ids by piece) in place of a file;
            do_lower_case, strip_accents, tokenize_chinese_chars, clean_text, do_basic_tokenize, never_split, unk_token,
            sep_token, pad_token, cls_token, mask_token, bos_token, eos_token, additional_special_tokens,
            extra_special_tokens, model_max_length, padding_side, truncation_side, clean_up_tokenization_spaces,
            split_special_tokens, model_input_names. What is not given comes from the files; where these do not say
            whether text is lower-cased, it is if no piece of the vocabulary holds a capital. `repr` tells what was
            chosen and why.

    Raises:
        TokenizerError: A file is missing, damaged or of another model, or an option makes no sense.
        TypeError: There is no such option.
    """

    positional: ClassVar[tuple[str, ...]] = ()
    """The options that may be given by position, after the vocabulary."""
    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.txt"}
    pretrained_vocab_files_map: ClassVar[dict[str, dict[str, str]]] = {}
    init_inputs: ClassVar[tuple[Any, ...]] = ()

    def __init__(
        self,
        vocab_file: str | Path | TokenizerFiles | None = None,
        *inputs: Any,
        tokenizer_file: str | Path | None = None,
        **options: Any,
    ) -> None:
        options = {"tokenizer_file": tokenizer_file, **_by_name(self.positional, inputs), **options}
        file, library_tokenizer, vocab = (options.pop(name, None) for name in _VOCABULARIES)
        verbose = bool(options.pop("verbose", False))
        if unknown := unknown_options(options):
            raise TypeError(f"{type(self).__name__} has no option {', '.join(unknown)}; it has {', '.join(OPTIONS)}")
        files = TokenizerFiles.of(file if file is not None else vocab_file)
        vocabulary = from_memory(library_tokenizer, vocab)
        super().__init__(read_settings(files, options, self._defaults(files, vocabulary), vocabulary))
        self.verbose = verbose
        """What was given; without effect, but transformers has it."""
        self._engine_changed(())

    def _defaults(self, files: TokenizerFiles, vocabulary: TokenizerJson | None) -> Mapping[str, Any]:
        """Return what holds for this class where neither the files nor a keyword say otherwise."""
        return {"clean_up_tokenization_spaces": True}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *inputs: Any, **options: Any) -> Self:
        """Load a tokenizer.

        Args:
            pretrained_model_name_or_path: A directory, the path of a vocabulary file, or a hub id such as
                distilbert-base-uncased.
            *inputs: Those of the class.
            **options: cache_dir, revision, token, local_files_only, subfolder and force_download say where to look;
                all others are those of the class. Loading options without a meaning here are accepted.

        Returns:
            The tokenizer.

        Raises:
            TokenizerError: The files are missing, damaged or of another model.
            CheckpointError: There is no such directory or hub id.
        """
        hub_options, _, own_options = split_options(options, "tokenizer")
        files = TokenizerFiles.find(pretrained_model_name_or_path, **hub_options)
        return cls(files, *inputs, **{"name_or_path": str(pretrained_model_name_or_path), **own_options})

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

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The options that make such a tokenizer, in a dictionary of their own."""
        return {**self.settings.extra_fields, **options_of(self.settings)}

    @property
    def do_lower_case(self) -> bool:
        """Whether text is lower-cased."""
        return self.settings.normalizer.lowercase

    @do_lower_case.setter
    def do_lower_case(self, value: bool) -> None:
        settings = self.settings
        settings.normalizer = replace(settings.normalizer, lowercase=bool(value))
        settings.sources["do_lower_case"] = "set"
        settings.vocabulary.normalize(settings.normalizer)
        self._engine_changed(())

    @property
    def chat_template(self) -> Any:
        """The `chat_template` of tokenizer_config.json, which is written back; nothing here reads it."""
        return self.settings.extra_fields.get("chat_template")

    @chat_template.setter
    def chat_template(self, value: Any) -> None:
        self.settings.extra_fields["chat_template"] = value

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


def _by_name(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return options that were given by position."""
    if len(values) > len(names):
        raise TypeError(f"{len(values) + 1} arguments were given by position, at most {len(names) + 1} have one")
    return dict(zip(names, values, strict=False))
