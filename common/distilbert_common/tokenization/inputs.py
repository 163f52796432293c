"""Reading the texts of a call: what is one text, what is a batch, what is a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from distilbert_common.errors import TokenizerError

Text = str | Sequence[str]
"""A text, or one that is split into words."""

_EXPECTED = "expected a str, or a list of str"
_EXPECTED_WORDS = "expected a list of words (str), or a list of such lists, since is_split_into_words=True"


class Texts(NamedTuple):
    """The samples of a call; `batched` is False where a single text (or pair) was given."""

    first: Sequence[Text]
    second: Sequence[Text] | None
    batched: bool


def read_texts(text: Any, text_pair: Any, is_split_into_words: bool) -> Texts:
    """Sort out the texts of a call.

    Args:
        text: A text or a list of them; a list of (text, text) tuples is a batch of pairs.
        text_pair: The second texts, in the same form, or None.
        is_split_into_words: Whether each text is a list of words.

    Returns:
        The samples.

    Raises:
        TokenizerError: The texts have another form, or the two lists have different lengths.
    """
    first, batched = _as_batch("text", text, is_split_into_words)
    if text_pair is None:
        first, second = _pairs(first) if not is_split_into_words else (first, None)
    else:
        second, pair_batched = _as_batch("text_pair", text_pair, is_split_into_words)
        if batched != pair_batched or len(first) != len(second):
            raise TokenizerError(
                f"text holds {_describe(first, batched)} but text_pair {_describe(second, pair_batched)}; "
                "give the same number of both"
            )
    for name, texts in (("text", first), ("text_pair", second or ())):
        _check(name, texts, is_split_into_words)
    return Texts(first, second, batched)


def _as_batch(name: str, text: Any, is_split_into_words: bool) -> tuple[Sequence[Any], bool]:
    if not is_split_into_words and isinstance(text, str):
        return [text], False
    if not isinstance(text, (list, tuple)):
        expected = _EXPECTED_WORDS if is_split_into_words else _EXPECTED
        raise TokenizerError(f"{name} is of type {type(text).__name__}; {expected}")
    if is_split_into_words and not any(isinstance(item, (list, tuple)) for item in text):
        return [text], False
    return text, True


def _pairs(texts: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any] | None]:
    """Split a list of pairs in two; a list of anything else stays as it is."""
    if not texts or not all(isinstance(text, (list, tuple)) and len(text) == 2 for text in texts):
        return texts, None
    return [first for first, _ in texts], [second for _, second in texts]


def _check(name: str, texts: Sequence[Any], is_split_into_words: bool) -> None:
    for index, text in enumerate(texts):
        if is_split_into_words:
            _check_words(f"{name}[{index}]", text)
        elif not isinstance(text, str):
            hint = "; if texts are split into words, pass is_split_into_words=True" if _is_list(text) else ""
            raise TokenizerError(f"{name}[{index}] is of type {type(text).__name__}; {_EXPECTED}{hint}")


def _check_words(name: str, words: Any) -> None:
    for word in words if _is_list(words) else [words]:
        if not _is_list(words) or not isinstance(word, str):
            raise TokenizerError(f"{name} is or holds {word!r}; {_EXPECTED_WORDS}")


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _describe(texts: Sequence[Any], batched: bool) -> str:
    return f"a list of {len(texts)}" if batched else "a single text"


def check_unicode(name: str, text: str) -> None:
    """Refuse a text that is not valid Unicode.

    Raises:
        TokenizerError: The text holds half of a surrogate pair, which no encoding can express.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"{name} holds the lone surrogate {text[error.start]!r} at character {error.start}: it was cut or decoded "
            "wrongly; repair it with text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
        ) from error
