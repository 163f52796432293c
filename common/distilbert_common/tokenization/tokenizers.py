"""The two tokenizers of DistilBERT, which agree on every text: a readable one and a fast one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, groupby
from typing import Any, ClassVar

import tokenizers

from distilbert_common.tokenization.base import TokenizerBase
from distilbert_common.tokenization.columns import TextPieces
from distilbert_common.tokenization.files import TokenizerFiles
from distilbert_common.tokenization.inputs import check_unicode
from distilbert_common.tokenization.vocab import FLAGS, AddedToken
from distilbert_common.tokenization.wordpiece import WordPiece


class DistilBertTokenizer(TokenizerBase):
    """The tokenizer in plain Python, for reading and as the reference.

    It gives the ids, offsets and word ids of `DistilBertTokenizerFast` for every text. One exception: letters that are
    newer than the Unicode tables of the running Python (category Cn there) are not lower-cased, and do not count as
    letters around an added token with `single_word`. `TokenizerBase` has the options.
    """

    takes_tokens: ClassVar[bool] = True
    _engine: WordPiece

    def _engine_changed(self, new: Sequence[AddedToken]) -> None:
        """Build the reference anew, or only make added tokens known to it."""
        if new:
            self._engine.refresh()
            return
        settings = self.settings
        unk_token = settings.special_tokens["unk_token"]
        self._engine = WordPiece(
            settings.vocabulary, settings.normalizer, unk_token, settings.prefix, settings.max_word_chars
        )

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Join tokens with spaces, but for pieces that continue a word; spaces before punctuation stay."""
        return " ".join(tokens).replace(f" {self.settings.prefix}", "").strip()

    def _join(self, tokens: Sequence[str], spaces_between_special_tokens: bool) -> str:
        """Join the tokens of a text that is decoded; nothing continues an added token."""
        alone = self.get_added_vocab().keys() - self.settings.special_tokens.values()
        parts = [
            [*part] if is_alone else [self.convert_tokens_to_string([*part])]
            for is_alone, part in groupby(tokens, alone.__contains__)
        ]
        return (" " if spaces_between_special_tokens else "").join(filter(None, chain.from_iterable(parts)))

    def _cut(self, texts: Sequence[Any], is_split_into_words: bool, split_special_tokens: bool) -> Sequence[TextPieces]:
        """Cut texts into pieces, one after the other."""
        _check_unicode(texts)
        encode: Any = self._engine.encode_words if is_split_into_words else self._engine.encode
        return [encode(text, split_special_tokens) for text in texts]


class DistilBertTokenizerFast(TokenizerBase):
    """The tokenizer on the `tokenizers` library, which works on all cores at once; `TokenizerBase` has the options."""

    is_fast: ClassVar[bool] = True
    _engine: tokenizers.Tokenizer

    def _defaults(self, files: TokenizerFiles) -> Mapping[str, Any]:
        """Return what holds where nothing else is said: as in transformers, tokenizer.json changes how to decode."""
        return {"clean_up_tokenization_spaces": files.tokenizer is None}

    def _engine_changed(self, new: Sequence[AddedToken]) -> None:
        """Build the library's tokenizer anew, or only add tokens to it."""
        if not new:
            self._engine = self._new_engine()
        added = new or self.settings.vocabulary.added_by_id.values()
        self._engine.add_tokens(
            [tokenizers.AddedToken(token.content, **{flag: getattr(token, flag) for flag in FLAGS}) for token in added]
        )

    def _cut(self, texts: Sequence[Any], is_split_into_words: bool, split_special_tokens: bool) -> Sequence[TextPieces]:
        """Cut all texts into pieces at once."""
        if self._engine.encode_special_tokens != split_special_tokens:
            self._engine.encode_special_tokens = split_special_tokens
        try:
            pieces: Sequence[TextPieces] = self._engine.encode_batch(
                texts, is_pretokenized=is_split_into_words, add_special_tokens=False
            )
        except (TypeError, UnicodeEncodeError):
            _check_unicode(texts)
            raise
        return pieces

    def _new_engine(self) -> tokenizers.Tokenizer:
        settings, normalizer = self.settings, self.settings.normalizer
        model = tokenizers.models.WordPiece(
            _without_gaps(settings.vocabulary.pieces),
            unk_token=settings.special_tokens["unk_token"],
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
        engine.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        return engine


def _without_gaps(pieces: dict[str, int]) -> dict[str, int]:
    """Give every unused id below the largest a piece with a space, which no word can hold.

    The library numbers added tokens from the number of pieces on, we from the largest id on; so the two are the same.
    """
    unused = set(range(max(pieces.values()))).difference(pieces.values())
    return {**pieces, **{f"unused id {index}": index for index in unused}} if unused else pieces


def _check_unicode(texts: Sequence[str | Sequence[str]]) -> None:
    for index, text in enumerate(texts):
        for part in [text] if isinstance(text, str) else text:
            check_unicode(f"text[{index}]", part)
