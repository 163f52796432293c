"""Values of columns, checked."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Sequence
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.records import Records

__all__ = ["Columns", "check_unicode", "is_missing", "literal", "stripped", "texts", "word_lists"]

Columns = dict[str, list[Any]]


def texts(records: Records, column: str) -> list[str]:
    """Return a column of texts; empty ones are allowed.

    Raises:
        InputError: A value is no text.
    """
    values = records.values(column)
    for index, value in enumerate(values):
        if not isinstance(value, str):
            problem = "there is no text" if value is None else f"{value!r:.200} is not text"
            raise InputError(f'{records.where(index, column)}: {problem}; an empty text is written ""')
    check_unicode(values, records, column)
    return list(values)


def check_unicode(values: Sequence[str], records: Records, column: str) -> None:
    """Require texts that can be written, one for each record.

    Raises:
        InputError: One holds a lone surrogate.
    """
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        index = next(index for index, value in enumerate(values) if any("\ud800" <= sign <= "\udfff" for sign in value))
        raise InputError(
            f"{records.where(index, column)}: the text holds half of a surrogate pair, which is no character; write it "
            "anew from its source"
        ) from None


def word_lists(records: Records, column: str) -> list[list[Any]]:
    """Return a column of lists; a text that is no list is split at white space.

    Raises:
        InputError: A value is neither.
    """
    return [_words(value, records, index, column) for index, value in enumerate(records.values(column))]


def _words(value: Any, records: Records, index: int, column: str) -> list[Any]:
    parsed = literal(value)
    if isinstance(parsed, (list, tuple)):
        return list(parsed)
    if isinstance(value, str):
        return value.split()
    raise InputError(f"{records.where(index, column)}: {value!r} is not a list")


def literal(value: Any) -> Any:
    """Return the list or dictionary that a text of a CSV file spells out, anything else as it is."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{") and value.strip()[-1:] in ("]", "}"):
        try:
            return ast.literal_eval(_with_commas(value.strip()))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError):
            return value
    return value


def _with_commas(text: str) -> str:
    """Return a text with commas between the values of a list where NumPy's own form has spaces, as in ['EU' 'rejects'].

    Python would take texts that only spaces part for one.
    """
    if not _PARTED.search(text):
        return text
    parts, is_value = [], False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        parts += [","] if is_value and token.type in _VALUES else []
        parts.append(token.string)
        is_value = token.type in _VALUES or (is_value and not token.string.strip())  # a line break parts nothing
    return "".join(parts).strip()


_VALUES = (tokenize.STRING, tokenize.NUMBER)
_PARTED = re.compile(r"""['"\d]\s+['"\d]""")


def stripped(value: Any) -> Any:
    """Return the name of a label without white space around it, anything else as it is."""
    return value.strip() if isinstance(value, str) else value


def is_missing(value: Any) -> bool:
    """Return whether a value says that there is none: None, blank text, not a number, or what pandas writes for it."""
    return value is None or (isinstance(value, str) and value.strip() in _MISSING) or value != value


_MISSING = ("", "NaN", "nan", "<NA>")
