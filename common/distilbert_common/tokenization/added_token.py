"""A token that is found in a text before anything else is done to it, and its flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distilbert_common.errors import TokenizerError


@dataclass(frozen=True, eq=False)
class AddedToken:
    """A token that is found in the text before anything else is done to it.

    Args:
        content: The token.
        single_word: Match only where no letter or digit touches it.
        lstrip: Take the white space on its left with it.
        rstrip: Take the white space on its right with it.
        normalized: Match in the normalized text, and the token itself normalized; None means: unless it is special.
        special: Skipped by `decode(..., skip_special_tokens=True)`.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = False
    by_default: bool = field(default=False, init=False, repr=False, compare=False)
    """Whether `normalized` was left open."""

    def __post_init__(self) -> None:
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)
            object.__setattr__(self, "by_default", True)

    def __str__(self) -> str:
        return self.content

    def __eq__(self, other: object) -> bool:
        """Return whether content and flags are the same, also of a token of the library."""
        return all(getattr(self, name) == getattr(other, name, None) for name in ("content", *FLAGS))

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in ("content", *FLAGS)))

    def as_special(self) -> AddedToken:
        """Return the token as a special one; `normalized` changes with it where it was left open."""
        flags = {name: getattr(self, name) for name in FLAGS if name != "normalized" or not self.by_default}
        return AddedToken(self.content, **{**flags, "special": True})

    @classmethod
    def of(cls, token: Any, special: bool = False) -> AddedToken:
        """Read a string, a mapping (of a JSON file) or any object with these attributes.

        Args:
            token: The token; a string is matched in the normalized text unless it is special.
            special: Whether it is a special token whatever `token` says.

        Raises:
            TokenizerError: `token` is none of the three.
        """
        own = cls(token) if isinstance(token, str) else token if isinstance(token, cls) else cls._read(token)
        return own.as_special() if special and not own.special else own

    @classmethod
    def _read(cls, token: Any) -> AddedToken:
        is_mapping = isinstance(token, Mapping)
        values = token if is_mapping else {name: getattr(token, name, None) for name in ("content", *FLAGS)}
        content = values.get("content")
        if not isinstance(content, str):
            raise TokenizerError(f"a token is a string or an AddedToken; got {token!r}")
        flags = {name: bool(values[name]) for name in FLAGS if values.get(name) is not None}
        if not is_mapping and _follows_special(token):
            flags.pop("normalized", None)
        return cls(content, **flags)


def _follows_special(token: Any) -> bool:
    """Whether `normalized` of the library's token was left open: then it changes with `special`, which is put back."""
    special, normalized = getattr(token, "special", None), getattr(token, "normalized", None)
    try:
        token.special = not special
        return bool(token.normalized != normalized)
    except AttributeError:
        return False
    finally:
        if getattr(token, "special", None) != special:
            token.special = special


FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
"""The flags of an added token, in the order in which files hold them."""
