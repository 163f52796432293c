"""A model that is deleted is freed, at once: nothing holds it, its modules or its parameters."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch

from distilbert_pt import DistilBertForSequenceClassification
from parity_tests.helpers import golden

SOURCE = golden.GOLDEN / "micro" / "ForSequenceClassification" / "pt"
IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model(IDS),
        lambda model: model(IDS, torch.tensor([[1, 1, 1], [1, 0, 0]])),
        lambda model: model.train()(IDS, labels=torch.tensor([0, 1])).loss.backward(),
        lambda model: model.prepack_weights()(IDS),
        lambda model: model.resize_token_embeddings(44),
        lambda model: model.gradient_checkpointing_enable(),
        lambda model: model.enable_input_require_grads(),
        lambda model: model.set_attn_implementation("eager"),
    ],
    ids=["call", "padded", "train", "prepacked", "resized", "checkpointing", "input gradients", "implementation"],
)
def test_a_deleted_model_is_freed_at_once(use: Callable[[Any], object]) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(SOURCE)
    gc.collect()
    gc.disable()
    try:
        use(model)
        gone = weakref.ref(model), weakref.ref(model.distilbert.transformer.layer[0].ffn.lin1.weight)
        del model
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()
