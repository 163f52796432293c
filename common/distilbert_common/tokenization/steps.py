"""The two steps of the slow tokenizer by themselves, without offsets: for programs that want words or pieces alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.wordpiece import SPACED_WORD, WORD, LongestPieces

__all__ = ["BasicTokenizer", "WordpieceTokenizer"]


class BasicTokenizer:
    """Cuts a text into words, as transformers' class of this name does; the slow tokenizer's is `basic_tokenizer`.

    Args:
        do_lower_case: Whether words are lower-cased.
        never_split: Words between white space that stay as they are.
        tokenize_chinese_chars: Whether each ideograph is a word.
        strip_accents: Whether accents are dropped; None means: if and only if words are lower-cased.
        do_split_on_punc: Whether each punctuation mark is a word.
        clean_text: Whether control characters are dropped.
    """

    def __init__(
        self,
        do_lower_case: bool = True,
        never_split: Iterable[str] | None = None,
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        do_split_on_punc: bool = True,
        *,
        clean_text: bool = True,
    ) -> None:
        self.do_lower_case = do_lower_case
        self.never_split = set(never_split or ())
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.strip_accents = strip_accents
        self.do_split_on_punc = do_split_on_punc
        self.clean_text = clean_text

    def tokenize(self, text: str, never_split: Iterable[str] | None = None) -> list[str]:
        """Return the words of a text, normalized; added tokens are words like any other.

        Args:
            text: The text.
            never_split: More words that stay as they are.
        """
        never_split = self.never_split.union(never_split or ())
        spaced = Normalizer(self.clean_text, self.tokenize_chinese_chars, strip_accents=False, lowercase=False)
        normalize = Normalizer(False, False, self.strip_accents, self.do_lower_case)
        word = WORD if self.do_split_on_punc else SPACED_WORD
        parts = SPACED_WORD.findall(spaced(text).text)
        return [
            each for part in parts for each in ([part] if part in never_split else word.findall(normalize(part).text))
        ]


class WordpieceTokenizer:
    """Cuts words into pieces, as transformers' class of this name does; the slow one's is `wordpiece_tokenizer`.

    Args:
        vocab: Id by piece.
        unk_token: What stands for a word that no pieces make up.
        max_input_chars_per_word: A longer word becomes `unk_token`.
        prefix: What marks a piece that continues a word.
    """

    def __init__(
        self, vocab: Mapping[str, int], unk_token: str, max_input_chars_per_word: int = 100, *, prefix: str = "##"
    ) -> None:
        self.vocab = vocab
        self.unk_token = unk_token
        self.max_input_chars_per_word = max_input_chars_per_word
        self._cut = LongestPieces(vocab, prefix, max_input_chars_per_word)

    def tokenize(self, text: str) -> list[str]:
        """Return the pieces of words with white space between them."""
        return [piece for word in text.split() for piece, _ in self._cut(word) or [(self.unk_token, (0, len(word)))]]
