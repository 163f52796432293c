"""Everything that makes a tokenizer the one it is, apart from the code; what its files hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.vocabulary import AddedToken, Vocabulary

__all__ = [
    "DEFAULT_MAX_LENGTH", "MODEL_INPUT_NAMES", "ROLES", "Setting", "SpecialToken", "SpecialTokenId",
    "SpecialTokenNames", "TokenizerSettings",
]  # fmt: skip

T = TypeVar("T")

ROLES: dict[str, str | None] = {
    "bos_token": None,
    "eos_token": None,
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
"""The special tokens by role, with their usual names, in transformers' order; the first two are without use here."""

MODEL_INPUT_NAMES = ("input_ids", "attention_mask")
"""The columns that every DistilBERT takes."""

DEFAULT_MAX_LENGTH = 512
"""The number of positions of every published DistilBERT."""


@dataclass
class TokenizerSettings:
    """The settings of a tokenizer.

    Args:
        vocabulary: Pieces and added tokens.
        normalizer: What happens to a text before it is split.
        special_tokens: The tokens that have a role, or a name of their own, by that.
        additional_special_tokens: Special tokens without a role.
        model_max_length: The longest row that the model takes, special tokens included.
        padding_side: "right" or "left".
        truncation_side: "right" or "left".
        clean_up_tokenization_spaces: Whether `decode` takes out the spaces around apostrophes.
        decoder_cleanup: Whether joining tokens leaves out the space before punctuation.
        split_special_tokens: Whether special tokens in a text are cut like any other text.
        model_input_names: The columns that a call returns unless told otherwise.
        prefix: What marks a piece that continues a word.
        max_word_chars: A longer word becomes the unknown piece.
        unk_piece: The piece that stands for words that no pieces make up, also where no token has that role.
        splits_punctuation: Whether words are split at punctuation, or at white space only.
        never_split: Words between white space that are one token each, whatever is in them.
        adds_special_tokens: Whether texts get [CLS] and [SEP] around them.
        name_or_path: Where the tokenizer came from.
        extra_fields: Fields of tokenizer_config.json without a meaning here, which are written back.
        sources: Where `do_lower_case` and `model_max_length` came from, in words.
    """

    vocabulary: Vocabulary
    normalizer: Normalizer
    special_tokens: dict[str, str]
    additional_special_tokens: list[str]
    model_max_length: int
    padding_side: str = "right"
    truncation_side: str = "right"
    clean_up_tokenization_spaces: bool = True
    decoder_cleanup: bool = True
    split_special_tokens: bool = False
    model_input_names: list[str] = field(default_factory=lambda: list(MODEL_INPUT_NAMES))
    prefix: str = "##"
    max_word_chars: int = 100
    unk_piece: str = "[UNK]"
    splits_punctuation: bool = True
    never_split: tuple[str, ...] = ()
    adds_special_tokens: bool = True
    name_or_path: str = ""
    extra_fields: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def role_id(self, role: str) -> int | None:
        """Return the id of the special token of a role, or None."""
        token = self.special_tokens.get(role)
        return None if token is None else self.vocabulary.token_id(token)

    def token_id(self, token: str) -> Any:
        """Return the id of a token; one that is not in the vocabulary has that of the unknown token, if any."""
        index = self.vocabulary.token_id(token)
        return self.role_id("unk_token") if index is None else index

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token, once."""
        return list(dict.fromkeys([*self.special_tokens.values(), *self.additional_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return [self.token_id(token) for token in self.all_special_tokens]


class Setting(Generic[T]):
    """An attribute of a tokenizer that is a field of its settings."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tokenizer: Any, owner: type | None = None) -> T:
        value: T = getattr(tokenizer.settings, self._name)
        return value

    def __set__(self, tokenizer: Any, value: T) -> None:
        setattr(tokenizer.settings, self._name, value)


class SpecialToken:
    """An attribute that is the special token of a role, or None.

    Setting it gives the role to another token, or to none; `add_special_tokens` also adds that token to the vocabulary.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._role = name

    def __get__(self, tokenizer: Any, owner: type | None = None) -> str | None:
        token: str | None = tokenizer.settings.special_tokens.get(self._role)
        return token

    def __set__(self, tokenizer: Any, token: Any) -> None:
        tokenizer.set_special_token(self._role, None if token is None else AddedToken.of(token).content)


class SpecialTokenNames:
    """The names of the attributes that are special tokens: of a class those of all, of a tokenizer its own too."""

    def __get__(self, tokenizer: Any, owner: type | None = None) -> list[str]:
        special_tokens = () if tokenizer is None else tokenizer.settings.special_tokens
        return list(dict.fromkeys([*ROLES, "additional_special_tokens", *special_tokens]))


class SpecialTokenId:
    """An attribute that is the id of the special token of a role, or None; setting it gives the role to its token."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._role = name.removesuffix("_id")

    def __get__(self, tokenizer: Any, owner: type | None = None) -> int | None:
        index: int | None = tokenizer.settings.role_id(self._role)
        return index

    def __set__(self, tokenizer: Any, index: int | None) -> None:
        token = None if index is None else tokenizer.token_of(index)
        tokenizer.set_special_token(self._role, token)
