"""What stands at padding that a call leaves out: nothing that a user does next may choose it."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import distilbert_flax
from distilbert_common.packing import pack
from distilbert_flax import DistilBertConfig
from parity_tests.helpers.packing_cases import padded, token_lists
from parity_tests.helpers.tolerances import MATRIX

LISTS = token_lists(12)
BATCH = padded(LISTS)
ROWS = pack(LISTS, BATCH["input_ids"].shape[1])
PATHS = {"padding left out": (BATCH, BATCH["attention_mask"] != 0), "packed": (ROWS.inputs, ROWS.segment_ids != 0)}
AT_PADDING = {
    "ForMaskedLM": {"logits": 0},
    "ForTokenClassification": {"logits": 0},
    "ForQuestionAnswering": {"start_logits": None, "end_logits": None},
}


@cache
def model_of(head: str, dtype: str = "float32") -> Any:
    """A model whose logits at padding would be positive, were they those of a hidden state of 0."""
    config = DistilBertConfig(vocab_size=2000, n_layers=1, dim=16, n_heads=2, hidden_dim=16, initializer_range=0.2)
    model = getattr(distilbert_flax, f"FlaxDistilBert{head}")(config, dtype=dtype)
    last = {"ForMaskedLM": "vocab_projector", "ForTokenClassification": "classifier"}.get(head, "qa_outputs")
    bias = getattr(model, last).bias
    bias.set_value(jnp.full(bias.shape, 3.0))
    return model


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("head", AT_PADDING)
def test_logits_at_padding(head: str, path: str) -> None:
    inputs, real = PATHS[path]
    model = model_of(head)
    output = model(**inputs)
    plain = model(**inputs, jit=False)
    for name, fill in AT_PADDING[head].items():
        logits = np.asarray(output[name])
        assert np.abs(logits[real] - np.asarray(plain[name])[real]).max() <= MATRIX.value
        assert (logits[~real] == (np.finfo(logits.dtype).min if fill is None else fill)).all()


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("head", AT_PADDING)
def test_logits_at_padding_where_it_is_to_be_left_out(head: str) -> None:
    model, real = model_of(head), BATCH["attention_mask"] != 0
    computed = model(**BATCH, unpad=False)
    for output in (model(**BATCH, unpad=True), jax.jit(lambda batch: model(**batch, unpad=True))(BATCH)):
        for name, fill in AT_PADDING[head].items():
            logits = np.asarray(output[name])
            assert np.abs(logits - np.asarray(computed[name]))[real].max() <= MATRIX.value
            assert (logits[~real] == (np.finfo(logits.dtype).min if fill is None else fill)).all()
            assert (np.asarray(computed[name])[~real] != 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_no_answer_begins_or_ends_in_padding(dtype: str) -> None:
    model = model_of("ForQuestionAnswering", dtype)
    output = model(**BATCH)
    for logits in (output.start_logits, output.end_logits):
        assert jnp.isfinite(logits).all()
        assert (logits[BATCH["attention_mask"] == 0] == jnp.finfo(dtype).min).all()
        best = np.argsort(-np.asarray(logits, np.float32), axis=1)  # (batch, seq)
        for row, tokens in zip(best, LISTS, strict=True):
            assert (row[: len(tokens)] < len(tokens)).all()
