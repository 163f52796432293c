"""The vocabulary: the pieces of the model, and the tokens added on top of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.normalizer import Normalizer

__all__ = ["FLAGS", "AddedToken", "Vocabulary", "filler", "without_gaps"]

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
"""The flags of an added token, in the order in which files hold them."""

_MAX_GAP = 100_000
"""The most ids that may be left empty before an added token; more, and the file is taken for damaged."""


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
        added_token = cls(token) if isinstance(token, str) else token if isinstance(token, cls) else cls._read(token)
        return added_token.as_special() if special and not added_token.special else added_token

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
        self.n_pieces = max(self._tokens, default=-1) + 1
        """The number of ids that pieces take up, those left empty between them included."""
        self.next_id = self.n_pieces

    def __len__(self) -> int:
        return self.next_id

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

    @property
    def shadowed(self) -> set[str]:
        """The added tokens that are never found, as one of a smaller id is the same once normalized."""
        first: dict[str, str] = {}
        tokens = [token.content for token in self.added_by_id.values() if token.normalized]
        return {token for token in tokens if first.setdefault(self.forms[token], token) != token}

    def token_id(self, token: str) -> int | None:
        """Return the id of a token, or None."""
        return self._ids.get(token)

    def token(self, index: int) -> str | None:
        """Return the token of an id, or None."""
        return self._tokens.get(index)

    def insert(self, index: int, token: AddedToken, normalizer: Normalizer) -> None:
        """Add a token with the id that a file gives it; an empty line of vocab.txt gives way to it.

        Raises:
            TokenizerError: The id is another token's, or the token has another id.
        """
        if self._tokens.get(index) == "":
            self.pieces = {piece: piece_id for piece, piece_id in self.pieces.items() if piece}
            del self._ids[""], self._tokens[index]
        if (problem := self._misplaced(index, token.content)) is not None:
            raise TokenizerError(
                f"the added token {token.content!r} has id {index}, but {problem}; correct it, or take it out, in "
                "added_tokens.json, tokenizer_config.json and tokenizer.json"
            )
        self._ids[token.content] = index
        self._tokens[index] = token.content
        if index < self.n_pieces:
            self.pieces[token.content] = index
        self.next_id = max(self.next_id, index + 1)
        self.add([token], normalizer)

    def normalize(self, normalizer: Normalizer) -> None:
        """Have the normalized tokens searched for as another normalizer gives them."""
        tokens = self.added.values()
        forms = {
            token.content: normalizer(token.content).text if token.normalized else token.content for token in tokens
        }
        _check_findable(tokens, forms)
        self.forms = forms

    def _misplaced(self, index: int, token: str) -> str | None:
        """Say in words what is wrong with an id for a token, or return None."""
        if self._ids.get(token, index) != index:
            return f"it has id {self._ids[token]} already"
        if self._tokens.get(index, token) != token:
            return f"that is the id of {self._tokens[index]!r}"
        if not 0 <= index < self.next_id + _MAX_GAP:
            return f"the vocabulary ends at {self.next_id - 1}"
        return None

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
    for token in added:
        form = forms[token.content]
        if not form:
            raise TokenizerError(
                f"nothing is left of the added token {token.content!r} once normalized; add it with normalized=False"
            )
        if form[:1].isspace() and any(other.rstrip for other in added):
            raise TokenizerError(
                f"the added token {token.content!r} begins with the white space that a token with rstrip takes; add it "
                "without, or the other without rstrip"
            )


def without_gaps(pieces: Mapping[str, int], n_pieces: int) -> dict[str, int]:
    """Give every unused id below a number a piece with a space, which no word can hold.

    The library numbers added tokens from the number of pieces on, we from the largest id on; so the two are the same.
    """
    unused = set(range(n_pieces)).difference(pieces.values())
    return {**pieces, **{filler(index): index for index in unused}}


def filler(index: int) -> str:
    """Return the piece that stands for an unused id in files and engines that cannot leave one out."""
    return f"unused id {index}"
