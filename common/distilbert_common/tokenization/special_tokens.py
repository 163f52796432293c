"""Special tokens as attributes of a tokenizer: `tokenizer.pad_token`, `pad_token_id`; setting them, adding tokens.

[CLS] and [SEP] are put around a text in `batch.py` (calling a tokenizer) and in `preparation.py` (ids by hand).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.settings import (
    ROLES,
    SpecialToken,
    SpecialTokenId,
    SpecialTokenNames,
    TokenizerSettings,
)
from distilbert_common.tokenization.vocabulary import AddedToken

__all__ = ["SpecialTokensMixin"]

_LISTS = ("additional_special_tokens", "extra_special_tokens")
"""What the special tokens without a role are called, in transformers 4 and 5."""


class SpecialTokensMixin:
    """The special tokens of a tokenizer.

    A token with a name of its own, such as "image_token" in the `extra_special_tokens` of a file, is an attribute too,
    and so is its id.
    """

    settings: TokenizerSettings

    SPECIAL_TOKENS_ATTRIBUTES = SpecialTokenNames()
    bos_token = SpecialToken()
    eos_token = SpecialToken()
    unk_token = SpecialToken()
    sep_token = SpecialToken()
    pad_token = SpecialToken()
    cls_token = SpecialToken()
    mask_token = SpecialToken()
    bos_token_id = SpecialTokenId()
    eos_token_id = SpecialTokenId()
    unk_token_id = SpecialTokenId()
    sep_token_id = SpecialTokenId()
    pad_token_id = SpecialTokenId()
    cls_token_id = SpecialTokenId()
    mask_token_id = SpecialTokenId()

    @property
    def pad_token_type_id(self) -> int:
        """The token type of padding."""
        return 0

    def __setattr__(self, name: str, value: Any) -> None:
        # As for any object, also in a class that derives from this one and from transformers' base.
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        special_tokens = self.__dict__["settings"].special_tokens if "settings" in self.__dict__ else {}
        if name in special_tokens:
            return special_tokens[name]
        if name.endswith("_id") and (role := name.removesuffix("_id")) in special_tokens:
            return self.settings.vocabulary.token_id(special_tokens[role])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _refresh(self, new: Sequence[AddedToken]) -> None:
        """Make new tokens known to the part that cuts texts into pieces; without any, build that part anew."""
        raise NotImplementedError

    def set_special_token(self, role: str, token: str | None) -> None:
        """Give a role, such as "pad_token", to another token, or to none.

        Raises:
            TokenizerError: There is no such role, or `unk_token` would not be a piece of the vocabulary.
        """
        self._check_role(role)
        if role == "unk_token" and token is not None and token not in self.settings.vocabulary.pieces:
            raise TokenizerError(
                f"unk_token must be a piece of the vocabulary, as it stands for words that no piece is in; {token!r} "
                "is not one"
            )
        if token is None:
            self.settings.special_tokens.pop(role, None)
        else:
            self.settings.special_tokens = _in_order({**self.settings.special_tokens, role: token})
        if role == "unk_token":
            self.settings.unk_piece = token or self.settings.unk_piece
        if role in ("unk_token", "cls_token", "sep_token"):
            self._refresh(())

    def token_of(self, index: int) -> str:
        """Return the token of an id.

        Raises:
            TokenizerError: The vocabulary has no such id.
        """
        token = self.settings.vocabulary.token(index) if isinstance(index, int) else None
        if token is None:
            raise TokenizerError(f"{index!r} is not an id of this vocabulary, 0 to {len(self.settings.vocabulary) - 1}")
        return token

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """The special tokens by role, and those without one under "additional_special_tokens"."""
        additional = self.additional_special_tokens
        return {**self.settings.special_tokens, **({_LISTS[0]: additional} if additional else {})}

    @property
    def special_tokens_map_extended(self) -> dict[str, AddedToken | list[AddedToken]]:
        """`special_tokens_map` with the flags of each token."""
        additional = [self._with_flags(token) for token in self.settings.additional_special_tokens]
        by_role = {role: self._with_flags(token) for role, token in self.settings.special_tokens.items()}
        return {**by_role, **({_LISTS[0]: additional} if additional else {})}

    @property
    def additional_special_tokens(self) -> list[str]:
        """The special tokens without a role."""
        return list(self.settings.additional_special_tokens)

    @additional_special_tokens.setter
    def additional_special_tokens(self, tokens: Iterable[Any] | None) -> None:
        self.settings.additional_special_tokens = [AddedToken.of(token).content for token in _as_tokens(tokens)]

    @property
    def additional_special_tokens_ids(self) -> list[int | None]:
        """The ids of `additional_special_tokens`; None for one that is not in the vocabulary."""
        return [self.settings.vocabulary.token_id(token) for token in self.settings.additional_special_tokens]

    @additional_special_tokens_ids.setter
    def additional_special_tokens_ids(self, ids: Iterable[int]) -> None:
        self.settings.additional_special_tokens = [self.token_of(index) for index in ids]

    @property
    def extra_special_tokens(self) -> Any:
        """The special tokens that are DistilBERT's in no role: by name where they have one, as in 4.57, else listed."""
        named = {name: token for name, token in self.settings.special_tokens.items() if name not in ROLES}
        return named or self.additional_special_tokens

    @extra_special_tokens.setter
    def extra_special_tokens(self, tokens: Any) -> None:
        if not isinstance(tokens, Mapping):
            self.additional_special_tokens = tokens
            return
        roles = {role: token for role, token in self.settings.special_tokens.items() if role in ROLES}
        named = {name: AddedToken.of(token).content for name, token in tokens.items()}
        self.settings.special_tokens = {**roles, **named}

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token, once."""
        return self.settings.all_special_tokens

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return [self.settings.token_id(token) for token in self.all_special_tokens]

    @property
    def all_special_tokens_extended(self) -> list[AddedToken]:
        """`all_special_tokens` with their flags."""
        return [self._with_flags(token) for token in self.all_special_tokens]

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Add tokens, which texts are then searched for before anything else; resize the model's embeddings after.

        Of tokens that are the same once normalized, such as "New" and "new", the one of the smallest id matches.

        Args:
            new_tokens: A string or `AddedToken`, or a list of them.
            special_tokens: Whether they are special: skipped in decoding, and matched in the text as it is.

        Returns:
            How many were not among the added tokens yet, or were with other flags.
        """
        new = self.settings.vocabulary.add(
            [AddedToken.of(token, special_tokens) for token in _as_tokens(new_tokens)], self.settings.normalizer
        )
        if new:
            self._refresh(new)
        return len(new)

    def add_special_tokens(
        self, special_tokens_dict: Mapping[str, Any], replace_additional_special_tokens: bool = True
    ) -> int:
        """Give roles to tokens, and add those that the vocabulary lacks.

        Args:
            special_tokens_dict: Token by role ("pad_token", …), and a list under "additional_special_tokens" or, as in
                transformers 5, "extra_special_tokens".
            replace_additional_special_tokens: Forget the earlier tokens without a role; they stay in the vocabulary.

        Returns:
            How many were not among the added tokens yet, or were with other flags.
        """
        earlier = [] if replace_additional_special_tokens else self.settings.additional_special_tokens
        tokens = {name: _as_tokens(value) for name, value in special_tokens_dict.items()}
        for name in tokens.keys() & _LISTS:
            tokens[name] = [token for token in tokens[name] if str(token) not in earlier]
        roles = {role: token for role, token in special_tokens_dict.items() if role not in _LISTS}
        for role in roles:
            self._check_role(role)
        added = self.add_tokens([token for each in tokens.values() for token in each], special_tokens=True)
        for role, token in roles.items():
            self.set_special_token(role, AddedToken.of(token).content)
        names = [AddedToken.of(token).content for name in _LISTS for token in tokens.get(name, ())]
        if names:
            self.settings.additional_special_tokens = list(dict.fromkeys([*earlier, *names]))
        return added

    def sanitize_special_tokens(self) -> int:
        """Add every special token that the vocabulary lacks, and return how many that were."""
        return self.add_tokens(self.all_special_tokens_extended, special_tokens=True)

    def _with_flags(self, token: str) -> AddedToken:
        return self.settings.vocabulary.added.get(token) or AddedToken(token, special=True)

    def _check_role(self, role: str) -> None:
        if role not in ROLES and role not in self.settings.special_tokens:
            raise TokenizerError(
                f"there is no special token {role!r}; expected one of {', '.join(ROLES)} or additional_special_tokens"
            )


def _in_order(special_tokens: Mapping[str, str]) -> dict[str, str]:
    """Return the special tokens in the order of `ROLES`, those with names of their own last."""
    return {role: special_tokens[role] for role in dict.fromkeys([*ROLES, *special_tokens]) if role in special_tokens}


def _as_tokens(tokens: Any) -> list[Any]:
    """Return one token, or several, or None, as a list."""
    if tokens is None:
        return []
    return list(tokens) if isinstance(tokens, (list, tuple, set, frozenset)) else [tokens]
