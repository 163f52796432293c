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

__all__ = [
    "ACTIVATIONS",
    "OUTPUT_TYPES",
    "BaseModelOutput",
    "DistilBertConfig",
    "DistilBertError",
    "MaskedLMOutput",
    "ModelOutput",
    "MultipleChoiceModelOutput",
    "QuestionAnsweringModelOutput",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
]
