"""The two tokenizers of DistilBERT and what they return.

`DistilBertTokenizer` is plain Python; `DistilBertTokenizerFast` has its texts cut by the Rust library `tokenizers`
(`rust.py` builds its tokenizer). That is one method, `_cut_texts`, and both stand in `distilbert.py`: texts in, pieces
out. What follows is the same code, so that the two can only agree. `TokenizerBase._encode` in `tokenizer.py` is the way
of a text, step by step:

    arguments.py     what is one text, a batch, a pair; the options of a call
    normalizer.py    cleaning, accents, lower case                          | `_cut_texts`: in the fast
    wordpiece.py     added tokens, words, words to pieces of the vocabulary | tokenizer Rust does it
    truncation.py    which pieces stand in which row
    batch.py         [CLS] and [SEP] around them, the columns, rows of one length
    tensors.py       lists to numpy, torch, tensorflow or jax
    encoding.py      what a call returns, and one row of it

What a tokenizer is lies in one object, `tokenizer.settings` (`settings.py`): its `Vocabulary` with the added tokens
(`vocabulary.py`), its normalizer, special tokens, lengths and sides. Four groups of methods work on it:
`special_tokens.py` (`pad_token`, `add_tokens`, ...), `decoding.py` (ids to tokens and text), `preparation.py` (`pad`,
`prepare_for_model`, ...: ids to model inputs), `storage.py` (load, save, train). `files/` reads the files.
`steps.py` has the two steps of the slow tokenizer for use without one.
"""

from distilbert_common.tokenization.distilbert import DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_common.tokenization.encoding import BatchEncoding
from distilbert_common.tokenization.steps import BasicTokenizer, WordpieceTokenizer
from distilbert_common.tokenization.vocabulary import AddedToken

__all__ = [
    "AddedToken",
    "BasicTokenizer",
    "BatchEncoding",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "WordpieceTokenizer",
]
