"""Five tasks on real data, by `finetune` in the three frameworks and by transformers' Trainer in PyTorch.

All start from the same weights and take the same rows in the same order with the same figures, without dropout, so that
they should reach the same metric. They take turns on the machine, so that their speeds can be compared.
What was measured before with the same rows and epochs is kept, so that a run that was stopped goes on.

Usage: make tasks-table, or python benchmarks/tasks.py [--only sst2,wnut17] [--implementations transformers,pt]
       [--rows N] [--epochs N] [--turn SECONDS] [--cores N] [--again] [--page-only] [--data DIR] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt", "tasks")]

from machine import processor, usable_cores
from tasks_data import CASES, write_data
from tasks_page import IMPLEMENTATIONS, read_facts, write_facts
from tasks_settings import Report, Settings, Training
from tasks_start import pretrained_body, write_start
from tasks_turns import Interval, active_seconds, on_cores, run_in_turns

SHARED = ROOT.parent / "shared" / "data"
WARM_UP = 5
"""Steps that do not count in the speed: programs are compiled, memory is taken."""
TRAINERS = ("transformers", "own-tokens")
"""What `tasks_trainer.py` runs; the second one differs in question answering alone."""
QA = "question-answering"
Facts = dict[str, Any]


def main() -> int:
    """Measure what is asked for and not there yet, and write the page; return 1 where a run failed."""
    options = parse()
    facts = read_facts()
    failures = 0
    for name in [] if options.page_only else options.only:
        rows = facts["rows"]
        asked = [one for one in options.implementations if one != "own-tokens" or CASES[name].task == QA]
        missing = [one for one in asked if options.again or not is_there(rows, name, one, options)]
        if missing:
            print(f"{name}: {', '.join(missing)} …", flush=True)
            measured = measure(name, missing, options)
            failures += len(missing) - len(measured)
            facts["rows"] = merged(rows, measured)
            write_facts(facts)
    write_facts(facts)
    return 1 if failures else 0


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names_of(CASES), default=list(CASES), help="data sets, with commas")
    parser.add_argument("--implementations", type=names_of(IMPLEMENTATIONS), default=list(IMPLEMENTATIONS))
    parser.add_argument("--rows", type=int, help="the most training rows of a data set")
    parser.add_argument("--epochs", type=float, help="in place of each data set's own number")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--turn", type=float, default=10.0, help="seconds that an implementation runs at a time")
    parser.add_argument("--cores", type=int, help="how many cores each may use; all, if not given")
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    parser.add_argument("--page-only", action="store_true", help="write the page from the figures that are there")
    parser.add_argument("--data", type=Path, default=SHARED, help="the folder of the data sets")
    parser.add_argument("--work", type=Path, default=ROOT / ".tasks", help="where runs write")
    return parser.parse_args()


def names_of(choices: Any) -> Any:
    """Return what reads names with commas between them."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(choices)}")
        return names

    return read


def is_there(facts: list[Facts], name: str, implementation: str, options: argparse.Namespace) -> bool:
    """Return whether a figure was measured with these rows and epochs."""
    asked = (name, implementation, options.rows, options.epochs or CASES[name].training.epochs, options.dropout)
    keys = ("data", "implementation", "most_rows", "epochs", "dropout")
    return any(tuple(row[key] for key in keys) == asked for row in facts)


def merged(facts: list[Facts], measured: list[Facts]) -> list[Facts]:
    """Return the figures in the table's order, new ones in place of old ones."""
    by_key = {place(row): row for row in [*facts, *measured]}
    return [by_key[key] for key in sorted(by_key)]


def place(row: Facts) -> tuple[float, ...]:
    """Return what orders the figures: the data, how much of it, and what was trained; each has one place."""
    data, implementation = list(CASES).index(row["data"]), list(IMPLEMENTATIONS).index(row["implementation"])
    return data, row["rows"], row["epochs"], row["dropout"], implementation


def measure(name: str, implementations: list[str], options: argparse.Namespace) -> list[Facts]:
    """Run implementations in turns on one data set, and return their figures."""
    case, folder = CASES[name], options.work / f"{name}-{options.rows or 'all'}"
    folder.mkdir(parents=True, exist_ok=True)
    train, validation, rows = write_data(name, options.data, folder, options.rows)
    body = pretrained_body(options.work)
    training = replace(case.training, epochs=options.epochs or case.training.epochs)
    start_folder = folder / "start"
    model = write_start(case.task, body, train, validation, training.columns, start_folder, options.dropout)
    processes = {
        one: start(one, settings_of(case.task, training, model, train, validation, folder / one), options.cores)
        for one in implementations
    }
    intervals = run_in_turns(processes, options.turn)
    for one in (one for one, process in processes.items() if process.returncode):
        print(f"{name}: {one} failed; {folder / one / 'output.txt'} says why", file=sys.stderr)
    common = {
        "data": name,
        "rows": rows,
        "most_rows": options.rows,
        "epochs": training.epochs,
        "dropout": options.dropout,
        "processor": processor(),
        "cores": options.cores or usable_cores(),
        "date": datetime.now(UTC).date().isoformat(),
        "run": f"{time.time():.0f}",
        "command": command(name, implementations, options),
    }
    return [
        {**common, "implementation": one, **figures(Report(folder / one), intervals[one], training.batch_size)}
        for one in implementations
        if not processes[one].returncode
    ]


def command(name: str, implementations: list[str], options: argparse.Namespace) -> str:
    """Return what repeats the run of one data set."""
    words = [f"--only {name}", f"--implementations {','.join(implementations)}"]
    words += [
        f"--{key} {value:g}" for key in ("rows", "epochs", "cores") if (value := getattr(options, key)) is not None
    ]
    words += [f"--dropout {options.dropout:g}"] if options.dropout else []
    return f'make tasks-table BENCHMARK_ARGS="{" ".join(words)} --again"'


def settings_of(task: str, training: Training, *files: Path) -> Settings:
    """Return what a worker is told; the files are the model, those to train and to measure on, and its folder."""
    return Settings(task, *map(str, files), training)


def start(implementation: str, settings: Settings, cores: int | None) -> subprocess.Popen[bytes]:
    """Start a worker, on some of the cores; what it prints is in its folder."""
    folder = Path(settings.folder)
    folder.mkdir(exist_ok=True)
    Report(folder).clear()
    settings.write(folder / "settings.json")
    script = "tasks_trainer.py" if implementation in TRAINERS else "tasks_ours.py"
    command = [sys.executable, str(ROOT / "benchmarks" / script), str(folder / "settings.json"), implementation]
    with (folder / "output.txt").open("wb") as output:
        return subprocess.Popen(on_cores(command, cores), stdout=output, stderr=subprocess.STDOUT)


def figures(report: Report, intervals: list[Interval], batch_size: int) -> Facts:
    """Return what a worker reported, with its time and its speed."""
    result, steps = json.loads(report.result.read_text(encoding="utf-8")), report.times()
    first, last = steps[min(WARM_UP, len(steps) - 1) - 1], steps[-1]
    rows = (last.number - first.number) * batch_size
    return {
        **result,
        "steps": last.number,
        "seconds": active_seconds(intervals, 0, float("inf")),
        "examples_per_second": rows / max(1e-9, active_seconds(intervals, first.at, last.at)),
        "examples_per_processor_second": rows / max(1e-9, last.processor - first.processor),
    }


if __name__ == "__main__":
    raise SystemExit(main())
