"""The two tokenizers: they differ in `_cut_texts`, which is plain Python in one, and Rust in the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from typing import Any, ClassVar

import tokenizers

from distilbert_common.tokenization.arguments import check_all_unicode
from distilbert_common.tokenization.encoding import TextPieces
from distilbert_common.tokenization.files.paths import TokenizerFiles
from distilbert_common.tokenization.files.tokenizer_json import TokenizerJson
from distilbert_common.tokenization.rust import build_rust_tokenizer, library_token
from distilbert_common.tokenization.steps import BasicTokenizer, WordpieceTokenizer
from distilbert_common.tokenization.tokenizer import COMMON_POSITIONAL, TokenizerBase
from distilbert_common.tokenization.vocabulary import AddedToken
from distilbert_common.tokenization.wordpiece import WordPiece, cut_around_words

__all__ = ["DistilBertTokenizer", "DistilBertTokenizerFast"]


class DistilBertTokenizer(TokenizerBase):
    """The tokenizer in plain Python, for reading and as the reference.

    It gives the ids, offsets and word ids of `DistilBertTokenizerFast` for every text. One exception: letters that are
    newer than the Unicode tables of the running Python (category Cn there) are not lower-cased, and do not count as
    letters around an added token with `single_word`. `TokenizerBase` has the options.
    """

    takes_tokens: ClassVar[bool] = True
    slow_tokenizer_class: ClassVar[None] = None
    positional: ClassVar[tuple[str, ...]] = ("do_lower_case", "do_basic_tokenize", "never_split", *COMMON_POSITIONAL)
    _wordpiece: WordPiece

    def _cut_texts(
        self, texts: Sequence[Any], is_split_into_words: bool, split_special_tokens: bool
    ) -> Sequence[TextPieces]:
        """Cut texts into pieces, one after the other."""
        check_all_unicode(texts)
        encode: Any = self._wordpiece.encode_words if is_split_into_words else self._wordpiece.encode

        def cut(parts: Sequence[Any]) -> Sequence[TextPieces]:
            return [encode(part, split_special_tokens) for part in parts]

        return cut_around_words(self.settings, texts, is_split_into_words, cut)

    def _refresh(self, new: Sequence[AddedToken]) -> None:
        """Build `WordPiece` anew, or only make added tokens known to it."""
        if new:
            self._wordpiece.refresh()
        else:
            self._wordpiece = WordPiece(self.settings)

    @property
    def basic_tokenizer(self) -> BasicTokenizer:
        """The first step by itself: from a text to words."""
        settings, normalizer = self.settings, self.settings.normalizer
        return BasicTokenizer(
            normalizer.lowercase,
            settings.never_split,
            normalizer.handle_chinese_chars,
            normalizer.strip_accents,
            settings.splits_punctuation,
            clean_text=normalizer.clean_text,
        )

    @property
    def wordpiece_tokenizer(self) -> WordpieceTokenizer:
        """The second step by itself: from words to pieces."""
        settings = self.settings
        vocab, longest = settings.vocabulary.pieces, settings.max_word_chars
        return WordpieceTokenizer(vocab, settings.unk_piece, longest, prefix=settings.prefix)

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


class DistilBertTokenizerFast(TokenizerBase):
    """The tokenizer on the `tokenizers` library, which works on all cores at once; `TokenizerBase` has the options."""

    is_fast: ClassVar[bool] = True
    positional: ClassVar[tuple[str, ...]] = ("tokenizer_file", "do_lower_case", *COMMON_POSITIONAL)
    slow_tokenizer_class: ClassVar[type[TokenizerBase]] = DistilBertTokenizer
    can_save_slow_tokenizer: ClassVar[bool] = True
    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.txt", "tokenizer_file": "tokenizer.json"}
    _backend: tokenizers.Tokenizer

    def _cut_texts(
        self, texts: Sequence[Any], is_split_into_words: bool, split_special_tokens: bool
    ) -> Sequence[TextPieces]:
        """Cut all texts into pieces at once, in Rust."""
        if self._backend.encode_special_tokens != split_special_tokens:
            self._backend.encode_special_tokens = split_special_tokens
        encode = partial(self._backend.encode_batch, is_pretokenized=is_split_into_words, add_special_tokens=False)
        try:
            return cut_around_words(self.settings, texts, is_split_into_words, encode)
        except (TypeError, UnicodeEncodeError):
            check_all_unicode(texts)
            raise

    def _refresh(self, new: Sequence[AddedToken]) -> None:
        """Build the library's tokenizer anew, or only add tokens to it."""
        if new and not self.settings.vocabulary.shadowed:
            self._backend.add_tokens(list(map(library_token, new)))
        else:
            self._backend = build_rust_tokenizer(self.settings)

    def _defaults(self, files: TokenizerFiles, vocabulary: TokenizerJson | None) -> Mapping[str, Any]:
        """Return what holds where nothing else is said: as in transformers, tokenizer.json changes how to decode."""
        return {"clean_up_tokenization_spaces": files.tokenizer is None and vocabulary is None}

    @property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        """The tokenizer of the `tokenizers` library at work here; what is changed in it is not saved."""
        return self._backend

    @property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        """The name under which transformers' pipelines look for it."""
        return self._backend

    @property
    def decoder(self) -> tokenizers.decoders.Decoder:
        """The decoder of `backend_tokenizer`."""
        decoder: tokenizers.decoders.Decoder = self._backend.decoder
        return decoder

    def _skipped_in_texts(self) -> set[int]:
        """Return the ids of special added tokens; a piece that only has a role stays, as in transformers."""
        added = self.settings.vocabulary.added
        with_role = {self.settings.vocabulary[token] for token in self.all_special_tokens if token in added}
        return self._special_added_ids() | with_role
