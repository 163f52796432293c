"""The usage that transformers documents alike for each family: the bare model, saving and loading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distilbert_conversion import HEADS
from parity_tests.helpers import usage


@pytest.mark.parametrize(("family", "tensors"), [("pt", "pt"), ("tf", "tf"), ("flax", "jax")])
def test_model(family: str, tensors: str, checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load(family, "Model", checkpoints)
    inputs = tokenizer(usage.SENTENCE, return_tensors=tensors)

    outputs = model(inputs) if family == "tf" else model(**inputs)
    last_hidden_states = outputs.last_hidden_state
    assert last_hidden_states.shape == (1, len(inputs.input_ids[0]), model.config.dim)
    hidden = np.asarray(last_hidden_states.detach() if family == "pt" else last_hidden_states)
    assert hidden[0, 0, :3].tolist() == pytest.approx(usage.HIDDEN, abs=usage.MATRIX.value)
    assert outputs[0] is last_hidden_states


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("family", "tensors", "file"),
    [("pt", "pt", "model.safetensors"), ("tf", "tf", "tf_model.h5"), ("flax", "jax", "flax_model.msgpack")],
)
def test_saved_and_loaded(
    family: str, tensors: str, file: str, head: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer, model = usage.load(family, head, checkpoints)
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    assert (tmp_path / file).is_file()

    again = type(model).from_pretrained(tmp_path)
    assert again.config.id2label == model.config.id2label
    texts, other_tokenizer = [usage.SENTENCE, usage.TEXT], type(tokenizer).from_pretrained(tmp_path)
    first, second = (one(texts, return_tensors=tensors, padding=True) for one in (tokenizer, other_tokenizer))
    if head == "ForMultipleChoice":
        first, second = ({k: v[None, :] for k, v in inputs.items()} for inputs in (first, second))
    with torch.no_grad():
        for one, other in zip(model(**first).to_tuple(), again(**second).to_tuple(), strict=True):
            np.testing.assert_array_equal(one, other)
