"""Special and added tokens out of a tokenizer's files, brought into one vocabulary."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.settings import ROLES
from distilbert_common.tokenization.vocabulary import AddedToken, Vocabulary

__all__ = ["SpecialTokens", "build_vocabulary", "collect_added", "read_special_tokens"]


_LOGGER = logging.getLogger(__name__)


class SpecialTokens(NamedTuple):
    """The special tokens that a tokenizer's files and keywords name.

    Args:
        by_role: The tokens that have a role or a name of their own.
        additional: Those without.
        assumed: The roles of which nothing but the usual name is known.
    """

    by_role: dict[str, AddedToken]
    additional: list[AddedToken]
    assumed: set[str]


def read_special_tokens(
    find: Callable[[str], tuple[Any, str] | None], named: Mapping[str, Any], additional: Iterable[Any]
) -> SpecialTokens:
    """Return the special tokens; a role that is null has none.

    Args:
        find: Gives an option and its source by name, or None.
        named: Tokens by names that are not DistilBERT's, such as "image_token".
        additional: The tokens without a role, the same one possibly several times.

    Raises:
        TokenizerError: A value is not a token.
    """
    sources = {role: find(role) for role in ROLES}
    values = {role: ROLES[role] if source is None else source[0] for role, source in sources.items()}
    by_role = {role: AddedToken.of(token, special=True) for role, token in {**values, **named}.items() if token}
    listed = {str(token): token for token in (AddedToken.of(each, special=True) for each in additional)}
    assumed = {role for role, source in sources.items() if source is None and role not in named}
    return SpecialTokens(by_role, list(listed.values()), assumed)


def collect_added(
    in_tokenizer_json: Mapping[int, AddedToken],
    in_added_tokens_json: Mapping[str, Any],
    in_config: Mapping[str, Any],
    special: SpecialTokens,
) -> dict[int, AddedToken]:
    """Gather the added tokens of three files by id; where they differ, the flags of tokenizer_config.json count.

    Args:
        in_tokenizer_json: From tokenizer.json.
        in_added_tokens_json: Token to id, from added_tokens.json.
        in_config: Id to token, the `added_tokens_decoder` of tokenizer_config.json.
        special: Which tokens of added_tokens.json, which has no flags, are special.

    Raises:
        TokenizerError: An entry is not a token with an id.
    """
    flags = {token.content: token for token in [*special.additional, *special.by_role.values()]}
    try:
        added = {int(index): flags.get(token, AddedToken(token)) for token, index in in_added_tokens_json.items()}
        added.update(in_tokenizer_json)
        added.update({int(index): AddedToken.of(token) for index, token in in_config.items()})
        return dict(sorted(added.items()))
    except (AttributeError, TypeError, ValueError) as error:
        raise TokenizerError(f"the added tokens of this tokenizer are damaged: {error}") from error


def build_vocabulary(
    pieces: Mapping[str, int], added: Mapping[int, AddedToken], special: SpecialTokens, normalizer: Normalizer
) -> tuple[Vocabulary, dict[str, str]]:
    """Bring pieces, added tokens and special tokens together.

    Args:
        pieces: Piece to id.
        added: Added tokens by id, sorted.
        special: The special tokens; those that the vocabulary lacks are added, where a file or a keyword names them.
        normalizer: How texts, and normalized added tokens, are normalized.

    Returns:
        The vocabulary, and the tokens by role without a [MASK] that only its usual name speaks for.

    Raises:
        TokenizerError: Two tokens share an id, or a special token is missing.
    """
    _check_ids(pieces)
    vocabulary = Vocabulary(pieces)
    names = {token.content for token in [*special.by_role.values(), *special.additional]}
    for index, token in added.items():
        vocabulary.insert(index, replace(token, special=token.special or token.content in names), normalizer)
    roles = {
        role: token for role, token in special.by_role.items() if not _is_missing_mask(role, token, special, vocabulary)
    }
    _check_special(roles, special, vocabulary)
    named = [token for token in [*roles.values(), *special.additional] if token.content not in vocabulary.added]
    absent = [token.content for token in named if vocabulary.token_id(token.content) is None]
    vocabulary.add(named, normalizer)
    if absent:
        _LOGGER.warning(
            "the special tokens %s are not in the vocabulary and got the ids from %d on; a model whose embeddings end "
            "there needs model.resize_token_embeddings(len(tokenizer))",
            ", ".join(absent), vocabulary[absent[0]],
        )  # fmt: skip
    return vocabulary, {role: token.content for role, token in roles.items()}


def _check_ids(pieces: Mapping[str, int]) -> None:
    ids = list(pieces.values())
    if not all(isinstance(index, int) and index >= 0 for index in ids) or len(set(ids)) != len(ids):
        raise TokenizerError("the vocabulary is damaged: each piece needs an id of its own, a whole number from 0 up")


def _is_missing_mask(role: str, token: AddedToken, special: SpecialTokens, vocabulary: Vocabulary) -> bool:
    """Whether this is a [MASK] that is not there, which only masked language modelling needs."""
    return role == "mask_token" and role in special.assumed and vocabulary.token_id(token.content) is None


def _check_special(roles: Mapping[str, AddedToken], special: SpecialTokens, vocabulary: Vocabulary) -> None:
    for role, token in roles.items():
        is_there = (token.content in vocabulary.pieces) or (
            role != "unk_token" and vocabulary.token_id(token.content) is not None
        )
        if not is_there and (role == "unk_token" or role in special.assumed):
            alike = next((piece for piece in vocabulary.pieces if piece.strip() == token.content), None)
            raise TokenizerError(
                f"the vocabulary has no {token}; "
                + (f"it has {alike!r}: take the white space away. " if alike else "")
                + f"If its {role} has another name, pass {role}=, if it was trained without special tokens, train it "
                "with them, otherwise this is not the vocabulary of a DistilBERT"
            )
