"""KerasHub presets: what KerasHub wrote is read, and what is written is what KerasHub wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distilbert_common import DistilBertTokenizerFast
from distilbert_common.errors import CheckpointError, UnsupportedFormatError
from distilbert_conversion import convert, diff, open_checkpoint, save_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all
from parity_tests.helpers.golden import GOLDEN

PRESETS = GOLDEN.parent / "keras_hub"
HEADS = ("ForMaskedLM", "ForSequenceClassification")


def datasets(path: Path) -> dict[str, tuple[Any, ...]]:
    """Return shape, type and bytes of every data set of an HDF5 file, but for the optimizer's."""
    datasets: dict[str, tuple[Any, ...]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            datasets[name] = (item.shape, item.dtype, item[()].tobytes())

    with h5py.File(path) as file:
        file.visititems(visit)
    return datasets


@pytest.mark.parametrize("head", HEADS)
def test_read(head: str) -> None:
    with open_checkpoint(PRESETS / head) as checkpoint:
        assert (checkpoint.dialect, checkpoint.head, checkpoint.dtype) == ("keras-hub", head, "float32")
        assert checkpoint.extras == {}
        config = checkpoint.config()
        tensors = read_all(checkpoint)
    assert (config.n_layers, config.n_heads, config.dim, config.hidden_dim) == (2, 3, 12, 20)
    assert config.num_labels == (5 if head == "ForSequenceClassification" else 2)
    with h5py.File(PRESETS / head / "model.weights.h5") as file:
        layer = file["layers/transformer_encoder_1/_self_attention_layer"]
        query, output = layer["query_dense/vars/0"][()], layer["output_dense/vars/0"][()]
    for attention_head in range(3):  # each of the heads
        rows = slice(4 * attention_head, 4 * attention_head + 4)
        assert np.array_equal(tensors["transformer.layer.1.attention.q_lin.weight"][rows], query[:, attention_head].T)
        assert np.array_equal(
            tensors["transformer.layer.1.attention.out_lin.weight"][:, rows], output[attention_head].T
        )


@pytest.mark.parametrize("head", HEADS)
def test_there_and_back(head: str, tmp_path: Path) -> None:
    convert(PRESETS / head, tmp_path / "pt", to="pt")
    convert(tmp_path / "pt", tmp_path / "back", to="tf", format="keras-hub")
    for name in ("model.weights.h5", "task.weights.h5"):
        assert datasets(tmp_path / "back" / name) == datasets(PRESETS / head / name)
    for name in ("config.json", "assets/tokenizer/vocabulary.txt"):
        ours, theirs = ((folder / name).read_text() for folder in (tmp_path / "back", PRESETS / head))
        if name == "config.json":
            ours, theirs = json.loads(ours), json.loads(theirs)
            assert theirs["config"].pop("trainable") is True  # Keras' default
            theirs["config"]["name"] = "distil_bert_backbone"  # numbered in a process with several
        assert ours == theirs


def test_from_preset_to_preset(tmp_path: Path) -> None:
    convert(PRESETS / "ForMaskedLM", tmp_path / "half", to="tf", format="keras-hub", dtype="float16")
    for name in ("assets/tokenizer/vocabulary.txt", "tokenizer.json"):
        assert (tmp_path / "half" / name).is_file()
    vocabulary = "assets/tokenizer/vocabulary.txt"
    assert (tmp_path / "half" / vocabulary).read_bytes() == (PRESETS / "ForMaskedLM" / vocabulary).read_bytes()
    assert json.loads((tmp_path / "half" / "tokenizer.json").read_text())["config"]["lowercase"] is True
    assert open_checkpoint(tmp_path / "half").dtype == "float16"


@pytest.mark.parametrize("head", ["Model", *HEADS])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", None])
def test_golden_models_survive_a_preset(head: str, dtype: str | None, tmp_path: Path) -> None:
    convert(MICRO / head / "pt", tmp_path / "plain", to="pt", dtype=dtype)
    summary = convert(tmp_path / "plain", tmp_path / "preset", to="tf", format="keras-hub")
    assert summary.verified
    assert ("epsilon of 1e-5" in summary.message()) == (head == "ForMaskedLM")
    assert_same(read_all(tmp_path / "preset"), read_all(tmp_path / "plain"))
    fields = json.loads((tmp_path / "preset" / "config.json").read_text())
    assert fields["config"]["dtype"]["config"]["name"] == (dtype or "float32")
    assert diff(tmp_path / "plain", tmp_path / "preset").equal


def test_the_tokenizer_goes_along(tmp_path: Path) -> None:
    convert(PRESETS / "ForMaskedLM", tmp_path / "pt", to="flax")
    tokenizer = DistilBertTokenizerFast.from_pretrained(tmp_path / "pt")
    assert tokenizer.convert_ids_to_tokens(tokenizer("A b [MASK]")["input_ids"]) == [
        "[CLS]",
        "a",
        "b",
        "[MASK]",
        "[SEP]",
    ]
    assert tokenizer.model_max_length == 16
    (tmp_path / "pt" / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    convert(tmp_path / "pt", tmp_path / "preset", to="tf", format="keras-hub")
    settings = json.loads((tmp_path / "preset" / "tokenizer.json").read_text())["config"]
    assert (settings["lowercase"], settings["strip_accents"]) == (False, False)


def test_what_a_preset_does_not_hold_of_the_tokenizer_is_said(tmp_path: Path) -> None:
    convert(PRESETS / "ForMaskedLM", tmp_path / "pt", to="pt")
    tokenizer = DistilBertTokenizerFast.from_pretrained(tmp_path / "pt", do_lower_case=False)
    tokenizer.add_tokens(["<ent>"])
    tokenizer.save_pretrained(tmp_path / "pt")
    path = tmp_path / "pt" / "tokenizer_config.json"
    fields = {**json.loads(path.read_text()), "tokenizer_class": "BertJapaneseTokenizer"}
    del fields["do_lower_case"]
    path.write_text(json.dumps(fields))
    message = convert(tmp_path / "pt", tmp_path / "preset", to="tf", format="keras-hub").message()
    assert "the added tokens <ent> are left out: a preset holds the vocabulary only" in message
    assert "the tokenizer is a BertJapaneseTokenizer; the preset's cuts texts as DistilBERT's does" in message
    assert json.loads((tmp_path / "preset" / "tokenizer.json").read_text())["config"]["lowercase"] is False


def test_a_vocabulary_of_tokenizer_json_only(tmp_path: Path) -> None:
    source = Path(shutil.copytree(MLM, tmp_path / "source"))
    vocabulary = {"[UNK]": 1, "[PAD]": 0, "c": 3, "b": 2}
    (source / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    convert(source, tmp_path / "out", to="tf", format="keras-hub")
    assert (tmp_path / "out" / "assets/tokenizer/vocabulary.txt").read_text() == "[PAD]\n[UNK]\nb\nc\n"


@pytest.mark.parametrize("head", ["ForMultipleChoice", "ForTokenClassification", "ForQuestionAnswering"])
def test_models_that_keras_hub_has_not(head: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"cannot hold the model DistilBert{head}"):
        convert(MICRO / head / "pt", tmp_path / "out", to="tf", format="keras-hub")
    convert(MICRO / head / "pt", tmp_path / "out", to="tf", format="keras-hub", head="Model")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"activation": "relu"}, r"the activation 'relu' \(it has gelu\)"),
        ({"tie_word_embeddings": False}, "an untied projector"),
    ],
)
def test_configs_that_keras_hub_has_not(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    config = open_checkpoint(MLM).config().updated(**fields)
    tensors = read_all(MLM)
    tensors["vocab_projector.weight"] = tensors["embeddings.word_embeddings.weight"] * 2
    save_checkpoint(tmp_path / "source", tensors, config, "ForMaskedLM")
    config.save_pretrained(tmp_path / "source")
    with pytest.raises(UnsupportedFormatError, match=f"{message}.*; use format keras or h5"):
        convert(tmp_path / "source", tmp_path / "out", to="tf", format="keras-hub")
    assert not (tmp_path / "out").exists()


def test_it_is_not_sharded(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError, match="preset cannot be sharded; use format safetensors"):
        convert(MLM, tmp_path / "out", to="tf", format="keras-hub", max_shard_size="1KB")


class TestDamage:
    @pytest.fixture
    def preset(self, tmp_path: Path) -> Path:
        return Path(shutil.copytree(PRESETS / "ForMaskedLM", tmp_path / "preset"))

    def test_a_size_is_missing(self, preset: Path, tmp_path: Path) -> None:
        fields = json.loads((preset / "config.json").read_text())
        del fields["config"]["num_heads"], fields["config"]["dropout"]
        (preset / "config.json").write_text(json.dumps(fields))
        with pytest.raises(CheckpointError, match=r"config\.json .* has no dropout, num_heads; get it again"):
            convert(preset, tmp_path / "out", to="pt")

    def test_the_tasks_weights_are_missing(self, preset: Path, tmp_path: Path) -> None:
        (preset / "task.weights.h5").unlink()
        assert convert(preset, tmp_path / "out", to="pt").head == "Model"

    def test_a_weight_that_is_none(self, preset: Path, tmp_path: Path) -> None:
        with h5py.File(preset / "model.weights.h5", "a") as file:
            file["layers/transformer_encoder/_self_attention_layer/query_dense/lora/vars/0"] = np.zeros((3, 3), "f4")
        with pytest.raises(CheckpointError, match=r"would be lost: layers/transformer_encoder/.*lora/vars/0"):
            convert(preset, tmp_path / "out", to="pt")

    def test_a_cut_file(self, preset: Path, tmp_path: Path) -> None:
        content = (preset / "task.weights.h5").read_bytes()
        (preset / "task.weights.h5").write_bytes(content[:5000])
        with pytest.raises(CheckpointError, match=r"task\.weights\.h5 is not a whole HDF5 file"):
            convert(preset, tmp_path / "out", to="pt")

    def test_texts_that_are_none(self, preset: Path, tmp_path: Path) -> None:
        (preset / "assets/tokenizer/vocabulary.txt").write_bytes(b"\xff\xfe")
        with pytest.raises(CheckpointError, match=r"vocabulary\.txt is not UTF-8 text"):
            convert(preset, tmp_path / "out", to="pt")
