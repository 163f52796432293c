"""Prefixes that training wrappers put before every name: taken off, said, and never guessed."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import msgpack
import numpy as np
import pytest

from distilbert_common.errors import CheckpointError
from distilbert_conversion import compare, convert, open_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all, safetensors_bytes

PREFIXES = [
    "_orig_mod.",  # torch.compile
    "module.",  # DataParallel
    "module.module.",
    "_orig_mod.module.",
    "model.",  # Lightning, FARM
    "base_model.model.",  # PEFT
    "student.encoder.",
    "distilbert.",
    "my-own_модель.",
]


def source(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Write a checkpoint with given names, beside the golden one's config."""
    shutil.copy(MLM / "config.json", folder)
    (folder / "model.safetensors").write_bytes(safetensors_bytes(tensors))
    return folder


def file_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Read a golden checkpoint by the names in its file."""
    return {name: np.array(tensor.read()) for name, tensor in open_checkpoint(folder).file_tensors.items()}


@pytest.mark.parametrize(
    ("prefix", "folder", "bare"),
    [
        *((prefix, "pt", False) for prefix in PREFIXES),
        *((prefix, folder, True) for prefix in PREFIXES[:3] for folder in ("pt", "tf_safetensors", "flax_safetensors")),
    ],
)
def test_a_prefix_before_every_name(prefix: str, folder: str, bare: bool, tmp_path: Path) -> None:
    slash = "/" if folder.startswith("tf") else "."
    wrapper = prefix.replace(".", slash)
    tensors = file_tensors(MICRO / "ForMaskedLM" / folder)
    if bare:
        tensors = {name.removeprefix(f"distilbert{slash}"): array for name, array in tensors.items()}
    source(tmp_path, {f"{wrapper}{name}": array for name, array in tensors.items()})
    with open_checkpoint(tmp_path) as checkpoint:
        assert not checkpoint.extras
        assert_same(read_all(checkpoint), read_all(MLM))
        assert checkpoint.notes == (f"prefix {wrapper!r} taken off its names",)


@pytest.mark.parametrize("part", ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_layers_that_are_wrapped_one_by_one(part: str, prefix: str, tmp_path: Path) -> None:
    tensors = {
        f"{prefix}{name}".replace("layer.0.", f"layer.0.{part}").replace(
            "vocab_transform.", f"vocab_transform.{part}"
        ): a
        for name, a in file_tensors(MLM).items()
    }
    source(tmp_path, tensors)
    with open_checkpoint(tmp_path) as checkpoint:
        assert not checkpoint.extras
        assert_same(read_all(checkpoint), read_all(MLM))
        assert checkpoint.notes[0] == f"{part!r} taken out of its names"
    name = next(name for name in tensors if part in name)
    source(tmp_path, {**tensors, name.replace(part, ""): tensors[name]})
    with pytest.raises(CheckpointError, match=f"has both .* and .*{part[:-1]}"):
        open_checkpoint(tmp_path)


def test_names_beside_the_wrapped_model_stay(tmp_path: Path) -> None:
    tensors = {f"model.{name}": array for name, array in file_tensors(MLM).items()}
    source(tmp_path, {**tensors, "criterion.weight": np.ones(3, np.float32)})
    with open_checkpoint(tmp_path) as checkpoint:
        assert list(checkpoint.extras) == ["criterion.weight"]
        assert_same(read_all(checkpoint), read_all(MLM))


@pytest.mark.parametrize("prefixes", [("student.", "teacher."), ("module.query.", "module.passage."), ("a.", "aa.")])
def test_two_models_are_not_guessed_between(prefixes: tuple[str, str], tmp_path: Path) -> None:
    source(tmp_path, {f"{prefix}{name}": array for prefix in prefixes for name, array in file_tensors(MLM).items()})
    with pytest.raises(CheckpointError, match=f"holds 2 models, under the prefixes {min(prefixes)!r} and "):
        open_checkpoint(tmp_path)


def test_a_second_body_inside_the_model_is_a_part_of_it(tmp_path: Path) -> None:
    """The body at the top is the model's; another one beside it is reported under its own names."""
    tensors = file_tensors(MLM)
    body = {f"other.{name.removeprefix('distilbert.')}": a for name, a in tensors.items() if "layer.0" in name}
    source(tmp_path, {**tensors, **body})
    assert list(open_checkpoint(tmp_path).extras) == list(body)
    source(tmp_path, {f"module.{name}": array for name, array in {**tensors, **body}.items()})
    assert list(open_checkpoint(tmp_path).extras) == list(body)


