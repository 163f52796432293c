"""Our tokenizers in transformers and in tools made for it: the files, and the objects."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from distilbert_common import AddedToken, DistilBertConfig, DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_pt import DistilBertForSequenceClassification, DistilBertModel

VOCABULARY = Path(__file__).resolve().parents[1] / "common" / "tests" / "data" / "vocab.txt"
TEXTS = [
    "the film <ent> is <sp> good",
    "walking <image>, [MASK] new-word!  <strip>  the",
    "a [SEP] New-Word the é Hello",
]
SIZES = {"vocab_size": 353, "dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 2, "max_position_embeddings": 64}


def tokens_added(tokenizer: Any) -> None:
    flags = [AddedToken("<strip>", lstrip=True, rstrip=True), AddedToken("new-word", single_word=True)]
    tokenizer.add_tokens(["<ent>", *flags])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<sp>", "<image>"], "bos_token": "<s>"})


class Tokenizer(DistilBertTokenizerFast, PreTrainedTokenizerBase):
    """Ours, for tools that ask for transformers' base class; docs/migrating.md advises it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    DistilBertModel(DistilBertConfig(**SIZES)).save_pretrained(tmp_path)
    shutil.copy(VOCABULARY, tmp_path / "vocab.txt")
    DistilBertTokenizerFast.from_pretrained(tmp_path).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("cls", [DistilBertTokenizer, DistilBertTokenizerFast])
@pytest.mark.parametrize("blank_lines", ["", "\n", "\n\n\n"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_lower_case": False, "strip_accents": True, "padding_side": "left", "model_max_length": 9},
        {"extra_special_tokens": {"image_token": "<image>"}, "additional_special_tokens": ["<sp>"], "mask_token": None},
        {"pad_token": "<pad>", "model_input_names": ["input_ids"], "split_special_tokens": True},
    ],
)
def test_transformers_opens_what_we_save(cls: type, blank_lines: str, options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text(VOCABULARY.read_text(encoding="utf-8") + blank_lines, encoding="utf-8")
    ours = cls.from_pretrained(tmp_path, **options)
    tokens_added(ours)
    ours.save_pretrained(tmp_path / "saved")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in TEXTS:
        assert theirs(text, truncation=True)["input_ids"] == ours(text, truncation=True)["input_ids"]
    assert dict(theirs(TEXTS[:2], padding=True)) == dict(ours(TEXTS[:2], padding=True))
    assert len(theirs) == len(ours)
    assert set(theirs.all_special_ids) == set(ours.all_special_ids)
    theirs.save_pretrained(tmp_path / "back")
    back = cls.from_pretrained(tmp_path / "back")
    assert [back(text)["input_ids"] for text in TEXTS] == [ours(text)["input_ids"] for text in TEXTS]
    assert set(back.all_special_ids) == set(ours.all_special_ids)


def test_trainer_pads_with_a_tokenizer_of_both_kinds(folder: Path) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(folder)
    options = TrainingArguments(output_dir=str(folder / "run"), report_to=[], use_cpu=True)
    trainer = Trainer(model=model, args=options, processing_class=Tokenizer.from_pretrained(folder))
    assert isinstance(trainer.data_collator, DataCollatorWithPadding)


@pytest.mark.filterwarnings("ignore")
def test_sentence_transformers(folder: Path) -> None:
    texts = ["the film is good", "hello, walking the dog and the film"]
    expected = SentenceTransformer(modules=[Transformer(str(folder)), Pooling(32)], device="cpu").encode(texts)
    module = Transformer(str(folder))
    module.processor = Tokenizer.from_pretrained(folder)
    module.auto_model = DistilBertModel.from_pretrained(folder).eval()
    ours = SentenceTransformer(modules=[module, Pooling(32)], device="cpu")
    assert abs(ours.encode(texts) - expected).max() < 1e-5
    assert (module.max_seq_length, module.tokenizer is module.processor) == (64, True)
