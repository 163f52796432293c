"""The two tokenizers of DistilBERT and what they return.

A text becomes pieces in `wordpiece` (readable) or in the `tokenizers` library (fast); everything after that, from
added tokens over pairs, truncation and padding to files, is shared, so that the two can only agree.
"""

from distilbert_common.tokenization.added_token import AddedToken
from distilbert_common.tokenization.batch_encoding import BatchEncoding
from distilbert_common.tokenization.tokenizers import DistilBertTokenizer, DistilBertTokenizerFast

__all__ = ["AddedToken", "BatchEncoding", "DistilBertTokenizer", "DistilBertTokenizerFast"]
