"""What a classifier of texts computes: one class, several labels, or numbers."""

from __future__ import annotations

from distilbert_common.config import DistilBertConfig

__all__ = ["implied_problem_type"]


def implied_problem_type(config: DistilBertConfig, *, is_single: bool) -> str:
    """Return the problem type that the config names, or that its number of labels and the labels of a call imply.

    Args:
        config: With one label it means regression, unless it says otherwise: transformers' rule.
        is_single: Whether the labels name one class for each text; else they are several labels.
    """
    if config.problem_type is not None:
        return str(config.problem_type)
    if config.num_labels == 1:
        return "regression"
    return "single_label_classification" if is_single else "multi_label_classification"
