"""A step of distillation beside that of the authors' method: tokens a second, and the most memory.

Compared are the method as it was published, in transformers' classes (`distillation_original.py`); ours, which asks the
teacher in each step; and ours with a teacher that was asked ahead of time. All learn from one teacher of BERT base's
size on the same texts, each in its own batches. They take turns on the machine.

Each can compute in bfloat16: ours by the options of `distilbert distil`, the published method by autocast.

Usage: python benchmarks/distillation.py FILE... [--steps N] [--rows N] [--layers N] [--dim N] [--framework pt]
       [--precision P] [--teacher-precision P] [--original-precision P] [--turn SECONDS] [--cores N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from meter import Meter, read_rates
from tasks_turns import on_cores, run_in_turns

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax", "tasks")]
NAMES = {"original": "as published", "online": "distilbert", "cached": "distilbert, asked ahead"}
VOCABULARY = 30_522
LEARNING_RATE = 1e-6
WARM_UP = 1
"""Steps that do not count: memory is taken, programs are compiled."""
PRECISIONS = {
    "precision": "what ours computes in",
    "teacher_precision": "what our teacher computes in",
    "original_precision": "what the published method computes in",
}
OPTIONS = ("rows", "parts", "layers", "dim", "top_k", "framework", *PRECISIONS)
"""What the figures depend on, told to each worker."""
Facts = dict[str, Any]
Step = Callable[[], int]
"""Takes a step, and returns how many tokens it had."""


def main() -> int:
    """Measure, and print a table or JSON."""
    options = parse()
    if options.worker:
        work(options)
        return 0
    sys.path[:0] = PACKAGES
    with tempfile.TemporaryDirectory() as folder:
        options.work = Path(folder)
        prepare(options)
        ask_first(options)
        facts = measure(options)
    print(json.dumps(facts) if options.json else table(facts))
    return 0


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="texts, one on each line")
    parser.add_argument(
        "--vocabulary", type=Path, help="vocab.txt of the texts' tokens; made of the texts if not given"
    )
    parser.add_argument("--steps", type=int, default=6, help="steps of each that count")
    parser.add_argument("--rows", type=int, default=40, help="rows in a step")
    parser.add_argument("--parts", type=int, default=2, help="parts that ours computes a step in; the original: 5 rows")
    parser.add_argument("--layers", type=int, default=12, help="layers of the teacher; the student has half")
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--top-k", type=int, default=32, help="tokens that the teacher tells ahead of time")
    parser.add_argument("--framework", default="pt", help="pt, tf or flax")
    for name, meaning in PRECISIONS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, choices=["float32", "bfloat16"], default="float32", help=meaning)
    parser.add_argument("--turn", type=float, default=20.0, help="seconds that one of them runs at a time")
    parser.add_argument("--cores", type=int, help="how many cores each may use; all, if not given")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--worker", choices=[*NAMES, "ask"], help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(options: argparse.Namespace) -> None:
    """Write teacher, student and corpus."""
    from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
    from distilbert_pt import DistilBertForMaskedLM
    from distilbert_tasks.corpus import CorpusOptions, build_corpus

    work, sizes = options.work, {"dim": options.dim, "hidden_dim": 4 * options.dim, "n_heads": options.dim // 64}
    for name, layers in (("teacher", options.layers), ("student", options.layers // 2)):
        config = DistilBertConfig(n_layers=layers, dropout=0.1 if name == "student" else 0.0, **sizes)
        DistilBertForMaskedLM(config).save_pretrained(work / name)
    tokenizer = DistilBertTokenizerFast(vocabulary(options))
    build_corpus([str(path) for path in options.files], tokenizer, work / "corpus", CorpusOptions())


def vocabulary(options: argparse.Namespace) -> Path:
    """Return the vocabulary that texts are cut by."""
    if options.vocabulary is not None:
        return Path(options.vocabulary)
    from tokenizers import BertWordPieceTokenizer

    trainer = BertWordPieceTokenizer(lowercase=True)
    trainer.train([str(path) for path in options.files], vocab_size=VOCABULARY, show_progress=False)
    trainer.save_model(str(options.work))
    return Path(options.work) / "vocab.txt"


def ask_first(options: argparse.Namespace) -> None:
    """Let a teacher answer for the steps of the cached run, before anything is measured."""
    process = start(options, "ask")
    if process.wait():
        raise SystemExit("the teacher could not be asked ahead of time")


def start(options: argparse.Namespace, name: str) -> subprocess.Popen[bytes]:
    """Start a worker."""
    command = [sys.executable, __file__, *map(str, options.files), "--worker", name, "--work", str(options.work)]
    for option in ("steps", *OPTIONS):
        command += [f"--{option.replace('_', '-')}", str(getattr(options, option))]
    return subprocess.Popen(
        on_cores(command, options.cores), env={**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGES)}
    )


def measure(options: argparse.Namespace) -> Facts:
    """Let all take their steps in turns, and return their rates and memory."""
    processes = {name: start(options, name) for name in NAMES}
    intervals = run_in_turns(processes, options.turn)
    facts: Facts = {name: getattr(options, name) for name in OPTIONS}
    return facts | {name: read_rates(options.work / f"{name}.json", intervals[name], "tokens") for name in NAMES}


def work(options: argparse.Namespace) -> None:
    """Take all steps, and report when that was, how many tokens they had, and the most memory that was in use."""
    if options.worker == "ask":
        ask(options)
        return
    steps = original_steps(options) if options.worker == "original" else our_steps(options, options.worker == "cached")
    meter = Meter(options.work / f"{options.worker}.json", WARM_UP)
    for _ in range(WARM_UP + options.steps):
        meter.step(next(steps))
    meter.finish()


def original_steps(options: argparse.Namespace) -> Iterator[int]:
    """Yield the tokens of each step of the published method, once it is done."""
    import torch

    from distilbert_tasks.corpus import Corpus
    from distillation_original import OriginalDistillation

    corpus = Corpus.open(options.work / "corpus")
    original = OriginalDistillation(options.work / "teacher", options.work / "student", corpus)
    while True:
        with torch.autocast("cpu", torch.bfloat16, enabled=options.original_precision == "bfloat16"):
            tokens = original.step(options.rows)
        yield tokens


def our_steps(options: argparse.Namespace, cached: bool) -> Iterator[int]:
    """Yield the tokens of each of our steps, once it is done."""
    from distilbert_tasks.batches import training_batches
    from distilbert_tasks.engines import engine_module

    engines, folder = engine_module(options.framework), options.work
    student = engines.load_model("ForMaskedLM", folder / "student")
    teacher = None if cached else engines.load_model("ForMaskedLM", folder / "teacher")
    engine = engines.Engine(student, engine_options(options), "cpu", teacher=teacher)
    features, batch_options = features_of(options)
    answers = cache_of(options) if cached else None
    for step, batches in enumerate(training_batches(features, batch_options, teacher=answers)):
        result = engine.train_step(batches, step, LEARNING_RATE)
        float(result.loss)  # which waits for the step
        yield sum(int((batch.inputs["segment_ids"] > 0).sum()) for batch in batches)


def engine_options(options: argparse.Namespace) -> Any:
    """Return the paper's options, in the precisions asked for."""
    from distilbert_tasks.distillation import default_options

    ours = default_options().engine
    distillation = replace(ours.distillation, teacher_precision=options.teacher_precision)
    return replace(ours, precision=options.precision, distillation=distillation)


