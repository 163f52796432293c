"""Our `finetune` on one task in one framework, as `tasks.py` starts it.

Usage: python benchmarks/tasks_ours.py SETTINGS FRAMEWORK
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax", "tasks")]
os.environ |= {"HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}

from distilbert_common.frameworks import PACKAGES
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.finetuning import finetune
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.progress import Progress
from machine import versions_of
from tasks_settings import Report, Settings

FIGURES = ("epochs", "learning_rate", "batch_size", "weight_decay", "warmup_ratio", "seed")
"""What settings and our options have by the same name."""
AT_THE_END = 10**9
"""More steps than there are: evaluation and checkpoint come after the last one."""


def main() -> None:
    """Train, measure, and report."""
    settings, framework = Settings.read(Path(sys.argv[1])), sys.argv[2]
    report = Report(Path(settings.folder))
    figures = {name: getattr(settings.training, name) for name in FIGURES}

    def on_progress(event: Any) -> None:
        if isinstance(event, Progress):
            report.step(event.step)

    result = finetune(
        settings.task,
        settings.model,
        train=settings.train,
        validation=settings.validation,
        out=Path(settings.folder) / "model",
        framework=framework,
        device="cpu",
        columns=settings.training.columns,
        options=TrainingOptions(**figures, eval_every=AT_THE_END, save_every=AT_THE_END),
        feature_options=FeatureOptions(max_length=settings.training.max_length),
        overwrite=True,
        tensorboard=False,
        on_progress=on_progress,
    )
    report.finish(dict(result.metrics["validation"]), versions_of(PACKAGES[framework]))


if __name__ == "__main__":
    main()
