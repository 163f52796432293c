"""transformers' `Trainer` with our models, as its example scripts use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import (
    DataCollatorForLanguageModeling,
    DataCollatorForMultipleChoice,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
)

import distilbert_pt
from distilbert_pt import DistilBertForMaskedLM, DistilBertForSequenceClassification
from parity_tests.helpers.ecosystem import NEW_HEAD, TEXTS, arguments, encoded, load, tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")  # what transformers warns of is its own
LABELS = [0, 1, 0, 1] * 2


@pytest.fixture
def one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of docs/migrating.md with which Trainer saves our models as it saves its own."""
    both = (transformers.PreTrainedModel, distilbert_pt.DistilBertPreTrainedModel)
    monkeypatch.setattr(transformers.trainer, "PreTrainedModel", both)


def classification(folder: Path, **options: Any) -> Trainer:
    rows = encoded(label=LABELS)
    return Trainer(
        load("ForSequenceClassification", num_labels=2, **NEW_HEAD),
        arguments(folder, **options),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer(),
        data_collator=DataCollatorWithPadding(tokenizer()),
        compute_metrics=lambda outcome: {"accuracy": float((outcome[0].argmax(-1) == outcome[1]).mean())},
    )


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def test_classification_from_training_to_the_saved_model(tmp_path: Path, one_line: None) -> None:
    trainer = classification(
        tmp_path, load_best_model_at_end=True, metric_for_best_model="accuracy", learning_rate=2e-3
    )
    trainer.train()
    assert trainer.evaluate()["eval_accuracy"] > 0.5
    trainer.save_model(str(tmp_path / "out"))
    predicted = torch.from_numpy(trainer.predict(trainer.eval_dataset).predictions)
    batch = tokenizer()(TEXTS, padding=True, return_tensors="pt")
    for package in (distilbert_pt, transformers):
        again = package.DistilBertForSequenceClassification.from_pretrained(tmp_path / "out").eval()
        with torch.no_grad():
            assert torch.allclose(again(**batch).logits, predicted, atol=1e-5)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    trainer, resumed = classification(tmp_path, seed=1), classification(tmp_path, seed=1)
    trainer.train()
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    for name, tensor in weights(trainer).items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_checkpointing": True},
        {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}},
        {"bf16": True},
        {"label_smoothing_factor": 0.1},
        {"gradient_accumulation_steps": 2},
        {"neftune_noise_alpha": 5.0},
        {"include_num_input_tokens_seen": True},
        {"bf16_full_eval": True},
    ],
    ids=str,
)
def test_options(options: dict[str, Any], tmp_path: Path) -> None:
    trainer = classification(tmp_path, max_steps=2, save_strategy="no", **options)
    before = weights(trainer)["classifier.weight"]
    assert trainer.train().training_loss < 10
    assert not torch.equal(weights(trainer)["classifier.weight"], before)


def test_masked_lm_saves_its_tied_projector_once_and_goes_on(tmp_path: Path, one_line: None) -> None:
    rows = encoded().remove_columns("text")
    collator = DataCollatorForLanguageModeling(tokenizer(), mlm_probability=0.5)
    parts = {"train_dataset": rows, "eval_dataset": rows, "data_collator": collator, "processing_class": tokenizer()}
    trainer = Trainer(load("ForMaskedLM"), arguments(tmp_path, load_best_model_at_end=True), **parts)
    assert 0 < trainer.train().training_loss < 20
    assert trainer.model.vocab_projector.weight is trainer.model.distilbert.embeddings.word_embeddings.weight
    Trainer(load("ForMaskedLM"), arguments(tmp_path, max_steps=6), **parts).train(resume_from_checkpoint=True)
    again = DistilBertForMaskedLM.from_pretrained(tmp_path / "checkpoint-6")
    assert again.load_report.missing == ()


def test_tags_of_words(tmp_path: Path) -> None:
    rows = encoded(ner_tags=[[i % 3 for i, _ in enumerate(text.split())] for text in TEXTS])
    ours = tokenizer()

    def with_labels(row: dict[str, Any]) -> dict[str, Any]:
        batch = ours(row["text"].split(), is_split_into_words=True)
        return {**batch, "labels": [-100 if word is None else row["ner_tags"][word] for word in batch.word_ids()]}

    rows = rows.map(with_labels)
    trainer = Trainer(
        load("ForTokenClassification", num_labels=3, **NEW_HEAD),
        arguments(tmp_path),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=ours,
        data_collator=DataCollatorForTokenClassification(ours),
    )
    trainer.train()
    predicted = trainer.predict(rows)
    assert predicted.predictions.shape[:2] == predicted.label_ids.shape


def test_answers_are_never_padding(tmp_path: Path) -> None:
    ours = tokenizer()
    rows = encoded(start_positions=[3] * 8, end_positions=[4] * 8).map(
        lambda row: ours("what?", row["text"], padding="max_length", max_length=32, truncation="only_second")
    )
    model = load("ForQuestionAnswering", num_labels=2, **NEW_HEAD)
    trainer = Trainer(model, arguments(tmp_path), train_dataset=rows, eval_dataset=rows, processing_class=ours)
    trainer.train()
    start, end = trainer.predict(rows.remove_columns(["start_positions", "end_positions"])).predictions
    real = torch.tensor(rows["attention_mask"]) == 1
    for logits in (torch.from_numpy(start), torch.from_numpy(end)):
        assert (logits[~real] == torch.finfo(torch.float32).min).all()
        assert (logits[real].abs() < 100).all()


def test_multiple_choice(tmp_path: Path) -> None:
    ours = tokenizer()

    def choices(row: dict[str, Any]) -> dict[str, Any]:
        return dict(ours([row["text"]] * 2, ["yes", "no"]))

    rows = encoded(label=LABELS).remove_columns(["input_ids", "attention_mask"]).map(choices)
    trainer = Trainer(
        load("ForMultipleChoice", **NEW_HEAD),
        arguments(tmp_path),
        train_dataset=rows,
        eval_dataset=rows,
        data_collator=DataCollatorForMultipleChoice(ours),
        processing_class=ours,
    )
    trainer.train()
    assert trainer.predict(rows).predictions.shape == (8, 2)


def test_a_model_that_a_trainer_saved_without_the_line_still_has_its_weights(tmp_path: Path) -> None:
    trainer = classification(tmp_path, max_steps=2)
    trainer.train()
    trainer.model.config.save_pretrained(tmp_path / "checkpoint-2")
    again = DistilBertForSequenceClassification.from_pretrained(tmp_path / "checkpoint-2")
    assert torch.equal(again.classifier.weight, trainer.model.classifier.weight)
