"""A BERT becomes a DistilBERT: names, config, what is left out, which layers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distilbert_common.errors import CheckpointError, CheckpointNotFoundError, ConfigError
from distilbert_conversion import convert, open_checkpoint
from distilbert_conversion.translate.bert import MODULES, is_bert
from parity_tests.helpers.checkpoints import assert_same, read_all, safetensors_bytes
from parity_tests.helpers.golden import GOLDEN

BERT = GOLDEN.parent / "bert"
DIALECTS = {
    "pt": "pt-safetensors",
    "tf_h5": "tf-h5",
    "tf_safetensors": "tf-safetensors",
    "flax_msgpack": "flax-msgpack",
    "flax_safetensors": "flax-safetensors",
}


def file_tensors() -> dict[str, np.ndarray]:
    """Read the PyTorch file without the code under test."""
    from safetensors.numpy import load_file

    return dict(load_file(BERT / "pt" / "model.safetensors"))


def expected_tensors(layers: tuple[int, ...] = (0, 1, 2, 3)) -> dict[str, np.ndarray]:
    """Translate the PyTorch file by hand."""
    old = {name.removeprefix("bert."): array for name, array in file_tensors().items()}
    new = {}
    for kind in ("weight", "bias"):
        for number, layer in enumerate(layers):
            parts = {
                "attention.q_lin": "attention.self.query",
                "attention.k_lin": "attention.self.key",
                "attention.v_lin": "attention.self.value",
                "attention.out_lin": "attention.output.dense",
                "sa_layer_norm": "attention.output.LayerNorm",
                "ffn.lin1": "intermediate.dense",
                "ffn.lin2": "output.dense",
                "output_layer_norm": "output.LayerNorm",
            }
            for ours, theirs in parts.items():
                new[f"transformer.layer.{number}.{ours}.{kind}"] = old[f"encoder.layer.{layer}.{theirs}.{kind}"]
        new[f"embeddings.LayerNorm.{kind}"] = old[f"embeddings.LayerNorm.{kind}"]
        new[f"vocab_transform.{kind}"] = old[f"cls.predictions.transform.dense.{kind}"]
        new[f"vocab_layer_norm.{kind}"] = old[f"cls.predictions.transform.LayerNorm.{kind}"]
    new["vocab_projector.bias"] = old["cls.predictions.bias"]
    new["embeddings.word_embeddings.weight"] = old["embeddings.word_embeddings.weight"]
    folded = old["embeddings.position_embeddings.weight"] + old["embeddings.token_type_embeddings.weight"][0]
    new["embeddings.position_embeddings.weight"] = folded
    return new


@pytest.mark.parametrize("folder", DIALECTS)
def test_every_dialect_gives_the_same_weights(folder: str, tmp_path: Path) -> None:
    summary = convert(BERT / folder, tmp_path / "out", to="pt")
    assert (summary.source_dialect, summary.head, summary.tensors) == (DIALECTS[folder], "ForMaskedLM", 73)
    assert_same(read_all(tmp_path / "out"), expected_tensors())
    left_out = " ".join(summary.report.ignored)
    assert all(part in left_out for part in ("token_type_embeddings", "pooler", "seq_relationship"))
    assert len(summary.report.ignored) == 5
    assert "token type 0 is folded into the positions, exact for single segments" in summary.message()
    assert summary.report.ignored[0] in summary.message()


def test_names_of_2019_without_prefix(tmp_path: Path) -> None:
    summary = convert(BERT / "pt_bin_2019", tmp_path / "out", to="flax")
    assert (summary.source_dialect, summary.head) == ("pt-bin", "Model")
    assert_same(
        read_all(tmp_path / "out"),
        {name: array for name, array in expected_tensors().items() if not name.startswith("vocab_")},
    )


def test_config(tmp_path: Path) -> None:
    convert(BERT / "pt", tmp_path / "out", to="tf", dtype="float16")
    fields = json.loads((tmp_path / "out" / "config.json").read_text())
    version = fields.pop("transformers_version")
    assert fields == {
        "activation": "gelu",
        "architectures": ["DistilBertForMaskedLM"],
        "attention_dropout": 0.1,
        "dim": 12,
        "dropout": 0.1,
        "dtype": "float16",
        "hidden_dim": 20,
        "initializer_range": 0.02,
        "max_position_embeddings": 16,
        "model_type": "distilbert",
        "n_heads": 3,
        "n_layers": 4,
        "pad_token_id": 0,
        "vocab_size": 40,
    }
    assert version == json.loads((BERT / "pt" / "config.json").read_text())["transformers_version"]


@pytest.mark.parametrize(
    ("folder", "head", "left_out"),
    [
        ("ForTokenClassification", "ForTokenClassification", set()),
        ("ForQuestionAnswering", "ForQuestionAnswering", set()),
        (
            "ForSequenceClassification",
            "Model",
            {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"},
        ),
    ],
)
def test_heads(folder: str, head: str, left_out: set[str], tmp_path: Path) -> None:
    summary = convert(BERT / folder, tmp_path / "out", to="pt")
    assert summary.head == head
    assert set(summary.report.ignored) == left_out | {"bert.embeddings.token_type_embeddings.weight"}
    fields = json.loads((tmp_path / "out" / "config.json").read_text())
    assert fields["architectures"] == [f"DistilBert{head}"]
    assert open_checkpoint(tmp_path / "out").config().num_labels == (2 if "Question" in folder else 5)


class TestFolding:
    def test_left_out(self, tmp_path: Path) -> None:
        summary = convert(BERT / "pt", tmp_path / "out", to="pt", fold_token_type=False)
        plain = {
            **expected_tensors(),
            "embeddings.position_embeddings.weight": file_tensors()["bert.embeddings.position_embeddings.weight"],
        }
        assert_same(read_all(tmp_path / "out"), plain)
        assert "token types are left out, so the outputs are not the BERT's" in summary.message()

    def test_nothing_to_fold(self, source: Callable[..., Path], tmp_path: Path) -> None:
        bare = source({"bert.embeddings.token_type_embeddings.weight": None})
        with pytest.raises(CheckpointError, match="to fold into positions; pass --no-fold-token-type"):
            convert(bare, tmp_path / "out", to="pt")
        convert(bare, tmp_path / "out", to="pt", fold_token_type=False)

    @pytest.mark.parametrize("shape", [(2, 11), (0, 12), (12,)])
    def test_of_another_shape(self, shape: tuple[int, ...], source: Callable[..., Path], tmp_path: Path) -> None:
        odd = source({"bert.embeddings.token_type_embeddings.weight": np.zeros(shape, np.float32)})
        with pytest.raises(CheckpointError, match="does not fit positions"):
            convert(odd, tmp_path / "out", to="pt")


class TestLayers:
    def test_a_students_layers(self, tmp_path: Path) -> None:
        summary = convert(BERT / "pt", tmp_path / "out", to="flax", layers=[0, 2, 3])
        assert_same(read_all(tmp_path / "out"), expected_tensors((0, 2, 3)))
        assert "layers 0, 2, 3" in summary.message()
        assert open_checkpoint(tmp_path / "out").config().n_layers == 3

    def test_of_a_distilbert_in_any_order(self, tmp_path: Path) -> None:
        convert(BERT / "pt", tmp_path / "teacher", to="pt")
        convert(tmp_path / "teacher", tmp_path / "out", to="tf", layers=[3, 0, 3])
        assert_same(read_all(tmp_path / "out"), expected_tensors((3, 0, 3)))

    def test_pruned_heads_move_along(self, tmp_path: Path) -> None:
        from distilbert_conversion import save_checkpoint

        convert(BERT / "pt", tmp_path / "whole", to="pt")
        config = open_checkpoint(tmp_path / "whole").config().updated(pruned_heads={2: [1]})
        tensors = read_all(tmp_path / "whole")
        for part in ("q_lin.weight", "q_lin.bias", "k_lin.weight", "k_lin.bias", "v_lin.weight", "v_lin.bias"):
            tensors[f"transformer.layer.2.attention.{part}"] = tensors[f"transformer.layer.2.attention.{part}"][:8]
        name = "transformer.layer.2.attention.out_lin.weight"
        tensors[name] = tensors[name][:, :8]
        save_checkpoint(tmp_path / "pruned", tensors, config, "ForMaskedLM")
        config.save_pretrained(tmp_path / "pruned")
        convert(tmp_path / "pruned", tmp_path / "out", to="pt", layers=[3, 2])
        assert open_checkpoint(tmp_path / "out").config().pruned_heads == {1: [1]}
        assert read_all(tmp_path / "out")["transformer.layer.1.attention.q_lin.bias"].shape == (8,)

    @pytest.mark.parametrize("layers", [[], [4], [0, -1]])
    def test_that_are_not_there(self, layers: list[int], tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="expected numbers from 0 to 3"):
            convert(BERT / "pt", tmp_path / "out", to="pt", layers=layers)


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Give what writes the PyTorch checkpoint with other tensors and config fields."""

    def write(tensors: dict[str, np.ndarray | None] | None = None, **fields: object) -> Path:
        folder = tmp_path / "source"
        shutil.copytree(BERT / "pt", folder)
        present = {name: array for name, array in {**file_tensors(), **(tensors or {})}.items() if array is not None}
        (folder / "model.safetensors").write_bytes(safetensors_bytes(present))
        config = {**json.loads((folder / "config.json").read_text()), **fields}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return write


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("layer_norm_eps", 1e-5, r"'layer_norm_eps' is 1e-05; expected 1e-12: .* move by 4e-3 between"),
        ("position_embedding_type", "relative_key", "expected 'absolute': DistilBERT has no relative positions"),
        ("is_decoder", True, "DistilBERT attends in both directions"),
        ("model_type", "roberta", "model_type is 'roberta'; expected 'bert' or 'distilbert'"),
        ("hidden_act", "gelu_of_tomorrow", "'activation' is 'gelu_of_tomorrow'"),
    ],
)
def test_a_bert_that_no_distilbert_equals(
    field: str, value: object, message: str, source: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        convert(source(**{field: value}), tmp_path / "out", to="pt")
    assert not (tmp_path / "out").exists()


def test_two_values_for_one_bias(source: Callable[..., Path], tmp_path: Path) -> None:
    odd = source({"cls.predictions.decoder.bias": np.ones(40, np.float32)})
    with pytest.raises(CheckpointError, match=r"two different values for vocab_projector\.bias"):
        convert(odd, tmp_path / "out", to="pt")


def test_weights_of_neither_model(source: Callable[..., Path], tmp_path: Path) -> None:
    odd = source({"bert.encoder.layer.0.crossattention.self.query.weight": np.ones((12, 12), np.float32)})
    with pytest.raises(CheckpointError, match=r"would be lost: bert\.encoder\.layer\.0\.crossattention"):
        convert(odd, tmp_path / "out", to="pt")


def test_an_untied_decoder(source: Callable[..., Path], tmp_path: Path) -> None:
    decoder = np.arange(480, dtype=np.float32).reshape(40, 12)
    untied = source({"cls.predictions.decoder.weight": decoder}, tie_word_embeddings=False)
    convert(untied, tmp_path / "out", to="tf")
    assert_same(read_all(tmp_path / "out"), {**expected_tensors(), "vocab_projector.weight": decoder})


def test_the_tokenizer_is_distilberts(source: Callable[..., Path], tmp_path: Path) -> None:
    folder = source()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')
    convert(folder, tmp_path / "out", to="pt")
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "DistilBertTokenizer",
        "do_lower_case": False,
    }


def test_it_is_not_opened_unasked() -> None:
    for folder in (*DIALECTS, "pt_bin_2019"):
        with pytest.raises(CheckpointError, match="is a BERT; make a DistilBERT of it with: distilbert convert"):
            open_checkpoint(BERT / folder)


def test_no_config(tmp_path: Path) -> None:
    shutil.copy(BERT / "pt" / "model.safetensors", tmp_path)
    with pytest.raises(CheckpointNotFoundError, match=r"has no config\.json beside it"):
        convert(tmp_path, tmp_path / "out", to="pt")


def test_a_distilbert_is_no_bert() -> None:
    for folder in (GOLDEN / "micro" / "ForMaskedLM").glob("*/*.safetensors"):
        assert not is_bert(open_checkpoint(folder).file_tensors)


def test_every_module_of_the_table_is_used() -> None:
    used = {name.rpartition(".")[0].removeprefix("bert.").removeprefix("cls.") for name in file_tensors()}
    templates = {module.replace("{i}", "0") for module in MODULES}
    assert templates - used == {"classifier", "predictions.decoder", "qa_outputs"}  # tied, or of other files
