"""One checkpoint, converted to PyTorch, Keras and Flax; the three models on the same real sentences; and its teacher.

Usage: make demo
"""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu"}

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from distilbert_cli.compare import measure, run
from distilbert_cli.compare_models import comparison_table
from distilbert_cli.frameworks import FRAMEWORKS, Arrays, Framework
from distilbert_cli.tolerances import BETWEEN_FRAMEWORKS as TOLERANCES
from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
from distilbert_conversion import convert
from distilbert_tasks import compare

HERE = Path(__file__).resolve().parent
MODEL, TEACHER, OUTPUT = HERE / "model", HERE / "teacher", HERE / "output"
TEST = HERE / "data" / "banking77_test.csv"
HEAD = "ForSequenceClassification"
SENTENCES = [
    "My card still hasn't arrived after two weeks, what can I do?",
    "Why was I charged a fee when I took money out of the machine?",
    "How do I change my PIN while travelling in Zürich?",
    "I lost my phone!",
]


def convert_to_all(console: Console) -> dict[str, Path]:
    """Write the checkpoint in each framework's own format and say what was written."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    console.rule("one checkpoint, three formats")
    for name in FRAMEWORKS:
        summary = convert(MODEL, OUTPUT / name, to=name)
        size = sum(path.stat().st_size for path in summary.files)
        names = ", ".join(path.name for path in summary.files)
        console.print(f"{summary.source_dialect} -> {summary.dialect}: {names}, {size:,} bytes")
    return {name: OUTPUT / name for name in FRAMEWORKS}


def show_layers(outputs: dict[str, Arrays], console: Console) -> bool:
    """Print the largest difference of each layer between each pair of frameworks; return whether all agree."""
    console.rule("the same numbers, layer by layer")
    rows = measure(outputs, TOLERANCES["float32"].value)
    table = Table("output", *rows[0].differences, title=f"largest difference on {len(SENTENCES)} sentences")
    for row in rows:
        table.add_row(row.output, *(f"{difference:.1e}" for difference in row.differences.values()))
    console.print(table)
    return all(row.agree for row in rows)


def show_predictions(outputs: dict[str, Arrays], config: DistilBertConfig, console: Console) -> None:
    """Print what each framework takes each sentence to mean, and how sure it is."""
    console.rule("the same answers")
    table = Table("sentence", *(Column(FRAMEWORKS[name].title, overflow="fold") for name in outputs))
    for i, sentence in enumerate(SENTENCES):
        cells = []
        for arrays in outputs.values():
            odds = np.exp(arrays["logits"][i] - arrays["logits"][i].max())
            best = int(odds.argmax())
            cells.append(f"{config.id2label[best]} {odds[best] / odds.sum():.4%}")
        table.add_row(sentence, *cells)
    console.print(table)


def accuracy(framework: Framework, path: Path, tokenizer: DistilBertTokenizerFast, config: DistilBertConfig) -> float:
    """Return the share of the test set's intents that the converted model finds."""
    with TEST.open(encoding="utf-8", newline="") as file:
        data = list(csv.DictReader(file))
    model = framework.load(path, HEAD)
    right = 0
    for start in range(0, len(data), 220):  # 14 batches of one shape, so that each framework compiles once
        rows = data[start : start + 220]
        inputs = dict(tokenizer([row["text"] for row in rows], padding="max_length", max_length=64, truncation=True,
                                return_tensors="np"))  # fmt: skip
        classes = framework.run(model, inputs, "cpu", {})["logits"].argmax(-1)
        right += sum(config.id2label[int(i)] == row["category"] for i, row in zip(classes, rows, strict=True))
    return right / len(data)


def show_teacher(console: Console) -> None:
    """Print the model beside the teacher that it was distilled from, which is stored in float16 and runs in float32."""
    console.rule("a teacher and its student")
    convert(TEACHER, OUTPUT / "teacher", to="pt", dtype="float32")
    with console.status("asking both 3,080 questions"):
        result = compare(OUTPUT / "teacher", MODEL, data=TEST)
    console.print(comparison_table(result))


def main() -> int:
    """Run the demo; return 0 when the frameworks agree."""
    console = Console()
    paths = convert_to_all(console)
    config = DistilBertConfig.from_pretrained(MODEL)
    tokenizer = DistilBertTokenizerFast.from_pretrained(MODEL)
    inputs = dict(tokenizer(SENTENCES, padding=True, return_tensors="np"))
    outputs: dict[str, Arrays] = {}
    for name, framework in FRAMEWORKS.items():
        with console.status(f"running {framework.title}"):
            outputs[name] = run(framework, paths[name], HEAD, inputs, "cpu", None)
    agree = show_layers(outputs, console)
    show_predictions(outputs, config, console)
    console.rule("the same accuracy")
    for name, framework in FRAMEWORKS.items():
        with console.status(f"asking {framework.title} 3,080 questions"):
            share = accuracy(framework, paths[name], tokenizer, config)
        console.print(f"{framework.title:8} {share:.2%} of 3,080 questions understood (77 intents, BANKING77)")
    show_teacher(console)
    console.print("[green]The three frameworks agree.[/]" if agree else "[bold red]The three frameworks disagree.[/]")
    return 0 if agree else 1


if __name__ == "__main__":
    raise SystemExit(main())
