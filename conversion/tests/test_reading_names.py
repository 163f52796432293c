"""Names that differ from today's: old files, wrappers, wrong metadata, names stored twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from distilbert_common.errors import CheckpointError
from distilbert_conversion import open_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all, safetensors_bytes

TENSORS = {name: np.array(tensor.read()) for name, tensor in open_checkpoint(MLM).file_tensors.items()}
CLASSIFIER = MICRO / "ForSequenceClassification"


def written(folder: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(safetensors_bytes(tensors, metadata))
    return path


RENAMED: dict[str, Callable[[str], str]] = {
    "gamma and beta": lambda name: name.replace("orm.weight", "orm.gamma").replace("orm.bias", "orm.beta"),
    "data parallel": lambda name: f"module.{name}",
    "no prefix": lambda name: name.removeprefix("distilbert."),
    "prefix on all": lambda name: f"distilbert.{name.removeprefix('distilbert.')}",
}


@pytest.mark.parametrize("rename", RENAMED.values(), ids=RENAMED)
def test_pytorch_names_of_other_times(rename: Callable[[str], str], tmp_path: Path) -> None:
    path = written(tmp_path, {rename(name): array for name, array in TENSORS.items()})
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.dialect == "pt-safetensors"
        assert checkpoint.head == "ForMaskedLM"
        assert not checkpoint.extras
        assert_same(read_all(checkpoint), read_all(MLM))


@pytest.mark.parametrize("prefix", ["", "distilbert."])
def test_the_position_buffer_is_ignored(prefix: str, tmp_path: Path) -> None:
    buffer = f"{prefix}embeddings.position_ids"
    path = written(tmp_path, {**TENSORS, buffer: np.arange(16, dtype=np.float32)[None]})
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.ignored == [buffer]
        assert not checkpoint.extras
        assert_same(read_all(checkpoint), read_all(MLM))


@pytest.mark.parametrize("declared", ["pt", "tf", "flax", "np", None])
@pytest.mark.parametrize("folder", ["pt", "tf_safetensors", "flax_safetensors"])
def test_names_win_over_metadata(folder: str, declared: str | None, tmp_path: Path) -> None:
    source = open_checkpoint(CLASSIFIER / folder)
    file_tensors = {name: np.array(tensor.read()) for name, tensor in source.file_tensors.items()}
    path = written(tmp_path, file_tensors, None if declared is None else {"format": declared})
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.dialect == source.dialect
        assert checkpoint.metadata == ({} if declared is None else {"format": declared})
        assert_same(read_all(checkpoint), read_all(CLASSIFIER / "pt"))


def test_metadata_decides_where_names_fit_several_dialects(tmp_path: Path) -> None:
    bias = {"distilbert.transformer.layer.0.ffn.lin1.bias": np.zeros(20, np.float32)}
    assert open_checkpoint(written(tmp_path, bias)).dialect == "pt-safetensors"
    assert open_checkpoint(written(tmp_path, bias, {"format": "flax"})).dialect == "flax-safetensors"


def test_two_names_for_one_weight(tmp_path: Path) -> None:
    name = "vocab_layer_norm.bias"
    path = written(tmp_path, {**TENSORS, f"module.{name}": TENSORS[name]})
    assert_same(read_all(path), read_all(MLM))
    written(tmp_path, {**TENSORS, f"module.{name}": TENSORS[name] + 1})
    with pytest.raises(CheckpointError, match=r"two different values for vocab_layer_norm\.bias"):
        open_checkpoint(path)


def test_names_of_no_dialect(tmp_path: Path) -> None:
    renamed = {name: name.replace("distilbert", "encoder").replace("transformer", "blocks") for name in TENSORS}
    path = written(tmp_path, {renamed[name]: array for name, array in TENSORS.items() if renamed[name] != name})
    with pytest.raises(
        CheckpointError, match=r"none of its [0-9]+ tensor names is one of DistilBERT's.*'encoder\.blocks"
    ):
        open_checkpoint(path)


class TestH5:
    """`tf_model.h5` as it is found in the wild."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "tf_model.h5"
        path.write_bytes((MICRO / "ForMaskedLM" / "tf_h5" / "tf_model.h5").read_bytes())
        return path

    def test_embeddings_stored_twice_must_be_equal(self, path: Path) -> None:
        scope = "tf_distil_bert_for_masked_lm/distilbert/embeddings/LayerNorm/gamma:0"
        with h5py.File(path, "r+") as file:
            assert file[f"distilbert/{scope}"].shape == file[f"vocab_projector/{scope}"].shape
            file[f"vocab_projector/{scope}"][0] += 1
        with pytest.raises(CheckpointError, match=r"two different values for .*LayerNorm/gamma:0"):
            open_checkpoint(path)

    @pytest.mark.parametrize("scope", ["tf_distil_bert_for_masked_lm_1", "tf_distil_bert_for_masked_lm_12"])
    def test_the_scope_may_be_numbered(self, path: Path, scope: str) -> None:
        with h5py.File(path, "r+") as file:
            for layer in file:
                if "tf_distil_bert_for_masked_lm" in file[layer]:
                    file[layer].move("tf_distil_bert_for_masked_lm", scope)
        assert_same(read_all(path), read_all(MLM))

    def test_order_and_attributes_of_old_files(self, path: Path) -> None:
        """Frozen layers change the order of `weight_names`; h5py 2 gave bytes; long lists are split."""
        with h5py.File(path, "r+") as file:
            for item in (file, *file.values()):
                for key in ("layer_names", "weight_names"):
                    if key in item.attrs:
                        first, second = np.array_split(np.asarray(list(item.attrs[key])[::-1], "S"), 2)
                        del item.attrs[key]
                        item.attrs[f"{key}0"], item.attrs[f"{key}1"] = first, second
        assert_same(read_all(path), read_all(MLM))

    @pytest.mark.parametrize("storage", [{"compression": "gzip"}, {"dtype": ">f4"}], ids=["compressed", "big-endian"])
    def test_compressed_and_big_endian_data(self, path: Path, storage: dict[str, str]) -> None:
        name = "distilbert/tf_distil_bert_for_masked_lm/distilbert/embeddings/word_embeddings/weight:0"
        with h5py.File(path, "r+") as file:
            values = file[name][()]
            del file[name]
            file.create_dataset(name, data=values, **storage)
            assert file[name].compression == storage.get("compression")
            assert file[name].dtype == storage.get("dtype", values.dtype)
        assert_same(read_all(path), read_all(MLM))

    def test_links_to_other_files_are_not_followed(self, path: Path, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "other.h5", "w") as other:
            other["secret"] = np.zeros(3, np.float32)
        with h5py.File(path, "r+") as file:
            file["distilbert/linked"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")
        assert not open_checkpoint(path).extras
        with h5py.File(path, "r+") as file:
            file.create_dataset("distilbert/raw", (3,), "f4", external=[(str(tmp_path / "other.h5"), 0, 12)])
        with pytest.raises(CheckpointError, match="refers to another file"):
            open_checkpoint(path)


def test_flax_parameters_inside_params(tmp_path: Path) -> None:
    source = (MICRO / "ForMaskedLM" / "flax_msgpack" / "flax_model.msgpack").read_bytes()
    (tmp_path / "flax_model.msgpack").write_bytes(b"\x81\xa6params" + source)
    assert_same(read_all(tmp_path), read_all(MLM))


@pytest.mark.parametrize(
    ("present", "architecture", "head"),
    [
        ("ForMultipleChoice", None, "ForSequenceClassification"),  # the same names; one label
        ("ForMultipleChoice", "DistilBertForMultipleChoice", "ForMultipleChoice"),
        ("ForMultipleChoice", "TFDistilBertForSequenceClassification", "ForSequenceClassification"),
        ("ForSequenceClassification", None, "ForSequenceClassification"),
        ("ForTokenClassification", "DistilBertModel", "ForTokenClassification"),
        ("ForTokenClassification", "BertForMaskedLM", "ForTokenClassification"),
        ("ForQuestionAnswering", "DistilBertForMaskedLM", "ForQuestionAnswering"),
        ("Model", "DistilBertForMaskedLM", "Model"),
    ],
)
def test_the_head_is_read_off_the_names(present: str, architecture: str | None, head: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((MICRO / present / "pt" / "model.safetensors").read_bytes())
    if architecture:
        (tmp_path / "config.json").write_text(f'{{"architectures": ["{architecture}"]}}')
    assert open_checkpoint(tmp_path).head == head


def test_several_files_in_one_folder(tmp_path: Path) -> None:
    """The order in which transformers 4.57 looks is kept; a file that is named is read."""
    for folder in ("flax_msgpack", "tf_h5", "pt_bin", "pt_sharded", "pt"):
        for file in (MICRO / "Model" / folder).iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    names_read = []
    for name in ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "tf_model.h5"):
        names_read.append(open_checkpoint(tmp_path).path.name)
        assert open_checkpoint(tmp_path / name).path.name == name
        (tmp_path / name).unlink()
    assert names_read == ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "tf_model.h5"]
    assert open_checkpoint(tmp_path).dialect == "flax-msgpack"


def test_a_hub_id_in_the_cache(tmp_path: Path) -> None:
    """No network: the cache holds what huggingface_hub lays there, and what it does not hold is not there."""
    repository = tmp_path / "models--someone--distilbert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    for folder, target in (("pt_sharded", snapshot), ("flax_msgpack", snapshot / "flax")):
        target.mkdir(parents=True)
        for file in (MICRO / "ForMaskedLM" / folder).iterdir():
            (target / file.name).write_bytes(file.read_bytes())
    with open_checkpoint("someone/distilbert", cache_dir=tmp_path, local_files_only=True) as checkpoint:
        assert checkpoint.sharded
        assert checkpoint.config().dim == 12
        assert checkpoint.source.sibling("vocab.txt") is None
        assert_same(read_all(checkpoint), read_all(MLM))
    inner = open_checkpoint("someone/distilbert", cache_dir=tmp_path, local_files_only=True, subfolder="flax")
    assert inner.dialect == "flax-msgpack"
    with pytest.raises(CheckpointError, match="'someone/else' is not a directory here"):
        open_checkpoint("someone/else", cache_dir=tmp_path, local_files_only=True)
