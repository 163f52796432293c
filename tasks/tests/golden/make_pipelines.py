"""Write what transformers' pipelines return: run this with transformers 4.57.6 and PyTorch, and the root of the
repository in PYTHONPATH.

A result that cannot be had is {"error": …}, the kind of error. Numbers have seven digits; of hidden states of long
texts the first and last tokens and the mean are kept.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from parity_tests.helpers.pipeline_cases import CASES, Case, arguments
from parity_tests.helpers.pipeline_models import write_model
from parity_tests.helpers.pipeline_results import digest, rounded

FOLDER = Path(__file__).parent / "pipelines"


@cache
def pipeline_of(task: str, model: str, folder: Path, defaults: str) -> Any:
    """Return a pipeline, loaded once."""
    return transformers.pipeline(task, str(write_model(model, folder)), device="cpu", **json.loads(defaults))


def result_of(task: str, one: Case, folder: Path) -> Any:
    """Return what a call gives, as JSON has it."""
    try:
        pipe = pipeline_of(task, one.model, folder, json.dumps(one.defaults))
        result = pipe(*arguments(one), **one.options)
        result = result if isinstance(result, (list, dict)) else list(result)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the Rust library panics
        return {"error": type(error).__name__}
    return rounded(digest(result) if task == "feature-extraction" else result)


def main() -> None:
    """Write a file for each task."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    np.random.seed(0)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for task, cases in CASES.items():
            names = [one.name for one in cases]
            assert len(set(names)) == len(names) >= 60, (task, len(names))
            results = {one.name: result_of(task, one, Path(folder)) for one in cases}
            text = json.dumps(results, ensure_ascii=False, separators=(",", ":"))
            data = gzip.compress(text.encode(), mtime=0)
            (FOLDER / f"{task}.json.gz").write_bytes(data)
            errors = [f"{name} ({result['error']})" for name, result in results.items() if "error" in result]
            sys.stdout.write(
                f"{task}: {len(cases)} calls, {len(text):,} characters, {len(data):,} bytes; errors: {errors}\n"
            )


if __name__ == "__main__":
    main()
