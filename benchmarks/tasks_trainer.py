"""transformers' Trainer on one task, with the rows, their order, the weights and the figures of ours.

It pads each batch to its longest row, as its own collators do. The metric is computed as ours is.

Usage: python benchmarks/tasks_trainer.py SETTINGS transformers|own-tokens, as `tasks.py` starts it
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "tasks")]
os.environ |= {"HF_HUB_OFFLINE": "1", "USE_TF": "0", "USE_JAX": "0"}

import numpy as np
import torch
import torch.nn.functional as F
import transformers

from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
from distilbert_tasks.batches import collect_rows, collect_tokens, epoch_order, evaluation_batches
from distilbert_tasks.batches.rows import take_rows
from distilbert_tasks.data import load_data
from distilbert_tasks.features import FeatureOptions, Features, make_features
from distilbert_tasks.metrics import masked_token_scores, score
from distilbert_tasks.task import find_task
from machine import versions_of
from tasks_settings import Report, Settings

Row = dict[str, Any]


class RowsOf(torch.utils.data.Dataset[Row]):
    """The rows of the features as dicts; of masked LM their numbers, as masks depend on the step."""

    def __init__(self, features: Features) -> None:
        self.features = features

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> Row:
        features, choices = self.features, self.features.choices
        if features.task == "fill-mask":
            return {"row": index}
        ids = [one.tolist() for one in features.input_ids.take(np.arange(index * choices, (index + 1) * choices))]
        masks = [[1] * len(one) for one in ids]
        several = features.task == "multiple-choice"
        labels = {name: values[index] for name, values in features.labels.items()}
        return {
            "input_ids": ids if several else ids[0],
            "attention_mask": masks if several else masks[0],
            **{name: one.tolist() for name, one in labels.items()},
        }


class InOrder(torch.utils.data.Sampler[int]):
    """The order of each epoch, that of ours."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.seed, self.epoch = rows, seed, -1

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        self.epoch += 1
        return iter(epoch_order(self.seed, self.epoch, self.rows).tolist())


class OrderedTrainer(transformers.Trainer):
    """A Trainer that takes the rows in our order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> InOrder:
        return InOrder(len(self.train_dataset), self.args.seed)


class OwnTokensTrainer(OrderedTrainer):
    """The same in question answering, but that an answer can only be expected among a text's own tokens."""

    def compute_loss(self, model: Any, inputs: Row, *_: Any, **__: Any) -> torch.Tensor:
        """Return the mean of both cross-entropies, without the logits at padding."""
        positions = [inputs.pop(f"{side}_positions") for side in ("start", "end")]
        outputs, padding = model(**inputs), inputs["attention_mask"] == 0
        logits = [x.masked_fill(padding, float("-inf")) for x in (outputs.start_logits, outputs.end_logits)]
        losses = [F.cross_entropy(x, position) for x, position in zip(logits, positions, strict=True)]
        return sum(losses) / 2


class MaskRows:
    """A collator that masks the rows of each step as ours does, and pads them."""

    def __init__(self, features: Features, seed: int) -> None:
        self.features, self.seed, self.step = features, seed, 0

    def __call__(self, rows: list[Row]) -> dict[str, torch.Tensor]:
        """Return the batch of the next step."""
        taken = take_rows(self.features, np.array([row["row"] for row in rows]), (self.seed, self.step, 0))
        self.step += 1
        ids, labels = taken.ids, taken.labels["labels"]
        masks = [np.ones_like(one) for one in ids]
        parts = {"input_ids": (ids, 0), "attention_mask": (masks, 0), "labels": (labels, -100)}
        return {
            name: torch.nn.utils.rnn.pad_sequence([torch.as_tensor(one).long() for one in lists], True, fill)
            for name, (lists, fill) in parts.items()
        }


class Steps(transformers.TrainerCallback):
    """Reports each step."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report it."""
        self.report.step(state.global_step)


def collator(features: Features, tokenizer: Any, seed: int) -> Any:
    """Return what makes batches of the rows."""
    if features.task == "fill-mask":
        return MaskRows(features, seed)
    names = {
        "token-classification": "DataCollatorForTokenClassification",
        "multiple-choice": "DataCollatorForMultipleChoice",
    }
    return getattr(transformers, names.get(features.task, "DataCollatorWithPadding"))(tokenizer)


def train(
    trainer: type[OrderedTrainer], model: Any, features: Features, tokenizer: Any, settings: Settings, report: Report
) -> None:
    """Train as ours does: AdamW, linear decay after a warm-up, clipping at 1."""
    steps = ceil(len(features) / settings.training.batch_size)
    total = max(1, round(settings.training.epochs * steps))
    arguments = transformers.TrainingArguments(
        output_dir=settings.folder,
        per_device_train_batch_size=settings.training.batch_size,
        learning_rate=settings.training.learning_rate,
        weight_decay=settings.training.weight_decay,
        max_steps=total,
        warmup_steps=ceil(total * settings.training.warmup_ratio),
        lr_scheduler_type="linear",
        seed=settings.training.seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=True,
    )
    trainer(
        model,
        arguments,
        data_collator=collator(features, tokenizer, settings.training.seed),
        train_dataset=RowsOf(features),
        callbacks=[Steps(report)],
    ).train()


def outputs(model: Any, features: Features) -> dict[str, Any]:
    """Return what the model gives for each row, as `score` takes it."""
    batches = list(evaluation_batches(features, layout="padded"))
    model.eval()
    if features.task == "fill-mask":
        sums = [masked_token_scores(_run(model, batch)["logits"], batch.labels["labels"]) for batch in batches]
        return {name: [one[name] for one in sums] for name in sums[0]}
    results = [(batch, _run(model, batch)) for batch in batches]
    per_token = features.task in ("token-classification", "question-answering")
    collect = collect_tokens if per_token else collect_rows
    return {
        name: collect(((batch, values[name]) for batch, values in results), len(features)) for name in results[0][1]
    }


def _run(model: Any, batch: Any) -> dict[str, np.ndarray]:
    inputs = batch.inputs
    mask = inputs["attention_mask"] if "attention_mask" in inputs else inputs["segment_ids"] > 0
    with torch.inference_mode():
        output = model(
            input_ids=torch.as_tensor(inputs["input_ids"]).long(), attention_mask=torch.as_tensor(mask).long()
        )
    return {name: values.numpy() for name, values in output.items()}


def main() -> None:
    """Train, measure, and report."""
    settings = Settings.read(Path(sys.argv[1]))
    report = Report(Path(settings.folder))
    data = load_data(settings.task, settings.train, settings.validation, columns=settings.training.columns)
    tokenizer = DistilBertTokenizerFast.from_pretrained(settings.model)
    config = DistilBertConfig.from_pretrained(settings.model)
    options = FeatureOptions(max_length=settings.training.max_length)
    training, validation = (
        make_features(settings.task, split, tokenizer, config, options) for split in (data.train, data.validation)
    )
    head = f"DistilBert{find_task(settings.task).head}"
    model = getattr(transformers, head).from_pretrained(settings.model, dtype="float32")
    theirs = transformers.AutoTokenizer.from_pretrained(settings.model)
    trainer = OwnTokensTrainer if sys.argv[2] == "own-tokens" else OrderedTrainer
    train(trainer, model, training, theirs, settings, report)
    metrics = score(settings.task, data.validation, validation, outputs(model, validation), config).metrics
    report.finish(metrics, versions_of(("transformers", "accelerate", "torch")))


if __name__ == "__main__":
    main()
