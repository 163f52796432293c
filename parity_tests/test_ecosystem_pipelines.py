"""transformers' pipelines, sentence-transformers and Accelerate with our models and tokenizers."""

from __future__ import annotations

from numbers import Real
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from accelerate import Accelerator
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding

from distilbert_pt import DistilBertForMaskedLM, DistilBertForSequenceClassification
from parity_tests.helpers.ecosystem import MODEL, TEXTS, encoded, load, tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")
TASKS = {
    "text-classification": ("ForSequenceClassification", {}, {}),
    "zero-shot-classification": (
        "ForSequenceClassification",
        {"num_labels": 2, "id2label": {0: "contradiction", 1: "entailment"}, "ignore_mismatched_sizes": True},
        {"candidate_labels": ["card", "payment"]},
    ),
    "token-classification": ("ForTokenClassification", {"num_labels": 3, "ignore_mismatched_sizes": True}, {}),
    "fill-mask": ("ForMaskedLM", {}, {}),
    "feature-extraction": ("Model", {}, {}),
}


def close(one: Any, other: Any) -> bool:
    """Whether two trees of dicts and lists hold the same, numbers up to rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(close, one, other))
    return one == pytest.approx(other, abs=1e-4) if isinstance(one, Real) else one == other


@pytest.mark.parametrize("task", TASKS)
def test_pipelines_give_what_transformers_own_model_gives(task: str, tmp_path: Path) -> None:
    name, options, call = TASKS[task]
    model = load(name, **options)
    model.save_pretrained(tmp_path)
    theirs = getattr(transformers, f"DistilBert{name}").from_pretrained(tmp_path)
    own = transformers.DistilBertTokenizerFast.from_pretrained(MODEL)
    texts = [f"{text} [MASK]" for text in TEXTS[:3]] if task == "fill-mask" else TEXTS[:3]
    expected = transformers.pipeline(task, model=theirs, tokenizer=own)(texts, **call)
    pipeline = transformers.pipeline(task, model=model, tokenizer=tokenizer())
    assert close(pipeline(texts, **call), expected)
    if task != "feature-extraction":  # there a batch's rows hold hidden states of padding, which are left out here
        assert close(pipeline(texts, batch_size=3, **call), expected)


def test_sentence_transformers(tmp_path: Path) -> None:
    load("Model").save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    module = Transformer(str(tmp_path))
    expected = SentenceTransformer(modules=[module, Pooling(module.get_embedding_dimension())]).encode(TEXTS)
    module.model = load("Model")  # the tokenizer stays transformers' own, which sentence-transformers insists on
    ours = SentenceTransformer(modules=[module, Pooling(module.get_embedding_dimension())])
    assert torch.allclose(torch.from_numpy(ours.encode(TEXTS)), torch.from_numpy(expected), atol=1e-5)


def test_accelerate_as_the_scripts_without_trainer_use_it(tmp_path: Path) -> None:
    accelerator, ours = Accelerator(cpu=True, gradient_accumulation_steps=2), tokenizer()
    rows = encoded(labels=[0, 1] * 4).remove_columns("text")
    loader = DataLoader(rows, batch_size=2, collate_fn=DataCollatorWithPadding(ours))
    model = load("ForSequenceClassification")
    model, optimizer, loader = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=1e-3), loader)
    for batch in loader:
        with accelerator.accumulate(model):
            accelerator.backward(model(**batch).loss)
            optimizer.step()
            optimizer.zero_grad()
    accelerator.save_state(str(tmp_path / "state"))
    accelerator.load_state(str(tmp_path / "state"))
    accelerator.unwrap_model(model).save_pretrained(
        tmp_path / "out",
        is_main_process=accelerator.is_main_process,
        save_function=accelerator.save,
        state_dict=accelerator.get_state_dict(model),
    )
    again = DistilBertForSequenceClassification.from_pretrained(tmp_path / "out")
    assert torch.equal(again.classifier.weight, accelerator.unwrap_model(model).classifier.weight)


def test_accelerate_saves_the_state_of_a_tied_model(tmp_path: Path) -> None:
    accelerator = Accelerator(cpu=True)
    model = accelerator.prepare(load("ForMaskedLM"))
    accelerator.save_model(model, str(tmp_path))
    model.config.save_pretrained(tmp_path)
    again = DistilBertForMaskedLM.from_pretrained(tmp_path)
    assert torch.equal(again.vocab_projector.weight, model.vocab_projector.weight)
