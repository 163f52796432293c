"""Training killed at random moments: each run goes on from its checkpoint, and ends as one that nothing stopped.

python -m parity_tests.resume --kills 20 --framework pt
python -m parity_tests.resume --kills 20 --framework pt --kind distil
python -m parity_tests.resume --kills 20 --framework pt --kind ask-ahead

kills real processes by SIGKILL, at a step of the training or of Python towards the file system, while a checkpoint, a
corpus or a teacher's answers are being written too. Weights, optimizer and all that was measured are then compared to
the last bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from parity_tests.helpers.compilation import FAST_ENVIRONMENT
from parity_tests.helpers.crash_injection import Clock
from parity_tests.helpers.small_tasks import small_data, small_model

__all__ = ["Runs", "main"]

ROOT = Path(__file__).resolve().parents[1]
FINETUNE = "finetune"


class FolderClock(Clock):
    """Counts the steps of Python in one folder, and each time that somebody says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        super().__init__()

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if arguments and str(arguments[0]).startswith(self.folder):
            super().hear(event, arguments)


def train(root: Path, name: str, framework: str, moment: int, kind: str) -> None:
    """Train, or go on, in this process; kill it at a moment after its first step, counted from 1.

    A distillation may be killed before its first step too, while its corpus is written or its teacher is asked.

    At the end, `NAME.moments` holds how many there were.
    """
    from distilbert_tasks.engines import engine_module
    from distilbert_tasks.training import report
    from distilbert_tasks.training.progress import Progress

    engine_module(framework)
    report.draw_curves = report.write_confusion = lambda *_: False  # which take longer than all else
    clock = FolderClock(root)
    clock.action = lambda: os.kill(os.getpid(), signal.SIGKILL)

    def tick(event: Any) -> None:
        if not clock.moment and (kind != FINETUNE or isinstance(event, Progress)):
            clock.step, clock.moment = 0, moment or sys.maxsize
        clock.tick()

    settings = {"out": root / name, "framework": framework, "device": "cpu", "resume": True, "tensorboard": False}
    KINDS[kind](root, {**settings, "on_progress": tick})
    (root / f"{name}.moments").write_text(str(clock.step))


def _finetune(root: Path, settings: dict[str, Any]) -> None:
    from distilbert_tasks import finetune

    files = {split: root / f"{split}.jsonl" for split in ("train", "validation")}
    finetune("text-classification", root / "model", **files, options=_options(), **settings)


def _distil(root: Path, settings: dict[str, Any]) -> None:
    from distilbert_tasks import CorpusOptions, distil

    corpus = CorpusOptions(shard_tokens=200)
    distil(root / "teacher", root / "corpus.txt", options=_options(), corpus_options=corpus, **settings)


def _ask_ahead(root: Path, settings: dict[str, Any]) -> None:
    from distilbert_tasks import AheadOptions

    cache = root / f"{settings['out'].name}.cache"
    _distil(root, {**settings, "ahead": AheadOptions(folder=cache, top_k=8)})


KINDS = {FINETUNE: _finetune, "distil": _distil, "ask-ahead": _ask_ahead}


def _options() -> Any:
    from distilbert_tasks import TrainingOptions

    return TrainingOptions(
        max_steps=4, batch_size=8, learning_rate=1e-3, eval_every=2, save_every=1, keep_last=2, log_every=4, patience=4
    )


class Runs:
    """Runs of one kind, in one framework, on a small model and small data, in a folder."""

    def __init__(self, root: Path, framework: str, kind: str = FINETUNE) -> None:
        self.root, self.framework, self.kind = root, framework, kind
        small_model(root / "teacher", "ForMaskedLM", n_layers=2)
        small_data("fill-mask", root / "corpus", slice(0, 60))
        small_model(root / "model")
        small_data("text-classification", root / "train", slice(0, 24))
        small_data("text-classification", root / "validation", slice(24, 36))
        self.start("expected")
        self.moments = int((root / "expected.moments").read_text())

    def start(self, name: str, moment: int = 0) -> bool:
        """Train, or go on, in a process of its own, and return whether it was killed.

        Args:
            name: The name of the run.
            moment: When to kill it; 0 for never.
        """
        command = [
            sys.executable,
            "-m",
            "parity_tests.resume",
            "--train",
            str(self.root),
            name,
            self.framework,
            str(moment),
            "--kind",
            self.kind,
        ]
        environment = {
            "JAX_COMPILATION_CACHE_DIR": str(self.root / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **os.environ,
            **FAST_ENVIRONMENT,
        }
        process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert process.returncode in (0, -signal.SIGKILL), process.stderr
        return process.returncode != 0

    def content(self, name: str) -> dict[str, Any]:
        """Return what a run leaves, but for what depends on the clock."""
        from distilbert_tasks.training.history import read_history

        folder = self.root / name
        parts = [folder, self.root / f"{name}.cache"]
        files = {
            str(path.relative_to(part)): path.read_bytes()
            for part in parts
            for ending in ("safetensors", "npy")
            for path in part.rglob(f"*.{ending}")
        }
        return {"files": files, "lines": [{**line, "examples_per_second": 0} for line in read_history(folder)]}

    def differences(self, name: str) -> list[str]:
        """Return the files and the lines of a run that are not those of the run that nothing stopped."""
        ours, expected = self.content(name), self.content("expected")
        files = [
            file
            for file in {**ours["files"], **expected["files"]}
            if ours["files"].get(file) != expected["files"].get(file)
        ]
        return [*files, *(str(line) for line in ours["lines"] if line not in expected["lines"])]

    def kill(self, count: int, seed: int) -> int:
        """Kill runs so many times in all, at random moments, and compare what they end as; return how many runs.

        Raises:
            AssertionError: A run ended otherwise than the one that nothing stopped.
        """
        chosen, runs = random.Random(seed), 0
        while count > 0:
            name, runs, killed = f"run-{runs}", runs + 1, list[int]()
            while count > 0 and self.start(name, moment := chosen.randint(1, self.moments)):
                count -= 1
                killed.append(moment)
            self.start(name)
            assert not (differences := self.differences(name)), f"{name} (killed at {killed}) differs: {differences}"
        return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="how many, in all")
    parser.add_argument("--framework", default="pt", help="pt, tf or flax")
    parser.add_argument("--kind", choices=KINDS, default=FINETUNE, help="what is killed")
    parser.add_argument("--seed", type=int, default=0, help="what the moments depend on")
    parser.add_argument("--train", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        root, name, framework, moment = arguments.train
        train(Path(root), name, framework, int(moment), arguments.kind)
        return
    with tempfile.TemporaryDirectory() as root:
        runs = Runs(Path(root), arguments.framework, arguments.kind)
        count = runs.kill(arguments.kills, arguments.seed)
    print(  # noqa: T201
        f"{arguments.framework}: {arguments.kills} kills at {runs.moments} moments, {count} runs: "
        "each ended as the one that nothing stopped, to the last bit"
    )


if __name__ == "__main__":
    main()
