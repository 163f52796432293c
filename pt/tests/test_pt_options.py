"""The keywords that programs pass to `from_pretrained` and `save_pretrained` of transformers 4 and 5."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from distilbert_common.errors import CheckpointError, DistilBertError, InputError
from distilbert_pt import DistilBertConfig, DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertModel
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
SOURCE = MICRO / "ForSequenceClassification" / "pt"
FILES = ["config.json", "model.safetensors"]


def load(path: Any = SOURCE, **options: Any) -> Any:
    return DistilBertForSequenceClassification.from_pretrained(path, **options)


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, others = one.state_dict(), other.state_dict()
    return mine.keys() == others.keys() and all(torch.equal(mine[name], others[name]) for name in mine)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


SILENT = {
    "force_download": False,
    "proxies": None,
    "use_auth_token": None,
    "token": None,
    "trust_remote_code": False,
    "resume_download": None,
    "revision": "main",
    "variant": None,
    "weights_only": True,
    "use_safetensors": None,
    "quantization_config": None,
    "low_cpu_mem_usage": True,
    "local_files_only": True,
    "adapter_kwargs": {},
    "key_mapping": None,
    "offload_folder": None,
    "offload_buffers": False,
    "offload_state_dict": False,
    "max_memory": None,
    "tp_plan": None,
    "tp_size": None,
    "device_mesh": None,
    "from_tf": False,
    "from_flax": False,
    "_from_auto": True,
    "_fast_init": True,
    "_commit_hash": None,
    "mirror": None,
    "generation_config": None,
    "gguf_file": None,
    "use_kernels": False,
    "subfolder": "",
    "cache_dir": None,
    "device_map": None,
    "attn_implementation": None,
}


def test_options_at_the_values_that_programs_pass_are_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load(**SILENT)
        named = DistilBertForSequenceClassification.from_pretrained(pretrained_model_name_or_path=SOURCE)
    assert same(named, model)
    assert not SILENT.keys() & model.config.to_dict().keys()


@pytest.mark.parametrize(
    "option", [{"proxies": {"http": "h"}}, {"trust_remote_code": True}, {"max_memory": {0: 1}}, {"tp_plan": "auto"}]
)
def test_options_without_an_effect_are_accepted_with_a_word(option: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match=f"no effect has {next(iter(option))}") as caught:
        assert same(load(**option), load())
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("option", [{"load_in_8bit": True}, {"quantization_config": {"bits": 4}}, {"gguf_file": "a"}])
def test_options_that_would_change_the_weights_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        load(**option)


def test_the_config_by_its_place(tmp_path: Path) -> None:
    fields = json.loads((SOURCE / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**fields, "qa_dropout": 0.25}))
    for place in (tmp_path, str(tmp_path), tmp_path / "config.json"):
        assert load(config=place).config.qa_dropout == 0.25
    assert load(config=tmp_path, qa_dropout=0.5).config.qa_dropout == 0.5


def test_a_state_dict_instead_of_files() -> None:
    other = DistilBertForSequenceClassification(DistilBertConfig.from_pretrained(SOURCE))
    assert same(load(SOURCE, state_dict=other.state_dict()), other)
    model = load(None, config=other.config, state_dict=other.state_dict())
    assert same(model, other)
    assert not model.training
    with torch.no_grad():
        model.classifier.bias.add_(1)
    assert not same(model, other), "not the same memory"
    assert same(load(None, config=SOURCE, state_dict={f"module.{k}": v for k, v in other.state_dict().items()}), other)
    with pytest.raises(CheckpointError, match=r"q_lin\.bias"):
        load(SOURCE, state_dict={k: v for k, v in other.state_dict().items() if "q_lin.bias" not in k})
    with pytest.raises(InputError, match="give config= too"):
        load(None, state_dict=other.state_dict())
    with pytest.raises(InputError, match="pretrained_model_name_or_path is None"):
        load(None, config=other.config)


@pytest.mark.parametrize(
    "device_map", [{"": "cpu"}, {"": torch.device("cpu")}, "auto", "balanced", "sequential", "cpu"]
)
def test_maps_to_one_device(device_map: Any) -> None:
    model = load(device_map=device_map)
    assert same(model, load())
    assert set(model.hf_device_map) == {""}


def test_a_map_to_several_devices_is_refused() -> None:
    with pytest.raises(InputError, match="expected one device"):
        load(device_map={"distilbert": "cpu", "classifier": "disk"})


def test_the_default_device_and_a_device_without_values() -> None:
    with torch.device("cpu"):
        assert same(load(), load())
    with torch.device("meta"), pytest.raises(InputError, match="'meta' holds no values"):
        load()
    with torch.device("meta"):
        empty = DistilBertForMaskedLM(DistilBertConfig.from_pretrained(SOURCE))
    assert all(parameter.is_meta for parameter in empty.parameters())
    source = DistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt")
    empty.load_state_dict(source.state_dict(), assign=True)
    assert same(empty, source)


def test_errors_are_those_that_programs_catch(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path, tmp_path / "absent.safetensors"):
        with pytest.raises(OSError, match=r"model|weights|absent") as caught:
            load(path, local_files_only=True)
        assert isinstance(caught.value, DistilBertError)
    with pytest.raises(RuntimeError) as caught:
        load(num_labels=2)
    assert isinstance(caught.value, CheckpointError)
    with pytest.raises(RuntimeError, match="device is 'cuda:99'"):
        load(device="cuda:99")


def test_loading_info_by_transformers_names() -> None:
    body = MICRO / "Model" / "pt"
    _, info = DistilBertForSequenceClassification.from_pretrained(body, output_loading_info=True)
    assert sorted(info["missing_keys"]) == list(info.new_head)
    assert (info["unexpected_keys"], info["mismatched_keys"], info["error_msgs"]) == ([], [], [])
    with pytest.warns(UserWarning, match=r"classifier\.weight is \(5, 12\), expected \(2, 12\)"):
        _, info = load(num_labels=2, ignore_mismatched_sizes=True, output_loading_info=True)
    assert ("classifier.weight", (5, 12), (2, 12)) in info["mismatched_keys"]


def test_a_variant_is_saved_and_loaded(tmp_path: Path) -> None:
    model = load()
    model.save_pretrained(tmp_path, variant="fp16")
    assert listing(tmp_path) == ["config.json", "model.fp16.safetensors"]
    assert same(load(tmp_path, variant="fp16"), model)
    model.save_pretrained(tmp_path, variant="fp16", safe_serialization=False, max_shard_size=2000)
    assert "pytorch_model.bin.index.fp16.json" in listing(tmp_path)
    assert same(load(tmp_path, variant="fp16", use_safetensors=False), model)


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    load().save_pretrained(tmp_path / "out", is_main_process=False, state_dict={}, save_function=torch.save)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_the_idiom_of_training_loops(prefix: str, tmp_path: Path) -> None:
    model, other = load(), DistilBertForSequenceClassification(load().config)
    state_dict = {f"{prefix}{name}": tensor for name, tensor in other.state_dict().items()}
    model.save_pretrained(tmp_path, is_main_process=True, save_function=torch.save, state_dict=state_dict)
    assert listing(tmp_path) == FILES
    assert same(load(tmp_path), other)


@pytest.mark.parametrize("max_shard_size", ["5GB", 2000])
def test_a_save_function_writes_what_torch_save_would(max_shard_size: int | str, tmp_path: Path) -> None:
    calls: dict[str, int] = {}

    def save(tensors: dict[str, torch.Tensor], path: str) -> None:
        calls[Path(path).name] = len(tensors)
        torch.save({name: tensor * 2 for name, tensor in tensors.items()}, path)

    model = load()
    model.save_pretrained(tmp_path, save_function=save, safe_serialization=False, max_shard_size=max_shard_size)
    assert sum(calls.values()) == len(model.state_dict())
    assert set(calls) == {path.name for path in tmp_path.glob("*.bin")}
    assert torch.equal(load(tmp_path).classifier.weight, model.classifier.weight * 2)


def test_positions_of_the_arguments_of_saving(tmp_path: Path) -> None:
    load().save_pretrained(tmp_path, True, None, torch.save, False, "1GB", True, None, None, True)
    assert listing(tmp_path) == FILES


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_fields_of_any_config_of_transformers() -> None:
    ids = torch.tensor([[1, 2, 3]])
    model = load(torchscript=True, finetuning_task="mrpc")
    assert model.config.finetuning_task == "mrpc"
    assert isinstance(model(ids), tuple)
    assert model(ids, return_dict=True).logits.equal(load()(ids).logits)
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)  # nothing of the program depends on values
        traced = torch.jit.trace(model, ids)
    # a program may multiply by another kernel than the model does
    torch.testing.assert_close(traced(ids)[0], model(ids)[0], rtol=0, atol=1e-6)


def test_a_new_model_from_a_config_alone() -> None:
    config = DistilBertConfig.from_pretrained(SOURCE)
    model = DistilBertModel._from_config(config, dtype=torch.bfloat16, attn_implementation="eager")
    assert (model.dtype, model.config.attn_implementation) == (torch.bfloat16, "eager")


def test_what_a_class_keeps_in_float32(tmp_path: Path) -> None:
    class Exact(DistilBertForSequenceClassification):
        _keep_in_fp32_modules = ("classifier", "scale")

        def __init__(self, config: DistilBertConfig) -> None:
            super().__init__(config)
            self.scale = nn.Linear(2, 2)
            self.register_buffer("table", torch.ones(2))

    Exact(DistilBertConfig.from_pretrained(SOURCE)).save_pretrained(tmp_path)
    for path in (tmp_path, SOURCE):
        with warnings.catch_warnings(record=True):
            model = Exact.from_pretrained(path, dtype=torch.float16)
        exact = {name for name, tensor in model.state_dict().items() if tensor.dtype == torch.float32}
        assert exact == {"classifier.weight", "classifier.bias", "scale.weight", "scale.bias"}
        assert model.table.dtype == torch.float16


def test_checkpointing_that_an_old_config_asks_for() -> None:
    config = DistilBertConfig.from_pretrained(SOURCE)
    config.gradient_checkpointing = True
    assert DistilBertForSequenceClassification(config).is_gradient_checkpointing
    assert load(config=config).is_gradient_checkpointing
    assert not load().is_gradient_checkpointing


def test_one_folder_for_several_dialects(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MICRO / "ForSequenceClassification" / "tf_h5", tmp_path / "model"))
    model = load(folder)
    with torch.no_grad():
        model.classifier.bias.fill_(0.5)
    model.save_pretrained(folder)
    assert not (folder / "tf_model.h5").exists()
    assert same(load(folder), model)
    for options in ({"safe_serialization": False}, {"max_shard_size": 2000}, {}, {"max_shard_size": 3000}):
        with torch.no_grad():
            model.classifier.bias.add_(1)
        model.save_pretrained(folder, **options)
        assert same(load(folder), model)
