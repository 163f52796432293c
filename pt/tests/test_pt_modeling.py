from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

import distilbert_pt
from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.initialization import sinusoidal_table
from distilbert_pt import DistilBertForMaskedLM, DistilBertModel
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
SMALL = {"vocab_size": 40, "max_position_embeddings": 16, "n_layers": 2, "n_heads": 2, "dim": 12, "hidden_dim": 20}
CLASSES = {head: getattr(distilbert_pt, f"DistilBert{head}") for head in golden.HEADS}


def small(**fields) -> DistilBertConfig:
    return DistilBertConfig(**{**SMALL, **fields})


def load(head: str, **kwargs) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return the micro model of a head in eval mode, and its golden inputs."""
    inputs = {name: torch.from_numpy(array) for name, array in golden.inputs(MICRO, head).items()}
    return CLASSES[head].from_pretrained(MICRO / head / "pt", **kwargs), inputs


@pytest.fixture
def model() -> DistilBertModel:
    return load("Model")[0]


@pytest.fixture
def ids() -> torch.Tensor:
    return load("Model")[1]["input_ids"]


@pytest.mark.parametrize("head", golden.HEADS)
def test_state_dict_has_the_names_of_transformers(head: str) -> None:
    model, _ = load(head)
    with safe_open(MICRO / head / "pt" / "model.safetensors", "pt") as file:
        stored = set(file.keys())
    tied = {"vocab_projector.weight"} if head == "ForMaskedLM" else set()
    assert set(model.state_dict()) == stored | tied


def test_config_sets_the_defaults_of_outputs(ids: torch.Tensor) -> None:
    model, _ = load("Model", output_hidden_states=True, output_attentions=True, return_dict=False)
    last, hidden_states, attentions = model(ids)
    assert len(hidden_states) == model.config.n_layers + 1
    assert len(attentions) == model.config.n_layers
    assert torch.equal(last, hidden_states[-1])
    assert len(model(ids, output_hidden_states=False, output_attentions=False)) == 1


def test_embeddings_instead_of_ids(model: DistilBertModel, ids: torch.Tensor) -> None:
    words = model.get_input_embeddings()(ids)
    assert torch.equal(model(inputs_embeds=words)[0], model(ids)[0])


def test_position_ids(model: DistilBertModel, ids: torch.Tensor) -> None:
    positions = torch.arange(ids.size(1))
    assert torch.equal(model(ids, position_ids=positions[None])[0], model(ids)[0])
    reversed_output = model(ids.flip(1), position_ids=positions.flip(0)[None])[0]
    assert torch.allclose(reversed_output.flip(1), model(ids)[0], atol=1e-5), (
        "attention knows positions only by their ids"
    )


def test_multiple_choice_flattens_positions_too() -> None:
    model, inputs = load("ForMultipleChoice")
    positions = torch.arange(inputs["input_ids"].size(-1)).expand_as(inputs["input_ids"])
    assert torch.equal(model(**inputs, position_ids=positions).logits, model(**inputs).logits)
    words = model.get_input_embeddings()(inputs["input_ids"])
    embedded = model(inputs_embeds=words, attention_mask=inputs["attention_mask"])
    assert torch.equal(embedded.logits, model(**inputs).logits)


def test_what_is_masked_does_not_matter(model: DistilBertModel, ids: torch.Tensor) -> None:
    mask = torch.ones_like(ids)
    mask[:, 5:] = 0
    other = ids.clone()
    other[:, 5:] = 7
    assert torch.equal(model(ids, mask)[0][:, :5], model(other, mask)[0][:, :5])
    assert torch.allclose(model(ids, mask)[0][:, :5], model(ids[:, :5])[0], atol=2e-6)


def test_a_four_axis_mask_equals_the_mask_it_spells_out(model: DistilBertModel, ids: torch.Tensor) -> None:
    mask = torch.ones_like(ids)
    mask[1:, 4:] = 0
    square = mask[:, None, None, :].expand(-1, 1, ids.size(1), -1)
    assert torch.equal(model(ids, square)[0], model(ids, mask, unpad=False)[0])


def test_head_mask(model: DistilBertModel, ids: torch.Tensor) -> None:
    layers, heads = model.config.n_layers, model.config.n_heads
    plain = model(ids, output_attentions=True)
    assert torch.equal(model(ids, head_mask=torch.ones(heads), output_attentions=True)[0], plain[0])
    factors = torch.ones(layers, heads)
    factors[0, 1] = 0
    masked = model(ids, head_mask=factors, output_attentions=True)
    assert not masked.attentions[0][:, 1].any()
    assert torch.equal(masked.attentions[0][:, 0], plain.attentions[0][:, 0])
    assert not torch.allclose(masked[0], plain[0])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, InputError, "neither of input_ids and inputs_embeds"),
        ({"input_ids": torch.zeros(1, 2).long(), "inputs_embeds": torch.zeros(1, 2, 12)}, InputError, "both of"),
        ({"input_ids": torch.tensor([[1, 40]])}, InputError, r"holds 40, outside 0..39 \(vocab_size is 40\)"),
        ({"input_ids": torch.tensor([[-1, 3]])}, InputError, "holds -1, outside 0..39"),
        ({"input_ids": torch.ones(1, 17).long()}, InputError, "17 tokens long, but the model has 16 positions"),
        ({"inputs_embeds": torch.ones(1, 17, 12)}, InputError, "17 tokens long"),
        ({"input_ids": torch.tensor([[1]]), "position_ids": torch.tensor([[16]])}, InputError, "position_ids holds 16"),
        ({"input_ids": torch.ones(1, 2).long(), "token_types": None}, TypeError, "token_types"),
    ],
)  # fmt: skip
def test_bad_input(model: DistilBertModel, arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        model(**arguments)


def test_multiple_choice_wants_three_axes() -> None:
    model, _ = load("ForMultipleChoice")
    with pytest.raises(InputError, match=r"shape \(2, 5\); expected \(batch, choices, seq\)"):
        model(torch.ones(2, 5).long())


def test_a_config_is_not_changed_by_the_model_built_from_it() -> None:
    config = small()
    before = {**config.to_dict(), "attn": config.attn_implementation}
    DistilBertModel(config)(torch.ones(1, 2).long())
    assert {**config.to_dict(), "attn": config.attn_implementation} == before


def test_initial_values() -> None:
    torch.manual_seed(0)
    model = DistilBertForMaskedLM(
        small(vocab_size=2000, dim=64, hidden_dim=256, initializer_range=0.05, pad_token_id=3)
    )
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "layer_norm" in name.lower() or "LayerNorm" in name:
            assert (parameter == 1).all(), name
        else:
            assert parameter.std().item() == pytest.approx(0.05, rel=0.1), name
            assert abs(parameter.mean().item()) < 0.005, name
    assert not model.get_input_embeddings().weight[3].any()
    assert model.get_input_embeddings().weight[0].any()


def test_sinusoidal_positions_are_the_frozen_table() -> None:
    model = DistilBertModel(small(sinusoidal_pos_embds=True))
    table = model.embeddings.position_embeddings.weight
    assert not table.requires_grad
    assert torch.equal(table, torch.from_numpy(sinusoidal_table(16, 12)))
    assert table[0].tolist() == [0, 1] * 6
    assert DistilBertModel(small()).embeddings.position_embeddings.weight.requires_grad


def test_tying_follows_the_config() -> None:
    tied, untied = DistilBertForMaskedLM(small()), DistilBertForMaskedLM(small(tie_word_embeddings=False))
    assert tied.vocab_projector.weight is tied.get_input_embeddings().weight
    assert untied.vocab_projector.weight is not untied.get_input_embeddings().weight
    assert untied.num_parameters() - tied.num_parameters() == 40 * 12
    twin = copy.deepcopy(tied)
    assert twin.vocab_projector.weight is twin.get_input_embeddings().weight


def test_dropout_rates_are_those_of_the_config() -> None:
    model = distilbert_pt.DistilBertForSequenceClassification(small(dropout=0.11, seq_classif_dropout=0.33))
    rates = {name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)}
    assert rates == {
        "distilbert.embeddings.dropout": 0.11,
        "distilbert.transformer.layer.0.ffn.dropout": 0.11,
        "distilbert.transformer.layer.1.ffn.dropout": 0.11,
        "dropout": 0.33,
    }


def test_models_can_be_pickled_and_copied(model: DistilBertModel, ids: torch.Tensor) -> None:
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(ids)[0], model(ids)[0])


def test_autocast_and_half_precision_are_finite_with_an_all_padding_row() -> None:
    model, inputs = load("ForSequenceClassification")
    inputs["attention_mask"][0] = 0
    expected = model(**inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**inputs)
    assert output.logits.dtype == torch.bfloat16
    assert torch.allclose(output.logits.float(), expected.logits, atol=0.1)
    assert torch.isfinite(output.loss)


@pytest.mark.parametrize("head", golden.HEADS)
def test_compiles_without_a_graph_break(head: str) -> None:
    model, inputs = load(head)
    expected = model(**inputs, output_hidden_states=True, unpad=False)  # compiled code computes padding
    torch._dynamo.reset()  # all heads share one `forward`, of which it compiles so many versions only
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)  # a graph break raises
    output = compiled(**inputs, output_hidden_states=True)
    assert type(output) is type(expected)
    assert torch.allclose(output[0], expected[0], atol=1e-6)
    assert len(output.hidden_states) == len(expected.hidden_states)


def test_gradient_checkpointing_gives_the_same_gradients(tmp_path: Path) -> None:
    plain, inputs = load("ForMaskedLM", dropout=0.0, attention_dropout=0.0)
    saving = copy.deepcopy(plain)
    saving.distilbert.transformer.gradient_checkpointing = True
    for model in (plain, saving):
        model.train()
        model(**inputs).loss.backward()
    for mine, other in zip(saving.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine.grad, other.grad)
