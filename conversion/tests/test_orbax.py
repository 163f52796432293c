"""Orbax checkpoints: what Orbax wrote is read without JAX, and what is written Orbax restores."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import orbax.checkpoint as ocp
import pytest

from distilbert_common.errors import CheckpointError, MissingFrameworkError, UnsupportedFormatError
from distilbert_conversion import HEADS, convert, open_checkpoint, save_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all

FLAX = MICRO / "ForMaskedLM" / "flax_msgpack"


def tree(dtype: Any = np.float32) -> dict[str, Any]:
    """Return the masked-LM model's parameters as Flax has them."""
    import flax.serialization

    nested: dict[str, Any] = flax.serialization.msgpack_restore((FLAX / "flax_model.msgpack").read_bytes())
    return cast(nested, dtype)


def cast(nested: Any, dtype: Any) -> Any:
    return (
        {key: cast(value, dtype) for key, value in nested.items()} if isinstance(nested, dict) else nested.astype(dtype)
    )


def standard(folder: Path, content: Any) -> Path:
    with ocp.StandardCheckpointer() as saver:
        saver.save(folder, content)
    return folder


def plain(folder: Path, content: Any) -> Path:
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False)).save(folder, content)
    return folder


def zarr3(folder: Path, content: Any) -> Path:
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_zarr3=True)).save(folder, content)
    return folder


def managed(folder: Path, content: Any) -> Path:
    with ocp.CheckpointManager(folder) as manager:
        manager.save(7, args=ocp.args.StandardSave(content))
    return folder / "7" / "default"


def below_params(folder: Path, content: Any) -> Path:
    return standard(folder, {"params": content})


def state_of_nnx(folder: Path, content: Any) -> Path:
    def leaves(nested: Any) -> Any:
        return {key: leaves(value) for key, value in nested.items()} if isinstance(nested, dict) else {"value": nested}

    return standard(folder, leaves(content))


WRITERS = (standard, plain, zarr3, managed, below_params, state_of_nnx)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16], ids=["float32", "bfloat16"])
def test_what_orbax_wrote(write: Callable[[Path, Any], Path], dtype: Any, tmp_path: Path) -> None:
    folder = write(tmp_path / "saved", tree(dtype))
    shutil.copy(FLAX / "config.json", folder)
    summary = convert(folder, tmp_path / "out", to="pt")
    assert (summary.source_dialect, summary.head) == ("flax-orbax", "ForMaskedLM")
    assert_same(read_all(tmp_path / "out"), {name: array.astype(dtype) for name, array in read_all(MLM).items()})


@pytest.mark.parametrize("head", HEADS)
def test_orbax_restores_what_is_written(head: str, tmp_path: Path) -> None:
    convert(MICRO / head / "pt", tmp_path / "orbax", to="flax", format="orbax")
    convert(MICRO / head / "pt", tmp_path / "msgpack", to="flax")
    import flax.serialization
    from flax.traverse_util import flatten_dict

    restored = flatten_dict(ocp.StandardCheckpointer().restore(tmp_path / "orbax"), sep="/")
    arrays = flatten_dict(
        flax.serialization.msgpack_restore((tmp_path / "msgpack" / "flax_model.msgpack").read_bytes()), sep="/"
    )
    assert_same({name: np.asarray(array) for name, array in restored.items()}, arrays)
    assert_same(read_all(tmp_path / "orbax"), read_all(MICRO / head / "pt"))


def test_restored_into_jax_arrays(tmp_path: Path) -> None:
    import jax

    convert(MLM, tmp_path / "orbax", to="flax", format="orbax", dtype="bfloat16")
    shapes = jax.tree.map(jax.numpy.asarray, tree(ml_dtypes.bfloat16))
    restored = ocp.StandardCheckpointer().restore(tmp_path / "orbax", shapes)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()) and a.dtype == b.dtype, restored, shapes))