def test_a_name_with_and_without_the_prefix(tmp_path: Path) -> None:
    tensors = {f"model.{name}": array for name, array in file_tensors(MLM).items()}
    source(tmp_path, {**tensors, "vocab_transform.bias": np.zeros(12, np.float32)})
    with pytest.raises(CheckpointError, match=r"both 'vocab_transform\.bias' and 'model\.vocab_transform\.bias'"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("prefix", ["", "model.", "module.model."])
def test_a_bert(prefix: str, tmp_path: Path) -> None:
    data = Path(__file__).parents[2] / "parity_tests" / "data" / "bert"
    folder = next(path for path in sorted(data.rglob("model.safetensors"))).parent
    original = open_checkpoint(folder, fold_token_type=True)
    bert = {name: np.array(tensor.read()) for name, tensor in _plain(folder).items()}
    shutil.copy(folder / "config.json", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes({f"{prefix}{n}": a for n, a in bert.items()}))
    with open_checkpoint(tmp_path, fold_token_type=True) as checkpoint:
        assert_same(read_all(checkpoint), read_all(original))
        assert len(checkpoint.notes) == 1 + bool(prefix)


def _plain(folder: Path) -> dict[str, object]:
    from distilbert_conversion.formats import read

    return read(folder / "model.safetensors", "safetensors")


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_flax_trees_inside_trees(depth: int, tmp_path: Path) -> None:
    content = (MICRO / "ForMaskedLM" / "flax_msgpack" / "flax_model.msgpack").read_bytes()
    (tmp_path / "flax_model.msgpack").write_bytes((b"\x81" + msgpack.packb("params")) * depth + content)
    assert_same(read_all(tmp_path), read_all(MLM))


@pytest.mark.parametrize("step", [7, msgpack.ExtType(3, msgpack.packb([[], "int32", bytes(4)]))], ids=["int", "numpy"])
def test_a_training_state_of_flax_is_its_parameters(step: object, tmp_path: Path) -> None:
    """As `flax.serialization.to_bytes` writes it: the optimizer's moments have the names of the parameters too."""
    tree = (MICRO / "ForMaskedLM" / "flax_msgpack" / "flax_model.msgpack").read_bytes()
    parts = {"step": msgpack.packb(step), "params": tree, "opt_state": b"\x82" + msgpack.packb("mu") + tree}
    parts["opt_state"] += msgpack.packb("of optax") + msgpack.packb([None, 0.5, -0.25, -1, -33, -(2**40), True])
    content = b"\x83" + b"".join(msgpack.packb(name) + part for name, part in parts.items())
    (tmp_path / "flax_model.msgpack").write_bytes(content)
    assert_same(read_all(tmp_path), read_all(MLM))


def test_the_report_and_the_command_say_so(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    source(tmp_path / "source", {f"_orig_mod.{name}": array for name, array in file_tensors(MLM).items()})
    with open_checkpoint(tmp_path / "source") as checkpoint:
        report = compare(checkpoint, checkpoint.config(), "ForMaskedLM")
        assert str(report).endswith("weights found; prefix '_orig_mod.' taken off its names")
    result = convert(tmp_path / "source", tmp_path / "out", to="tf")
    assert "prefix '_orig_mod.' taken off its names" in str(result)
    assert_same(read_all(tmp_path / "out"), read_all(MLM))


class TestKerasFiles:
    """HDF5 files of older TensorFlow, and of `model.save`."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return Path(shutil.copy(MICRO / "ForMaskedLM" / "tf_h5" / "tf_model.h5", tmp_path))

    def test_no_group_of_top_level_weights(self, path: Path) -> None:
        """TensorFlow up to 2.6 writes none."""
        with h5py.File(path, "r+") as file:
            del file["top_level_model_weights"]
        assert_same(read_all(path), read_all(MLM))

    @pytest.mark.parametrize("scope", [None, "my_model"])
    def test_model_save(self, path: Path, scope: str | None) -> None:
        with h5py.File(path, "r+") as file:
            saved = file.create_group("model_weights")
            for key in [*file]:
                if key != "model_weights":
                    file.move(key, f"model_weights/{key}")
            for key in [*file.attrs]:
                saved.attrs[key] = file.attrs[key]
                del file.attrs[key]
            if scope:
                for layer in saved.values():
                    if "tf_distil_bert_for_masked_lm" in layer:
                        layer.move("tf_distil_bert_for_masked_lm", scope)
            file.create_dataset("optimizer_weights/adam/iteration:0", data=np.int64(7))
        with open_checkpoint(path) as checkpoint:
            assert not checkpoint.extras
            assert_same(read_all(checkpoint), read_all(MLM))
