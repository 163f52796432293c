from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distilbert_common.errors import ConfigError, InputError
from distilbert_common.initialization import sinusoidal_table
from distilbert_pt import DistilBertForMaskedLM, DistilBertForSequenceClassification
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"


def masked_lm(**fields) -> DistilBertForMaskedLM:
    return DistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt", **fields)


@pytest.mark.parametrize("size", [45, 40, 30])
def test_vocabulary(size: int, tmp_path: Path) -> None:
    model, old = masked_lm(), masked_lm()
    embeddings = model.resize_token_embeddings(size)
    rows = min(size, 40)
    assert embeddings.weight.shape == (size, 12)
    assert torch.equal(embeddings.weight[:rows], old.get_input_embeddings().weight[:rows])
    assert model.vocab_projector.weight is embeddings.weight, "still tied"
    ids = torch.arange(8)[None]
    logits = model(ids).logits
    assert logits.shape == (1, 8, size)
    assert torch.allclose(logits[..., :rows], old(ids).logits[..., :rows], atol=1e-6)
    model.save_pretrained(tmp_path)
    assert DistilBertForMaskedLM.from_pretrained(tmp_path).config.vocab_size == size


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


@pytest.mark.parametrize("positions", [30, 9])
def test_learned_positions(positions: int, tmp_path: Path) -> None:
    model, old = masked_lm(), masked_lm()
    model.resize_position_embeddings(positions)
    assert torch.equal(model(torch.arange(9)[None]).logits, old(torch.arange(9)[None]).logits)
    longest = torch.ones(1, positions).long()
    assert model(longest).logits.isfinite().all()
    with pytest.raises(InputError, match=f"the model has {positions} positions"):
        model(torch.ones(1, positions + 1).long())
    model.save_pretrained(tmp_path)
    assert torch.equal(DistilBertForMaskedLM.from_pretrained(tmp_path)(longest).logits, model(longest).logits)


def test_sinusoidal_positions_go_on_as_the_sinusoid_and_stay_frozen() -> None:
    model = masked_lm(sinusoidal_pos_embds=True)
    stored = model.get_position_embeddings().weight.clone()
    model.resize_position_embeddings(24)
    table = model.get_position_embeddings().weight
    assert torch.equal(table[:16], stored), "a stored table may have been trained"
    assert torch.equal(table[16:], torch.from_numpy(sinusoidal_table(24, 12)[16:]))
    assert not table.requires_grad
    assert model(torch.ones(1, 24).long()).logits.isfinite().all()


@pytest.mark.parametrize("size", [0, -3, 2.5, True])
def test_impossible_sizes(size: object) -> None:
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        masked_lm().resize_position_embeddings(size)
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        masked_lm().resize_token_embeddings(size)


def test_the_pad_token_stays_in_the_vocabulary() -> None:
    model = masked_lm(pad_token_id=5)
    with pytest.raises(ConfigError, match=r"'pad_token_id' is 5; it must be below vocab_size \(3\)"):
        model.resize_token_embeddings(3)
    assert model(torch.tensor([[1, 2]])).logits.shape == (1, 2, 40), "as it was"


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


def test_pruned_heads_are_as_if_masked(tmp_path: Path) -> None:
    model, full = masked_lm(), masked_lm()
    ids = torch.arange(8)[None]
    mask = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    model.prune_heads({0: [1]})
    model.prune_heads({1: [0], 0: [1]})
    assert model.distilbert.transformer.layer[0].attention.q_lin.weight.shape == (6, 12)
    assert model.config.pruned_heads == {0: [1], 1: [0]}
    assert full.num_parameters() - model.num_parameters() == 2 * (4 * 6 * 12 + 3 * 6)
    expected = full(ids, head_mask=mask).logits
    assert torch.allclose(model(ids).logits, expected, atol=1e-5)
    assert torch.allclose(model(ids, head_mask=torch.ones(2, 2), output_attentions=True).logits, expected, atol=1e-5)
    model.save_pretrained(tmp_path)
    again = DistilBertForMaskedLM.from_pretrained(tmp_path)
    assert torch.equal(again(ids).logits, model(ids).logits)
    assert again.config.pruned_heads == {0: [1], 1: [0]}


def test_a_config_may_count_pruned_layers_from_the_end() -> None:
    config = masked_lm().config
    config.pruned_heads = {-1: [0]}
    attention = DistilBertForMaskedLM(config).distilbert.transformer.layer[1].attention
    assert attention.q_lin.weight.shape == (6, 12)


@pytest.mark.parametrize(
    ("heads", "words"),
    [({5: [0]}, "no layer 5"), ({0: [2]}, "heads 0..1; asked to prune"), ({0: [0, 1]}, "leaves none in layer 0")],
)
def test_impossible_pruning(heads: dict[int, list[int]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        masked_lm().prune_heads(heads)


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
