"""Measure the converter: every dialect to every dialect on a full-size model, and write docs/conversion.md and .png.

Each conversion runs in a child process. Its peak memory is what it takes above what its imports left it with.
Runs on Linux, whose /proc tells that.
`cp` of the source's bytes runs just before and just after each conversion, so that both meet the same machine.

Usage: python benchmarks/conversion.py [--repeats 3] [--python PYTHON_WITH_TRANSFORMERS]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from conversion_page import write_page, write_picture
from distilbert_common import DistilBertConfig
from distilbert_conversion import DIALECTS, FORMATS, convert, diff, expected, save_checkpoint
from distilbert_conversion.convert import dialect_of
from machine import write_figures

HERE = Path(__file__).resolve().parent
HEAD = "ForMaskedLM"
CHILD = """
import json, sys
from time import perf_counter
import h5py, msgpack, zipfile
import distilbert_conversion.formats.orbax_file
from distilbert_conversion import convert

def memory(field):
    # Not getrusage: what that calls the peak begins with the parent's, which exec hands on.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))

base = memory("VmRSS")
started = perf_counter()
if sys.argv[1:]:
    convert(sys.argv[1], sys.argv[2], to=sys.argv[3], format=sys.argv[4], verify=sys.argv[5] == "verify")
seconds = perf_counter() - started
print(json.dumps({"seconds": seconds, "peak": memory("VmHWM") - base}))
"""


@dataclass(frozen=True)
class Cell:
    """One pair of dialects.

    Attributes:
        source: A key of `DIALECTS`.
        target: A key of `DIALECTS`.
        identical: Whether every tensor has the source's bits.
        seconds: The median time with verification.
        unverified: The median time without.
        copy: The median time of `cp` of the source's bytes, synced, in the same rounds.
        nbytes: The source's bytes.
        peak: The largest memory above the imports' own, in bytes, with verification.
    """

    source: str
    target: str
    identical: bool
    seconds: float
    unverified: float
    copy: float
    nbytes: int
    peak: int


def formats() -> Iterator[tuple[str, str, str]]:
    """Yield dialect, framework and format of everything that can be written."""
    for to, names in FORMATS.items():
        for name in names:
            yield dialect_of(to, name), to, name


def make_source(folder: Path) -> None:
    """Write the full-size model: 6 layers, 768 wide, 30,522 words, with a masked-LM head; random from a fixed seed."""
    config = DistilBertConfig(architectures=[f"DistilBert{HEAD}"])
    random = np.random.default_rng(0)
    shapes = expected(config, HEAD)
    tensors = {name: random.standard_normal(shape, np.float32) * np.float32(0.02) for name, shape in shapes.items()}
    save_checkpoint(folder, tensors, config, HEAD)
    config.save_pretrained(folder)


def child(*arguments: str) -> dict[str, float]:
    """Run one conversion in a process of its own."""
    command = [sys.executable, "-c", CHILD, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def copy_seconds(source: Path, copy: Path) -> float:
    """Return how long `cp` of a folder's files takes, to disk as a conversion's are."""
    started = perf_counter()
    subprocess.run(["cp", "-r", source, copy], check=True)
    for path in copy.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
    seconds = perf_counter() - started
    shutil.rmtree(copy)
    return seconds


def measure(source: tuple[str, Path], target: tuple[str, str, str], work: Path, repeats: int) -> Cell:
    """Measure one pair."""
    times: dict[str, list[float]] = {"verify": [], "no": [], "cp": []}
    peaks, identical = [], True
    for _ in range(repeats):
        for mode in ("verify", "no"):
            times["cp"].append(copy_seconds(source[1], work / "copy"))
            measured = child(str(source[1]), str(work / "out"), *target[1:], mode)
            times[mode].append(measured["seconds"])
            if mode == "verify":
                peaks.append(int(measured["peak"]))
                identical &= diff(source[1], work / "out").equal
            shutil.rmtree(work / "out")
    nbytes = sum(path.stat().st_size for path in source[1].rglob("*") if path.is_file())
    medians = [statistics.median(times[name]) for name in ("verify", "no", "cp")]
    return Cell(source[0], target[0], identical, *medians, nbytes, max(peaks))


def transformers_seconds(python: Path, sources: dict[str, Path]) -> dict[str, float | str]:
    """Return seconds, or the error, of transformers' own ways: load in one framework, save in another."""
    script = HERE / "conversion_transformers.py"
    arguments = [f"{name}={path}" for name, path in sources.items()]
    done = subprocess.run([python, script, *arguments], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure everything and write page, picture and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--page-only", action="store_true", help="write the page again from the stored figures")
    options = parser.parse_args()
    results = HERE / "conversion.json"
    if not options.page_only:
        write_figures(results, figures(options.repeats, options.python))
    facts = json.loads(results.read_text())
    write_page(facts, HERE.parent / "docs" / "conversion.md")
    write_picture(facts, HERE.parent / "docs" / "conversion.png")


def figures(repeats: int, python: Path | None) -> dict[str, object]:
    """Measure all pairs."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        make_source(work / "pt-safetensors")
        sources = {dialect: work / dialect for dialect in DIALECTS}
        for dialect, to, form in formats():
            if dialect != "pt-safetensors":
                convert(sources["pt-safetensors"], sources[dialect], to=to, format=form)
        cells = []
        for source in sources.items():
            for target in formats():
                cells.append(measure(source, target, work, repeats))
                print(f"{cells[-1].source} -> {cells[-1].target}: {cells[-1].seconds:.2f} s", flush=True)
        config = DistilBertConfig()
        largest = max(4 * int(np.prod(shape)) for shape in expected(config, HEAD).values())
        return {
            "cells": [asdict(cell) for cell in cells],
            "largest": largest,
            "repeats": repeats,
            "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
            "transformers": transformers_seconds(python, sources) if python else {},
        }


if __name__ == "__main__":
    main()
