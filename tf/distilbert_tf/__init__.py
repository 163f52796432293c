"""DistilBERT in Keras 3: drop-in for the TensorFlow classes of transformers, on any Keras backend."""

from typing import TYPE_CHECKING

from distilbert_common import DistilBertConfig, DistillationLoss, LoadReport, Packed, errors, pack
from distilbert_common.errors import *  # noqa: F403
from distilbert_common.frameworks import require
from distilbert_common.lazy_imports import COLLATORS, TOKENIZERS, lazy_exports

require("tf")

from distilbert_tf import auto
from distilbert_tf.auto import *  # noqa: F403
from distilbert_tf.heads import (
    TFDistilBertForMaskedLM,
    TFDistilBertForMultipleChoice,
    TFDistilBertForQuestionAnswering,
    TFDistilBertForSequenceClassification,
    TFDistilBertForTokenClassification,
)
from distilbert_tf.losses import distillation_loss
from distilbert_tf.modeling import TFDistilBertMainLayer, TFDistilBertModel
from distilbert_tf.pretrained import TFDistilBertPreTrainedModel

if TYPE_CHECKING:
    from distilbert_common import DistilBertTokenizer, DistilBertTokenizerFast
    from distilbert_common.collators import (
        DataCollatorForLanguageModeling,
        DataCollatorForMultipleChoice,
        DataCollatorForTokenClassification,
        DataCollatorWithPadding,
        DefaultDataCollator,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__, TOKENIZERS | COLLATORS)

__all__ = [
    "DataCollatorForLanguageModeling",
    "DataCollatorForMultipleChoice",
    "DataCollatorForTokenClassification",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "DistilBertConfig",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "DistillationLoss",
    "LoadReport",
    "Packed",
    "TFDistilBertForMaskedLM",
    "TFDistilBertForMultipleChoice",
    "TFDistilBertForQuestionAnswering",
    "TFDistilBertForSequenceClassification",
    "TFDistilBertForTokenClassification",
    "TFDistilBertMainLayer",
    "TFDistilBertModel",
    "TFDistilBertPreTrainedModel",
    "distillation_loss",
    "pack",
]
__all__ += [*auto.__all__, *errors.__all__]
