"""Everything that makes a tokenizer the one it is, apart from the code; what its files hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.vocab import Vocabulary

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
        split_special_tokens: Whether special tokens in a text are cut like the rest of it.
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
