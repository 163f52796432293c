"""The methods and facts that programs ask any model of transformers for."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_pt import (
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertModel,
    DistilBertPreTrainedModel,
)
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
NAMES_OF_LAYERS = (
    "activation", "adapter", "backbone", "bert", "bilstm", "classifier", "conv", "crf", "criterion", "decoder",
    "dense", "embeddings", "encoder", "fc", "fill", "hidden", "head", "layers", "linear", "lm_head", "loss",
    "loss_fn", "lstm", "mask", "model", "norm", "out", "output", "pooler", "pre_classifier", "proj", "projection",
    "query", "scorer", "start", "target", "transform", "transformer", "vocab_projector",
)  # fmt: skip


def classifier(**fields: Any) -> DistilBertForSequenceClassification:
    return DistilBertForSequenceClassification.from_pretrained(MICRO / "ForSequenceClassification" / "pt", **fields)


@pytest.mark.parametrize("name", NAMES_OF_LAYERS)
def test_names_that_users_give_their_layers_are_free(name: str) -> None:
    assert not hasattr(DistilBertPreTrainedModel, name)
    assert name in ("embeddings", "transformer") or not hasattr(DistilBertModel, name)


def test_facts_of_the_class() -> None:
    model = classifier()
    assert (model.framework, model.main_input_name, model.base_model_prefix) == ("pt", "input_ids", "distilbert")
    assert (model.num_labels, model.name_or_path) == (5, str(MICRO / "ForSequenceClassification" / "pt"))
    assert model.config_class is DistilBertConfig
    assert model.config._attn_implementation == "sdpa"
    assert model.supports_gradient_checkpointing
    assert not model.can_generate()
    assert not model.is_loaded_in_8bit
    assert not model.is_loaded_in_4bit
    assert model._no_split_modules == ["TransformerBlock"]
    assert not hasattr(model, "generate")
    assert model(**model.dummy_inputs).logits.shape == (3, 5)
    model.num_labels = 3  # an attribute like any other, as subclasses set it
    assert model.num_labels == 3


def test_sizes() -> None:
    model = DistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt")
    tables = 12 * (40 + 16)
    assert model.num_parameters() - model.num_parameters(exclude_embeddings=True) == tables
    model.distilbert.requires_grad_(False)
    assert model.num_parameters(only_trainable=True) == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert model.get_memory_footprint() == 4 * model.num_parameters()
    assert copy.deepcopy(model).half().get_memory_footprint() == 2 * model.num_parameters()
    model.register_buffer("counter", torch.zeros(3, dtype=torch.int64))
    assert model.get_memory_footprint() - model.get_memory_footprint(return_buffers=False) == 24
    batch = {"input_ids": torch.ones(2, 3).long()}
    assert (model.estimate_tokens(batch), model.estimate_tokens({})) == (6, 0)
    assert model.floating_point_ops(batch) == 6 * 6 * model.num_parameters(exclude_embeddings=True)


def test_dtype_is_that_of_numbers() -> None:
    model = classifier()
    model.steps = nn.Parameter(torch.zeros(1, dtype=torch.int64), requires_grad=False)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert model.to(dtype).dtype == dtype
    assert model.device == torch.device("cpu")


def test_masks_for_own_layers() -> None:
    model, lowest = classifier(), torch.finfo(torch.float32).min
    mask = torch.tensor([[1, 1, 0]])
    expected = torch.tensor([[[[0.0, 0.0, lowest]]]])
    assert torch.equal(model.get_extended_attention_mask(mask, (1, 3)), expected)
    assert torch.equal(model.invert_attention_mask(mask), expected)
    assert model.invert_attention_mask(mask[:, None].expand(1, 3, 3)).shape == (1, 1, 3, 3)
    assert model.get_extended_attention_mask(mask, (1, 3), dtype=torch.float16).min() == torch.finfo(torch.float16).min
    with pytest.raises(InputError, match=r"attention_mask has shape \(3,\)"):
        model.get_extended_attention_mask(mask[0], (1, 3))


def test_head_masks_for_own_layers() -> None:
    model = classifier()
    assert model.get_head_mask(None, 3) == [None, None, None]
    assert model.get_head_mask(torch.tensor([1, 0]), 3).tolist() == [[[[[1.0]], [[0.0]]]]] * 3
    assert model.get_head_mask(torch.ones(3, 2), 3, True).shape == (3, 1, 2, 1, 1, 1)


def test_padding_without_a_mask_is_said() -> None:
    model, ids = classifier(), torch.tensor([[1, 2, 0]])
    with pytest.warns(UserWarning, match="no attention_mask"):
        model.warn_if_padding_and_no_attention_mask(ids, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.warn_if_padding_and_no_attention_mask(ids, torch.ones(1, 3))
        model.warn_if_padding_and_no_attention_mask(ids[:, :2], None)


@pytest.mark.parametrize(
    "options", [None, {"use_reentrant": True}, {"use_reentrant": False, "preserve_rng_state": False}]
)
def test_checkpointing_gives_the_same_gradients(options: dict[str, bool] | None) -> None:
    model = classifier(dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0).train()
    gradients = []
    for on in (False, True):
        if on:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
        assert model.is_gradient_checkpointing is on
        model.zero_grad()
        model(**model.dummy_inputs, labels=torch.tensor([0, 1, 2])).loss.backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(*gradients, strict=True))
    assert pickle.loads(pickle.dumps(model)).is_gradient_checkpointing
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing


def test_gradients_can_begin_at_the_embeddings_of_a_frozen_model() -> None:
    model = classifier().requires_grad_(False)
    for on in (True, False, True):
        model.enable_input_require_grads() if on else model.disable_input_require_grads()
        assert model(**model.dummy_inputs).logits.requires_grad is on
    assert copy.deepcopy(model)(**model.dummy_inputs).logits.requires_grad


def test_projectors_are_set_where_there_are_any() -> None:
    model = DistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt")
    projector = nn.Linear(12, 40)
    model.set_output_embeddings(projector)
    assert model.get_output_embeddings() is projector
    model.tie_weights()
    assert projector.weight is model.get_input_embeddings().weight
    assert classifier().get_output_embeddings() is None
    with pytest.raises(InputError, match="DistilBertForSequenceClassification has no projector"):
        classifier().set_output_embeddings(projector)


def test_tying_fits_the_bias_to_a_table_put_in_by_hand() -> None:
    model = DistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt")
    bias = model.vocab_projector.bias.detach().clone()
    model.distilbert.embeddings.word_embeddings = nn.Embedding(44, 12)
    model.tie_weights()
    assert torch.equal(model.vocab_projector.bias, torch.cat([bias, torch.zeros(4)]))
    assert model.vocab_projector.out_features == 44


def test_initial_weights_again() -> None:
    torch.manual_seed(0)
    model = DistilBertModel(DistilBertConfig.from_pretrained(MICRO / "Model" / "pt", dim=48, vocab_size=500))
    assert model.transformer.layer[0].attention.q_lin.weight.std().item() == pytest.approx(0.02, rel=0.1)
    before = model.transformer.layer[0].ffn.lin1.weight.clone()
    model.init_weights()
    assert torch.equal(model.transformer.layer[0].ffn.lin1.weight, before), "each module starts once"
    module = nn.Linear(48, 48)
    model._init_weights(module)
    assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not module.bias.any()


def test_pruning_counts_layers_from_the_end_too() -> None:
    model = classifier()
    model.prune_heads({-1: [0]})
    assert model.config.pruned_heads == {1: [0]}
