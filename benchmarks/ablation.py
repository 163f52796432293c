"""The paper's ablation at small scale: what each term of the loss, and layers of the teacher, are worth to a student.

Students of half the layers of a masked LM are distilled from it with all three terms, without one of them, and from
random weights. Each is measured by its masked-LM loss, and after fine-tuning on few rows of two tasks. Runs that are
there are kept, so that what was stopped goes on.

Usage: python benchmarks/ablation.py minilm|demo TEACHER CORPUS VALIDATION [--seeds 0,1,2] [--precision bfloat16]
           [--data DIR] [--work DIR]
       python benchmarks/ablation.py --page-only
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt", "tasks")]

from ablation_page import VARIANTS, write_page
from distilbert_common.training import DistillationOptions
from distilbert_tasks import CorpusOptions, FeatureOptions, TrainingOptions, distil, finetune
from distilbert_tasks.distillation import default_options
from machine import processor, read_figures, write_figures
from tasks_data import write_data

RESULTS = ROOT / "docs" / "ablation.json"
MAX_LENGTH = 64
"""The most tokens in a row."""
AT_THE_END = 10**9
"""More steps than there are: evaluation comes after the last one."""
Facts = dict[str, Any]


class Settings(NamedTuple):
    """How the students of a teacher are trained.

    Attributes:
        epochs: How often a student sees the corpus.
        batch_size: Rows of a step of distillation.
        learning_rate: That of distillation.
        tasks: The tasks that students are fine-tuned on: rows, and how often each is seen.
        task_learning_rate: That of fine-tuning.
        line_by_line: Whether the masked-LM loss is that of each line by itself.
    """

    epochs: float
    batch_size: int
    learning_rate: float
    tasks: dict[str, tuple[int, float]]
    task_learning_rate: float
    line_by_line: bool


SETTINGS = {
    "minilm": Settings(0.6, 32, 5e-4, {"banking77": (1000, 8.0), "sst2": (2000, 2.0)}, 2e-4, line_by_line=False),
    "demo": Settings(2.0, 64, 1e-3, {"banking77": (2000, 10.0), "sst2": (8000, 2.0)}, 5e-4, line_by_line=True),
}
"""By the name of the teacher on the page."""


def main() -> int:
    """Train what is not there yet, and write the page."""
    options = parse()
    figures = read_figures(RESULTS, {})
    for key, one in [] if options.page_only else runs(options, SETTINGS[options.pair]):
        figures.setdefault(options.pair, {})[key] = one
        write_figures(RESULTS, figures)
    write_page(figures)
    return 0


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", nargs="?", choices=SETTINGS, help="how students are trained")
    parser.add_argument("teacher", nargs="?", type=Path, help="a masked LM")
    parser.add_argument("corpus", nargs="?", type=Path, help="texts to learn from")
    parser.add_argument("validation", nargs="?", type=Path, help="texts that the masked-LM loss is measured on")
    parser.add_argument("--seeds", default="0,1,2", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--precision", default="float32", help="what is computed in: float32 or bfloat16")
    parser.add_argument("--page-only", action="store_true", help="write the page from the figures that are there")
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="the folder of the data sets"
    )
    parser.add_argument("--work", type=Path, default=ROOT / ".tasks" / "ablation", help="where runs write")
    options = parser.parse_args()
    if options.validation is None and not options.page_only:
        parser.error("give a teacher, a corpus and texts to validate on")
    return options


def runs(options: argparse.Namespace, settings: Settings) -> Iterator[tuple[str, Facts]]:
    """Yield the name and the figures of each run, once it is done."""
    from distilbert_common import DistilBertConfig
    from distilbert_tasks import evaluate

    for task, (rows, _) in settings.tasks.items():
        (options.work / task).mkdir(parents=True, exist_ok=True)
        write_data(task, options.data, options.work / task, rows)
    config = DistilBertConfig.from_pretrained(options.teacher)
    about = {"layers": config.n_layers, "dim": config.dim, "epochs": settings.epochs, "tasks": settings.tasks}
    yield "about", about | {"corpus": options.corpus.name, "precision": options.precision, "processor": processor()}
    teacher = options.work / "teacher"
    shutil.copytree(options.teacher, teacher, dirs_exist_ok=True)
    blocks = FeatureOptions(max_length=MAX_LENGTH, line_by_line=settings.line_by_line)
    for name, seed in [("teacher", 0), *((name, seed) for seed in options.seeds for name in VARIANTS)]:
        begin = time.process_time()
        model = teacher if name == "teacher" else make_student(name, seed, teacher, options, settings)
        loss = evaluate(model, data=options.validation, feature_options=blocks)["loss"]
        facts = {"variant": name, "seed": seed, "mlm_loss": loss, **accuracies(model, options, settings, seed)}
        print(facts, flush=True)
        yield f"{name}-{seed}", facts | {"processor_seconds": time.process_time() - begin}


def make_student(name: str, seed: int, teacher: Path, options: argparse.Namespace, settings: Settings) -> Path:
    """Distil a student, and return its folder."""
    changes = dict(VARIANTS[name].settings)
    random_init = bool(changes.pop("random_init", False))
    result = distil(
        teacher, options.corpus, out=options.work / f"{name}-{seed}", random_init=random_init,
        options=replace(
            default_options(), epochs=settings.epochs, batch_size=settings.batch_size, accumulation=1,
            learning_rate=settings.learning_rate, warmup_ratio=0.1, seed=seed, precision=options.precision,
        ),
        distillation=DistillationOptions(**changes, teacher_precision=options.precision), validation_share=0,
        corpus_options=CorpusOptions(max_length=MAX_LENGTH, min_length=0), corpus_dir=options.work / "tokens",
        resume=True, device="cpu", tensorboard=False,
    )  # fmt: skip
    return result.path


def accuracies(model: Path, options: argparse.Namespace, settings: Settings, seed: int) -> Facts:
    """Return what a model reaches on each task after fine-tuning."""
    facts: Facts = {}
    for task, (_, epochs) in settings.tasks.items():
        train, validation = sorted((options.work / task).glob("*.*"), key=lambda path: path.stem)
        result = finetune(
            "text-classification", model, train=train, validation=validation, out=Path(f"{model}-{task}"),
            options=TrainingOptions(
                epochs=epochs, learning_rate=settings.task_learning_rate, warmup_ratio=0.1, seed=seed,
                eval_every=AT_THE_END, precision=options.precision,
            ),
            feature_options=FeatureOptions(max_length=MAX_LENGTH), resume=True, device="cpu", tensorboard=False,
        )  # fmt: skip
        facts[task] = result.metrics["validation"]["accuracy"]
    return facts


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())
