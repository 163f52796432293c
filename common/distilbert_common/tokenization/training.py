"""Learning a vocabulary from texts, for a tokenizer like another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tokenizers

from distilbert_common.tokenization.added_token import AddedToken
from distilbert_common.tokenization.engine import library_token, new_engine, template_processing
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.tokenizer_config import options_of
from distilbert_common.tokenization.tokenizer_json import template


class Renaming:
    """New special tokens, and new names for those of a tokenizer.

    Args:
        names: New name by old.
        new: Further special tokens.
    """

    def __init__(self, names: Mapping[str, str], new: Iterable[Any]) -> None:
        self._names = names
        self.new = [AddedToken.of(token, special=True) for token in new]

    def __call__(self, token: str) -> str:
        """Return the new name of a token."""
        return self._names.get(token, token)

    def options(self, settings: TokenizerSettings) -> dict[str, Any]:
        """Return the options that make a tokenizer with such settings, with the new tokens and names."""
        by_role = {role: self(token) for role, token in settings.special_tokens.items()}
        listed = [*map(self, settings.additional_special_tokens), *(token.content for token in self.new)]
        named = options_of(settings).get("extra_special_tokens", {})
        special = {
            "additional_special_tokens": listed,
            "extra_special_tokens": {name: by_role.pop(name) for name in named},
        }
        return {**options_of(settings), **by_role, **special}


def train(
    settings: TokenizerSettings,
    texts: Iterable[Any],
    vocab_size: int,
    length: int | None,
    renaming: Renaming,
    trainer_options: Mapping[str, Any],
) -> tokenizers.Tokenizer:
    """Train the library's tokenizer, with the special tokens and the steps of another.

    Args:
        settings: The settings of the other.
        texts: Texts, or lists of them.
        vocab_size: The most pieces to learn, special tokens included.
        length: How many texts or lists there are, for the progress bar.
        renaming: New special tokens and names.
        trainer_options: Those of `tokenizers.trainers.WordPieceTrainer`.
    """
    like = new_engine(settings)
    engine = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=renaming(settings.unk_piece)))
    engine.normalizer, engine.pre_tokenizer, engine.decoder = like.normalizer, like.pre_tokenizer, like.decoder
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=list(map(library_token, _special_tokens(settings, renaming))),
        **{"continuing_subword_prefix": settings.prefix, **trainer_options},
    )
    engine.train_from_iterator(texts, trainer=trainer, length=length)
    if settings.adds_special_tokens:
        ends = [renaming(settings.special_tokens[role]) for role in ("cls_token", "sep_token")]
        engine.post_processor = template_processing(template(ends, list(map(engine.token_to_id, ends))))
    return engine


def _special_tokens(settings: TokenizerSettings, renaming: Renaming) -> Sequence[AddedToken]:
    """Return the special tokens in the order of their ids, the new ones last."""
    special = [token for token in settings.vocabulary.added_by_id.values() if token.special]
    return [
        AddedToken(renaming(token.content), token.single_word, token.lstrip, token.rstrip, token.normalized, True)
        for token in special
    ] + renaming.new
