"""Auto classes: programs name these, and get the DistilBERT of their checkpoint."""

from distilbert_common.auto import AutoConfig, AutoModelClass, AutoTokenizer
from distilbert_tf.heads import (
    TFDistilBertForMaskedLM,
    TFDistilBertForMultipleChoice,
    TFDistilBertForQuestionAnswering,
    TFDistilBertForSequenceClassification,
    TFDistilBertForTokenClassification,
)
from distilbert_tf.modeling import TFDistilBertModel

__all__ = [
    "AutoConfig",
    "AutoTokenizer",
    "TFAutoModel",
    "TFAutoModelForMaskedLM",
    "TFAutoModelForMultipleChoice",
    "TFAutoModelForQuestionAnswering",
    "TFAutoModelForSequenceClassification",
    "TFAutoModelForTokenClassification",
]


class TFAutoModel(AutoModelClass):
    """The bare model."""

    model_class = TFDistilBertModel


class TFAutoModelForMaskedLM(AutoModelClass):
    """The model that fills masks."""

    model_class = TFDistilBertForMaskedLM


class TFAutoModelForMultipleChoice(AutoModelClass):
    """The model that chooses one of several texts."""

    model_class = TFDistilBertForMultipleChoice


class TFAutoModelForQuestionAnswering(AutoModelClass):
    """The model that marks an answer in a text."""

    model_class = TFDistilBertForQuestionAnswering


class TFAutoModelForSequenceClassification(AutoModelClass):
    """The model that classifies a text."""

    model_class = TFDistilBertForSequenceClassification


class TFAutoModelForTokenClassification(AutoModelClass):
    """The model that labels each token."""

    model_class = TFDistilBertForTokenClassification
