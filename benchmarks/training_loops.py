"""Fine-tuning beside the loops that people wrote with transformers 4.57: examples a second, and the most memory.

In PyTorch its `Trainer`, in Keras 2 `fit` on padded batches, in Flax a jitted step on rows of one length, each as in
the library's own examples. Both classify the same texts in steps of the same size, and take turns on the machine. The
model has random weights, as neither speed nor memory depends on them.

Usage: python benchmarks/training_loops.py FILE --python PYTHON [--frameworks pt,tf,flax] [--batch N] [--length N]
       [--steps N] [--layers N] [--dim N] [--fill] [--turn SECONDS] [--cores N] [--page]

PYTHON has transformers 4.57 with the frameworks (benchmarks/requirements-tf.txt). FILE has a sentence on each line, or
in the first column of a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from meter import Meter, read_rates
from tasks_turns import on_cores, run_in_turns

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax", "tasks")]
VOCABULARY = 30_522
CLASSES = 2
WARM_UP = 4
"""Steps that do not count: programs are compiled, memory is taken."""
Facts = dict[str, Any]


def main() -> int:
    """Measure, print, and write the page where that is asked for."""
    options = parse()
    sys.path[:0] = PACKAGES
    if options.worker:
        train(options, options.worker, options.work)
        return 0
    for framework in options.frameworks.split(","):
        with tempfile.TemporaryDirectory() as folder:
            options.work = Path(folder)
            prepare(options)
            loop = measure(options, framework)
        print(line(loop), flush=True)
        if options.page:
            write(loop)
    return 0


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="one with transformers 4.57")
    parser.add_argument("--frameworks", default="pt,tf,flax")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128, help="the most tokens in a row")
    parser.add_argument("--steps", type=int, default=20, help="steps that count")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--fill", action="store_true", help="rows are as long as they may be, not as they are")
    parser.add_argument("--turn", type=float, default=20.0, help="seconds that one of them runs at a time")
    parser.add_argument("--cores", type=int, help="how many cores each may use; all, if not given")
    parser.add_argument("--page", action="store_true", help="write the figures into docs/tasks.json and docs/tasks.md")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def prepare(options: argparse.Namespace) -> None:
    """Write the model, and token lists with labels."""
    import numpy as np
    from tokenizers import BertWordPieceTokenizer

    from distilbert_common import DistilBertConfig
    from distilbert_pt import DistilBertForSequenceClassification

    sizes = {"dim": options.dim, "hidden_dim": 4 * options.dim, "n_heads": options.dim // 64}
    config = DistilBertConfig(n_layers=options.layers, **sizes)
    DistilBertForSequenceClassification(config).save_pretrained(options.work / "model")
    lines = [line.partition("\t")[0] for line in options.file.read_text(encoding="utf-8").splitlines() if line.strip()]
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(lines, vocab_size=VOCABULARY, show_progress=False)
    drawn = np.random.default_rng(0)
    chosen = drawn.permutation(len(lines))[: options.batch * (options.steps + WARM_UP)]
    ids = [encoding.ids[: options.length] for encoding in tokenizer.encode_batch([lines[i] for i in chosen])]
    if options.fill:
        ids = [(one * options.length)[: options.length] for one in ids]
    rows = {"input_ids": ids, "labels": [int(label) for label in drawn.integers(0, CLASSES, len(ids))]}
    settings = {"batch": options.batch, "length": options.length, "warm_up": WARM_UP}
    (options.work / "rows.json").write_text(json.dumps({**settings, **rows}), encoding="utf-8")


def measure(options: argparse.Namespace, framework: str) -> Facts:
    """Let both train in turns, and return their rates and memory."""
    here = Path(__file__).resolve()
    commands = {
        "distilbert": [sys.executable, str(here), str(options.file), "--worker", framework],
        "transformers": [str(options.python), str(here.with_name("training_loops_reference.py")), framework],
    }
    commands["distilbert"] += ["--work", str(options.work)]
    commands["transformers"] += [str(options.work)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGES), "TF_CPP_MIN_LOG_LEVEL": "3"}
    processes = {
        name: subprocess.Popen(on_cores(command, options.cores), env=environment) for name, command in commands.items()
    }
    intervals = run_in_turns(processes, options.turn)
    facts: Facts = {name: getattr(options, name) for name in ("batch", "length", "fill", "layers", "dim")}
    rates = {name: read_rates(options.work / f"{name}.json", intervals[name], "examples") for name in commands}
    return {"framework": framework, **facts, **rates}


def train(options: argparse.Namespace, framework: str, folder: Path) -> None:
    """Train with our engine, and report."""
    import numpy as np

    from distilbert_tasks import TrainingOptions
    from distilbert_tasks.batches import BatchOptions, training_batches
    from distilbert_tasks.engines import compiles_each_shape, engine_module
    from distilbert_tasks.features import Features, Ragged

    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    engines = engine_module(framework)
    model = engines.load_model("ForSequenceClassification", folder / "model", dtype="float32")
    engine = engines.Engine(model, TrainingOptions(weight_decay=0.01).engine, "cpu")
    ids = Ragged.from_lists([np.asarray(one, np.int32) for one in rows["input_ids"]])
    labels = {"labels": np.asarray(rows["labels"], np.int32)}
    features = Features(ids, labels, np.arange(len(rows["labels"])), task="text-classification")
    settings = BatchOptions(batch_size=rows["batch"], few_shapes=compiles_each_shape(framework))
    meter = Meter(folder / "distilbert.json", rows["warm_up"])
    steps = len(rows["labels"]) // rows["batch"]
    for step, batches in enumerate(training_batches(features, settings, stop_step=steps)):
        float(engine.train_step(batches, step, 5e-5).loss)
        meter.step(rows["batch"])
    meter.finish()


def write(loop: Facts) -> None:
    """Write figures into the page, in place of those of the same loop."""
    from tasks_page import LOOPS, read_facts, write_facts

    def key(one: Facts) -> tuple[Any, ...]:
        return (list(LOOPS).index(one["framework"]), *(one[name] for name in ("fill", "batch", "layers", "dim")))

    facts = read_facts()
    by_key = {key(one): one for one in [*facts["loops"], loop]}
    write_facts({**facts, "loops": [by_key[one] for one in sorted(by_key)]})


def line(facts: Facts) -> str:
    """Return the figures of a framework as lines of text."""
    texts = f"rows of {facts['length']} tokens" if facts["fill"] else f"real rows of at most {facts['length']} tokens"
    size = f"{facts['layers']} layers, {facts['dim']} wide, steps of {facts['batch']} {texts}"
    lines = [f"{facts['framework']}: {size}"]
    for name in ("distilbert", "transformers"):
        rate, work, peak = facts[name].values()
        lines.append(f"  {name}: {rate:.1f} examples/s, {work:.1f} a processor second, {peak / 2**30:.2f} GiB at most")
    rate, work, peak = (
        a / b for a, b in zip(facts["distilbert"].values(), facts["transformers"].values(), strict=True)
    )
    lines.append(f"  ratio: {rate:.2f} in examples/s, {work:.2f} by processor time, {peak:.2f} of the memory")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
