"""One implementation in a process of its own: it loads the model and runs workloads as they are asked for.

    python benchmarks/speed_worker.py IMPLEMENTATION FOLDER

FOLDER holds the checkpoints and batches that `speed.py` made; IMPLEMENTATION is "ours" or a baseline, and the
framework, as "ours-flax". Each line read is a JSON object with the kind of work and the name of its batches; each line
written is one with the seconds of the round, the peak memory of the process in it, and the numbers that came out.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

from machine import forget_peak, kilobytes

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Answer until the input ends."""
    implementation, folder = sys.argv[1], Path(sys.argv[2])
    if implementation.startswith("ours"):
        sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax")]
    from runs import Run, read_batches

    runners = importlib.import_module(f"runs_{implementation.rpartition('-')[2]}")
    out, sys.stdout = sys.stdout, sys.stderr
    runs: dict[tuple[str, str], Run] = {}
    for line in sys.stdin:
        task = json.loads(line)
        key = kind, workload = task["kind"], task["workload"]
        if key not in runs:
            runs = {key: getattr(runners, kind)(implementation, folder, workload)}  # one model at a time
        batches = read_batches(folder, workload)
        forget_peak()
        start = time.perf_counter()
        for _ in range(task["repeat"]):
            numbers = runs[key](batches)
        seconds = (time.perf_counter() - start) / task["repeat"]
        answer = {"seconds": seconds, "memory": kilobytes("VmHWM") / 1024, "numbers": numbers.ravel().tolist()}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
