"""Records in the columns of each task, every value checked: what is wrong is an error that says where.

Labels of classification, tags and choices stay as they are written; `labels` makes ids of them once all are read.
"""

from collections.abc import Callable

from distilbert_tasks.data.canonical.classification import text_classification, token_classification
from distilbert_tasks.data.canonical.multiple_choice import multiple_choice
from distilbert_tasks.data.canonical.question_answering import question_answering
from distilbert_tasks.data.canonical.values import Columns, texts
from distilbert_tasks.data.columns import Chosen
from distilbert_tasks.data.records import Records

__all__ = ["CANONICAL", "LABEL_COLUMNS", "Columns"]


def fill_mask(records: Records, chosen: Chosen) -> Columns:
    """Return `text`."""
    return {"text": texts(records, chosen["text"][0])}


CANONICAL: dict[str, Callable[[Records, Chosen], Columns]] = {
    "text-classification": text_classification,
    "token-classification": token_classification,
    "question-answering": question_answering,
    "multiple-choice": multiple_choice,
    "fill-mask": fill_mask,
}
"""What makes the columns of each task, by its name."""

LABEL_COLUMNS = {"text-classification": "label", "token-classification": "tags", "multiple-choice": "label"}
"""The column whose labels become ids once all are read."""
