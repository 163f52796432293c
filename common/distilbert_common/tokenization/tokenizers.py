"""The two tokenizers of DistilBERT, which agree on every text: a readable one and a fast one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from typing import Any, ClassVar

import tokenizers

from distilbert_common.tokenization.added_token import AddedToken
from distilbert_common.tokenization.base import TokenizerBase
from distilbert_common.tokenization.columns import TextPieces
from distilbert_common.tokenization.engine import library_token, new_engine
from distilbert_common.tokenization.files import TokenizerFiles
from distilbert_common.tokenization.inputs import check_unicode
from distilbert_common.tokenization.never_split import cut_around_words
from distilbert_common.tokenization.steps import BasicTokenizer, WordpieceTokenizer
from distilbert_common.tokenization.tokenizer_json import TokenizerJson
from distilbert_common.tokenization.wordpiece import WordPiece

_COMMON = (
    "unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "tokenize_chinese_chars", "strip_accents",
    "clean_up_tokenization_spaces",
)  # fmt: skip


class DistilBertTokenizer(TokenizerBase):
    """The tokenizer in plain Python, for reading and as the reference.

    It gives the ids, offsets and word ids of `DistilBertTokenizerFast` for every text. One exception: letters that are
    newer than the Unicode tables of the running Python (category Cn there) are not lower-cased, and do not count as
    letters around an added token with `single_word`. `TokenizerBase` has the options.
    """

    takes_tokens: ClassVar[bool] = True
    slow_tokenizer_class: ClassVar[None] = None
    positional: ClassVar[tuple[str, ...]] = ("do_lower_case", "do_basic_tokenize", "never_split", *_COMMON)
    _engine: WordPiece

    def _engine_changed(self, new: Sequence[AddedToken]) -> None:
        """Build the reference anew, or only make added tokens known to it."""
        if new:
            self._engine.refresh()
            return
        settings = self.settings
        unk_token = settings.unk_piece
        self._engine = WordPiece(
            settings.vocabulary,
            settings.normalizer,
            unk_token,
            settings.prefix,
            settings.max_word_chars,
            settings.splits_punctuation,
        )

    @property
    def basic_tokenizer(self) -> BasicTokenizer:
        """The first step by itself: from a text to words."""
        return BasicTokenizer(self.settings.normalizer, self._engine)

    @property
    def wordpiece_tokenizer(self) -> WordpieceTokenizer:
        """The second step by itself: from words to pieces."""
        settings = self.settings
        unk_token = settings.unk_piece
        return WordpieceTokenizer(settings.vocabulary.pieces, unk_token, settings.max_word_chars, self._engine)

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

        def cut(parts: Sequence[Any]) -> Sequence[TextPieces]:
            return [encode(part, split_special_tokens) for part in parts]

        return cut_around_words(self.settings, texts, is_split_into_words, cut)


class DistilBertTokenizerFast(TokenizerBase):
    """The tokenizer on the `tokenizers` library, which works on all cores at once; `TokenizerBase` has the options."""

    is_fast: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("tokenizer_file", "do_lower_case", *_COMMON)
    slow_tokenizer_class: ClassVar[type[TokenizerBase]] = DistilBertTokenizer
    can_save_slow_tokenizer: ClassVar[bool] = True
    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.txt", "tokenizer_file": "tokenizer.json"}
    _engine: tokenizers.Tokenizer

    def _defaults(self, files: TokenizerFiles, vocabulary: TokenizerJson | None) -> Mapping[str, Any]:
        """Return what holds where nothing else is said: as in transformers, tokenizer.json changes how to decode."""
        return {"clean_up_tokenization_spaces": files.tokenizer is None and vocabulary is None}

    @property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        """The tokenizer of the `tokenizers` library at work here; what is changed in it is not saved."""
        return self._engine

    @property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        """The name under which transformers' pipelines look for it."""
        return self._engine

    @property
    def decoder(self) -> tokenizers.decoders.Decoder:
        """The decoder of `backend_tokenizer`."""
        decoder: tokenizers.decoders.Decoder = self._engine.decoder
        return decoder

    def _skipped_in_texts(self) -> set[int]:
        """Return the ids of special added tokens; a piece that was only given a role stays, as in transformers."""
        added = self.settings.vocabulary.added
        with_role = {self.settings.vocabulary[token] for token in self.all_special_tokens if token in added}
        return self._special_added_ids() | with_role

    def _engine_changed(self, new: Sequence[AddedToken]) -> None:
        """Build the library's tokenizer anew, or only add tokens to it."""
        if new and not self.settings.vocabulary.shadowed:
            self._engine.add_tokens(list(map(library_token, new)))
        else:
            self._engine = new_engine(self.settings)

    def _cut(self, texts: Sequence[Any], is_split_into_words: bool, split_special_tokens: bool) -> Sequence[TextPieces]:
        """Cut all texts into pieces at once."""
        if self._engine.encode_special_tokens != split_special_tokens:
            self._engine.encode_special_tokens = split_special_tokens
        encode = partial(self._engine.encode_batch, is_pretokenized=is_split_into_words, add_special_tokens=False)
        try:
            return cut_around_words(self.settings, texts, is_split_into_words, encode)
        except (TypeError, UnicodeEncodeError):
            _check_unicode(texts)
            raise


def _check_unicode(texts: Sequence[str | Sequence[str]]) -> None:
    for index, text in enumerate(texts):
        for part in [text] if isinstance(text, str) else text:
            check_unicode(f"text[{index}]", part)
