"""Attributes of a tokenizer that live in its settings, so that each is written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from distilbert_common.tokenization.added_token import AddedToken
from distilbert_common.tokenization.settings import ROLES

if TYPE_CHECKING:
    from distilbert_common.tokenization.roles import TokenizerRoles

T = TypeVar("T")


class SpecialToken:
    """An attribute that is the special token of a role, or None.

    Setting it gives the role to another token, or to none; `add_special_tokens` also adds that token to the vocabulary.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._role = name

    def __get__(self, tokenizer: TokenizerRoles, owner: type | None = None) -> str | None:
        return tokenizer.settings.special_tokens.get(self._role)

    def __set__(self, tokenizer: TokenizerRoles, token: Any) -> None:
        tokenizer.set_special_token(self._role, None if token is None else AddedToken.of(token).content)


class SpecialTokenNames:
    """The names of the attributes that are special tokens: of a class those of all, of a tokenizer its own too."""

    def __get__(self, tokenizer: TokenizerRoles | None, owner: type | None = None) -> list[str]:
        own = () if tokenizer is None else tokenizer.settings.special_tokens
        return list(dict.fromkeys([*ROLES, "additional_special_tokens", *own]))


class SpecialTokenId:
    """An attribute that is the id of the special token of a role, or None; setting it gives the role to its token."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._role = name.removesuffix("_id")

    def __get__(self, tokenizer: TokenizerRoles, owner: type | None = None) -> int | None:
        token = tokenizer.settings.special_tokens.get(self._role)
        return None if token is None else tokenizer.settings.vocabulary.token_id(token)

    def __set__(self, tokenizer: TokenizerRoles, index: int | None) -> None:
        token = None if index is None else tokenizer.token_of(index)
        tokenizer.set_special_token(self._role, token)


class Setting(Generic[T]):
    """An attribute that is kept in the settings."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tokenizer: TokenizerRoles, owner: type | None = None) -> T:
        value: T = getattr(tokenizer.settings, self._name)
        return value

    def __set__(self, tokenizer: TokenizerRoles, value: T) -> None:
        setattr(tokenizer.settings, self._name, value)
