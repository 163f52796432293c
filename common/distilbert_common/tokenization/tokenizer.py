"""The interface of both tokenizers, and the way of a text: `TokenizerBase._encode` is that way step by step."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from distilbert_common.tokenization.arguments import (
    CALL_ORDER,
    ENCODE_ORDER,
    CallOptions,
    Forms,
    Text,
    Texts,
    TokenIds,
    Tokens,
    read_batch,
    read_text,
    read_texts,
)
from distilbert_common.tokenization.batch import Batch
from distilbert_common.tokenization.decoding import DecodingMixin
from distilbert_common.tokenization.encoding import BatchEncoding, TextPieces
from distilbert_common.tokenization.files.loading import read_settings
from distilbert_common.tokenization.files.paths import TokenizerFiles
from distilbert_common.tokenization.files.tokenizer_config import OPTIONS, unknown_options
from distilbert_common.tokenization.files.tokenizer_json import TokenizerJson, from_memory
from distilbert_common.tokenization.preparation import PreparationMixin
from distilbert_common.tokenization.settings import Setting
from distilbert_common.tokenization.special_tokens import SpecialTokensMixin
from distilbert_common.tokenization.storage import StorageMixin
from distilbert_common.tokenization.tensors import import_framework
from distilbert_common.tokenization.truncation import plan_rows

__all__ = ["COMMON_POSITIONAL", "TokenizerBase"]

COMMON_POSITIONAL = (
    "unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "tokenize_chinese_chars", "strip_accents",
    "clean_up_tokenization_spaces",
)  # fmt: skip
"""The last options that have a position in both classes."""

_VOCABULARIES = ("tokenizer_file", "tokenizer_object", "vocab")
"""Keywords that name the vocabulary."""


class TokenizerBase(SpecialTokensMixin, DecodingMixin, PreparationMixin, StorageMixin):
    """The interface of both tokenizers, which differ only in the part that cuts texts into pieces.

    It is that of transformers' fast tokenizer for DistilBERT. Differences: no token_type_ids unless asked
    for; `model_max_length` comes from the model's config.json where the tokenizer's files do not say; an empty second
    text counts as one.

    Args:
        vocab_file: A vocab.txt or tokenizer.json, or the files that `TokenizerFiles.find` returns.
        *inputs: More options in the order of transformers' class of this name; see `positional`.
        tokenizer_file: A tokenizer.json; it comes first.
        **options: tokenizer_object (a `tokenizers.Tokenizer`) or vocab (ids by piece) in place of a file;
            do_lower_case, strip_accents, tokenize_chinese_chars, clean_text, do_basic_tokenize, never_split, unk_token,
            sep_token, pad_token, cls_token, mask_token, bos_token, eos_token, additional_special_tokens,
            extra_special_tokens, model_max_length, padding_side, truncation_side, clean_up_tokenization_spaces,
            split_special_tokens, model_input_names. What is left out comes from the files; where these do not say
            whether text is lower-cased, it is if no piece of the vocabulary holds a capital. `repr` says what was
            chosen and why.

    Raises:
        TokenizerError: A file is missing, damaged or of another model, or an option makes no sense.
        TypeError: There is no such option.
    """

    is_fast: ClassVar[bool] = False
    takes_tokens: ClassVar[bool] = False
    """Whether a list of strings that stands for one text holds its tokens; else two strings are a pair."""
    positional: ClassVar[tuple[str, ...]] = ()
    """The options that have a position, after the vocabulary."""
    pretrained_vocab_files_map: ClassVar[dict[str, dict[str, str]]] = {}
    init_inputs: ClassVar[tuple[Any, ...]] = ()

    split_special_tokens = Setting[bool]()
    name_or_path = Setting[str]()

    def __init__(
        self,
        vocab_file: str | Path | TokenizerFiles | None = None,
        *inputs: Any,
        tokenizer_file: str | Path | None = None,
        **options: Any,
    ) -> None:
        options = {"tokenizer_file": tokenizer_file, **_by_name(self.positional, inputs), **options}
        file, library_tokenizer, vocab = (options.pop(name, None) for name in _VOCABULARIES)
        self.verbose = bool(options.pop("verbose", False))
        """Without effect; transformers has it."""
        if unknown := unknown_options(options):
            raise TypeError(f"{type(self).__name__} has no option {', '.join(unknown)}; it has {', '.join(OPTIONS)}")
        files = TokenizerFiles.of(file if file is not None else vocab_file)
        vocabulary = from_memory(library_tokenizer, vocab)
        self.settings = read_settings(files, options, self._defaults(files, vocabulary), vocabulary)
        self.deprecation_warnings: dict[str, bool] = {}
        self._refresh(())

    def _defaults(self, files: TokenizerFiles, vocabulary: TokenizerJson | None) -> Mapping[str, Any]:
        """Return what holds for this class where neither the files nor a keyword say otherwise."""
        return {"clean_up_tokenization_spaces": True}

    def _cut_texts(
        self, texts: Sequence[Any], is_split_into_words: bool, split_special_tokens: bool
    ) -> Sequence[TextPieces]:
        """Cut texts into pieces: `WordPiece` in the tokenizer in plain Python, the Rust library in the fast one.

        Args:
            texts: The texts, each a string, or a list of words.
            is_split_into_words: Whether they are lists of words.
            split_special_tokens: Whether special tokens are cut like any other text.

        Raises:
            TokenizerError: A text holds lone surrogates.
        """
        raise NotImplementedError

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
        self._refresh(())

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        add_special_tokens: bool = True,
        padding: bool | str | None = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: Any = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        split_special_tokens: bool | None = None,
        **old_names: Any,
    ) -> BatchEncoding:
        """Tokenize texts, or pairs of texts, into model inputs; as in transformers.

        Args:
            text: A text or a list of texts and of (text, text) pairs; with `is_split_into_words` a list of words or a
                list of such lists.
            text_pair: Second texts in the same form.
            text_target: Texts whose ids become the column `labels`; without `text` they are tokenized like `text`.
            text_pair_target: Second texts of these.
            add_special_tokens: Put [CLS] before and [SEP] after each text.
            padding: True or "longest", "max_length", or False.
            truncation: True or "longest_first", "only_first", "only_second", or False. Given `max_length` without
                padding, the default is True.
            max_length: The length to cut or pad to, special tokens included; `model_max_length` by default.
            stride: Tokens that a row shares with the one before it, with `return_overflowing_tokens`.
            is_split_into_words: Whether each text is a list of words; word ids then count those.
            pad_to_multiple_of: Raise the padded length to a multiple of this.
            padding_side: "right" or "left"; the tokenizer's by default.
            return_tensors: "np", "pt", "tf" or "jax"; lists by default.
            return_token_type_ids: Return `token_type_ids`, which DistilBERT does not use; `model_input_names` has the
                default.
            return_attention_mask: False leaves out `attention_mask`; `model_input_names` has the default.
            return_overflowing_tokens: Return what truncation cuts off as further rows, and
                `overflow_to_sample_mapping`, the number of each row's text.
            return_special_tokens_mask: Return `special_tokens_mask`, 1 for special tokens and padding.
            return_offsets_mapping: Return `offset_mapping`, start and end of each token in its text.
            return_length: Return `length`, that of each row.
            verbose: Log a warning, once, about texts longer than `model_max_length` and options left open.
            split_special_tokens: Cut special tokens in the text like any other text; the tokenizer's by default.
            **old_names: pad_to_max_length and truncation_strategy, for padding and truncation.

        Returns:
            `input_ids`, `attention_mask` and what else was asked for: lists of ints for one text, lists of those for
            several; or tensors, (batch, seq), also for one text.

        Raises:
            TokenizerError: The texts have another form, or an option makes no sense.
            MissingFrameworkError: The framework of `return_tensors` is not installed.
        """
        arguments = (
            add_special_tokens, padding, truncation, max_length, stride, is_split_into_words, pad_to_multiple_of,
            padding_side, return_tensors, return_token_type_ids, return_attention_mask, return_overflowing_tokens,
            return_special_tokens_mask, return_offsets_mapping, return_length, verbose,
        )  # fmt: skip
        options = CallOptions.read(CALL_ORDER, arguments, {"split_special_tokens": split_special_tokens, **old_names})
        forms = self._forms(options)
        if text_target is None:
            return self._encode(read_texts(text, text_pair, forms), options)
        targets = self._encode(read_texts(text_target, text_pair_target, forms), options)
        if text is None:
            return targets
        encoded = self._encode(read_texts(text, text_pair, forms), options)
        encoded["labels"] = targets["input_ids"]
        return encoded

    def encode(self, text: Any, text_pair: Any = None, *arguments: Any, **options: Any) -> Any:
        """Tokenize a text, or a pair, and return its ids alone.

        Args:
            text: The text: a string, ids, or what `encode_plus` takes.
            text_pair: The second text.
            *arguments: Options by position, in the order of `ENCODE_ORDER`.
            **options: Those of calling the tokenizer.

        Returns:
            A list of ids, or a tensor, (1, seq).
        """
        parsed = CallOptions.read(ENCODE_ORDER, arguments, options)
        return self._encode(read_text(text, text_pair, self._forms(parsed)), parsed)["input_ids"]

    def encode_plus(self, text: Any, text_pair: Any = None, *arguments: Any, **options: Any) -> BatchEncoding:
        """Tokenize a text, or a pair.

        Args:
            text: The text: a string, a list of ids, a list of words with `is_split_into_words`; `DistilBertTokenizer`
                takes a list of tokens too, `DistilBertTokenizerFast` a list of two strings as a pair. What comes of
                tokens and ids is what `prepare_for_model` returns.
            text_pair: The second text.
            *arguments: Options by position, in the order of `CALL_ORDER`.
            **options: Those of calling the tokenizer.
        """
        parsed = CallOptions.read(CALL_ORDER, arguments, options)
        return self._encode(read_text(text, text_pair, self._forms(parsed)), parsed)

    def batch_encode_plus(self, batch_text_or_text_pairs: Any, *arguments: Any, **options: Any) -> BatchEncoding:
        """Tokenize a list of texts and of (text, text) pairs.

        Args:
            batch_text_or_text_pairs: The list; each text in one of the forms that `encode_plus` takes.
            *arguments: Options by position, in the order of `CALL_ORDER`.
            **options: Those of calling the tokenizer.
        """
        parsed = CallOptions.read(CALL_ORDER, arguments, options)
        return self._encode(read_batch(batch_text_or_text_pairs, self._forms(parsed)), parsed)

    def tokenize(self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any) -> list[str]:
        """Tokenize a text, or a pair, and return the tokens as strings."""
        tokens: list[str] = self.convert_ids_to_tokens(self.encode(text, pair, add_special_tokens, **options))
        return tokens

    @contextmanager
    def as_target_tokenizer(self) -> Iterator[None]:
        """Do nothing: targets are tokenized as texts are. Deprecated; pass `text_target` to the call."""
        warnings.warn("as_target_tokenizer is deprecated; pass text_target to the call", FutureWarning, stacklevel=3)
        yield

    def _forms(self, options: CallOptions) -> Forms:
        return Forms(words=options.is_split_into_words, tokens=self.takes_tokens)

    def _encode(self, texts: Texts, options: CallOptions) -> BatchEncoding:
        """Take texts all the way; a sample of tokens or ids alone goes the way of `prepare_for_model`."""
        sample = [*texts.first, *(texts.second or ())]
        if not texts.batched and all(isinstance(text, (Tokens, TokenIds)) for text in sample):
            ids = [piece.ids for piece in self._pieces(sample, split_special_tokens=False)]
            return self._prepare(ids[0], ids[1] if len(ids) == 2 else None, options, prepend_batch_axis=True)
        if options.return_tensors is not None:
            import_framework(options.return_tensors)  # missing? say so before the work is done
        truncation, padding = self._truncation_and_padding(options)
        split = self.split_special_tokens if options.split_special_tokens is None else options.split_special_tokens
        # Normalize, split, WordPiece.
        first = self._pieces(texts.first, split)
        second = None if texts.second is None else self._pieces(texts.second, split)
        # Truncate: special tokens take room in a row.
        specials = (0, 0)
        if options.add_special_tokens:
            specials = self.num_special_tokens_to_add(False), self.num_special_tokens_to_add(True)
        lengths = _lengths(first), None if second is None else _lengths(second)
        rows = plan_rows(*lengths, truncation, specials, options.return_overflowing_tokens)
        # Special tokens and padding, which the columns of the batch hold.
        cls_sep_pad = self._cls_sep_pad(any(specials), padding.strategy is not None)
        batch = Batch(first, second, rows, cls_sep_pad, specials, padding)
        if options.verbose and options.max_length is None:
            self._warn_of_length(max(batch.lengths, default=0))
        return BatchEncoding(
            self._columns(batch, texts.batched, options),
            partial(batch.encodings, self._convert_id_to_token),
            options.return_tensors,
            n_sequences=batch.n_sequences,
            is_fast=self.is_fast,
        )

    def _pieces(self, texts: Sequence[Text | None], split_special_tokens: bool) -> list[Any]:
        """Cut the texts that are not tokens or ids yet; None stays None."""
        pieces: list[Any] = [
            TokenIds(self.convert_tokens_to_ids(text.tokens)) if isinstance(text, Tokens) else text for text in texts
        ]
        for words, kinds in ((False, str), (True, (list, tuple))):
            numbers = [number for number, text in enumerate(texts) if isinstance(text, kinds)]
            cut = self._cut_texts([texts[number] for number in numbers], words, split_special_tokens) if numbers else ()
            for number, piece in zip(numbers, cut, strict=True):
                pieces[number] = piece
        return pieces

    def _columns(self, batch: Batch, batched: bool, options: CallOptions) -> dict[str, Any]:
        """Return the columns that a call returns: as lists, those of a single text without a batch axis, or arrays."""
        returned = {
            "input_ids": True,
            "token_type_ids": self._returns("token_type_ids", options.return_token_type_ids),
            "attention_mask": self._returns("attention_mask", options.return_attention_mask),
            "special_tokens_mask": options.return_special_tokens_mask,
            "offset_mapping": options.return_offsets_mapping,
        }
        column = batch.lists if options.return_tensors is None else batch.array
        columns: dict[str, Any] = {name: column(name) for name, is_returned in returned.items() if is_returned}
        if not batched and options.return_tensors is None and not options.return_overflowing_tokens:
            columns = {name: rows[0] for name, rows in columns.items()}
        if options.return_length:
            columns["length"] = batch.lengths
        if options.return_overflowing_tokens:
            columns["overflow_to_sample_mapping"] = [row.sample for row in batch.rows]
        return columns

    def _warn_of_length(self, longest: int) -> None:
        if longest > self.model_max_length:
            self._warn_once(
                "sequence-length-is-longer-than-the-specified-maximum",
                f"a row is {longest} tokens long, more than the {self.model_max_length} that the model takes "
                "(model_max_length); pass truncation=True, or the model will refuse it",
            )

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
    """Return the names of options that were passed by position, with their values."""
    if len(values) > len(names):
        raise TypeError(f"{len(values) + 1} arguments were given by position, at most {len(names) + 1} have one")
    return dict(zip(names, values, strict=False))


def _lengths(pieces: Sequence[Any]) -> list[Any]:
    return [None if piece is None else len(piece) for piece in pieces]
