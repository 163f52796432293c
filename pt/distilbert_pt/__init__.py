"""DistilBERT in PyTorch: drop-in for the classes of transformers."""

from typing import TYPE_CHECKING

from distilbert_common import DistilBertConfig, DistillationLoss, LoadReport, Packed, errors, pack
from distilbert_common.errors import *  # noqa: F403
from distilbert_common.frameworks import require
from distilbert_common.lazy_imports import TOKENIZERS, lazy_exports

require("pt")

from distilbert_pt import auto
from distilbert_pt.auto import *  # noqa: F403
from distilbert_pt.heads import (
    DistilBertForMaskedLM,
    DistilBertForMultipleChoice,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
)
from distilbert_pt.losses import distillation_loss
from distilbert_pt.modeling import DistilBertModel
from distilbert_pt.pretrained import DistilBertPreTrainedModel

if TYPE_CHECKING:
    from distilbert_common import DistilBertTokenizer, DistilBertTokenizerFast
else:
    __getattr__, __dir__ = lazy_exports(__name__, TOKENIZERS)

__all__ = [
    "DistilBertConfig",
    "DistilBertForMaskedLM",
    "DistilBertForMultipleChoice",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertModel",
    "DistilBertPreTrainedModel",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "DistillationLoss",
    "LoadReport",
    "Packed",
    "distillation_loss",
    "pack",
]
__all__ += [*auto.__all__, *errors.__all__]
