"""An exported ONNX folder in transformers.js and, if asked, in Optimum, beside our pipeline: logits and labels.

First `npm install --ignore-scripts --no-package-lock` in this folder: onnxruntime-node's script fetches what a CPU does
not need. Returns 1 where labels differ, or logits by more than rounding.

Usage: python benchmarks/transformers_js/compare.py [--model DIR] [--texts 20] [--optimum-python PYTHON]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_deploy import export
from distilbert_tasks import pipeline

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PRECISIONS = {"float32": ("fp32", 1e-4), "int8": ("q8", 1e-2)}
"""What transformers.js calls each, and how far logits may be off, of the largest one: our pipeline gives the file other
inputs, rows of several texts, and what that changes in the last digits int8 may round to the next of its steps."""
OPTIMUM = """
import json, sys
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer
model = ORTModelForSequenceClassification.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
logits = [model(**tokenizer(text, return_tensors="pt")).logits[0].tolist() for text in json.load(sys.stdin)]
labels = [model.config.id2label[max(range(len(one)), key=one.__getitem__)] for one in logits]
print(json.dumps({"logits": logits, "labels": labels}))
"""


def main() -> int:
    """Compare, and print a line for each precision and program; return 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--file", type=Path, default=ROOT / "demo" / "data" / "banking77_test.csv")
    parser.add_argument("--texts", type=int, default=20)
    parser.add_argument("--optimum-python", help="a Python with optimum[onnxruntime]")
    options = parser.parse_args()
    with options.file.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)][: options.texts]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for precision, (dtype, tolerance) in PRECISIONS.items():
            exported = Path(folder) / precision
            export(options.model, exported, quantize="int8" if precision == "int8" else None)
            commands = {"transformers.js": ["node", str(HERE / "logits.mjs"), str(exported), dtype]}
            if options.optimum_python:
                commands["optimum"] = [options.optimum_python, "-c", OPTIMUM, str(exported)]
            ours = our_answers(exported, texts)
            for program, command in commands.items():
                wrong += not agree(f"{program}, {precision}", ours, answers(command, texts), tolerance)
    return int(wrong > 0)


def our_answers(exported: Path, texts: list[str]) -> dict[str, Any]:
    """Return the logits and the labels that our pipeline gives."""
    classify = pipeline("text-classification", exported)
    results = [classify(text, top_k=None, function_to_apply="none") for text in texts]
    labels = [classify.config.id2label[index] for index in range(classify.config.num_labels)]
    logits = [[next(one["score"] for one in result if one["label"] == label) for label in labels] for result in results]
    return {"logits": logits, "labels": [result[0]["label"] for result in results]}


def answers(command: list[str], texts: list[str]) -> dict[str, Any]:
    """Return what another program gives, which has no network."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def agree(name: str, ours: dict[str, Any], theirs: dict[str, Any], tolerance: float) -> bool:
    """Print how far answers differ, and return whether that is little."""
    logits, others = np.array(ours["logits"]), np.array(theirs["logits"])
    difference, largest = float(np.abs(logits - others).max()), float(np.abs(logits).max())
    same = sum(one == other for one, other in zip(ours["labels"], theirs["labels"], strict=True))
    print(
        f"{name}: largest difference {difference:.1e} of {largest:.1f}; {same} of {len(ours['labels'])} labels the same"
    )
    return difference <= tolerance * largest and same == len(ours["labels"])


if __name__ == "__main__":
    sys.exit(main())
