"""The vocabulary: the pieces of the model, and the tokens added on top of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.normalizer import Normalizer


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in the text before anything else is done to it.

    Args:
        content: The token.
        single_word: Match only where no letter or digit touches it.
        lstrip: Take the white space on its left with it.
        rstrip: Take the white space on its right with it.
        normalized: Match in the normalized text, and the token itself normalized.
        special: Skipped by `decode(..., skip_special_tokens=True)`.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False

    @classmethod
    def of(cls, token: Any, special: bool = False) -> AddedToken:
        """Read a string, a mapping (of a JSON file) or any object with these attributes.

        Args:
            token: The token; a string is matched in the normalized text unless it is special.
            special: Whether it is a special token whatever `token` says.

        Raises:
            TokenizerError: `token` is none of the three.
        """
        if isinstance(token, str):
            return cls(token, normalized=not special, special=special)
        values = (
            token if isinstance(token, Mapping) else {name: getattr(token, name, None) for name in ("content", *FLAGS)}
        )
        content = values.get("content")
        if not isinstance(content, str):
            raise TokenizerError(f"a token is a string or an AddedToken; got {token!r}")
        flags = {name: bool(values[name]) for name in FLAGS if values.get(name) is not None}
        return cls(content, **{**flags, "special": special or flags.get("special", False)})


FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
"""The flags of an added token, in the order in which files hold them."""


class Vocabulary:
    """Pieces and added tokens with their ids; a new token gets the id above the largest.

    Args:
        pieces: Piece to id, as in vocab.txt.
    """

    def __init__(self, pieces: Mapping[str, int]) -> None:
        self.pieces = dict(pieces)
        self.added: dict[str, AddedToken] = {}
        self.forms: dict[str, str] = {}
        """What is searched for in texts, by added token: its content, normalized if the token is."""
        self._ids = dict(pieces)
        self._tokens = {index: token for token, index in pieces.items()}
        self.next_id = max(self._tokens, default=-1) + 1

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, token: str) -> int:
        return self._ids[token]

    @property
    def ids(self) -> dict[str, int]:
        """Every token with its id, in a dictionary of its own."""
        return dict(self._ids)

    @property
    def added_by_id(self) -> dict[int, AddedToken]:
        """The added tokens, sorted by id."""
        return dict(sorted((self._ids[token], added) for token, added in self.added.items()))

    def token_id(self, token: str) -> int | None:
        """Return the id of a token, or None."""
        return self._ids.get(token)

    def token(self, index: int) -> str | None:
        """Return the token of an id, or None."""
        return self._tokens.get(index)

    def add(self, tokens: Iterable[AddedToken], normalizer: Normalizer) -> list[AddedToken]:
        """Add tokens; one that is a piece keeps its id, a new one gets the next.

        Args:
            tokens: What to add. One that is there already, with the same flags, is passed over.
            normalizer: What normalized tokens are normalized with.

        Returns:
            The tokens that were added or got other flags.

        Raises:
            TokenizerError: The tokens would get in each other's way when a text is searched for them.
        """
        new = [token for token in dict.fromkeys(tokens) if token.content and self.added.get(token.content) != token]
        added = {**self.added, **{token.content: token for token in new}}
        forms = {token.content: normalizer(token.content).text if token.normalized else token.content for token in new}
        _check_findable(added.values(), {**self.forms, **forms})
        self.added = added
        self.forms.update(forms)
        for token in new:
            if token.content not in self._ids:
                self._ids[token.content] = self.next_id
                self._tokens[self.next_id] = token.content
                self.next_id += 1
        return new


def _check_findable(added: Collection[AddedToken], forms: Mapping[str, str]) -> None:
    """Refuse tokens of which the library's search would find one at random, or break down over.

    Args:
        added: All added tokens.
        forms: What is searched for, by token.
    """
    seen: dict[str, str] = {}
    for token in added:
        form = forms[token.content]
        if not form:
            raise TokenizerError(
                f"nothing is left of the added token {token.content!r} once normalized; add it with normalized=False"
            )
        if token.normalized and seen.setdefault(form, token.content) != token.content:
            raise TokenizerError(
                f"the added tokens {seen[form]!r} and {token.content!r} are both {form!r} once normalized, so that "
                "only one could ever be found; add one of them, or add them with normalized=False"
            )
        if form[:1].isspace() and any(other.rstrip for other in added):
            raise TokenizerError(
                f"the added token {token.content!r} begins with the white space that a token with rstrip takes; add it "
                "without, or the other without rstrip"
            )
