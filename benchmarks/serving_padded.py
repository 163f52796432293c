"""`distilbert serve` with a row for each text, padded to the longest of its batch, in place of packed rows.

Usage: python benchmarks/serving_padded.py serve MODEL …
"""

from __future__ import annotations

from functools import partial

from distilbert_cli.main import main
from distilbert_tasks.pipelines import runner

if __name__ == "__main__":
    runner.evaluation_batches = partial(runner.evaluation_batches, layout="padded")
    main()
