"""What compiled calls of a masked-LM model must notice and refuse, in Keras and Flax alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from distilbert_common.errors import InputError
from parity_tests.helpers.tolerances import MATRIX

CONFIG_CHANGES = [
    lambda model: model.resize_token_embeddings(44),
    lambda model: model.resize_position_embeddings(20),
    lambda model: model.prune_heads({0: [1]}),
    lambda model: setattr(model.config, "output_hidden_states", True),
]


def assert_is_noticed(change: Callable[[Any], object], model: Any, ids: np.ndarray) -> None:
    """Assert that a model compiled before a change computes after it what a plain call does."""
    model(ids)
    change(model)
    actual, expected = model(ids), model(ids, jit=False)
    assert actual.keys() == expected.keys()
    assert actual.logits.shape == expected.logits.shape
    assert np.abs(np.asarray(actual.logits) - np.asarray(expected.logits)).max() <= MATRIX.value


def assert_bad_input_is_refused(model: Any, ids: np.ndarray) -> None:
    """Assert that the errors are those of a plain call."""
    with pytest.raises(InputError, match="input_ids holds 40"):
        model(np.array([[40]]))
    with pytest.raises(InputError, match="labels hold 77"):
        model(ids, labels=np.full_like(ids, 77))
    with pytest.raises(TypeError, match="token_types"):
        model(ids, token_types=None)
