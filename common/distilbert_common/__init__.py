"""What all three families share and what needs no framework: config, tokenizers, outputs, errors."""

from distilbert_common.config import ACTIVATIONS, DistilBertConfig
from distilbert_common.errors import DistilBertError
from distilbert_common.outputs import (
    OUTPUT_TYPES,
    BaseModelOutput,
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from distilbert_common.tokenization import AddedToken, BatchEncoding, DistilBertTokenizer, DistilBertTokenizerFast

__all__ = [
    "ACTIVATIONS",
    "OUTPUT_TYPES",
    "AddedToken",
    "BaseModelOutput",
    "BatchEncoding",
    "DistilBertConfig",
    "DistilBertError",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "MaskedLMOutput",
    "ModelOutput",
    "MultipleChoiceModelOutput",
    "QuestionAnsweringModelOutput",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
]
