"""The tokenizer of the `tokenizers` library that settings describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tokenizers

from distilbert_common.tokenization.added_token import FLAGS, AddedToken
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.tokenizer_json import post_processor
from distilbert_common.tokenization.vocab import Vocabulary, without_gaps


def new_engine(settings: TokenizerSettings) -> tokenizers.Tokenizer:
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
    engine = tokenizers.Tokenizer(model)
    engine.normalizer = tokenizers.normalizers.BertNormalizer(
        clean_text=normalizer.clean_text,
        handle_chinese_chars=normalizer.handle_chinese_chars,
        strip_accents=normalizer.strip_accents,
        lowercase=normalizer.lowercase,
    )
    splitters = tokenizers.pre_tokenizers
    engine.pre_tokenizer = (splitters.BertPreTokenizer if settings.splits_punctuation else splitters.WhitespaceSplit)()
    engine.decoder = tokenizers.decoders.WordPiece(prefix=settings.prefix, cleanup=settings.decoder_cleanup)
    engine.add_tokens(list(_in_order_of_ids(vocabulary)))
    if (template := post_processor(settings)) is not None:
        engine.post_processor = template_processing(template)
    return engine


def library_token(token: AddedToken) -> tokenizers.AddedToken:
    """Return a token in the library's own type."""
    return tokenizers.AddedToken(token.content, **{flag: getattr(token, flag) for flag in FLAGS})


def _in_order_of_ids(vocabulary: Vocabulary) -> Iterator[tokenizers.AddedToken]:
    """Yield the added tokens so that the library, which counts, gives them our ids.

    A token that is never found, and an id that none has, is held by one that no text contains: of tokens that are the
    same once normalized the library would find any.
    """
    added, hidden = vocabulary.added_by_id, vocabulary.shadowed
    for token in added.values():
        if vocabulary[token.content] < vocabulary.n_pieces and token.content not in hidden:
            yield library_token(token)
    for index in range(vocabulary.n_pieces, vocabulary.next_id):
        is_used = index in added and added[index].content not in hidden
        yield library_token(added[index]) if is_used else tokenizers.AddedToken(_placeholder(index), normalized=False)


def template_processing(template: Mapping[str, Any]) -> tokenizers.processors.TemplateProcessing:
    """Return the part of the library that tokenizer.json describes so."""
    items = {name: [next(iter(item.values())) for item in template[name]] for name in ("single", "pair")}
    specials = template["special_tokens"]
    return tokenizers.processors.TemplateProcessing(
        **{
            name: [f"{'' if each['id'] in specials else '$'}{each['id']}:{each['type_id']}" for each in each_items]
            for name, each_items in items.items()
        },
        special_tokens=[(token, special["ids"][0]) for token, special in specials.items()],
    )


def _placeholder(index: int) -> str:
    """Return a token that is in no text: it is made of a code point that is no character."""
    return f"\U0010ffff{index}\U0010ffff"
