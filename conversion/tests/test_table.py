"""The weight table against the names that transformers wrote."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from distilbert_common import DistilBertConfig
from distilbert_conversion import HEADS, WEIGHTS, expected, full_name, weight_row
from distilbert_conversion.weights.dialects import DIALECTS
from distilbert_conversion.weights.table import BLOCK, canonical_name, name_in, names
from parity_tests.helpers.checkpoints import MICRO
from parity_tests.helpers.golden import HEADS as GOLDEN_HEADS
from parity_tests.helpers.golden import case_id, cases, folders


def stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(path, framework="np") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def test_heads_are_those_of_transformers_in_order() -> None:
    assert tuple(HEADS) == GOLDEN_HEADS


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_expected_names_and_shapes_are_those_of_the_pytorch_file(config: Path, head: str) -> None:
    folder = folders(config, head)["pt"]
    shapes = expected(DistilBertConfig.from_pretrained(folder), head)
    assert {full_name(bare, head): shape for bare, shape in shapes.items()} == stored_shapes(
        folder / "model.safetensors"
    )


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
@pytest.mark.parametrize("dialect", ["tf-safetensors", "flax-safetensors"])
def test_names_and_layout_of_the_other_columns(config: Path, head: str, dialect: str) -> None:
    folder = folders(config, head).get(dialect.replace("-", "_"))
    if folder is None:  # transformers gets that model wrong, and the golden data leaves it out
        return
    shapes = expected(DistilBertConfig.from_pretrained(folder), head)
    flip = {bare: weight_row(bare, head).transform == "transpose" for bare in shapes}
    assert {
        DIALECTS[dialect].full_name(bare, head): shape[::-1] if flip[bare] else shape for bare, shape in shapes.items()
    } == stored_shapes(folder / "model.safetensors")


def test_order_is_that_of_the_state_dict() -> None:
    config = next(iter(cases()))[0]
    archive = (folders(config, "ForSequenceClassification")["pt_bin"] / "pytorch_model.bin").read_bytes()
    in_file = [name.decode() for name in re.findall(rb"X.\0\0\0([\w.]+\.(?:weight|bias))", archive)]
    assert in_file == [
        full_name(bare, "ForSequenceClassification") for bare, _ in names("ForSequenceClassification", 2)
    ]


def test_h5_and_msgpack_have_the_same_names_as_safetensors() -> None:
    for head in HEADS:
        weight_names: set[str] = set()
        with h5py.File(folders(MICRO, head)["tf_h5"] / "tf_model.h5") as file:
            for layer in file.values():
                weight_names |= {name.partition("/")[2] for name in layer.attrs["weight_names"]}
        shapes = expected(DistilBertConfig.from_pretrained(MICRO / head / "pt"), head)
        assert weight_names == {DIALECTS["tf-h5"].full_name(bare, head) for bare in shapes}
        tree = msgpack.unpackb((folders(MICRO, head)["flax_msgpack"] / "flax_model.msgpack").read_bytes())
        assert set(flat(tree)) == {DIALECTS["flax-msgpack"].full_name(bare, head) for bare in shapes}


def flat(tree: dict, path: str = "") -> list[str]:
    return [
        name
        for key, value in tree.items()
        for name in (flat(value, f"{path}{key}/") if isinstance(value, dict) else [f"{path}{key}"])
    ]


@given(st.sampled_from(WEIGHTS), st.sampled_from(sorted(BLOCK)), st.integers(0, 999))
def test_every_name_leads_back_to_its_row(row, column: str, layer: int) -> None:
    bare = row.name("canonical", layer)
    assert name_in(bare, column) == row.name(column, layer)
    assert canonical_name(row.name(column, layer), column) == bare


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("head", HEADS)
def test_every_name_in_a_file_is_one_weight_with_or_without_prefix(dialect: str, head: str) -> None:
    kind = DIALECTS[dialect]
    bare = [name for name, _ in names(head, 12)]
    file_names = [kind.full_name(name, head) for name in bare]
    assert len(set(file_names)) == len(file_names)
    assert [kind.bare_name(name) for name in file_names] == bare
    prefix = f"distilbert{kind.separator}"
    assert [kind.bare_name(name.removeprefix(prefix)) for name in file_names] == bare
    assert [kind.bare_name(prefix + name.removeprefix(prefix)) for name in file_names] == bare


@pytest.mark.parametrize(
    "name",
    [
        "bert.embeddings.word_embeddings.weight",
        "transformer.layer.x.ffn.lin1.weight",
        "transformer.layer.-1.ffn.lin1.weight",
        "transformer.layer.99999.ffn.lin1.weight",
        "transformer.layer.\u0663.ffn.lin1.weight",
        "distilbert.distilbert.embeddings.word_embeddings.weight",
        "embeddings.word_embeddings.weight.",
        "classifier",
        "",
        "{i}",
        "transformer.layer.{i}.ffn.lin1.weight",
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_that_are_no_weights(name: str, dialect: str) -> None:
    assert DIALECTS[dialect].bare_name(name) is None


def test_keras_numbers_blocks_from_the_second() -> None:
    first, second = (name_in(f"transformer.layer.{i}.ffn.lin1.bias", "keras") for i in range(2))
    assert first == "transformer/layer/transformer_block/ffn/lin1/vars/1"
    assert second == "transformer/layer/transformer_block_1/ffn/lin1/vars/1"


def test_tied_projector_is_not_stored() -> None:
    assert "vocab_projector.weight" not in expected(DistilBertConfig(), "ForMaskedLM")
    untied = expected(DistilBertConfig(tie_word_embeddings=False), "ForMaskedLM")
    assert untied["vocab_projector.weight"] == (30522, 768)


def test_the_two_classifiers_differ_in_shape() -> None:
    config = DistilBertConfig(num_labels=5)
    assert expected(config, "ForSequenceClassification")["classifier.weight"] == (5, 768)
    assert expected(config, "ForMultipleChoice")["classifier.weight"] == (1, 768)
