"""Several saves into one folder: the last one is what is read, and what does not belong to a model stays."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from distilbert_conversion import DIALECTS, open_checkpoint, save, save_checkpoint
from distilbert_conversion.output.superseded import remove_superseded
from parity_tests.helpers.checkpoints import MLM, assert_same, read_all

CONFIG = open_checkpoint(MLM).config()
OLD = read_all(MLM)
NEW = {name: array + np.float32(1) for name, array in OLD.items()}
SAVES = [(name, None) for name in DIALECTS] + [
    (name, 4000) for name in DIALECTS if not name.startswith("keras") and name != "flax-orbax"
]
STRANGERS = (
    "optimizer.pt", "training_args.bin", "scheduler.pt", "adapter_model.safetensors", "adapter_model.bin",
    "rust_model.ot", "model.fp16.safetensors", "tokenizer.json", "my_model.h5",
)  # fmt: skip


def write(folder: Path, tensors: dict[str, np.ndarray], dialect: str, size: int | None) -> list[Path]:
    CONFIG.save_pretrained(folder)
    return save_checkpoint(folder, tensors, CONFIG, "ForMaskedLM", dialect=dialect, max_shard_size=size)


@pytest.mark.parametrize(("dialect", "size"), SAVES)
def test_the_last_save_is_read(dialect: str, size: int | None, tmp_path: Path) -> None:
    for earlier, earlier_size in SAVES:
        write(tmp_path, OLD, earlier, earlier_size)
        written = write(tmp_path, NEW, dialect, size)
        weights = {path for path in tmp_path.iterdir() if path.is_file() and path.name != "config.json"}
        assert weights == set(written)
        if dialect != "keras-hub":  # whose config.json is another one
            arrays = read_all(tmp_path)
            arrays.pop("vocab_projector.weight", None)
            assert_same(arrays, NEW)


def test_what_is_no_models_stays(tmp_path: Path) -> None:
    for name in STRANGERS:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.safetensors").write_bytes(b"mine")
    (tmp_path / "_METADATA").write_text('{"tree_metadata": {"a": {"key_metadata": [{"key": "onnx"}]}}}')
    write(tmp_path, NEW, "pt-safetensors", None)
    assert all((tmp_path / name).read_bytes() == b"mine" for name in (*STRANGERS, "onnx/model.safetensors"))


def test_variants_live_beside_each_other(tmp_path: Path) -> None:
    write(tmp_path, OLD, "pt-safetensors", None)
    half = save_checkpoint(tmp_path, NEW, CONFIG, "ForMaskedLM", dtype="float16", variant="fp16", max_shard_size=4000)
    assert half[-1].name == "model.safetensors.index.fp16.json"
    assert_same(read_all(tmp_path), OLD)
    with open_checkpoint(tmp_path, variant="fp16") as checkpoint:
        assert (checkpoint.dtype, len(checkpoint.files)) == ("float16", len(half) - 1)


def test_a_crash_before_the_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, OLD, "pt-bin", None)
    monkeypatch.setattr(save, "remove_superseded", lambda *_: None)
    write(tmp_path, NEW, "flax-msgpack", None)
    with pytest.warns(UserWarning, match=r"pytorch_model\.bin is read, and flax_model\.msgpack differs from it in"):
        checkpoint = open_checkpoint(tmp_path)
    assert_same({name: OLD[name] for name in OLD}, {name: np.array(checkpoint.weight(name).read()) for name in OLD})
    remove_superseded(tmp_path, [tmp_path / "flax_model.msgpack"], None)
    assert_same(read_all(tmp_path), NEW)


@pytest.mark.parametrize(
    ("name", "value"), [("gate.weight", np.float32(1)), ("gate.steps", np.int64(7)), ("vocab_projector.weight", None)]
)
@pytest.mark.parametrize(("first", "second"), [("pt-safetensors", "pt-bin"), ("flax-orbax", "tf-h5")])
def test_one_weight_differs(first: str, second: str, name: str, value: np.generic | None, tmp_path: Path) -> None:
    """A user's own, as of a new head on a frozen body; the projector, tied in one of the two only."""
    config = CONFIG.updated(tie_word_embeddings=False)
    weights = {**OLD, "vocab_projector.weight": OLD["embeddings.word_embeddings.weight"]}
    other = {**weights, name: weights["vocab_projector.weight"] + np.float32(1) if value is None else np.full(3, value)}
    models = [{**weights, name: np.zeros_like(other[name])} if value is not None else weights, other]
    for folder, dialect, tensors in zip(("a", "b"), (first, second), models, strict=True):
        save_checkpoint(tmp_path / folder, tensors, config, "ForMaskedLM", dialect=dialect)
    shutil.copytree(tmp_path / "b", tmp_path / "a", dirs_exist_ok=True)
    config.save_pretrained(tmp_path / "a")
    with pytest.warns(UserWarning, match=f"two different models: .* differs from it in {name}"):
        open_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("dialect", ["pt-safetensors", "flax-msgpack"])
def test_a_crash_between_shards_of_the_same_names_mixes_nothing(
    dialect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, OLD, dialect, 4000)
    renamed: list[Path] = []

    def stop_at_the_second(path: Path, target: Path) -> Path:
        if renamed:
            raise InterruptedError
        renamed.append(target)
        return path.rename(target)

    monkeypatch.setattr(Path, "replace", stop_at_the_second)
    with pytest.raises(InterruptedError):
        save_checkpoint(tmp_path, NEW, CONFIG, "ForMaskedLM", dialect=dialect, max_shard_size=4000)
    with pytest.raises(FileNotFoundError, match=r"index of shards is missing: .* save the model again"):
        open_checkpoint(tmp_path)


def test_files_of_one_model_are_no_rivals(tmp_path: Path) -> None:
    golden = MLM.parent
    names = {"pt": "model.safetensors", "tf_h5": "tf_model.h5", "flax_msgpack": "flax_model.msgpack"}
    for folder, name in {**names, "pt_bin": "pytorch_model.bin"}.items():
        if (golden / folder / name).is_file():
            shutil.copy(golden / folder / name, tmp_path)
    shutil.copy(MLM / "config.json", tmp_path)
    (tmp_path / "model.weights.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_checkpoint(tmp_path)
