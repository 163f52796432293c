"""Padding what was tokenized before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.batch_encoding import BatchEncoding
from distilbert_common.tokenization.columns import FIXED_COLUMNS, pad_lists
from distilbert_common.tokenization.decoding import TokenizerDecoding
from distilbert_common.tokenization.options import Padding, read_padding
from distilbert_common.tokenization.tensors import as_lists, tensor_type_of, to_tensor

Encoded = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One tokenized text or a batch, as a dictionary of columns; or a list of dictionaries, one per text."""


def as_columns(encoded: Encoded, ids_name: str) -> tuple[dict[str, Any], str, str | None]:
    """Bring tokenized texts into one dictionary.

    Args:
        encoded: The tokenized texts.
        ids_name: The name of the column of ids, where it is not `input_ids`.

    Returns:
        The columns, ids and what belongs to them as lists; the name of the column of ids, and the kind of tensor that
        they were given as.

    Raises:
        TokenizerError: There are no ids, or the texts do not have the same columns.
    """
    if isinstance(encoded, Mapping):
        columns = dict(encoded)
    else:
        _check_rows(encoded)
        columns = {name: [row[name] for row in encoded] for name in encoded[0]}
    if ids_name not in columns:
        ids_name = "input_ids"
    if ids_name not in columns:
        raise TokenizerError(f"pad needs input_ids; got {', '.join(columns) or 'nothing'}")
    ids = columns[ids_name]
    tensor_type = tensor_type_of(ids) or (tensor_type_of(ids[0]) if len(ids) else None)
    padded = {name: as_lists(value) for name, value in columns.items() if name in (ids_name, *FIXED_COLUMNS)}
    return {**columns, **padded}, ids_name, tensor_type


def _check_rows(rows: Any) -> None:
    if not isinstance(rows, (list, tuple)) or not all(isinstance(row, Mapping) for row in rows) or not rows:
        raise TokenizerError("pad takes what calling the tokenizer returned, or a list of such; got another thing")
    if any(row.keys() != rows[0].keys() for row in rows):
        raise TokenizerError("pad needs the same columns in every row")


def pad_columns(
    columns: Mapping[str, Any], padding: Padding, ids_fill: tuple[str, int], attention_mask: bool
) -> dict[str, Any]:
    """Pad ids and what belongs to them; all other columns stay as they are.

    Args:
        columns: From `as_columns`.
        padding: How to pad.
        ids_fill: The name of the column of ids, and the id of [PAD].
        attention_mask: Whether a mask is added if there is none.

    Returns:
        The padded columns; a single text stays a single text.
    """
    ids_name, pad_id = ids_fill
    fills = {ids_name: pad_id, **{name: column.padding for name, column in FIXED_COLUMNS.items()}}
    single = bool(columns[ids_name]) and isinstance(columns[ids_name][0], int)
    table = {name: [value] if single else value for name, value in columns.items() if name in fills}
    if attention_mask:
        table.setdefault("attention_mask", [[1] * len(row) for row in table[ids_name]])
    width = padding.width([len(row) for row in table[ids_name]])
    padded = {name: pad_lists(rows, width, fills[name], padding.side) for name, rows in table.items()}
    return {**columns, **{name: rows[0] if single else rows for name, rows in padded.items()}}


class TokenizerPadding(TokenizerDecoding):
    """What a tokenizer does with texts that are tokenized already."""

    def pad(
        self,
        encoded_inputs: Encoded,
        padding: bool | str | None = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: Any = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad what was tokenized before, for instance to form a batch.

        Args:
            encoded_inputs: What calling the tokenizer returned, or a list of such; `input_ids` and what belongs to
                them is padded, all else stays as it is.
            padding: True or "longest", "max_length", or False.
            max_length: The length for "max_length"; `model_max_length` if not given.
            pad_to_multiple_of: Raise the length to a multiple of this.
            padding_side: "right" or "left"; the tokenizer's if not given.
            return_attention_mask: False adds no `attention_mask`.
            return_tensors: "np", "pt", "tf" or "jax"; the kind that came in, if not given.
            verbose: Without effect; transformers has it.

        Returns:
            The padded batch.

        Raises:
            TokenizerError: The inputs have another form, or an option makes no sense.
        """
        columns, ids_name, tensor_type = as_columns(encoded_inputs, self.model_input_names[0])
        side = padding_side or self.padding_side
        how_to_pad = read_padding(padding, max_length, pad_to_multiple_of, side, self.model_max_length)
        mask = "attention_mask" in self.model_input_names if return_attention_mask is None else return_attention_mask
        data = pad_columns(columns, how_to_pad, (ids_name, self._cls_sep_pad(specials=False)[2]), mask)
        if return_tensors is not None:
            return BatchEncoding(data, tensor_type=return_tensors)
        return BatchEncoding({name: _like_input(name, value, tensor_type) for name, value in data.items()})


def _like_input(name: str, value: Any, tensor_type: str | None) -> Any:
    """Return a column as the kind of tensor that came in; one that cannot be a tensor, such as ragged labels, stays."""
    try:
        return value if tensor_type is None else to_tensor(name, value, tensor_type)
    except TokenizerError:
        return value
