"""DistilBERT in PyTorch: drop-in for the classes of transformers."""

from distilbert_common import DistilBertConfig
from distilbert_common.frameworks import require

require("pt")

from distilbert_pt.heads import (
    DistilBertForMaskedLM,
    DistilBertForMultipleChoice,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
)
from distilbert_pt.losses import DistillationLoss, distillation_loss
from distilbert_pt.modeling import DistilBertModel
from distilbert_pt.pretrained import DistilBertPreTrainedModel

__all__ = [
    "DistilBertConfig",
    "DistilBertForMaskedLM",
    "DistilBertForMultipleChoice",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertModel",
    "DistilBertPreTrainedModel",
    "DistillationLoss",
    "distillation_loss",
]
