"""The vocabulary side of a tokenizer: sizes, tokens and ids, and putting special tokens around ids by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.added_token import AddedToken
from distilbert_common.tokenization.roles import TokenizerRoles
from distilbert_common.tokenization.settings import ROLES


class TokenizerVocabulary(TokenizerRoles):
    """Tokens and their ids."""

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

    @property
    def pad_token_type_id(self) -> int:
        """The token type of padding."""
        return 0

    def get_added_vocab(self) -> dict[str, int]:
        """Return every added token with its id."""
        return {token.content: index for index, token in self.added_tokens_decoder.items()}

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        ids: list[int] = self.convert_tokens_to_ids(self.all_special_tokens)
        return ids

    def convert_tokens_to_ids(self, tokens: str | Iterable[str] | None) -> Any:
        """Return the id of a token, or a list for several; an unknown token gives `unk_token_id`, None gives None."""
        if tokens is None:
            return None
        if isinstance(tokens, str):
            index = self.settings.vocabulary.token_id(tokens)
            return self.unk_token_id if index is None else index
        return [self.convert_tokens_to_ids(token) for token in tokens]

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
            special = set(self.all_special_ids)
            return [int(index in special) for index in [*token_ids_0, *(token_ids_1 or ())]]
        second = [] if token_ids_1 is None else [0] * len(token_ids_1) + [1]
        return [1] + [0] * len(token_ids_0) + [1] + second

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
