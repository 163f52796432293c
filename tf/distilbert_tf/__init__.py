"""DistilBERT in Keras 3: drop-in for the TensorFlow classes of transformers, on any Keras backend."""

import os

from distilbert_common import OUTPUT_TYPES, DistilBertConfig, DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_common.frameworks import require

if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    require("tf")  # Keras' other backends do without TensorFlow

from distilbert_tf.arrays import register_output
from distilbert_tf.heads import (
    TFDistilBertForMaskedLM,
    TFDistilBertForMultipleChoice,
    TFDistilBertForQuestionAnswering,
    TFDistilBertForSequenceClassification,
    TFDistilBertForTokenClassification,
)
from distilbert_tf.losses import DistillationLoss, distillation_loss
from distilbert_tf.modeling import TFDistilBertMainLayer, TFDistilBertModel
from distilbert_tf.pretrained import TFDistilBertPreTrainedModel

for output_type in OUTPUT_TYPES:
    register_output(output_type)

__all__ = [
    "DistilBertConfig",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "DistillationLoss",
    "TFDistilBertForMaskedLM",
    "TFDistilBertForMultipleChoice",
    "TFDistilBertForQuestionAnswering",
    "TFDistilBertForSequenceClassification",
    "TFDistilBertForTokenClassification",
    "TFDistilBertMainLayer",
    "TFDistilBertModel",
    "TFDistilBertPreTrainedModel",
    "distillation_loss",
]
