"""From framework to framework and back: every bit is kept."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilbert_common import DistilBertConfig
from distilbert_common.errors import CheckpointError, UnsupportedFormatError
from distilbert_conversion import DIALECTS, HEADS, convert, expected, open_checkpoint, save_checkpoint
from parity_tests.helpers.checkpoints import MLM, assert_same, read_all
from parity_tests.helpers.golden import case_id, cases, folders

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_pt_tf_flax_pt(config: Path, head: str, dtype: str, tmp_path: Path) -> None:
    convert(folders(config, head)["pt"], tmp_path / "pt", to="pt", dtype=dtype)
    convert(tmp_path / "pt", tmp_path / "tf", to="tf", format="safetensors")
    convert(tmp_path / "tf", tmp_path / "flax", to="flax")
    convert(tmp_path / "flax", tmp_path / "back", to="pt")
    assert open_checkpoint(tmp_path / "back").dtype == dtype
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == (
        tmp_path / "pt" / "model.safetensors"
    ).read_bytes()


def bits(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Draw an array of any bits: numbers, infinities, every kind of NaN."""
    size = int(np.prod(shape)) * dtype.itemsize
    seed = draw(st.integers(0, 2**32 - 1))
    return np.frombuffer(np.random.default_rng(seed).bytes(size), dtype).reshape(shape)


@st.composite
def models(draw: st.DrawFn) -> tuple[DistilBertConfig, str, dict[str, np.ndarray]]:
    heads = draw(st.integers(1, 3))
    config = DistilBertConfig(
        vocab_size=draw(st.integers(1, 5)),
        max_position_embeddings=draw(st.integers(1, 3)),
        n_layers=draw(st.integers(1, 12)),
        n_heads=heads,
        dim=heads * draw(st.integers(1, 3)),
        hidden_dim=draw(st.integers(1, 5)),
        num_labels=draw(st.integers(1, 3)),
        tie_word_embeddings=draw(st.booleans()),
    )
    head = draw(st.sampled_from(sorted(HEADS)))
    dtype = draw(st.sampled_from([np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64), BFLOAT16]))
    return config, head, {name: bits(draw, shape, dtype) for name, shape in expected(config, head).items()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(models(), st.sampled_from(sorted(DIALECTS.keys() - {"keras-hub"})), st.sampled_from([None, 64, "1KB"]))
def test_any_model_survives_any_dialect(
    tmp_path_factory: pytest.TempPathFactory, model: tuple, dialect: str, size: int | str | None
) -> None:
    config, head, tensors = model
    folder = tmp_path_factory.mktemp("model")
    config.save_pretrained(folder)
    dtype = next(iter(tensors.values())).dtype
    refused = (dialect == "tf-h5" and dtype == BFLOAT16) or (dialect in ("keras", "flax-orbax") and size is not None)
    try:
        save_checkpoint(folder, tensors, config, head, dialect=dialect, max_shard_size=size)
    except UnsupportedFormatError:
        assert refused
        assert [path.name for path in folder.iterdir()] == ["config.json"]
        return
    read_back = read_all(folder)
    if head == "ForMaskedLM" and config.tie_word_embeddings:
        read_back.pop("vocab_projector.weight", None)
    assert_same(read_back, tensors)


def test_dtype_is_rounded_to_nearest(tmp_path: Path) -> None:
    source = read_all(MLM)
    for dtype in (np.dtype(np.float16), BFLOAT16):
        convert(MLM, tmp_path / dtype.name, to="flax", dtype=dtype.name)
        assert_same(read_all(tmp_path / dtype.name), {name: array.astype(dtype) for name, array in source.items()})


def test_a_value_beyond_the_type_is_an_error(tmp_path: Path) -> None:
    source = read_all(MLM)
    source["vocab_transform.bias"][3] = 70000.0
    config = open_checkpoint(MLM).config()
    save_checkpoint(tmp_path / "source", source, config, "ForMaskedLM")
    config.save_pretrained(tmp_path / "source")
    with pytest.raises(CheckpointError, match=r"70000\.0 is beyond the range of float16; convert to bfloat16"):
        convert(tmp_path / "source", tmp_path / "out", to="pt", dtype="float16")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
    convert(tmp_path / "source", tmp_path / "out", to="pt", dtype="bfloat16")
    source["vocab_transform.bias"][3] = np.inf  # an infinity stays one
    save_checkpoint(tmp_path / "source", source, config, "ForMaskedLM")
    convert(tmp_path / "source", tmp_path / "half", to="pt", dtype="float16")
    assert read_all(tmp_path / "half")["vocab_transform.bias"][3] == np.inf


@pytest.mark.parametrize("form", ["h5", "safetensors", "keras"])
def test_untied_projector_in_tf(form: str, tmp_path: Path) -> None:
    config = open_checkpoint(MLM).config()
    config.tie_word_embeddings = False
    tensors = read_all(MLM)
    tensors["vocab_projector.weight"] = tensors["embeddings.word_embeddings.weight"][::-1] * 2
    save_checkpoint(tmp_path / "pt", tensors, config, "ForMaskedLM")
    config.save_pretrained(tmp_path / "pt")
    convert(tmp_path / "pt", tmp_path / "tf", to="tf", format=form)
    file_tensors = open_checkpoint(tmp_path / "tf").file_tensors
    kernel = {"keras": "vocab_projector/vars/1", "safetensors": "vocab_projector/kernel:0"}.get(
        form, "tf_distil_bert_for_masked_lm/vocab_projector/kernel:0"
    )
    assert file_tensors[kernel].shape == (12, 40)
    assert_same(read_all(tmp_path / "tf"), tensors)
