from __future__ import annotations

import pytest
import torch

from distilbert_pt import DistilBertForMaskedLM, DistilBertForSequenceClassification
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"


def masked_lm(**fields) -> DistilBertForMaskedLM:
    return DistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt", **fields)


def test_new_rows() -> None:
    old = masked_lm().get_input_embeddings().weight
    mean = masked_lm().resize_token_embeddings(50).weight[40:]
    assert torch.allclose(mean, old.mean(0).expand(10, -1), atol=1e-6)
    fresh = masked_lm().resize_token_embeddings(5000, mean_resizing=False).weight[40:]
    assert fresh.std().item() == pytest.approx(0.02, rel=0.05)
    assert masked_lm().resize_token_embeddings(pad_to_multiple_of=64).weight.shape == (64, 12)


def test_an_untied_projector_is_resized_too() -> None:
    model = masked_lm()
    model.config.tie_word_embeddings = False
    model.vocab_projector.weight = torch.nn.Parameter(model.vocab_projector.weight.detach().clone())
    model.resize_token_embeddings(44)
    assert model.vocab_projector.weight is not model.get_input_embeddings().weight
    assert model(torch.tensor([[43, 1]])).logits.shape == (1, 2, 44)


def test_set_input_embeddings() -> None:
    model = masked_lm()
    embeddings = torch.nn.Embedding(7, 12)
    table = embeddings.weight
    model.set_input_embeddings(embeddings)
    assert model.vocab_projector.weight is model.get_input_embeddings().weight is table
    assert model.config.vocab_size == 7
    assert model(torch.tensor([[6, 1]])).logits.shape == (1, 2, 7)
    assert DistilBertForSequenceClassification(model.config).get_output_embeddings() is None


def test_gradient_checkpointing_can_be_switched() -> None:
    model = masked_lm()
    model.gradient_checkpointing_enable()
    assert model.distilbert.transformer.gradient_checkpointing
    model.gradient_checkpointing_disable()
    assert not model.distilbert.transformer.gradient_checkpointing


def test_a_config_may_count_pruned_layers_from_the_end() -> None:
    config = masked_lm().config
    config.pruned_heads = {-1: [0]}
    attention = DistilBertForMaskedLM(config).distilbert.transformer.layer[1].attention
    assert attention.q_lin.weight.shape == (6, 12)


def test_a_model_keeps_a_copy_of_its_config_that_its_modules_share() -> None:
    config = masked_lm().config
    model = DistilBertForSequenceClassification(config)
    assert model.config == config
    assert model.config is not config
    held = [module.config for module in model.modules() if hasattr(module, "config")]
    assert len(held) > 2
    assert all(one is model.config for one in held)
    model.resize_token_embeddings(config.vocab_size + 3)
    assert model.distilbert.config.vocab_size == config.vocab_size + 3 == len(model.get_input_embeddings().weight)
