"""`DistilBertTokenizerFast`: the tokenizer whose texts are cut by the Rust library `tokenizers`, in `_cut_texts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import tokenizers

from distilbert_common.tokenization.encoding import TextPieces
from distilbert_common.tokenization.files.paths import TokenizerFiles
from distilbert_common.tokenization.files.tokenizer_json import TokenizerJson
from distilbert_common.tokenization.rust import build_rust_tokenizer, library_token
from distilbert_common.tokenization.slow import DistilBertTokenizer
from distilbert_common.tokenization.splitting import cut_around_words
from distilbert_common.tokenization.texts import check_all_unicode
from distilbert_common.tokenization.tokenizer import COMMON_POSITIONAL, TokenizerBase
from distilbert_common.tokenization.vocabulary import AddedToken

__all__ = ["DistilBertTokenizerFast"]


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
