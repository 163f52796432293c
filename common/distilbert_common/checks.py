"""The input rules that hold in every framework, and the sentences that name their breach.

The families bring the concrete numbers; what is allowed, and what is said, stands here once.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import ConfigError, InputError

__all__ = [
    "Unpad",
    "check_choices",
    "check_config",
    "check_ids",
    "check_inputs",
    "check_labels",
    "check_length",
    "check_loss_only",
    "check_mask",
    "check_no_segments",
    "check_num_segments",
    "check_one_input",
    "check_one_mask",
    "check_size",
    "check_two_labels",
    "check_unpad",
    "warn_token_types",
]


def check_config(config: object, attention_implementations: Iterable[str] | None = None) -> None:
    """Require a config that a model can be made of.

    Args:
        config: What the constructor was given.
        attention_implementations: Those that the family has; None where it looks itself.

    Raises:
        TypeError: It is no `DistilBertConfig`.
        ConfigError: A value breaks a rule, or there is no such attention implementation.
    """
    if not isinstance(config, DistilBertConfig):
        raise TypeError(f"config is a {type(config).__name__}; expected a DistilBertConfig")
    config.validate()
    name = config.attn_implementation
    if name is not None and attention_implementations is not None and name not in attention_implementations:
        raise ConfigError(f"attn_implementation is {name!r}; it must be one of {', '.join(attention_implementations)}")


def check_one_input(input_ids: object | None, inputs_embeds: object | None) -> None:
    """Require exactly one of ids and embeddings.

    Raises:
        InputError: Both were given, or neither.
    """
    if (input_ids is None) == (inputs_embeds is None):
        how_many = "neither" if input_ids is None else "both"
        raise InputError(f"{how_many} of input_ids and inputs_embeds were given; give exactly one of them")


def check_one_mask(attention_mask: object | None, segment_ids: object | None, layout: object | None = None) -> None:
    """Require at most one of mask, segment ids and a layout, which is made of one of them.

    Raises:
        InputError: Two were given.
    """
    if layout is not None and (attention_mask is not None or segment_ids is not None):
        raise InputError("layout was given with attention_mask or segment_ids, of which it is made; give layout alone")
    if attention_mask is not None and segment_ids is not None:
        raise InputError(
            "attention_mask and segment_ids were both given; give segment_ids alone, with 0 where there is padding"
        )


def check_mask(shape: Sequence[int | None]) -> None:
    """Require an attention mask of a form that there is.

    Args:
        shape: (batch, seq), where every non-zero value attends; or (batch, 1 or heads, seq, seq), where non-zero
            integers and True attend, and floats are added to the scores, as in transformers 5.

    Raises:
        InputError: The mask has neither 2 nor 4 axes.
    """
    if len(shape) not in (2, 4):
        raise InputError(
            f"attention_mask has shape {tuple(shape)}; expected (batch, seq) or (batch, 1 or heads, seq, seq)"
        )


Unpad = Literal["auto"] | bool | None
"""Whether padding is left out of the computation; None is "auto"."""


def check_unpad(unpad: object) -> None:
    """Require a word on padding that exists; None counts as "auto".

    Raises:
        InputError: It is none.
    """
    if unpad not in ("auto", True, False, None):
        raise InputError(f'unpad is {unpad!r}; expected "auto", True or False')


def check_num_segments(num_segments: int | None) -> int:
    """Require a known number of segments and return it.

    Raises:
        InputError: It is None, as nothing shows it, or not a whole number of at least 0.
    """
    try:
        number = None if num_segments is None else operator.index(num_segments)  # a number, or a tensor of one
    except (TypeError, AttributeError):  # what traced code does not know yet
        number = None
    if number is None or number < 0:
        raise InputError(
            f"num_segments is {num_segments if number is None else number!r}; give the most sequences in a row, as "
            "`pack(...).num_segments`: compiled code cannot read it off segment_ids"
        )
    return number


def check_no_segments(segment_ids: object | None) -> None:
    """Require that multiple choice is given one choice to a row.

    Raises:
        InputError: Segment ids were given.
    """
    if segment_ids is not None:
        raise InputError(
            "segment_ids were given to a multiple-choice model, which scores one choice in each row; give rows of one "
            "choice with attention_mask, or pack them for the bare model"
        )


def check_loss_only(loss_only: bool, labels: object | None) -> None:
    """Require labels where nothing but the loss is asked for.

    Raises:
        InputError: Neither logits nor a loss would be computed.
    """
    if loss_only and labels is None:
        raise InputError("loss_only is True and labels are not given, which leaves nothing to compute; give labels")


def check_inputs(
    config: DistilBertConfig,
    seq: int | None,
    input_ids: Any,
    position_ids: Any,
    token_type_ids: Any,
    value_range: Callable[[Any], tuple[int, int] | None],
) -> None:
    """Check length and ids of one call before any compute.

    Args:
        config: The model's config.
        seq: How many tokens a row has; None where that is not known, or not to be checked.
        input_ids: Integers, or None.
        position_ids: Integers, or None.
        token_type_ids: Anything; a non-zero value gives a warning.
        value_range: Returns the lowest and the highest of integers; None where there are none, or none to look at.

    Raises:
        InputError: Too long an input, or an id outside its table.
    """
    if position_ids is None and seq is not None:
        check_length(seq, config.max_position_embeddings)
    for name, ids, limit_name in (
        ("input_ids", input_ids, "vocab_size"),
        ("position_ids", position_ids, "max_position_embeddings"),
    ):
        ids_range = value_range(ids)
        if ids_range is not None:
            check_ids(name, *ids_range, getattr(config, limit_name), limit_name)
    if (value_range(token_type_ids) or (0, 0)) != (0, 0):
        warn_token_types()


def check_length(seq: int, max_position_embeddings: int) -> None:
    """Require that the input fits the position table.

    Raises:
        InputError: `seq` is above the number of positions.
    """
    if seq > max_position_embeddings:
        raise InputError(
            f"the input is {seq} tokens long, but the model has {max_position_embeddings} positions "
            f"(max_position_embeddings); truncate it, e.g. tokenizer(..., truncation=True, "
            f"max_length={max_position_embeddings}), or call resize_position_embeddings({seq})"
        )


def check_ids(name: str, lowest: int, highest: int, limit: int, limit_name: str) -> None:
    """Require that ids index rows of their table.

    Args:
        name: The argument, `input_ids` or `position_ids`.
        lowest: The smallest id given.
        highest: The largest id given.
        limit: The number of rows of the table.
        limit_name: The config field that sets it.

    Raises:
        InputError: An id is negative or at least `limit`.
    """
    for value in (lowest, highest):
        if not 0 <= value < limit:
            raise InputError(
                f"{name} holds {value}, outside 0..{limit - 1} ({limit_name} is {limit}); "
                "check that tokenizer and model belong together"
            )


def check_labels(labels: NDArray[Any], classes: int, ignored: int) -> None:
    """Require that labels are class ids or the ignored value.

    Args:
        labels: Numbers, of any shape.
        classes: The number of classes.
        ignored: The label that counts for nothing.

    Raises:
        InputError: One is neither.
    """
    outside = (labels < 0) | (labels >= classes) | (labels != np.floor(labels))
    wrong = labels[(labels != ignored) & outside]
    if wrong.size:
        raise InputError(f"labels hold {wrong[0]}; expected 0..{classes - 1}, or {ignored} for what does not count")


def check_size(name: str, size: int) -> None:
    """Require a table of at least one row.

    Raises:
        InputError: `size` is not a whole number of at least 1.
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InputError(f"{name} is {size!r}; expected a whole number of at least 1")


def check_choices(input_shape: tuple[int, ...], axes: int) -> int:
    """Require the choices axis of multiple-choice inputs and return its length.

    Args:
        input_shape: The shape of `input_ids` or `inputs_embeds`.
        axes: The number of axes expected: 3 for ids, 4 for embeddings.

    Raises:
        InputError: The input is not (batch, choices, seq) or (batch, choices, seq, dim).
    """
    if len(input_shape) != axes:
        expected = "(batch, choices, seq)" if axes == 3 else "(batch, choices, seq, dim)"
        raise InputError(f"multiple-choice input has shape {tuple(input_shape)}; expected {expected}")
    return int(input_shape[1])


def check_two_labels(num_labels: int) -> None:
    """Require the two outputs, start and end, of the question-answering head.

    Raises:
        InputError: `num_labels` is not 2.
    """
    if num_labels != 2:
        raise InputError(f"num_labels is {num_labels}; question answering needs 2: start and end")


def warn_token_types() -> None:
    """Warn that non-zero `token_type_ids` have no effect; Python shows it once per place."""
    warnings.warn(
        "token_type_ids holds non-zero values; DistilBERT has no token types and ignores them",
        UserWarning,
        stacklevel=5,
    )
