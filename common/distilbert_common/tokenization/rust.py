"""The Rust library `tokenizers` under the fast tokenizer: its tokenizer, built from our settings or trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tokenizers

from distilbert_common.tokenization.files.tokenizer_config import options_of
from distilbert_common.tokenization.files.tokenizer_json import post_processor, template
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.vocabulary import FLAGS, AddedToken, Vocabulary, without_gaps

__all__ = ["Renaming", "build_rust_tokenizer", "library_token", "train"]


def build_rust_tokenizer(settings: TokenizerSettings) -> tokenizers.Tokenizer:
    """Build the library's tokenizer, with the ids of ours.

    Args:
        settings: The settings of the tokenizer.
    """
    normalizer, vocabulary = settings.normalizer, settings.vocabulary
    model = tokenizers.models.WordPiece(
        without_gaps(vocabulary.pieces, vocabulary.n_pieces),
        unk_token=settings.unk_piece,
        max_input_chars_per_word=settings.max_word_chars,
        continuing_subword_prefix=settings.prefix,
    )
    rust = tokenizers.Tokenizer(model)
    rust.normalizer = tokenizers.normalizers.BertNormalizer(
        clean_text=normalizer.clean_text,
        handle_chinese_chars=normalizer.handle_chinese_chars,
        strip_accents=normalizer.strip_accents,
        lowercase=normalizer.lowercase,
    )
    splitters = tokenizers.pre_tokenizers
    rust.pre_tokenizer = (splitters.BertPreTokenizer if settings.splits_punctuation else splitters.WhitespaceSplit)()
    rust.decoder = tokenizers.decoders.WordPiece(prefix=settings.prefix, cleanup=settings.decoder_cleanup)
    rust.add_tokens(list(_in_order_of_ids(vocabulary)))
    if (processor := post_processor(settings)) is not None:
        rust.post_processor = _template_processing(processor)
    return rust


def library_token(token: AddedToken) -> tokenizers.AddedToken:
    """Return a token in the library's own type."""
    return tokenizers.AddedToken(token.content, **{flag: getattr(token, flag) for flag in FLAGS})


def _in_order_of_ids(vocabulary: Vocabulary) -> Iterator[tokenizers.AddedToken]:
    """Yield the added tokens so that the library, which counts, assigns them our ids.

    A token that no text can match, and an id that no token has, is held by a token that no text contains: of tokens
    that are the same once normalized the library would match any.
    """
    added, shadowed = vocabulary.added_by_id, vocabulary.shadowed
    for token in added.values():
        if vocabulary[token.content] < vocabulary.n_pieces and token.content not in shadowed:
            yield library_token(token)
    for index in range(vocabulary.n_pieces, vocabulary.next_id):
        is_used = index in added and added[index].content not in shadowed
        yield library_token(added[index]) if is_used else tokenizers.AddedToken(_placeholder(index), normalized=False)


def _placeholder(index: int) -> str:
    """Return a token that is in no text: it is made of a code point that is no character."""
    return f"\U0010ffff{index}\U0010ffff"


def _template_processing(processor: Mapping[str, Any]) -> tokenizers.processors.TemplateProcessing:
    """Return the library's post-processor that tokenizer.json describes so."""
    items = {name: [next(iter(item.values())) for item in processor[name]] for name in ("single", "pair")}
    specials = processor["special_tokens"]
    return tokenizers.processors.TemplateProcessing(
        **{
            name: [f"{'' if each['id'] in specials else '$'}{each['id']}:{each['type_id']}" for each in each_items]
            for name, each_items in items.items()
        },
        special_tokens=[(token, special["ids"][0]) for token, special in specials.items()],
    )


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
    like = build_rust_tokenizer(settings)
    rust = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=renaming(settings.unk_piece)))
    rust.normalizer, rust.pre_tokenizer, rust.decoder = like.normalizer, like.pre_tokenizer, like.decoder
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=list(map(library_token, _special_tokens(settings, renaming))),
        **{"continuing_subword_prefix": settings.prefix, **trainer_options},
    )
    rust.train_from_iterator(texts, trainer=trainer, length=length)
    if settings.adds_special_tokens:
        ends = [renaming(settings.special_tokens[role]) for role in ("cls_token", "sep_token")]
        rust.post_processor = _template_processing(template(ends, list(map(rust.token_to_id, ends))))
    return rust


def _special_tokens(settings: TokenizerSettings, renaming: Renaming) -> Sequence[AddedToken]:
    """Return the special tokens in the order of their ids, the new ones last."""
    special = [token for token in settings.vocabulary.added_by_id.values() if token.special]
    return [
        AddedToken(renaming(token.content), token.single_word, token.lstrip, token.rstrip, token.normalized, True)
        for token in special
    ] + renaming.new
