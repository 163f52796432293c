"""DistilBERT in Flax NNX: drop-in for the classes of transformers, and NNX modules."""

from typing import TYPE_CHECKING

from distilbert_common import DistilBertConfig, DistillationLoss, LoadReport, Packed, errors, pack
from distilbert_common.errors import *  # noqa: F403
from distilbert_common.frameworks import require
from distilbert_common.lazy_imports import TOKENIZERS, lazy_exports

require("flax")

from distilbert_flax import auto
from distilbert_flax.auto import *  # noqa: F403
from distilbert_flax.heads import (
    FlaxDistilBertForMaskedLM,
    FlaxDistilBertForMultipleChoice,
    FlaxDistilBertForQuestionAnswering,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertForTokenClassification,
)
from distilbert_flax.layers import Frozen
from distilbert_flax.losses import distillation_loss
from distilbert_flax.modeling import FlaxDistilBertModel
from distilbert_flax.pretrained import FlaxDistilBertPreTrainedModel

if TYPE_CHECKING:
    from distilbert_common import DistilBertTokenizer, DistilBertTokenizerFast
else:
    __getattr__, __dir__ = lazy_exports(__name__, TOKENIZERS)

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
    "LoadReport",
    "Packed",
    "distillation_loss",
    "pack",
]
__all__ += [*auto.__all__, *errors.__all__]
