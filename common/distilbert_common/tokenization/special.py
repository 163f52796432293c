"""The vocabulary side of a tokenizer: special tokens and their roles, sizes, adding tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.attributes import Setting, SpecialToken, SpecialTokenId
from distilbert_common.tokenization.settings import ROLES, TokenizerSettings
from distilbert_common.tokenization.vocab import AddedToken


class TokenizerVocabulary:
    """Tokens, their ids and their roles.

    Args:
        settings: The settings of the tokenizer.
    """

    unk_token = SpecialToken()
    sep_token = SpecialToken()
    pad_token = SpecialToken()
    cls_token = SpecialToken()
    mask_token = SpecialToken()
    unk_token_id = SpecialTokenId()
    sep_token_id = SpecialTokenId()
    pad_token_id = SpecialTokenId()
    cls_token_id = SpecialTokenId()
    mask_token_id = SpecialTokenId()
    model_max_length = Setting[int]()
    padding_side = Setting[str]()
    truncation_side = Setting[str]()
    clean_up_tokenization_spaces = Setting[bool]()
    split_special_tokens = Setting[bool]()
    model_input_names = Setting[list[str]]()

    def __init__(self, settings: TokenizerSettings) -> None:
        self.settings = settings

    def _engine_changed(self, new: Sequence[AddedToken]) -> None:
        """Make tokens that were added known to whatever cuts texts; with none, build it anew."""
        raise NotImplementedError

    def set_special_token(self, role: str, token: str) -> None:
        """Give a role, such as "pad_token", to another token.

        Raises:
            TokenizerError: There is no such role, or `unk_token` would not be a piece of the vocabulary.
        """
        _check_role(role)
        if role == "unk_token" and token not in self.settings.vocabulary.pieces:
            raise TokenizerError(f"unk_token must be a piece of the vocabulary, which {token!r} is not")
        self.settings.special_tokens[role] = token
        if role == "unk_token":
            self._engine_changed(())

    @property
    def vocab_size(self) -> int:
        """The number of pieces, without added tokens."""
        return len(self.settings.vocabulary.pieces)

    def __len__(self) -> int:
        """Return the number of pieces and added tokens."""
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

    def get_added_vocab(self) -> dict[str, int]:
        """Return every added token with its id."""
        return {token.content: index for index, token in self.added_tokens_decoder.items()}

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """The special tokens by role, and those without one under "additional_special_tokens"."""
        additional = self.additional_special_tokens
        return {**self.settings.special_tokens, **({"additional_special_tokens": additional} if additional else {})}

    @property
    def additional_special_tokens(self) -> list[str]:
        """The special tokens without a role."""
        return list(self.settings.additional_special_tokens)

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token, once."""
        return list(dict.fromkeys([*self.settings.special_tokens.values(), *self.settings.additional_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        ids: list[int] = self.convert_tokens_to_ids(self.all_special_tokens)
        return ids

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Add tokens, which are from then on found in texts before anything else; resize the model's embeddings after.

        Args:
            new_tokens: A string or `AddedToken`, or a list of them.
            special_tokens: Whether they are special: skipped in decoding, and matched in the text as it is.

        Returns:
            How many were not there yet.
        """
        tokens = new_tokens if isinstance(new_tokens, (list, tuple)) else [new_tokens]
        new = self.settings.vocabulary.add(
            [AddedToken.of(token, special_tokens) for token in tokens], self.settings.normalizer
        )
        if new:
            self._engine_changed(new)
        return len(new)

    def add_special_tokens(
        self, special_tokens_dict: Mapping[str, Any], replace_additional_special_tokens: bool = True
    ) -> int:
        """Give roles to tokens, and add those that the vocabulary lacks.

        Args:
            special_tokens_dict: Token by role ("pad_token", …), and a list under "additional_special_tokens".
            replace_additional_special_tokens: Forget the earlier tokens without a role; they stay in the vocabulary.

        Returns:
            How many were not there yet.
        """
        roles = dict(special_tokens_dict)
        additional = list(roles.pop("additional_special_tokens", ()))
        for role in roles:
            _check_role(role)
        added = self.add_tokens([*roles.values(), *additional], special_tokens=True)
        for role, token in roles.items():
            self.set_special_token(role, AddedToken.of(token).content)
        if "additional_special_tokens" in special_tokens_dict:
            earlier = [] if replace_additional_special_tokens else self.settings.additional_special_tokens
            names = [AddedToken.of(token).content for token in additional]
            self.settings.additional_special_tokens = list(dict.fromkeys([*earlier, *names]))
        return added

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
        return 3 if pair else 2

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return `[CLS] first [SEP]`, and for a pair `[CLS] first [SEP] second [SEP]`."""
        cls, sep, _ = self._cls_sep_pad()
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

    def _cls_sep_pad(self) -> tuple[int, int, int]:
        """Return the ids of [CLS], [SEP] and [PAD].

        Raises:
            TokenizerError: One of them is not in the vocabulary.
        """
        cls, sep, pad = self.cls_token_id, self.sep_token_id, self.pad_token_id
        if cls is None or sep is None or pad is None:
            raise TokenizerError(
                f"cls_token is {self.cls_token!r}, sep_token {self.sep_token!r}, pad_token {self.pad_token!r}; one of "
                "them is not in the vocabulary: add it with add_special_tokens"
            )
        return cls, sep, pad


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise TokenizerError(
            f"there is no special token {role!r}; expected one of {', '.join(ROLES)} or additional_special_tokens"
        )
