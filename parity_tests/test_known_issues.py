"""Known issues of transformers that no other test covers; docs/migrating.md lists all of them with their tests."""

from __future__ import annotations

import re
import tomllib
import unicodedata
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_common import DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_pt import DistilBertModel
from distilbert_tf import TFDistilBertForSequenceClassification
from parity_tests.helpers import golden
from parity_tests.helpers.tolerances import MATRIX

MICRO = golden.GOLDEN / "micro"
CLASSIFIER = "ForSequenceClassification"
WITH_ATTENTIONS = {"output_attentions": True}


def test_frameworks_have_no_upper_bound(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *extras["pt"], *extras["tf"], *extras["flax"]]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", requirement), requirement


def test_a_row_of_padding_attends_uniformly_and_alike_in_all_frameworks() -> None:
    inputs = golden.inputs(MICRO, CLASSIFIER)
    inputs["attention_mask"][0] = 0
    seq = inputs["input_ids"].shape[1]
    by_family = {
        name: family.run(family.load(MICRO / CLASSIFIER / "pt", CLASSIFIER), inputs, "cpu", WITH_ATTENTIONS)
        for name, family in FRAMEWORKS.items()
    }
    for outputs in by_family.values():
        assert outputs.keys() == by_family["pt"].keys()
        np.testing.assert_allclose(outputs["attentions/0"][0], 1 / seq, rtol=1e-6)
        for name, values in outputs.items():
            np.testing.assert_allclose(values, by_family["pt"][name], rtol=0, atol=MATRIX.value)


def test_an_accent_written_apart_gives_the_same_pieces_in_both_tokenizers(tmp_path: Path) -> None:
    vocabulary = tmp_path / "vocab.txt"
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "caf\u00e9", "cafe", "C")
    vocabulary.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    apart = unicodedata.normalize("NFD", "caf\u00e9")
    for cls in (DistilBertTokenizer, DistilBertTokenizerFast):
        tokenizer = cls(vocabulary)
        assert not tokenizer.do_lower_case
        assert tokenizer.tokenize(apart) == ["[UNK]"], "as transformers' fast tokenizer has it"
        assert tokenizer.tokenize(unicodedata.normalize("NFC", apart)) == ["caf\u00e9"]
        assert cls(vocabulary, strip_accents=True).tokenize(apart) == ["cafe"]


@pytest.mark.parametrize("form", ["h5", "safetensors", "keras", "save"])
def test_a_frozen_model_is_saved_and_loaded(form: str, tmp_path: Path) -> None:
    inputs = {name: x for name, x in golden.inputs(MICRO, CLASSIFIER).items() if name != "labels"}
    model = TFDistilBertForSequenceClassification.from_pretrained(MICRO / CLASSIFIER / "pt")
    model.distilbert.trainable = False
    assert len(model.trainable_variables) == 4, "the head's"
    if form == "save":
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
    else:
        model.save_pretrained(tmp_path, format=form)
        again = TFDistilBertForSequenceClassification.from_pretrained(tmp_path)
    np.testing.assert_array_equal(again(inputs).logits, model(inputs).logits)


def test_flash_attention_gives_probabilities_where_attentions_are_asked_for() -> None:
    inputs = {name: torch.from_numpy(x) for name, x in golden.inputs(MICRO, "Model").items()}
    eager = DistilBertModel.from_pretrained(MICRO / "Model" / "pt", attn_implementation="eager")
    flash = DistilBertModel.from_pretrained(MICRO / "Model" / "pt")
    flash.config.attn_implementation = "flash_attention_2"  # set afterwards: no warning
    output = flash(**inputs, output_attentions=True)
    for mine, other in zip(output.attentions, eager(**inputs, output_attentions=True).attentions, strict=True):
        assert torch.equal(mine, other)
        assert torch.allclose(mine.sum(-1), torch.ones(()))


def test_lite_models_give_the_same_numbers_for_any_batch_and_length(tmp_path: Path) -> None:
    inputs = {name: x for name, x in golden.inputs(MICRO, CLASSIFIER).items() if name != "labels"}
    model = TFDistilBertForSequenceClassification.from_pretrained(MICRO / CLASSIFIER / "pt")
    path = str(tmp_path / "model.tflite")
    model.export(path, format="litert", verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's own interpreter is to move to a package of its own
        run = tf.lite.Interpreter(path).get_signature_runner()
    for batch in (inputs, {name: x[:1, :4] for name, x in inputs.items()}):
        outputs = run(**{name: x.astype(np.int32) for name, x in batch.items()})
        np.testing.assert_allclose(outputs["logits"], model(batch).logits, rtol=0, atol=MATRIX.value)
