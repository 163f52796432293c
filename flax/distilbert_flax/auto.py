"""Auto classes: programs name these, and get the DistilBERT of their checkpoint."""

from distilbert_common.auto import AutoConfig, AutoModelClass, AutoTokenizer
from distilbert_flax.heads import (
    FlaxDistilBertForMaskedLM,
    FlaxDistilBertForMultipleChoice,
    FlaxDistilBertForQuestionAnswering,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertForTokenClassification,
)
from distilbert_flax.modeling import FlaxDistilBertModel

__all__ = [
    "AutoConfig",
    "AutoTokenizer",
    "FlaxAutoModel",
    "FlaxAutoModelForMaskedLM",
    "FlaxAutoModelForMultipleChoice",
    "FlaxAutoModelForQuestionAnswering",
    "FlaxAutoModelForSequenceClassification",
    "FlaxAutoModelForTokenClassification",
]


class FlaxAutoModel(AutoModelClass):
    """The bare model."""

    model_class = FlaxDistilBertModel


class FlaxAutoModelForMaskedLM(AutoModelClass):
    """The model that fills masks."""

    model_class = FlaxDistilBertForMaskedLM


class FlaxAutoModelForMultipleChoice(AutoModelClass):
    """The model that chooses one of several texts."""

    model_class = FlaxDistilBertForMultipleChoice


class FlaxAutoModelForQuestionAnswering(AutoModelClass):
    """The model that marks an answer in a text."""

    model_class = FlaxDistilBertForQuestionAnswering


class FlaxAutoModelForSequenceClassification(AutoModelClass):
    """The model that classifies a text."""

    model_class = FlaxDistilBertForSequenceClassification


class FlaxAutoModelForTokenClassification(AutoModelClass):
    """The model that labels each token."""

    model_class = FlaxDistilBertForTokenClassification
