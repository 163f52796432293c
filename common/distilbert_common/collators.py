"""Collators: rows of a data set, tokenized one by one, become a padded batch with its labels. No framework is needed.

Their names and options are those of transformers, which has them for PyTorch and NumPy only since its version 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.errors import InputError
from distilbert_common.tokenization import BatchEncoding

__all__ = [
    "LABEL_NAMES",
    "DataCollatorForLanguageModeling",
    "DataCollatorForMultipleChoice",
    "DataCollatorForTokenClassification",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "Features",
    "as_list",
    "with_labels_apart",
]

LABEL_NAMES = ("labels", "label", "label_ids")
"""The columns that labels may be in; they leave as "labels"."""

Features = Sequence[Mapping[str, Any]]


def with_labels_apart(features: Features) -> tuple[list[dict[str, Any]], list[Any] | None]:
    """Return the rows without their labels, and the labels; None where the first row has none."""
    rows = [{name: value for name, value in row.items() if name not in LABEL_NAMES} for row in features]
    name = next((name for name in LABEL_NAMES if features[0].get(name) is not None), None)
    return rows, None if name is None else [row[name] for row in features]


@dataclass
class DefaultDataCollator:
    """Stack rows of equal length.

    Attributes:
        return_tensors: "np", "tf", "pt" or "jax".
    """

    return_tensors: str = "np"

    def __call__(self, features: Features, return_tensors: str | None = None) -> BatchEncoding:
        """Return a batch of the rows; columns of text are left out.

        Raises:
            InputError: Rows have different lengths.
        """
        rows, labels = with_labels_apart(features)
        data = {name: [row[name] for row in rows] for name, value in rows[0].items() if not isinstance(value, str)}
        data |= {} if labels is None else {"labels": labels}
        for name, values in data.items():
            if len({len(value) for value in values if hasattr(value, "__len__") and np.ndim(value)}) > 1:
                raise InputError(f"rows of {name!r} have different lengths; give the tokenizer, which pads them")
        return BatchEncoding(data, tensor_type=return_tensors or self.return_tensors)


@dataclass
class DataCollatorWithPadding:
    """Pad rows to the longest of the batch.

    Attributes:
        tokenizer: What pads.
        padding: True or "longest", "max_length", or False.
        max_length: The length for "max_length".
        pad_to_multiple_of: Raises the length to a multiple of this.
        return_tensors: "np", "tf", "pt" or "jax".
    """

    tokenizer: Any
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "np"

    def __call__(self, features: Features, return_tensors: str | None = None) -> BatchEncoding:
        """Return the padded batch, with `labels` where rows have some."""
        rows, labels = with_labels_apart(features)
        batch = self.padded(rows)
        if labels is not None:
            batch["labels"] = self.labels_of_batch(labels, np.asarray(batch["input_ids"]))
        return batch.convert_to_tensors(return_tensors or self.return_tensors)

    def padded(self, rows: Features) -> BatchEncoding:
        """Return the padded rows, as lists."""
        rows = [{name: as_list(value) for name, value in row.items()} for row in rows]
        batch: BatchEncoding = self.tokenizer.pad(
            rows, padding=self.padding, max_length=self.max_length, pad_to_multiple_of=self.pad_to_multiple_of
        )
        return batch

    def labels_of_batch(self, labels: Sequence[Any], ids: np.ndarray) -> Any:
        """Return the labels of a batch whose padded ids are (batch, seq)."""
        return labels


@dataclass
class DataCollatorForTokenClassification(DataCollatorWithPadding):
    """Pad rows and the labels of their tokens.

    Attributes:
        label_pad_token_id: The label at padding.
    """

    label_pad_token_id: int = IGNORE_INDEX

    def labels_of_batch(self, labels: Sequence[Any], ids: np.ndarray) -> list[list[int]]:
        """Return the labels of tokens in rows as long as the ids, padded on the side that those are."""
        width, left = ids.shape[1], self.tokenizer.padding_side == "left"
        padding = [[self.label_pad_token_id] * (width - len(row)) for row in labels]
        pairs = zip(padding, map(as_list, labels), strict=True)
        return [fill + row if left else row + fill for fill, row in pairs]


@dataclass
class DataCollatorForMultipleChoice(DataCollatorWithPadding):
    """Pad rows whose ids are one list for each choice: a batch is (batch, choices, seq)."""

    def padded(self, rows: Features) -> BatchEncoding:
        """Return the padded rows as arrays, with the choices' axis."""
        choices = len(rows[0]["input_ids"])
        flat = [{name: value[i] for name, value in row.items()} for row in rows for i in range(choices)]
        batch = super().padded(flat)
        for name, value in batch.items():
            batch[name] = np.asarray(value).reshape(len(rows), choices, -1)  # (batch, choices, seq)
        return batch


@dataclass
class DataCollatorForLanguageModeling(DataCollatorWithPadding):
    """Pad rows and mask some of their tokens, which become the labels: BERT's masked language modeling.

    Of the tokens that are picked, 80 % become [MASK], 10 % a random token, and 10 % stay.

    Attributes:
        mlm: Has to be True.
        mlm_probability: How likely a token that is not special is picked.
        seed: Makes the choice repeatable.
    """

    mlm: bool = True
    mlm_probability: float = 0.15
    seed: int | None = None
    random: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.mlm:
            raise ValueError("mlm is False; DistilBERT is trained by masked language modeling, with mlm=True")
        self.random = np.random.default_rng(self.seed)

    def __call__(self, features: Features, return_tensors: str | None = None) -> BatchEncoding:
        """Return the padded batch with masked ids, and the ids that were masked as `labels`, -100 elsewhere."""
        rows, _ = with_labels_apart(features)
        batch = self.padded(rows)
        ids, special = np.asarray(batch["input_ids"]), batch.pop("special_tokens_mask", None)
        if special is None:
            special = np.isin(ids, self.tokenizer.all_special_ids)
        batch["input_ids"], batch["labels"] = self.masked(ids, np.asarray(special, bool))
        return batch.convert_to_tensors(return_tensors or self.return_tensors)

    def masked(self, ids: np.ndarray, special: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return masked ids and labels of ids (batch, seq), none of them where a token is special."""
        picked = (self.random.random(ids.shape) < self.mlm_probability) & ~special  # (batch, seq)
        fate = self.random.random(ids.shape)  # (batch, seq)
        words = self.random.integers(len(self.tokenizer), size=ids.shape)  # (batch, seq)
        replaced = np.where(fate < 0.8, self.tokenizer.mask_token_id, np.where(fate < 0.9, words, ids))
        return np.where(picked, replaced, ids), np.where(picked, ids, IGNORE_INDEX)


def as_list(value: Any) -> Any:
    """Return an array or a tensor as lists, anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value
