"""What all three families share and what needs no framework: config, tokenizers, outputs, errors."""

from typing import TYPE_CHECKING

from distilbert_common import errors
from distilbert_common.config import DistilBertConfig
from distilbert_common.config_fields import ACTIVATIONS
from distilbert_common.errors import *  # noqa: F403
from distilbert_common.load_report import LoadReport
from distilbert_common.outputs import (
    OUTPUT_TYPES,
    BaseModelOutput,
    DistillationLoss,
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from distilbert_common.packing import Packed, pack

if TYPE_CHECKING:
    from distilbert_common.tokenization import AddedToken, BatchEncoding, DistilBertTokenizer, DistilBertTokenizerFast
else:
    from distilbert_common.lazy_imports import TOKENIZATION, lazy_exports

    __getattr__, __dir__ = lazy_exports(__name__, TOKENIZATION)

__all__ = [
    "ACTIVATIONS",
    "OUTPUT_TYPES",
    "AddedToken",
    "BaseModelOutput",
    "BatchEncoding",
    "DistilBertConfig",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "DistillationLoss",
    "LoadReport",
    "MaskedLMOutput",
    "ModelOutput",
    "MultipleChoiceModelOutput",
    "Packed",
    "QuestionAnsweringModelOutput",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
    "pack",
]
__all__ += errors.__all__
