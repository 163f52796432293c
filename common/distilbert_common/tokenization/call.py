"""Calling a tokenizer: texts in, a `BatchEncoding` out; the same code for both tokenizers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from distilbert_common.tokenization.batch_encoding import BatchEncoding
from distilbert_common.tokenization.columns import Batch, TextPieces
from distilbert_common.tokenization.inputs import Text, Texts, read_texts
from distilbert_common.tokenization.options import (
    Padding,
    Truncation,
    check_agreement,
    read_padding,
    read_truncation,
)
from distilbert_common.tokenization.padding import TokenizerPadding
from distilbert_common.tokenization.rows import plan_rows
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.tensors import import_framework

_LOGGER = logging.getLogger(__name__)


class TokenizerCall(TokenizerPadding):
    """What a tokenizer does with texts.

    Args:
        settings: The settings of the tokenizer.
    """

    is_fast: ClassVar[bool] = False

    def __init__(self, settings: TokenizerSettings) -> None:
        super().__init__(settings)
        self._warned: set[str] = set()

    def _cut(self, texts: Sequence[Text], is_split_into_words: bool) -> Sequence[TextPieces]:
        """Cut texts into pieces; the one thing in which the two tokenizers differ.

        Args:
            texts: The texts, each a string, or a list of words.
            is_split_into_words: Whether they are lists of words.

        Raises:
            TokenizerError: A text holds lone surrogates.
        """
        raise NotImplementedError

    def __call__(
        self,
        text: Any,
        text_pair: Any = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str | None = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Tokenize texts, or pairs of texts, into model inputs; as in transformers.

        Args:
            text: A text or a list of texts; with `is_split_into_words` a list of words or a list of such lists.
            text_pair: Second texts in the same form.
            add_special_tokens: Put [CLS] before and [SEP] after each text.
            padding: True or "longest", "max_length", or False.
            truncation: True or "longest_first", "only_first", "only_second", or False. Given `max_length` without
                padding, the default is True.
            max_length: The length to cut or pad to, special tokens included; `model_max_length` if not given.
            stride: Tokens that a row shares with the one before it, with `return_overflowing_tokens`.
            is_split_into_words: Whether each text is a list of words; word ids then count those.
            pad_to_multiple_of: Raise the padded length to a multiple of this.
            padding_side: "right" or "left"; the tokenizer's if not given.
            return_tensors: "np", "pt", "tf" or "jax"; lists if not given.
            return_token_type_ids: Return `token_type_ids`, which DistilBERT does not use.
            return_attention_mask: False leaves out `attention_mask`.
            return_overflowing_tokens: Return what truncation cuts off as further rows, and
                `overflow_to_sample_mapping`, the number of each row's text.
            return_special_tokens_mask: Return `special_tokens_mask`, 1 for special tokens and padding.
            return_offsets_mapping: Return `offset_mapping`, start and end of each token in its text.
            return_length: Return `length`, that of each row.
            verbose: Log a warning, once, about texts longer than `model_max_length` and options left open.

        Returns:
            `input_ids`, `attention_mask` and what else was asked for: lists of ints for one text, lists of those for
            several; or tensors, (batch, seq), also for one text.

        Raises:
            TokenizerError: The texts have another form, or an option makes no sense.
            MissingFrameworkError: The framework of `return_tensors` is not installed.
        """
        if return_tensors is not None:
            import_framework(return_tensors)  # missing? say so before the work is done
        texts = read_texts(text, text_pair, is_split_into_words)
        truncation = self._truncation_or_default(truncation, padding, max_length, verbose)
        longest = self.model_max_length
        how_to_cut = read_truncation(truncation, max_length, stride, self.truncation_side, longest)
        how_to_pad = read_padding(padding, max_length, pad_to_multiple_of, padding_side or self.padding_side, longest)
        check_agreement(how_to_pad, how_to_cut)
        batch = self._batch(
            texts, is_split_into_words, add_special_tokens, how_to_cut, how_to_pad, return_overflowing_tokens
        )
        if verbose and max_length is None:
            self._warn_of_length(max(batch.lengths, default=0))
        wanted = {
            "input_ids": True,
            "token_type_ids": return_token_type_ids,
            "attention_mask": return_attention_mask is not False,
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
        }
        column = batch.lists if return_tensors is None else batch.array
        data: dict[str, Any] = {name: column(name) for name, asked in wanted.items() if asked}
        if not texts.batched and return_tensors is None and not return_overflowing_tokens:
            data = {name: rows[0] for name, rows in data.items()}
        if return_length:
            data["length"] = batch.lengths
        if return_overflowing_tokens:
            data["overflow_to_sample_mapping"] = [row.sample for row in batch.rows]
        return BatchEncoding(data, partial(batch.encodings, self._token), return_tensors, n_sequences=batch.n_sequences)

    def encode(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        """Tokenize a text, or a pair, and return its ids alone.

        Args:
            text: The text.
            text_pair: The second text.
            **options: Those of calling the tokenizer.

        Returns:
            A list of ids, or a tensor, (1, seq).
        """
        return self(text, text_pair, **options)["input_ids"]

    def encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """Tokenize a text, or a pair; the same as calling the tokenizer."""
        return self(text, text_pair, **options)

    def batch_encode_plus(self, batch_text_or_text_pairs: Any, **options: Any) -> BatchEncoding:
        """Tokenize a list of texts or of (text, text) tuples; the same as calling the tokenizer."""
        return self(batch_text_or_text_pairs, **options)

    def tokenize(self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any) -> list[str]:
        """Tokenize a text, or a pair, and return the tokens as strings."""
        return self(text, pair, add_special_tokens=add_special_tokens, **options).tokens()

    def _batch(
        self,
        texts: Texts,
        is_split_into_words: bool,
        add_special_tokens: bool,
        truncation: Truncation,
        padding: Padding,
        overflow: bool,
    ) -> Batch:
        """Cut the texts into pieces, and decide which of them stand in which row."""
        first = self._cut(texts.first, is_split_into_words)
        second = None if texts.second is None else self._cut(texts.second, is_split_into_words)
        specials = self.num_special_tokens_to_add(second is not None) if add_special_tokens else 0
        rows = plan_rows(_lengths(first), _lengths(second), truncation, specials, overflow)
        width = padding.width([row.length + specials for row in rows])
        return Batch(first, second, rows, self._cls_sep_pad(), specials, width, padding.side)

    def _truncation_or_default(self, truncation: Any, padding: Any, max_length: int | None, verbose: bool) -> Any:
        """Return the truncation asked for; given `max_length` and nothing else, transformers truncates."""
        if truncation is None and not padding and max_length is not None:
            if verbose:
                self._warn_once(
                    "max_length was given without truncation or padding: texts are truncated; pass truncation=True to "
                    "say so, or truncation=False to keep them whole"
                )
            return True
        return truncation

    def _warn_of_length(self, longest: int) -> None:
        if longest > self.model_max_length:
            self._warn_once(
                f"a row is {longest} tokens long, more than the {self.model_max_length} that the model takes "
                "(model_max_length); pass truncation=True, or the model will refuse it"
            )

    def _warn_once(self, message: str) -> None:
        topic = message.split(";")[-1]
        if topic not in self._warned:
            self._warned.add(topic)
            _LOGGER.warning(message)


def _lengths(pieces: Sequence[TextPieces] | None) -> Any:
    return None if pieces is None else [len(piece) for piece in pieces]
