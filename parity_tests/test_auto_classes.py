"""The auto classes of each family: DistilBERT's own class, or an error that names the other model."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

from distilbert_common import DistilBertConfig
from distilbert_common.errors import ConfigError, InputError
from parity_tests.helpers.golden import GOLDEN

MICRO = GOLDEN / "micro"
BERT = GOLDEN.parent / "bert" / "pt"
VOCAB = GOLDEN.parents[2] / "demo" / "model" / "vocab.txt"
PREFIXES = {"pt": "", "tf": "TF", "flax": "Flax"}
HEADS = ("", "MaskedLM", "MultipleChoice", "QuestionAnswering", "SequenceClassification", "TokenClassification")
AUTO_MODELS = [(family, f"For{head}" if head else "") for family in PREFIXES for head in HEADS]


def classes(family: str, head: str) -> tuple[Any, Any]:
    """Return the auto class for a head, and the class of the models that it is to return."""
    module, prefix = importlib.import_module(f"distilbert_{family}"), PREFIXES[family]
    return getattr(module, f"{prefix}AutoModel{head}"), getattr(module, f"{prefix}DistilBert{head or 'Model'}")


@pytest.mark.parametrize(("family", "head"), AUTO_MODELS)
def test_a_distilbert_gives_its_own_class(family: str, head: str) -> None:
    auto, own = classes(family, head)
    assert type(auto.from_pretrained(MICRO / (head or "Model") / "pt")) is own


@pytest.mark.parametrize("family", PREFIXES)
def test_config_and_keywords_are_passed_on(family: str) -> None:
    auto, own = classes(family, "ForSequenceClassification")
    module = importlib.import_module(f"distilbert_{family}")
    config = module.AutoConfig.from_pretrained(MICRO / "Model" / "pt", num_labels=5)
    assert type(config) is DistilBertConfig
    weights = MICRO / "Model" / "pt" / "model.safetensors"
    assert auto.from_pretrained(weights, config=config).config.num_labels == 5
    theirs = transformers.DistilBertConfig(**config.to_dict())
    model = auto.from_config(theirs)
    assert (type(model), model.config.num_labels) == (own, 5)
    assert module.AutoConfig.for_model("distilbert", dim=12, n_heads=3).dim == 12


@pytest.mark.parametrize("family", PREFIXES)
def test_another_model_is_named(family: str, tmp_path: Path) -> None:
    auto, _ = classes(family, "")
    module = importlib.import_module(f"distilbert_{family}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta", "hidden_size": 12}))
    shutil.copy(VOCAB, tmp_path)
    for load in (auto.from_pretrained, module.AutoConfig.from_pretrained, module.AutoTokenizer.from_pretrained):
        with pytest.raises(ConfigError, match=r"a model of type 'roberta', and .*Auto.* transformers' class"):
            load(tmp_path)
        with pytest.raises(ConfigError, match=r"a model of type 'bert'.* distilbert convert"):
            load(BERT)
    for config in (transformers.RobertaConfig(), transformers.BertConfig()):
        with pytest.raises(ConfigError, match=f"a model of type '{config.model_type}'"):
            auto.from_config(config)
    with pytest.raises(ConfigError, match="'bert'"):
        module.AutoConfig.for_model("bert")
    with pytest.raises(InputError, match=r"call .*AutoModel.from_pretrained"):
        auto()


@pytest.mark.parametrize("family", PREFIXES)
def test_the_tokenizer_is_fast_unless_asked_otherwise(family: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"distilbert_{family}")
    shutil.copy(VOCAB, tmp_path)
    assert type(module.AutoTokenizer.from_pretrained(tmp_path)) is module.DistilBertTokenizerFast
    slow = module.AutoTokenizer.from_pretrained(tmp_path, use_fast=False, config=DistilBertConfig())
    assert type(slow) is module.DistilBertTokenizer
    assert type(module.AutoTokenizer.from_pretrained(tmp_path / "vocab.txt")) is module.DistilBertTokenizerFast
