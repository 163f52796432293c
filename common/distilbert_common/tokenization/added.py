"""Special and added tokens out of a tokenizer's files, brought into one vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.settings import ROLES
from distilbert_common.tokenization.vocab import AddedToken, Vocabulary


def special_token_names(get: Callable[[str, Any], Any]) -> tuple[dict[str, str], list[str]]:
    """Return the special tokens by role, and those without a role.

    Args:
        get: Gives an option by name and default.
    """
    names = {role: AddedToken.of(get(role, default)).content for role, default in ROLES.items()}
    return names, [AddedToken.of(token).content for token in get("additional_special_tokens", ())]


def collect_added(
    in_tokenizer_json: Mapping[int, AddedToken],
    in_added_tokens_json: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    special_names: Collection[str],
) -> dict[int, AddedToken]:
    """Gather the added tokens of three files by id; where they differ, the flags of tokenizer_config.json count.

    Args:
        in_tokenizer_json: From tokenizer.json.
        in_added_tokens_json: Token to id, from added_tokens.json.
        tokenizer_config: The content of tokenizer_config.json.
        special_names: Which tokens of added_tokens.json, which has no flags, are special.

    Raises:
        TokenizerError: An entry is not a token with an id.
    """
    added = {
        index: AddedToken.of(token, special=token in special_names) for token, index in in_added_tokens_json.items()
    }
    added.update(in_tokenizer_json)
    in_config = tokenizer_config.get("added_tokens_decoder") or {}
    try:
        added.update({int(index): AddedToken.of(token) for index, token in in_config.items()})
        return dict(sorted(added.items()))
    except (AttributeError, TypeError, ValueError) as error:
        raise TokenizerError(f"the added tokens of this tokenizer are damaged: {error}") from error


def build_vocabulary(
    pieces: Mapping[str, int],
    added: Mapping[int, AddedToken],
    special_tokens: dict[str, str],
    additional_special_tokens: Collection[str],
    normalizer: Normalizer,
) -> Vocabulary:
    """Bring pieces, added tokens and special tokens together.

    Args:
        pieces: Piece to id.
        added: Added tokens by id, sorted.
        special_tokens: Tokens by role; a [MASK] that the vocabulary lacks is taken out.
        additional_special_tokens: Special tokens without a role.
        normalizer: How texts, and normalized added tokens, are normalized.

    Raises:
        TokenizerError: Two tokens share an id, an added token has an id that leaves a gap, or a special token is
            missing.
    """
    _check_ids(pieces)
    vocabulary = Vocabulary(pieces)
    _check_added_ids(vocabulary, added)
    vocabulary.add(added.values(), normalizer)
    _check_special(special_tokens, vocabulary)
    names = [*special_tokens.values(), *additional_special_tokens]
    vocabulary.add([AddedToken.of(name, special=True) for name in names if name not in vocabulary.added], normalizer)
    return vocabulary


def _check_ids(pieces: Mapping[str, int]) -> None:
    ids = list(pieces.values())
    if not all(isinstance(index, int) and index >= 0 for index in ids) or len(set(ids)) != len(ids):
        raise TokenizerError("the vocabulary is damaged: each piece needs an id of its own, a whole number from 0 up")


def _check_added_ids(vocabulary: Vocabulary, added: Mapping[int, AddedToken]) -> None:
    expected = vocabulary.next_id
    for index, token in added.items():
        is_piece = token.content in vocabulary.pieces
        right = vocabulary[token.content] if is_piece else expected
        if index != right:
            raise TokenizerError(
                f"the added token {token.content!r} has id {index}, expected {right}: a piece keeps its id, and the "
                "ids of other added tokens go on where the vocabulary ends, without gaps"
            )
        expected += not is_piece


def _check_special(special_tokens: dict[str, str], vocabulary: Vocabulary) -> None:
    if vocabulary.token_id(special_tokens["mask_token"]) is None:
        del special_tokens["mask_token"]  # only masked language modelling needs it
    for role, token in special_tokens.items():
        if (vocabulary.pieces.get(token) if role == "unk_token" else vocabulary.token_id(token)) is None:
            raise TokenizerError(
                f"the vocabulary has no {token}; if its {role} has another name, pass {role}=, "
                "otherwise this is not the vocabulary of a DistilBERT"
            )
