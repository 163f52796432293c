"""What the tests inside other packages share: a small trained model with its tokenizer, and texts for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset, disable_progress_bars
from transformers import TrainingArguments

import distilbert_pt
from distilbert_pt import DistilBertTokenizerFast

disable_progress_bars()
MODEL = Path(__file__).parents[2] / "demo" / "model"
TEXTS = [
    "I lost my card, what now?",
    "My top up was reverted",
    "Why was the payment by card that I made at the shop declined?",
    "Change my PIN",
] * 2
NEW_HEAD = {"ignore_mismatched_sizes": True}


def tokenizer() -> DistilBertTokenizerFast:
    """Return the model's tokenizer."""
    return DistilBertTokenizerFast.from_pretrained(MODEL)


def load(name: str, **options: Any) -> torch.nn.Module:
    """Return the model under a class of ours, "ForMaskedLM" or another, always with the same new head."""
    torch.manual_seed(0)
    return getattr(distilbert_pt, f"DistilBert{name}").from_pretrained(MODEL, **options)


def encoded(**columns: Any) -> Dataset:
    """Return the texts as ids, with more columns."""
    ours = tokenizer()
    return Dataset.from_dict({"text": TEXTS, **columns}).map(lambda rows: ours(rows["text"]), batched=True)


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    """Return the arguments of four steps, with a checkpoint and an evaluation after each second one."""
    return TrainingArguments(
        **{
            "output_dir": str(folder),
            "max_steps": 4,
            "per_device_train_batch_size": 4,
            "save_steps": 2,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "logging_steps": 1,
            "report_to": [],
            "disable_tqdm": True,
            "use_cpu": True,
            **options,
        }
    )