def features_of(options: argparse.Namespace) -> tuple[Any, Any]:
    """Return the rows of the corpus, and how they become batches."""
    from distilbert_tasks.batches import BatchOptions
    from distilbert_tasks.corpus import Corpus
    from distilbert_tasks.engines import compiles_each_shape

    few_shapes = compiles_each_shape(options.framework)
    batch_options = BatchOptions(batch_size=options.rows, accumulation=options.parts, few_shapes=few_shapes)
    return Corpus.open(options.work / "corpus").features, batch_options


def cache_of(options: argparse.Namespace) -> Any:
    """Return the answers that were asked for ahead of time."""
    from distilbert_tasks.corpus import TeacherCache

    return TeacherCache.open(options.work / "cache", {"of": "benchmark"}, options.steps + WARM_UP)


def ask(options: argparse.Namespace) -> None:
    """Ask the teacher for the steps that are measured."""
    from distilbert_tasks.corpus import ask_teacher
    from distilbert_tasks.engines import engine_module

    engines = engine_module(options.framework)
    engine = engines.Engine(engines.load_model("ForMaskedLM", options.work / "teacher"), None, "cpu")
    features, batch_options = features_of(options)
    ask_teacher(
        cache_of(options), lambda inputs: engine.teacher_outputs(inputs, options.top_k), features, batch_options
    )


def table(facts: Facts) -> str:
    """Return the figures as lines of text."""
    lines = [
        f"A teacher of {facts['layers']} layers, {facts['dim']} wide; steps of {facts['rows']} rows, ours in "
        f"{facts['parts']} parts ({facts['framework']}, {facts['precision']}, its teacher in "
        f"{facts['teacher_precision']}; as published: {facts['original_precision']}); the {facts['top_k']} most likely "
        "tokens are stored."
    ]
    for name, title in NAMES.items():
        one = facts[name]
        rate, work, peak = (one[key] for key in ("tokens_per_second", "tokens_per_processor_second", "peak_bytes"))
        lines.append(
            f"{title}: {rate:.0f} tokens/s, {work:.0f} tokens/processor second, {peak / 2**30:.2f} GiB at most"
        )
    for name, other in (("online", "original"), ("cached", "original"), ("cached", "online")):
        keys = ("tokens_per_second", "tokens_per_processor_second", "peak_bytes")
        ratio, work, memory = (facts[name][key] / facts[other][key] for key in keys)
        lines.append(
            f"{NAMES[name]} / {NAMES[other]}: {ratio:.2f} in tokens/s, {work:.2f} by processor time, "
            f"{memory:.2f} of the memory"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
