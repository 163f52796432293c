"""The two tokenizers of DistilBERT and what they return.

`DistilBertTokenizer` (`slow.py`) is plain Python; `DistilBertTokenizerFast` (`fast.py`) has its texts cut by the Rust
library `tokenizers` (`rust.py` builds its tokenizer). That is one method, `_cut_texts`: texts in, pieces out. What
follows is the same code, so that the two can only agree. `TokenizerBase._encode` in `tokenizer.py` is the way of a
text, step by step:

    texts.py, options.py   what is one text, a batch, a pair; the arguments of a call
    splitting.py           added tokens, `never_split`, words           |
    normalizer.py          cleaning, accents, lower case (`unicode.py`) | `_cut_texts`: in `fast.py` Rust does it
    wordpiece.py           words to pieces of the vocabulary            |
    truncation.py          which pieces stand in which row
    batch.py               [CLS] and [SEP] around them, the columns
    padding.py             rows of one length
    tensors.py             lists to numpy, torch, tensorflow or jax
    batch_encoding.py      what a call returns; one row of it is an `Encoding` (`encoding.py`)

What a tokenizer is lies in one object, `tokenizer.settings` (`settings.py`): its `Vocabulary` with the added tokens
(`vocabulary.py`), its normalizer, special tokens, lengths and sides. Four groups of methods work on it:
`special_tokens.py` (`pad_token`, `add_tokens`, ...), `decoding.py` (ids to tokens and text), `preparation.py` (`pad`,
`prepare_for_model`, ...: ids to model inputs), `storage.py` (load, save, train). `files/` reads and writes the files.
"""

from distilbert_common.tokenization.batch_encoding import BatchEncoding
from distilbert_common.tokenization.fast import DistilBertTokenizerFast
from distilbert_common.tokenization.slow import DistilBertTokenizer
from distilbert_common.tokenization.vocabulary import AddedToken

__all__ = ["AddedToken", "BatchEncoding", "DistilBertTokenizer", "DistilBertTokenizerFast"]
