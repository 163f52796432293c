from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from distilbert_common.errors import CheckpointError, ConfigError, InputError
from distilbert_pt import (
    DistilBertConfig,
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


@pytest.mark.parametrize("safe_serialization", [True, False])
@pytest.mark.parametrize("max_shard_size", [None, 4000])
def test_what_is_saved_is_loaded(tmp_path: Path, safe_serialization: bool, max_shard_size: int | None) -> None:
    model = DistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt")
    model.save_pretrained(tmp_path, safe_serialization=safe_serialization, max_shard_size=max_shard_size)
    assert (len(list(tmp_path.glob("*.json"))) == 2) == (max_shard_size is not None)
    again = DistilBertForMaskedLM.from_pretrained(tmp_path)
    assert same(model, again)
    assert again.config.architectures == ["DistilBertForMaskedLM"]
    assert again.load_report.ok


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


def test_a_new_head_on_a_backbone_is_expected_and_starts_fresh() -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, report = DistilBertForSequenceClassification.from_pretrained(
            MICRO / "Model" / "pt", num_labels=3, output_loading_info=True
        )
    assert report.ok
    assert report.new_head == ("classifier.bias", "classifier.weight", "pre_classifier.bias", "pre_classifier.weight")
    assert model.classifier.weight.shape == (3, 12)
    assert 0 < model.classifier.weight.std() < 0.05
    backbone = DistilBertModel.from_pretrained(MICRO / "Model" / "pt")
    assert same(model.distilbert, backbone)


def test_a_backbone_from_a_task_model_and_a_task_model_from_another() -> None:
    path = MICRO / "ForMaskedLM" / "pt"
    backbone, report = DistilBertModel.from_pretrained(path, output_loading_info=True)
    assert report.ok
    assert "vocab_transform.weight" in report.ignored
    assert same(backbone, DistilBertForMaskedLM.from_pretrained(path).distilbert)
    assert DistilBertForTokenClassification.from_pretrained(path).load_report.ok


def test_another_number_of_labels(tmp_path: Path) -> None:
    path = MICRO / "ForSequenceClassification" / "pt"
    with pytest.raises(CheckpointError, match=r"classifier\.weight is \(5, 12\), expected \(3, 12\)"):
        DistilBertForSequenceClassification.from_pretrained(path, num_labels=3)
    with pytest.warns(UserWarning, match=r"classifier\.weight"):
        model = DistilBertForSequenceClassification.from_pretrained(path, num_labels=3, ignore_mismatched_sizes=True)
    assert model.classifier.weight.shape == (3, 12)
    assert model(torch.tensor([[1, 2]])).logits.isfinite().all()


def test_unknown_keywords_and_missing_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'num_label'"):
        DistilBertModel.from_pretrained(MICRO / "Model" / "pt", num_label=3)
    with pytest.raises(CheckpointError, match=r"has no weights; expected model\.safetensors, "):
        DistilBertModel.from_pretrained(tmp_path)


def test_a_given_config_replaces_the_checkpoints() -> None:
    config = DistilBertConfig.from_pretrained(MICRO / "Model" / "pt", attention_dropout=0.5)
    model = DistilBertModel.from_pretrained(MICRO / "Model" / "pt", config=config, dropout=0.0)
    assert (model.config.attention_dropout, model.config.dropout, config.dropout) == (0.5, 0.0, 0.1)


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


def test_pushing_uploads_what_saving_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pushed = {}

    def push(folder: Path | str, repo_id: str, **hub: object) -> str:
        pushed[repo_id] = (sorted(path.name for path in Path(folder).iterdir()), hub)
        return "address"

    monkeypatch.setattr("distilbert_common.pretrained.push_folder", push)
    model = DistilBertModel.from_pretrained(MICRO / "Model" / "pt")
    model.save_pretrained(tmp_path / "mine", push_to_hub=True, private=True)
    assert (
        model.push_to_hub("user/model", token="t", max_shard_size="1GB", variant=None, use_temp_dir=True) == "address"
    )
    files = ["config.json", "model.safetensors"]
    assert pushed == {
        "mine": (files, {"token": None, "private": True, "patterns": files}),
        "user/model": (files, {"token": "t", "use_temp_dir": True}),
    }


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
