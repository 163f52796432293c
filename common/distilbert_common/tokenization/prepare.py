"""Ids that were made before, brought into the form of a model input: truncated, joined, padded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.arguments import PREPARE_ORDER, CallOptions
from distilbert_common.tokenization.batch_encoding import BatchEncoding
from distilbert_common.tokenization.options import (
    TRUNCATION_STRATEGIES,
    Padding,
    Truncation,
    check_agreement,
    choose,
    read_padding,
    read_truncation,
)
from distilbert_common.tokenization.padding import TokenizerPadding
from distilbert_common.tokenization.settings import TokenizerSettings

_LOGGER = logging.getLogger(__name__)


class TokenizerPreparing(TokenizerPadding):
    """What a tokenizer does with ids of texts that have no special tokens yet.

    Args:
        settings: The settings of the tokenizer.
    """

    def __init__(self, settings: TokenizerSettings) -> None:
        super().__init__(settings)
        self.deprecation_warnings: dict[str, bool] = {}

    @property
    def max_len_single_sentence(self) -> int:
        """How many tokens of one text the model takes beside the special tokens."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=False)

    @property
    def max_len_sentences_pair(self) -> int:
        """How many tokens of a pair of texts the model takes beside the special tokens."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def truncate_sequences(
        self,
        ids: list[int],
        pair_ids: list[int] | None = None,
        num_tokens_to_remove: int = 0,
        truncation_strategy: Any = "longest_first",
        stride: int = 0,
    ) -> tuple[list[int], list[int] | None, list[int]]:
        """Take tokens away from a text, or from a pair of texts.

        Where the text to be cut is too short for that, an error is logged and nothing is taken away.

        Args:
            ids: The ids of the text.
            pair_ids: The ids of the second text.
            num_tokens_to_remove: How many tokens to take away.
            truncation_strategy: "longest_first", "only_first", "only_second" or "do_not_truncate".
            stride: How many tokens that stay are returned again with those taken away.

        Returns:
            What is left of both texts, and the tokens taken away with `stride` more; none of a pair with
            "longest_first".
        """
        strategy = choose("truncation_strategy", truncation_strategy, TRUNCATION_STRATEGIES)
        if num_tokens_to_remove <= 0 or strategy is None or (strategy == "only_second" and pair_ids is None):
            return ids, pair_ids, []
        if strategy == "longest_first" and pair_ids is not None:
            from_first, from_second = _shares(len(ids), len(pair_ids), num_tokens_to_remove)
            return self._cut_off(ids, from_first), self._cut_off(pair_ids, from_second), []
        target = pair_ids if strategy == "only_second" and pair_ids is not None else ids
        if len(target) <= num_tokens_to_remove:
            _LOGGER.error(
                "%d tokens are to be taken away from a text of %d tokens (truncation_strategy=%r): nothing was; use "
                "'longest_first' or raise max_length",
                num_tokens_to_remove, len(target), strategy,
            )  # fmt: skip
            return ids, pair_ids, []
        window = min(len(target), stride + num_tokens_to_remove)
        overflow = target[:window] if self.truncation_side == "left" else target[-window:]
        shorter = self._cut_off(target, num_tokens_to_remove)
        return (ids, shorter, overflow) if target is pair_ids else (shorter, pair_ids, overflow)

    def prepare_for_model(
        self, ids: list[int], pair_ids: list[int] | None = None, *arguments: Any, **options: Any
    ) -> BatchEncoding:
        """Make a model input of ids.

        Args:
            ids: The ids of a text, without special tokens.
            pair_ids: The ids of a second text.
            *arguments: Options by position.
            **options: Those of calling the tokenizer, and `prepend_batch_axis`, which puts an axis of length 1 before
                tensors.

        Returns:
            One model input. With `return_overflowing_tokens` it has `overflowing_tokens`, those cut off, and
            `num_truncated_tokens`, their number.

        Raises:
            TokenizerError: An option makes no sense.
        """
        prepend_batch_axis = options.pop("prepend_batch_axis", False)
        return self._prepare(ids, pair_ids, CallOptions.read(PREPARE_ORDER, arguments, options), prepend_batch_axis)

    def _prepare(
        self, ids: Sequence[int], pair_ids: Sequence[int] | None, asked: CallOptions, prepend_batch_axis: bool
    ) -> BatchEncoding:
        _check_columns(asked, pair_ids is not None)
        data, first, second = self._cut_to_length(list(ids), None if pair_ids is None else list(pair_ids), asked)
        data.update(self._columns_of_ids(first, second, asked))
        padded = self.pad(
            data, asked.padding, asked.max_length, asked.pad_to_multiple_of, asked.padding_side,
            asked.return_attention_mask,
        )  # fmt: skip
        if asked.return_length:
            padded["length"] = len(padded["input_ids"])
        return padded.convert_to_tensors(asked.return_tensors, prepend_batch_axis)

    def _cut_to_length(
        self, ids: list[int], pair_ids: list[int] | None, asked: CallOptions
    ) -> tuple[dict[str, Any], list[int], list[int] | None]:
        """Truncate; return the columns about what was cut off, if asked for, and what is left of both texts."""
        truncation, _ = self._lengths_asked_for(asked)
        specials = self.num_special_tokens_to_add(pair_ids is not None) if asked.add_special_tokens else 0
        excess = len(ids) + len(pair_ids or ()) + specials - truncation.max_length
        first, second, overflow = self.truncate_sequences(
            ids, pair_ids, excess, truncation.strategy or False, truncation.stride
        )
        cut_off = {"overflowing_tokens": overflow, "num_truncated_tokens": excess}
        return cut_off if asked.return_overflowing_tokens else {}, first, second

    def _columns_of_ids(self, first: list[int], second: list[int] | None, asked: CallOptions) -> dict[str, list[int]]:
        """Return the columns of a text or a pair, without padding."""
        plain = [*first, *(second or ())]
        columns = {"input_ids": plain, "token_type_ids": [0] * len(plain), "special_tokens_mask": [0] * len(plain)}
        if asked.add_special_tokens:
            columns = {
                "input_ids": self.build_inputs_with_special_tokens(first, second),
                "token_type_ids": self.create_token_type_ids_from_sequences(first, second),
                "special_tokens_mask": self.get_special_tokens_mask(first, second),
            }
        wanted = {
            "input_ids": True,
            "token_type_ids": self._wants("token_type_ids", asked.return_token_type_ids),
            "special_tokens_mask": asked.return_special_tokens_mask,
        }
        return {name: column for name, column in columns.items() if wanted[name]}

    def _cut_off(self, ids: list[int], count: int) -> list[int]:
        return ids[count:] if self.truncation_side == "left" else ids[: max(len(ids) - count, 0)]

    def _wants(self, column: str, asked: bool | None) -> bool:
        """Whether a call returns a column: if asked for, or else if it is a usual input of the model."""
        return column in self.model_input_names if asked is None else asked

    def _lengths_asked_for(self, asked: CallOptions) -> tuple[Truncation, Padding]:
        """Read the options about truncation and padding.

        Raises:
            TokenizerError: A value is none of those allowed, or the two do not agree.
        """
        truncation = asked.truncation
        if truncation is None and not asked.padding and asked.max_length is not None:
            truncation = True  # transformers truncates, given `max_length` and nothing else
            if asked.verbose:
                self._warn_once(
                    "Truncation-not-explicitly-activated",
                    "max_length was given without truncation or padding: texts are truncated; pass truncation=True to "
                    "say so, or truncation=False to keep them whole",
                )
        longest, side = self.model_max_length, asked.padding_side or self.padding_side
        how_to_cut = read_truncation(truncation, asked.max_length, asked.stride, self.truncation_side, longest)
        how_to_pad = read_padding(asked.padding, asked.max_length, asked.pad_to_multiple_of, side, longest)
        check_agreement(how_to_pad, how_to_cut)
        return how_to_cut, how_to_pad

    def _warn_once(self, topic: str, message: str) -> None:
        if not self.deprecation_warnings.get(topic):
            self.deprecation_warnings[topic] = True
            _LOGGER.warning(message)


def _check_columns(asked: CallOptions, pair: bool) -> None:
    if asked.return_token_type_ids and not asked.add_special_tokens:
        raise TokenizerError(
            "return_token_type_ids=True needs add_special_tokens=True: without special tokens nothing says where the "
            "second text begins; leave one of the two out"
        )
    strategy = choose("truncation", asked.truncation, TRUNCATION_STRATEGIES)
    if asked.return_overflowing_tokens and pair and strategy == "longest_first":
        raise TokenizerError(
            "return_overflowing_tokens=True of a pair needs truncation='only_first' or 'only_second', so that the "
            "tokens are all of one text"
        )


def _shares(first: int, second: int, count: int) -> tuple[int, int]:
    """Return how many tokens each of a pair loses: the longer until both are equal, then both in turn."""
    from_longer = min(abs(first - second), count)
    from_both = count - from_longer
    if first > second:
        return from_longer + from_both // 2, from_both - from_both // 2
    return from_both // 2, from_longer + from_both - from_both // 2
