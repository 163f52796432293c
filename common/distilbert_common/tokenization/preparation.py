"""Ids that were made before, brought into the form of a model input: special tokens, truncation, padding.

Calling a tokenizer goes another way (`TokenizerBase`), for it keeps offsets and words; this is the way of
`prepare_for_model`, `pad` and the other methods of transformers that take ids.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.arguments import PREPARE_ORDER, SIDES, CallOptions, choose, count_of
from distilbert_common.tokenization.batch import (
    Encoded,
    Padding,
    as_columns,
    check_agreement,
    like_input,
    pad_columns,
    read_padding,
)
from distilbert_common.tokenization.encoding import BatchEncoding
from distilbert_common.tokenization.settings import ROLES, Setting, TokenizerSettings
from distilbert_common.tokenization.truncation import TRUNCATION_STRATEGIES, Truncation, truncate_ids

__all__ = ["PreparationMixin"]

_LOGGER = logging.getLogger(__name__)


class PreparationMixin:
    """What a tokenizer does with ids that are no model input yet."""

    settings: TokenizerSettings
    deprecation_warnings: dict[str, bool]

    model_max_length = Setting[int]()
    padding_side = Setting[str]()
    truncation_side = Setting[str]()
    model_input_names = Setting[list[str]]()

    @property
    def max_len_single_sentence(self) -> int:
        """How many tokens of one text the model takes beside the special tokens."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=False)

    @property
    def max_len_sentences_pair(self) -> int:
        """How many tokens of a pair of texts the model takes beside the special tokens."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many special tokens are put around a text, or a pair of texts."""
        return (3 if pair else 2) if self.settings.adds_special_tokens else 0

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return `[CLS] first [SEP]`, and for a pair `[CLS] first [SEP] second [SEP]`."""
        cls, sep, _ = self._cls_sep_pad(padding=False)
        second = [] if token_ids_1 is None else [*token_ids_1, sep]
        return [cls, *token_ids_0, sep, *second]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return 0 for each token of `[CLS] first [SEP]` and 1 for each of `second [SEP]`."""
        second = [] if token_ids_1 is None else [1] * (len(token_ids_1) + 1)
        return [0] * (len(token_ids_0) + 2) + second

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Return 1 for each special token and 0 for all others.

        Args:
            token_ids_0: The ids of a text.
            token_ids_1: The ids of the second text.
            already_has_special_tokens: Whether the ids hold the special tokens already, or will get them.
        """
        if already_has_special_tokens:
            special = set(self.settings.all_special_ids)
            return [int(index in special) for index in [*token_ids_0, *(token_ids_1 or ())]]
        second = [] if token_ids_1 is None else [0] * len(token_ids_1) + [1]
        return [1] + [0] * len(token_ids_0) + [1] + second

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
        return truncate_ids(ids, pair_ids, num_tokens_to_remove, strategy, stride, self.truncation_side)

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

    def pad(
        self,
        encoded_inputs: Encoded,
        padding: bool | str | None = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: Any = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad what was tokenized before, for instance to form a batch.

        Args:
            encoded_inputs: What calling the tokenizer returned, or a list of such; `input_ids` and what belongs to
                them is padded, all else stays as it is.
            padding: True or "longest", "max_length", or False.
            max_length: The length for "max_length"; `model_max_length` by default.
            pad_to_multiple_of: Raise the length to a multiple of this.
            padding_side: "right" or "left"; the tokenizer's by default.
            return_attention_mask: False adds no `attention_mask`.
            return_tensors: "np", "pt", "tf" or "jax"; the kind that came in, by default.
            verbose: Without effect; transformers has it.

        Returns:
            The padded batch.

        Raises:
            TokenizerError: The inputs have another form, or an option makes no sense.
        """
        columns, ids_name, tensor_type = as_columns(encoded_inputs, self.model_input_names[0])
        side = padding_side or self.padding_side
        how_to_pad = read_padding(padding, max_length, pad_to_multiple_of, side, self.model_max_length)
        mask = "attention_mask" in self.model_input_names if return_attention_mask is None else return_attention_mask
        data = pad_columns(columns, how_to_pad, (ids_name, self._cls_sep_pad(specials=False)[2]), mask)
        if return_tensors is not None:
            return BatchEncoding(data, tensor_type=return_tensors)
        return BatchEncoding({name: like_input(name, value, tensor_type) for name, value in data.items()})

    def _prepare(
        self, ids: Sequence[int], pair_ids: Sequence[int] | None, options: CallOptions, prepend_batch_axis: bool
    ) -> BatchEncoding:
        """Truncate ids, put special tokens around them, and pad."""
        _check_columns(options, pair_ids is not None)
        data, first, second = self._truncate(list(ids), None if pair_ids is None else list(pair_ids), options)
        data.update(self._columns_of_ids(first, second, options))
        padded = self.pad(
            data, options.padding, options.max_length, options.pad_to_multiple_of, options.padding_side,
            options.return_attention_mask,
        )  # fmt: skip
        if options.return_length:
            padded["length"] = len(padded["input_ids"])
        return padded.convert_to_tensors(options.return_tensors, prepend_batch_axis)

    def _truncate(
        self, ids: list[int], pair_ids: list[int] | None, options: CallOptions
    ) -> tuple[dict[str, Any], list[int], list[int] | None]:
        """Return the columns about what was cut off, if asked for, and what is left of both texts."""
        truncation, _ = self._truncation_and_padding(options)
        specials = self.num_special_tokens_to_add(pair_ids is not None) if options.add_special_tokens else 0
        excess = len(ids) + len(pair_ids or ()) + specials - truncation.max_length
        first, second, overflow = self.truncate_sequences(
            ids, pair_ids, excess, truncation.strategy or False, truncation.stride
        )
        cut_off = {"overflowing_tokens": overflow, "num_truncated_tokens": excess}
        return cut_off if options.return_overflowing_tokens else {}, first, second

    def _columns_of_ids(self, first: list[int], second: list[int] | None, options: CallOptions) -> dict[str, list[int]]:
        """Return the columns of a text or a pair, without padding."""
        plain = [*first, *(second or ())]
        columns = {"input_ids": plain, "token_type_ids": [0] * len(plain), "special_tokens_mask": [0] * len(plain)}
        if options.add_special_tokens:
            columns = {
                "input_ids": self.build_inputs_with_special_tokens(first, second),
                "token_type_ids": self.create_token_type_ids_from_sequences(first, second),
                "special_tokens_mask": self.get_special_tokens_mask(first, second),
            }
        returned = {
            "input_ids": True,
            "token_type_ids": self._returns("token_type_ids", options.return_token_type_ids),
            "special_tokens_mask": options.return_special_tokens_mask,
        }
        return {name: column for name, column in columns.items() if returned[name]}

    def _returns(self, column: str, requested: bool | None) -> bool:
        """Whether a call returns a column: if asked for, or else if it is a usual input of the model."""
        return column in self.model_input_names if requested is None else requested

    def _truncation_and_padding(self, options: CallOptions) -> tuple[Truncation, Padding]:
        """Read the options about truncation and padding.

        Raises:
            TokenizerError: A value is none of those allowed, or the two do not agree.
        """
        truncation = options.truncation
        if truncation is None and not options.padding and options.max_length is not None:
            truncation = True  # as transformers does where `max_length` is passed and nothing else
            if options.verbose:
                self._warn_once(
                    "Truncation-not-explicitly-activated",
                    "max_length was given without truncation or padding: texts are truncated; pass truncation=True to "
                    "say so, or truncation=False to keep them whole",
                )
        longest, side = self.model_max_length, options.padding_side or self.padding_side
        how_to_cut = Truncation(
            choose("truncation", truncation, TRUNCATION_STRATEGIES),
            count_of("max_length", options.max_length, longest),
            count_of("stride", options.stride, 0, least=0),
            choose("truncation_side", self.truncation_side, SIDES),
        )
        how_to_pad = read_padding(options.padding, options.max_length, options.pad_to_multiple_of, side, longest)
        check_agreement(how_to_pad, how_to_cut)
        return how_to_cut, how_to_pad

    def _cls_sep_pad(self, specials: bool = True, padding: bool = True) -> tuple[int, int, int]:
        """Return the ids of [CLS], [SEP] and [PAD], 0 for one that is neither there nor needed.

        Args:
            specials: Whether [CLS] and [SEP] are needed.
            padding: Whether [PAD] is.

        Raises:
            TokenizerError: One that is needed is not in the vocabulary.
        """
        needed = {"cls_token": specials, "sep_token": specials, "pad_token": padding}
        ids = [getattr(self, f"{role}_id") for role in needed]
        for role, index in zip(needed, ids, strict=True):
            if needed[role] and index is None:
                raise TokenizerError(
                    f"{role} is {getattr(self, role)!r}, which is not in the vocabulary: add it with "
                    f"tokenizer.add_special_tokens({{{role!r}: {ROLES[role]!r}}}), or give that role to a token that is"
                )
        cls, sep, pad = (index or 0 for index in ids)
        return cls, sep, pad

    def _warn_once(self, topic: str, message: str) -> None:
        if not self.deprecation_warnings.get(topic):
            self.deprecation_warnings[topic] = True
            _LOGGER.warning(message)


def _check_columns(options: CallOptions, pair: bool) -> None:
    if options.return_token_type_ids and not options.add_special_tokens:
        raise TokenizerError(
            "return_token_type_ids=True needs add_special_tokens=True: without special tokens nothing says where the "
            "second text begins; leave one of the two out"
        )
    strategy = choose("truncation", options.truncation, TRUNCATION_STRATEGIES)
    if options.return_overflowing_tokens and pair and strategy == "longest_first":
        raise TokenizerError(
            "return_overflowing_tokens=True of a pair needs truncation='only_first' or 'only_second', so that the "
            "tokens are all of one text"
        )
