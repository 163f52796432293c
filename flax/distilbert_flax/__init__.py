"""DistilBERT in Flax NNX: drop-in for the classes of transformers, and NNX modules."""

from distilbert_common import OUTPUT_TYPES, DistilBertConfig, DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_common.frameworks import require

require("flax")

from distilbert_flax.arrays import register_output
from distilbert_flax.heads import (
    FlaxDistilBertForMaskedLM,
    FlaxDistilBertForMultipleChoice,
    FlaxDistilBertForQuestionAnswering,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertForTokenClassification,
)
from distilbert_flax.layers import Frozen
from distilbert_flax.losses import DistillationLoss, distillation_loss
from distilbert_flax.modeling import FlaxDistilBertModel
from distilbert_flax.pretrained import FlaxDistilBertPreTrainedModel

for output_type in OUTPUT_TYPES:
    register_output(output_type)

__all__ = [
    "DistilBertConfig",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "DistillationLoss",
    "FlaxDistilBertForMaskedLM",
    "FlaxDistilBertForMultipleChoice",
    "FlaxDistilBertForQuestionAnswering",
    "FlaxDistilBertForSequenceClassification",
    "FlaxDistilBertForTokenClassification",
    "FlaxDistilBertModel",
    "FlaxDistilBertPreTrainedModel",
    "Frozen",
    "distillation_loss",
]
