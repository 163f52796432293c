"""The arguments of a call: what is one text, a batch, a pair; and its options, with their order and values."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, NamedTuple, Self

import numpy as np

from distilbert_common.errors import TextTypeError, TokenizerError

__all__ = [
    "CALL_ORDER",
    "CallOptions",
    "ENCODE_ORDER",
    "Forms",
    "PREPARE_ORDER",
    "SIDES",
    "Text",
    "Texts",
    "TokenIds",
    "Tokens",
    "check_all_unicode",
    "choose",
    "count_of",
    "read_batch",
    "read_text",
    "read_texts",
]


@dataclass(frozen=True)
class Tokens:
    """A text that was cut into tokens before."""

    tokens: Sequence[str]


@dataclass(frozen=True)
class TokenIds:
    """The ids of a text that was tokenized before, in the form of `TextPieces`."""

    ids: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """(0, 0) for each token: where in a text they stood is not known."""
        return [(0, 0)] * len(self.ids)

    @property
    def word_ids(self) -> list[None]:
        """None for each token."""
        return [None] * len(self.ids)


Text = str | Sequence[str] | Tokens | TokenIds
"""A text; or one that is split into words, cut into tokens, or turned into ids already."""


class Forms(NamedTuple):
    """What a list stands for.

    Args:
        words: A list of strings is a text that is split into words (`is_split_into_words`).
        tokens: A list of strings is a text that is cut into tokens, where it stands for one text.
    """

    words: bool
    tokens: bool

    def expected(self, several: bool) -> str:
        """Return what a text may be, in words for an error message."""
        if self.words:
            return "expected a list of words (str), or a list of such lists, since is_split_into_words=True"
        if several:
            return "expected a str, or a list of str"
        return f"expected a str, or a list of {'tokens or ' if self.tokens else ''}token ids"


class Texts(NamedTuple):
    """The samples of a call.

    Args:
        first: The first text of each sample.
        second: The second text of each, None where there is none; or None where no sample is a pair.
        batched: False for a single text (or pair).
    """

    first: Sequence[Text]
    second: Sequence[Text | None] | None
    batched: bool


def read_texts(text: Any, text_pair: Any, forms: Forms) -> Texts:
    """Sort out the texts of calling a tokenizer, which may be one or a batch.

    Args:
        text: A text or a list of them; a list with (text, text) tuples holds pairs.
        text_pair: The second texts, in the same form, or None.
        forms: What a list stands for.

    Raises:
        TextTypeError: The texts have another form.
        TokenizerError: The two lists have different lengths.
    """
    batched = _is_list(text) and (not forms.words or any(map(_is_list, text)))
    if not batched and not forms.words and not isinstance(text, str):
        raise TextTypeError(f"text is of type {type(text).__name__}; {forms.expected(several=True)}")
    if not batched:
        return Texts([_text("text", text, forms)], _second(text_pair, forms), False)
    if text_pair is None:
        return read_batch(text, forms)
    if not _is_list(text_pair) or len(text) != len(text_pair):
        second = f"a list of {len(text_pair)}" if _is_list(text_pair) else "a single text"
        raise TokenizerError(f"text holds a list of {len(text)} but text_pair {second}; give the same number of both")
    first = [_text(f"text[{index}]", item, forms) for index, item in enumerate(text)]
    return Texts(first, [_text(f"text_pair[{index}]", item, forms) for index, item in enumerate(text_pair)], True)


def read_text(text: Any, text_pair: Any, forms: Forms) -> Texts:
    """Sort out the texts of `encode`, which are one sample: a list stands for one text, or for a pair.

    Raises:
        TextTypeError: The texts have another form.
    """
    if text_pair is None and not forms.tokens and _is_pair(text, forms):
        first, second = text
        return Texts([_text("text[0]", first, forms)], [_text("text[1]", second, forms)], False)
    return Texts([_text("text", text, forms)], _second(text_pair, forms), False)


def read_batch(texts: Any, forms: Forms) -> Texts:
    """Sort out a list of texts and of (text, text) pairs.

    Raises:
        TextTypeError: The texts have another form.
    """
    if not _is_list(texts):
        raise TextTypeError(f"the batch is of type {type(texts).__name__}; expected a list of texts or of pairs")
    if not forms.words and all(isinstance(text, str) for text in texts):
        return Texts(texts, None, True)
    samples = [_sample(f"text[{index}]", item, forms) for index, item in enumerate(texts)]
    second = [pair for _, pair in samples]
    return Texts([first for first, _ in samples], second if any(pair is not None for pair in second) else None, True)


def _second(text: Any, forms: Forms) -> list[Text | None] | None:
    return None if text is None else [_text("text_pair", text, forms)]


def _sample(name: str, item: Any, forms: Forms) -> tuple[Text, Text | None]:
    if _is_pair(item, forms):
        first, second = item
        return _text(name, first, forms), None if second is None else _text(name, second, forms)
    if _is_list(item) and not forms.words and not _are_ids(item):
        raise TextTypeError(
            f"{name} is of type {type(item).__name__}; {forms.expected(several=True)}, or of (text, text) pairs; if "
            "texts are split into words, pass is_split_into_words=True"
        )
    return _text(name, item, forms), None


def _is_pair(item: Any, forms: Forms) -> bool:
    """Whether an item holds two texts: two lists of words, or any two things that are not ids."""
    if not _is_list(item) or len(item) != 2:
        return False
    return _is_list(item[0]) if forms.words else not _are_ids(item)


def _text(name: str, item: Any, forms: Forms) -> Text:
    if isinstance(item, str) and (forms.tokens or not forms.words):
        return item
    if _is_list(item) and all(isinstance(word, str) for word in item) and (forms.words or (forms.tokens and item)):
        return list(item) if forms.words else Tokens(item)
    if _is_list(item) and _are_ids(item):
        return TokenIds([int(index) for index in item])
    raise TextTypeError(f"{name} {_describe(item, forms)}; {forms.expected(several=False)}")


def _describe(item: Any, forms: Forms) -> str:
    """Say what is wrong with an item, in words for an error message."""
    if not _is_list(item):
        return f"is {item!r}" if forms.words else f"is of type {type(item).__name__}"
    others = [part for part in item if not isinstance(part, str)]
    return f"holds {others[0]!r}" if others else f"is a list of {len(item)} strings"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _are_ids(item: Sequence[Any]) -> bool:
    return bool(item) and all(isinstance(index, (int, np.integer)) and not isinstance(index, bool) for index in item)


def check_all_unicode(texts: Sequence[str | Sequence[str]]) -> None:
    """Refuse texts, or words of texts, that are not valid Unicode.

    Raises:
        TokenizerError: A text holds half of a surrogate pair, which no encoding can express.
    """
    for index, text in enumerate(texts):
        for part in [text] if isinstance(text, str) else text:
            _check_unicode(f"text[{index}]", part)


def _check_unicode(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"{name} holds the lone surrogate {text[error.start]!r} at character {error.start}: it was cut or decoded "
            "wrongly; repair it with text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
        ) from error


SIDES = {"right": "right", "left": "left"}
"""The values of `padding_side` and `truncation_side`."""


@dataclass(frozen=True)
class CallOptions:
    """The options of calling a tokenizer; `TokenizerBase.__call__` says what each is."""

    add_special_tokens: bool = True
    padding: Any = False
    truncation: Any = None
    max_length: int | None = None
    stride: int = 0
    is_split_into_words: bool = False
    pad_to_multiple_of: int | None = None
    padding_side: str | None = None
    return_tensors: Any = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False
    verbose: bool = True
    split_special_tokens: bool | None = None

    @classmethod
    def read(cls, names: Sequence[str], positional: Sequence[Any], keywords: Mapping[str, Any]) -> Self:
        """Make the options of arguments.

        Args:
            names: The names of the positional arguments.
            positional: Arguments without a name.
            keywords: Arguments by name, old names too.

        Raises:
            TypeError: There is no such argument, or it was passed twice.
        """
        if len(positional) > len(names):
            raise TypeError(f"{len(positional)} positional options were given; there are {len(names)}")
        by_position = dict(zip(names, positional, strict=False))
        if twice := sorted(by_position.keys() & keywords):
            raise TypeError(f"{', '.join(twice)} was given by position and by name")
        options = _without_old_names({**by_position, **keywords})
        known = [field.name for field in fields(cls)]
        if unknown := sorted(options.keys() - set(known)):
            raise TypeError(f"a call has no option {', '.join(unknown)}; it has {', '.join(known)}")
        return cls(**options)


CALL_ORDER = tuple(field.name for field in fields(CallOptions))[:-1]
"""The options of `encode_plus` and `batch_encode_plus` by position."""

PREPARE_ORDER = tuple(name for name in CALL_ORDER if name != "is_split_into_words")
"""The options of `prepare_for_model` by position."""

ENCODE_ORDER = (*CALL_ORDER[:5], "padding_side", "return_tensors")
"""The options of `encode` by position."""


def choose(name: str, value: Any, choices: Mapping[Any, Any]) -> Any:
    """Return what an argument's value stands for.

    Raises:
        TokenizerError: The value is not among the choices.
    """
    if isinstance(value, Enum):
        value = value.value  # transformers' PaddingStrategy and TruncationStrategy
    if isinstance(value, (str, bool, type(None))) and value in choices:
        return choices[value]
    raise TokenizerError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")


def count_of(name: str, value: Any, default: int, least: int = 1) -> int:
    """Return an argument that is a number of tokens; None gives the default.

    Raises:
        TokenizerError: The value is no whole number, or smaller than `least`.
    """
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TokenizerError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)


def _without_old_names(options: dict[str, Any]) -> dict[str, Any]:
    """Rename the options that transformers 2 named otherwise."""
    if options.pop("pad_to_max_length", False):
        warnings.warn("pad_to_max_length is deprecated; pass padding='max_length'", FutureWarning, stacklevel=4)
        options["padding"] = options.get("padding") or "max_length"
    if strategy := options.pop("truncation_strategy", None):
        warnings.warn(f"truncation_strategy is deprecated; pass truncation={strategy!r}", FutureWarning, stacklevel=4)
        options["truncation"] = options.get("truncation") or strategy
    return options
