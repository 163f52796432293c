"""The two steps of the slow tokenizer by themselves, as transformers' class has them: words, then pieces."""

from __future__ import annotations

from distilbert_common.tokenization.normalizer import Normalizer
from distilbert_common.tokenization.wordpiece import WordPiece


class BasicTokenizer:
    """Cuts a text into words.

    Args:
        normalizer: What happens to a text before.
        reference: Cuts at white space and punctuation.
    """

    def __init__(self, normalizer: Normalizer, reference: WordPiece) -> None:
        self.do_lower_case = normalizer.lowercase
        self.strip_accents = normalizer.strip_accents
        self.tokenize_chinese_chars = normalizer.handle_chinese_chars
        self._reference = reference

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text, normalized; added tokens are words like any other."""
        return self._reference.words(text)


class WordpieceTokenizer:
    """Cuts words into pieces.

    Args:
        vocab: Id by piece.
        unk_token: The piece that stands for a word that no pieces make up.
        max_input_chars_per_word: A longer word becomes `unk_token`.
        reference: Does the work.
    """

    def __init__(
        self, vocab: dict[str, int], unk_token: str, max_input_chars_per_word: int, reference: WordPiece
    ) -> None:
        self.vocab = vocab
        self.unk_token = unk_token
        self.max_input_chars_per_word = max_input_chars_per_word
        self._reference = reference
        self._pieces = {index: piece for piece, index in vocab.items()}

    def tokenize(self, text: str) -> list[str]:
        """Return the pieces of words with white space between them."""
        return [self._pieces[index] for word in text.split() for index in self._reference.cut(word)]
