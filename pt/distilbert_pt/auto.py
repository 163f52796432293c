"""Auto classes: programs name these, and get the DistilBERT of their checkpoint."""

from distilbert_common.auto import AutoConfig, AutoModelClass, AutoTokenizer
from distilbert_pt.heads import (
    DistilBertForMaskedLM,
    DistilBertForMultipleChoice,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
)
from distilbert_pt.modeling import DistilBertModel

__all__ = [
    "AutoConfig",
    "AutoModel",
    "AutoModelForMaskedLM",
    "AutoModelForMultipleChoice",
    "AutoModelForQuestionAnswering",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoTokenizer",
]


class AutoModel(AutoModelClass):
    """The bare model."""

    model_class = DistilBertModel


class AutoModelForMaskedLM(AutoModelClass):
    """The model that fills masks."""

    model_class = DistilBertForMaskedLM


class AutoModelForMultipleChoice(AutoModelClass):
    """The model that chooses one of several texts."""

    model_class = DistilBertForMultipleChoice


class AutoModelForQuestionAnswering(AutoModelClass):
    """The model that marks an answer in a text."""

    model_class = DistilBertForQuestionAnswering


class AutoModelForSequenceClassification(AutoModelClass):
    """The model that classifies a text."""

    model_class = DistilBertForSequenceClassification


class AutoModelForTokenClassification(AutoModelClass):
    """The model that labels each token."""

    model_class = DistilBertForTokenClassification
