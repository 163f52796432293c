"""From ids back to tokens and to text, and the views of the vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.settings import Setting, TokenizerSettings
from distilbert_common.tokenization.tensors import as_lists
from distilbert_common.tokenization.vocabulary import AddedToken

__all__ = ["DecodingMixin"]

_CLEAN_UP = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"),
    (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip
"""Spaces that English does not have, and what takes their place; applied in this order, as in transformers."""


def clean_up(text: str) -> str:
    """Take out the spaces that tokens were joined with and that English does not have."""
    for spaced, plain in _CLEAN_UP:
        text = text.replace(spaced, plain)
    return text


class DecodingMixin:
    """Tokens, ids and text of a tokenizer."""

    settings: TokenizerSettings

    clean_up_tokenization_spaces = Setting[bool]()

    @property
    def vocab_size(self) -> int:
        """The number of ids that pieces take up, without added tokens."""
        return self.settings.vocabulary.n_pieces

    def __len__(self) -> int:
        """Return the number of ids, those of added tokens included: what a model's embeddings must have room for."""
        return len(self.settings.vocabulary)

    def __bool__(self) -> bool:
        return True

    def get_vocab(self) -> dict[str, int]:
        """Return every token with its id."""
        return self.settings.vocabulary.ids

    @property
    def vocab(self) -> dict[str, int]:
        """Every token with its id."""
        return self.get_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id."""
        return self.settings.vocabulary.added_by_id

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """Every added token with its id."""
        return self.get_added_vocab()

    @property
    def ids_to_tokens(self) -> dict[int, str]:
        """The pieces by id, without added tokens that are none."""
        return {index: piece for piece, index in self.settings.vocabulary.pieces.items()}

    def get_added_vocab(self) -> dict[str, int]:
        """Return every added token with its id."""
        return {token.content: index for index, token in self.added_tokens_decoder.items()}

    def convert_tokens_to_ids(self, tokens: str | Iterable[str] | None) -> Any:
        """Return the id of a token, or a list for several; an unknown token gives `unk_token_id`, None gives None."""
        if tokens is None:
            return None
        if isinstance(tokens, str):
            return self.settings.token_id(tokens)
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Return the token of an id, or a list for several.

        Args:
            ids: An id, or any iterable, array or tensor of them with one axis.
            skip_special_tokens: Leave special tokens out of the list.

        Raises:
            TokenizerError: An id is not in the vocabulary.
        """
        ids = as_lists(ids)
        if not isinstance(ids, list):
            return self._convert_id_to_token(ids)
        skipped = self._skipped_ids() if skip_special_tokens else set()
        return [
            token for index, token in zip(ids, map(self._convert_id_to_token, ids), strict=True) if index not in skipped
        ]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Join tokens to a text: pieces that continue a word without a space, all others with one.

        The space before a full stop, comma, question or exclamation mark is left out too, as the `tokenizers` library
        does when it joins tokens, unless tokenizer.json says otherwise.
        """
        prefix, clean = self.settings.prefix, clean_up if self.settings.decoder_cleanup else str
        continued = [token.removeprefix(prefix) if token.startswith(prefix) else f" {token}" for token in tokens[1:]]
        return "".join(map(clean, [*tokens[:1], *continued]))

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """Take out the spaces before punctuation and around apostrophes."""
        return clean_up(out_string)

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None,
        spaces_between_special_tokens: bool = True, use_source_tokenizer: bool = False,
    ) -> str:  # fmt: skip
        """Turn ids back into a text.

        Args:
            token_ids: An id, or any iterable, array or tensor of them with one axis.
            skip_special_tokens: Leave special tokens out.
            clean_up_tokenization_spaces: Take out the spaces before punctuation and around apostrophes; None means
                what the tokenizer was made with.
            spaces_between_special_tokens: False joins added tokens without spaces, in the tokenizer in plain Python.
            use_source_tokenizer: Without effect; transformers has it.

        Raises:
            TokenizerError: An id is not in the vocabulary.
        """
        cleans = clean_up_tokenization_spaces
        if cleans is None:
            cleans = self.settings.clean_up_tokenization_spaces
        ids = as_lists(token_ids)
        ids = ids if isinstance(ids, list) else [ids]
        tokens = self.convert_ids_to_tokens(ids)
        if skip_special_tokens:
            skipped = self._skipped_in_texts()
            tokens = [token for index, token in zip(ids, tokens, strict=True) if index not in skipped]
        text = self._join(tokens, spaces_between_special_tokens)
        return clean_up(text) if cleans else text

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **options: Any,
    ) -> list[str]:
        """Turn rows of ids back into texts; see `decode`.

        Args:
            sequences: Lists of ids, or an array or tensor with two axes.
            skip_special_tokens: Leave special tokens out.
            clean_up_tokenization_spaces: See `decode`.
            **options: The others of `decode`.
        """
        return [
            self.decode(row, skip_special_tokens, clean_up_tokenization_spaces, **options)
            for row in as_lists(sequences)
        ]

    def _join(self, tokens: Sequence[str], spaces_between_special_tokens: bool) -> str:
        """Join the tokens of a text that is decoded."""
        return self.convert_tokens_to_string(tokens)

    def _convert_id_to_token(self, index: Any) -> str:
        """Return the token of an id; transformers' collator for whole-word masking calls it by this name.

        Raises:
            TokenizerError: The id is not in the vocabulary.
        """
        token = self.settings.vocabulary.token(index) if isinstance(index, int) else None
        if token is None:
            raise TokenizerError(
                f"{index!r} is not an id of this vocabulary, 0 to {self.settings.vocabulary.next_id - 1}; rows of ids "
                "need batch_decode, and ignored labels (-100) must be replaced by pad_token_id first"
            )
        return token

    def _skipped_ids(self) -> set[int]:
        return self._special_added_ids().union(self.settings.all_special_ids)

    def _skipped_in_texts(self) -> set[int]:
        """Return the ids that `decode` skips."""
        return self._skipped_ids()

    def _special_added_ids(self) -> set[int]:
        return {index for index, token in self.added_tokens_decoder.items() if token.special}