def test_without_jax(tmp_path: Path) -> None:
    folder = standard(tmp_path / "saved", tree())
    shutil.copy(FLAX / "config.json", folder)
    script = (
        "import sys\nfrom distilbert_conversion import convert\n"
        f"convert({str(folder)!r}, {str(tmp_path / 'out')!r}, to='flax', format='orbax')\n"
        "print(sorted({'jax', 'jaxlib', 'flax', 'orbax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
    assert_same(read_all(tmp_path / "out"), read_all(MLM))


class TestWithoutTensorstore:
    @pytest.fixture(autouse=True)
    def absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "tensorstore", None)

    def test_a_packed_one_names_the_command(self, tmp_path: Path) -> None:
        folder = standard(tmp_path / "saved", tree())
        with pytest.raises(MissingFrameworkError, match=r"needs tensorstore.*pip install 'distilbert\[flax\]'"):
            open_checkpoint(folder)

    def test_a_plain_one_is_written_and_read(self, tmp_path: Path) -> None:
        convert(MLM, tmp_path / "out", to="flax", format="orbax")
        assert_same(read_all(tmp_path / "out"), read_all(MLM))


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        convert(MLM, tmp_path / "orbax", to="flax", format="orbax")
        return tmp_path / "orbax"

    def test_a_cut_array(self, folder: Path) -> None:
        chunk = folder / "vocab_transform.kernel" / "0.0"
        chunk.write_bytes(chunk.read_bytes()[:-1])
        with pytest.raises(CheckpointError, match=r"0\.0 is cut off"):
            open_checkpoint(folder)

    def test_a_missing_array(self, folder: Path) -> None:
        shutil.rmtree(folder / "vocab_transform.kernel")
        with pytest.raises(CheckpointError, match=r"'vocab_transform\.kernel' cannot be opened"):
            open_checkpoint(folder)

    def test_a_missing_chunk_is_no_array_of_zeros(self, folder: Path) -> None:
        (folder / "vocab_transform.kernel" / "0.0").unlink()
        with pytest.raises(CheckpointError, match=r"'vocab_transform\.kernel' cannot be read"):
            read_all(folder)

    @pytest.mark.parametrize("name", ["*", "d/*"])
    def test_a_packed_one_without_a_part(self, name: str, tmp_path: Path) -> None:
        folder = standard(tmp_path / "saved", tree())
        for path in [path for path in folder.glob(name) if path.name not in ("_METADATA", "d")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(CheckpointError, match=r"cannot be (opened|read)"):
            read_all(folder)

    @pytest.mark.parametrize("key", ["..", "a/b", "", "a\\b", ".hidden"])
    def test_names_that_lead_elsewhere(self, key: str, folder: Path) -> None:
        facts = json.loads((folder / "_METADATA").read_text())
        next(iter(facts["tree_metadata"].values()))["key_metadata"][0]["key"] = key
        (folder / "_METADATA").write_text(json.dumps(facts))
        with pytest.raises(CheckpointError, match="expected plain names"):
            open_checkpoint(folder)

    @pytest.mark.parametrize(
        "content", ["{}", '{"tree_metadata": {"a": {}}}', '{"tree_metadata": {"a": 3}}', "[", "[]"]
    )
    def test_a_list_that_is_none(self, content: str, folder: Path) -> None:
        (folder / "_METADATA").write_text(content)
        with pytest.raises(CheckpointError):
            open_checkpoint(folder)

    @pytest.mark.parametrize("shape", [None, [12, -12], ["x"], [12, 12.0], [10**9, 10**9]])
    def test_shapes_that_are_none(self, shape: Any, folder: Path) -> None:
        path = folder / "vocab_transform.kernel" / ".zarray"
        fields = json.loads(path.read_text())
        path.write_text(json.dumps({**fields, "shape": shape, "chunks": shape}))
        with pytest.raises(CheckpointError):
            open_checkpoint(folder)


def test_a_larger_model(tmp_path: Path) -> None:
    """Its list of arrays is far smaller than they are."""
    config = open_checkpoint(MLM).config().updated(vocab_size=300_000)
    tensors = read_all(MLM)
    tensors["embeddings.word_embeddings.weight"] = np.arange(3_600_000, dtype=np.float32).reshape(300_000, 12)
    tensors["vocab_projector.bias"] = np.ones(300_000, np.float32)
    save_checkpoint(tmp_path / "pt", tensors, config, "ForMaskedLM")
    config.save_pretrained(tmp_path / "pt")
    convert(tmp_path / "pt", tmp_path / "orbax", to="flax", format="orbax")
    assert_same(read_all(tmp_path / "orbax"), tensors)


def test_it_is_not_sharded(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError, match="cannot be sharded; use format msgpack"):
        convert(MLM, tmp_path / "out", to="flax", format="orbax", max_shard_size="1KB")
