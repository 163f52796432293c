from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distilbert_common.errors import ConfigError, InputError
from distilbert_pt import (
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
)
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    mine, others = one.state_dict(), other.state_dict()
    return mine.keys() == others.keys() and all(torch.equal(mine[name], others[name]) for name in mine)


def test_a_loaded_model_is_in_eval_mode_and_trainable() -> None:
    model = DistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt")
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())
    assert model.vocab_projector.weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, "float16", "torch.bfloat16"])
def test_dtype(tmp_path: Path, dtype: torch.dtype | str) -> None:
    expected_dtype = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype.removeprefix("torch."))
    path = MICRO / "ForSequenceClassification" / "pt"
    model = DistilBertForSequenceClassification.from_pretrained(path, dtype=dtype)
    assert {p.dtype for p in model.parameters()} == {expected_dtype}
    model.save_pretrained(tmp_path)
    again = DistilBertForSequenceClassification.from_pretrained(tmp_path)
    assert again.dtype == expected_dtype, "the checkpoint's dtype unless told otherwise"
    assert same(again, model)
    assert DistilBertForSequenceClassification.from_pretrained(tmp_path, torch_dtype="float32").dtype == torch.float32
    with pytest.raises(InputError, match="dtype is 'int8'"):
        DistilBertForSequenceClassification.from_pretrained(path, dtype="int8")


def test_a_new_head_stands_on_the_checkpoints_backbone() -> None:
    model = DistilBertForSequenceClassification.from_pretrained(MICRO / "Model" / "pt", num_labels=3)
    assert same(model.distilbert, DistilBertModel.from_pretrained(MICRO / "Model" / "pt"))


def test_a_backbone_from_a_task_model_and_a_task_model_from_another() -> None:
    path = MICRO / "ForMaskedLM" / "pt"
    backbone, report = DistilBertModel.from_pretrained(path, output_loading_info=True)
    assert report.ok
    assert "vocab_transform.weight" in report.ignored
    assert same(backbone, DistilBertForMaskedLM.from_pretrained(path).distilbert)
    assert DistilBertForTokenClassification.from_pretrained(path).load_report.ok


def test_the_sinusoidal_table_stays_frozen_and_keeps_its_stored_values() -> None:
    model = DistilBertModel.from_pretrained(MICRO / "Model" / "pt", sinusoidal_pos_embds=True)
    plain = DistilBertModel.from_pretrained(MICRO / "Model" / "pt")
    assert not model.embeddings.position_embeddings.weight.requires_grad
    assert same(model, plain)


def test_device_and_the_names_of_transformers_keywords() -> None:
    path = MICRO / "Model" / "tf_h5"
    for kwargs in ({"device": "cpu"}, {"device_map": "auto"}, {"device_map": "cpu"}, {"from_tf": True}):
        assert DistilBertModel.from_pretrained(path, **kwargs).load_report.ok
    with pytest.raises(InputError, match="device is 'gpu7'; expected one device such as"):
        DistilBertModel.from_pretrained(path, device="gpu7")
    with pytest.raises(InputError, match="expected one device"):
        DistilBertModel.from_pretrained(path, device_map={"embeddings": 0})


@pytest.mark.filterwarnings("ignore:attn_implementation")
@pytest.mark.parametrize("name", ["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"])
def test_every_implementation_of_attention_gives_the_same_numbers(name: str) -> None:
    plain = DistilBertModel.from_pretrained(MICRO / "Model" / "pt", attn_implementation="eager")
    model = DistilBertModel.from_pretrained(MICRO / "Model" / "pt", attn_implementation=name)
    ids, mask = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    assert model.config.attn_implementation == name
    expected = plain(ids, mask).last_hidden_state
    assert torch.allclose(model(ids, mask, unpad=False).last_hidden_state, expected, atol=1e-5)
    plain.set_attn_implementation(name)
    assert plain.config.attn_implementation == name
    assert torch.allclose(plain(ids, mask, unpad=False).last_hidden_state, expected, atol=1e-5)
    with pytest.raises(ConfigError, match="attn_implementation is 'flash'"):
        plain.set_attn_implementation("flash")
