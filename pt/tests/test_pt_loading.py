"""How weights come to memory: mapped where that is safe, else copied once, and never tied to the file's fate."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from distilbert_common import DistilBertConfig
from distilbert_conversion import convert, expected, save_checkpoint
from distilbert_pt import DistilBertForMaskedLM, DistilBertForSequenceClassification
from distilbert_pt.arrays import to_tensor
from parity_tests.helpers import golden

SOURCE = golden.GOLDEN / "micro" / "ForSequenceClassification" / "pt"
IDS = torch.tensor([[1, 2, 3]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint that a test may change."""
    return Path(shutil.copytree(SOURCE, tmp_path / "model"))


def load(folder: Path, **options: object) -> DistilBertForSequenceClassification:
    return DistilBertForSequenceClassification.from_pretrained(folder, **options)


def values(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_no_random_values_are_drawn_before(folder: Path) -> None:
    before = torch.get_rng_state()
    load(folder)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("disable_mmap", [False, True])
def test_changing_parameters_leaves_the_file_and_other_models_alone(folder: Path, disable_mmap: bool) -> None:
    before = (folder / "model.safetensors").read_bytes()
    model, other = load(folder, disable_mmap=disable_mmap), load(folder)
    weights = values(other)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert (folder / "model.safetensors").read_bytes() == before
    assert same(other, weights)
    assert same(load(folder), weights)
    assert all(torch.equal(tensor, weights[name] + 1) for name, tensor in model.state_dict().items())


def test_a_model_outlives_the_file_that_it_was_loaded_from(folder: Path) -> None:
    model, weights = load(folder), values(load(SOURCE))
    other = DistilBertForSequenceClassification(model.config)
    other.save_pretrained(folder)  # replaces the file in its place
    assert same(model, weights)
    assert same(load(folder), values(other))
    shutil.rmtree(folder)
    assert same(model, weights)
    assert model(IDS).logits.isfinite().all()


@pytest.mark.parametrize("name", ["pt", "pt_bin", "tf_safetensors", "tf_h5", "flax_msgpack"])
def test_a_model_that_is_not_mapped_is_no_part_of_its_file(name: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SOURCE.parent / name, tmp_path / "model"))
    model, weights = load(folder, disable_mmap="safetensors" in name or name == "pt"), values(load(SOURCE))
    for file in folder.iterdir():
        file.write_bytes(b"")  # in its place, as `torch.save` writes
    assert same(model, weights)


def test_saving_to_the_folder_that_a_model_was_loaded_from(folder: Path) -> None:
    model = load(folder)
    with torch.no_grad():
        model.classifier.weight.fill_(0.5)
    weights = values(model)
    model.save_pretrained(folder)
    assert same(model, weights)
    assert same(load(folder), weights)


def test_what_is_done_to_parameters_can_be_done_to_mapped_ones(folder: Path) -> None:
    model = load(folder)
    weights = values(model)
    assert same(copy.deepcopy(model), weights)
    assert same(pickle.loads(pickle.dumps(model)), weights)
    torch.save(model.state_dict(), buffer := io.BytesIO())
    buffer.seek(0)
    assert torch.load(buffer).keys() == weights.keys()
    compiled = torch.compile(model, backend="eager", dynamic=False)
    torch.testing.assert_close(compiled(IDS).logits, model(IDS).logits)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(IDS, labels=torch.tensor([0])).loss.backward()
    optimizer.step()
    assert not torch.equal(model.classifier.weight, weights["classifier.weight"])
    assert model.share_memory().classifier.weight.is_shared()
    assert {parameter.dtype for parameter in model.half().parameters()} == {torch.float16}


def test_one_storage_under_two_names_becomes_two_parameters_unless_they_are_tied(tmp_path: Path) -> None:
    source = golden.GOLDEN / "micro" / "ForMaskedLM" / "pt_bin"  # holds the projector as the embeddings' second name
    tied = DistilBertForMaskedLM.from_pretrained(source)
    assert tied.vocab_projector.weight is tied.get_input_embeddings().weight
    free = DistilBertForMaskedLM.from_pretrained(source, tie_word_embeddings=False)
    table = free.get_input_embeddings().weight.detach().clone()
    with torch.no_grad():
        free.vocab_projector.weight.add_(1)
    assert torch.equal(free.get_input_embeddings().weight, table)
    free.save_pretrained(tmp_path)
    assert not torch.equal(DistilBertForMaskedLM.from_pretrained(tmp_path).vocab_projector.weight, table)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
def test_a_read_only_array_is_copied_into_any_dtype(dtype: torch.dtype, stored: str) -> None:
    array = np.arange(70 * 3, dtype=np.float32).reshape(70, 3).astype(stored)
    expected_values = torch.arange(70 * 3, dtype=torch.float32).reshape(70, 3).to(getattr(torch, stored)).to(dtype)
    assert to_tensor(array, dtype).equal(expected_values)
    array.flags.writeable = False
    for source, transposed in ((array, expected_values), (array.T, expected_values.T)):
        tensor = to_tensor(source, dtype)
        assert tensor.is_contiguous()
        assert torch.equal(tensor.float(), transposed.float())
    assert to_tensor(np.float32([1e30]), torch.float16).isinf().all()


MEMORY = """
import sys
from distilbert_pt import DistilBertModel
import distilbert_conversion

def megabytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024

own, peak = megabytes("RssAnon"), megabytes("VmRSS")
model = DistilBertModel.from_pretrained(sys.argv[1])
print(megabytes("RssAnon") - own, megabytes("VmHWM") - peak, *("torch._dynamo" in sys.modules, "sympy" in sys.modules))
"""


@pytest.mark.requires("procfs")
def test_weights_are_in_memory_once_or_not_at_all_and_no_compiler_is_imported(tmp_path: Path) -> None:
    config = DistilBertConfig(vocab_size=50_000, dim=512, hidden_dim=512, n_heads=8, n_layers=4)
    tensors = {name: np.ones(shape, np.float32) for name, shape in expected(config, "Model").items()}
    size = sum(tensor.nbytes for tensor in tensors.values()) / 2**20
    assert size > 120
    save_checkpoint(tmp_path / "pt", tensors, config, "Model")
    config.save_pretrained(tmp_path / "pt")
    convert(tmp_path / "pt", tmp_path / "bin", to="pt", format="bin")
    # A file that is copied is mapped meanwhile, one tensor at a time: the largest of them are the embeddings.
    for name, copies, peak in (("pt", 0, 0), ("bin", 1, 1.9)):
        command = [sys.executable, "-c", MEMORY, str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        grown, highest, *compilers = done.stdout.split()
        assert float(grown) < copies * size + 0.2 * size
        assert float(highest) < peak * size + 0.2 * size
        assert compilers == ["False", "False"]


def test_the_bias_of_a_new_tied_projector_starts_at_zero() -> None:
    rubbish = [torch.full((40,), float("nan")) for _ in range(1000)]
    del rubbish  # what fresh memory is likely to hold
    model = DistilBertForMaskedLM.from_pretrained(golden.GOLDEN / "micro" / "Model" / "pt")
    assert not model.vocab_projector.bias.any()
    assert not model.vocab_transform.bias.any()
