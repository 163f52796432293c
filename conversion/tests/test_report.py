"""Filling models from checkpoints of their own head, of another, and of none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distilbert_common import DistilBertConfig
from distilbert_common.errors import CheckpointError
from distilbert_conversion import HEADS, LoadReport, expected, load_weights, open_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all, safetensors_bytes


def load(source: Path, head: str, **options: object) -> tuple[dict[str, np.ndarray], LoadReport]:
    assigned: dict[str, np.ndarray] = {}
    with open_checkpoint(source) as checkpoint:
        config = options.pop("config", None) or checkpoint.config()
        report = load_weights(
            checkpoint, config, head, lambda name, array: assigned.__setitem__(name, np.array(array)), **options
        )
    return assigned, report


@pytest.mark.parametrize("folder", ["pt", "pt_bin", "tf_h5", "flax_msgpack"])
@pytest.mark.parametrize("head", HEADS)
def test_own_head(head: str, folder: str) -> None:
    assigned, report = load(MICRO / head / folder, head)
    assert_same(assigned, read_all(MICRO / head / "pt"))
    assert report.loaded == tuple(sorted(assigned))
    assert report.ok
    assert report.message() == ""
    assert str(report) == f"all {len(assigned)} weights found"
    assert report.tied == (("vocab_projector.weight",) if (head, folder) == ("ForMaskedLM", "pt_bin") else ())
    assert (report.missing, report.unexpected, report.mismatched, report.ignored, report.new_head) == ((),) * 5
    assert report.dtype == "float32"


@pytest.mark.parametrize("source", HEADS)
@pytest.mark.parametrize("head", HEADS)
def test_every_head_from_every_other(head: str, source: str) -> None:
    """Fine-tuning: another head's weights are left out, those of the new head keep their initial values; no fault."""
    shapes = expected(DistilBertConfig.from_pretrained(MICRO / source / "pt"), head)
    shared = {"ForMultipleChoice", "ForSequenceClassification", "ForTokenClassification"}
    if {head, source} <= shared and head != source and "ForMultipleChoice" in (head, source):
        with pytest.raises(CheckpointError, match=r"classifier\.weight is \(\d, 12\), expected \(\d, 12\)"):
            load(MICRO / source / "pt", head)
        assigned, report = load(MICRO / source / "pt", head, ignore_mismatched_sizes=True)
        assert [name for name, *_ in report.mismatched] == ["classifier.bias", "classifier.weight"]
        assert not report.ok
        return
    assigned, report = load(MICRO / source / "pt", head)
    assert report.ok
    assert set(assigned) | set(report.new_head) == set(shapes)
    assert not set(assigned) & set(report.new_head)
    assert not [name for name in report.new_head if name.startswith(("embeddings", "transformer"))]
    assert set(report.ignored) == set(read_all(MICRO / source / "pt")) - set(shapes)


def test_missing_backbone_weights_are_an_error_whatever_the_head(tmp_path: Path) -> None:
    tensors = {name: np.array(tensor.read()) for name, tensor in open_checkpoint(MLM).file_tensors.items()}
    for name in ("distilbert.embeddings.LayerNorm.weight", "distilbert.transformer.layer.0.attention.q_lin.bias"):
        del tensors[name]
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(tensors))
    config = open_checkpoint(MLM).config()
    for head in HEADS:
        with pytest.raises(
            CheckpointError,
            match=r"2 missing: embeddings\.LayerNorm\.weight, transformer\.layer\.0\.attention\.q_lin\.b",
        ):
            load(tmp_path, head, config=config)


def test_part_of_a_head_is_missing_not_new(tmp_path: Path) -> None:
    tensors = {name: np.array(tensor.read()) for name, tensor in open_checkpoint(MLM).file_tensors.items()}
    del tensors["vocab_layer_norm.weight"]
    (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(tensors))
    with pytest.raises(CheckpointError, match=r"1 missing: vocab_layer_norm\.weight$"):
        load(tmp_path, "ForMaskedLM", config=open_checkpoint(MLM).config())


def test_more_layers_than_the_config_has_are_told() -> None:
    config = open_checkpoint(MLM).config()
    config.n_layers = 1
    assigned, report = load(MLM, "ForMaskedLM", config=config)
    assert set(assigned) == set(expected(config, "ForMaskedLM"))
    assert len(report.unexpected) == 16
    assert not report.ok
    assert report.message().startswith("16 unexpected: transformer.layer.1.attention.k_lin.bias, ")


def test_fewer_layers_than_the_config_has() -> None:
    config = open_checkpoint(MLM).config()
    config.n_layers = 3
    with pytest.raises(CheckpointError, match=r"16 missing: transformer\.layer\.2\.attention\.k_lin\.bias, "):
        load(MLM, "ForMaskedLM", config=config)


def test_layers_beyond_number_are_not_counted() -> None:
    config = open_checkpoint(MLM).config()
    config.n_layers = 10**15
    with pytest.raises(CheckpointError, match="has 41 weights, but the config declares 1000000000000000 layers"):
        load(MLM, "ForMaskedLM", config=config)


def test_a_tied_file_in_an_untied_model_and_the_other_way() -> None:
    config = open_checkpoint(MLM).config()
    config.tie_word_embeddings = False
    with pytest.raises(CheckpointError, match=r"missing: vocab_projector\.weight; set tie_word_embeddings=true"):
        load(MLM, "ForMaskedLM", config=config)
    assigned, report = load(MICRO / "ForMaskedLM" / "pt_bin", "ForMaskedLM", config=config)  # holds both
    assert report.ok
    np.testing.assert_array_equal(assigned["vocab_projector.weight"], assigned["embeddings.word_embeddings.weight"])


def test_arrays_are_read_only_views_of_the_file() -> None:
    with open_checkpoint(MLM) as checkpoint:
        array = checkpoint.tensors["vocab_transform.weight"].read()
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
        kernel = open_checkpoint(MICRO / "ForMaskedLM" / "tf_safetensors").tensors["vocab_transform.weight"]
        assert kernel.transposed().read().flags.c_contiguous  # transposed twice: the bytes as they are in the file
        assert not kernel.read().flags.owndata
    np.testing.assert_array_equal(array, kernel.read())  # valid after the checkpoint was closed
