"""A file that becomes answers: divided into parts, each computed by a process of Ray Data, and kept as it comes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from distilbert_common.errors import DistilBertError, InputError
from distilbert_deploy.scale.cluster import Cluster, connected
from distilbert_deploy.scale.parts import Part, Parts
from distilbert_tasks.prediction import read_rows
from distilbert_tasks.prediction.inputs import Row
from distilbert_tasks.prediction.predictor import merged
from distilbert_tasks.training.progress import Answering, Note, OnProgress

__all__ = ["ASKED_FOR", "Job"]

ASKED_FOR = "predicting on Ray (--ray)"


@dataclass
class Job:
    """A file that becomes answers.

    Attributes:
        source: The file.
        file_format: Its format.
        rows_per_part: How it is divided.
        parts: Where answers are kept.
        tell: Who is told how far the run is.
    """

    source: Path
    file_format: str | None
    rows_per_part: int
    parts: Parts
    tell: OnProgress

    def run(self, cluster: Cluster, worker: tuple[Any, ...]) -> int:
        """Compute the parts that are not there, and return how many rows that were."""
        import ray

        with connected(cluster, ASKED_FOR):
            missing, blocks, total = self._missing(ray)
            missing_rows = sum(part.size for part in missing.values())
            if missing_rows < total:
                self.tell(Note(f"{total - missing_rows:,} of {total:,} rows are answered already."))
            if blocks:
                self._compute(missing, _answers(blocks, cluster, worker), total)
        return missing_rows

    def _missing(self, ray: Any) -> tuple[dict[int, Part], list[Any], int]:
        """Return the parts to compute, the blocks in which they travel, and how many rows there are in all."""
        from distilbert_deploy.scale.part_worker import block_of

        missing, blocks, total = {}, [], 0
        for part, rows in self._all_parts():
            total += part.size
            if not self.parts.has(part):
                missing[part.number] = part
                blocks.append(ray.put(block_of(part, rows)))
        return missing, blocks, total

    def _all_parts(self) -> Iterator[tuple[Part, list[Row]]]:
        rows, number, first = read_rows(self.source, self.file_format), 0, 1
        while chunk := list(islice(rows, self.rows_per_part)):
            yield Part.of(number, first, chunk), chunk
            number, first = number + 1, first + len(chunk)

    def _compute(self, missing: dict[int, Part], answered: Iterator[tuple[int, list[Row]]], total: int) -> None:
        """Keep answers as they come; a part that comes again is the same, and changes nothing.

        Raises:
            InputError: A row cannot be used.
            KeyboardInterrupt: The run was stopped.
        """
        import ray

        started, pending, done = perf_counter(), dict(missing), 0
        before = total - sum(part.size for part in missing.values())
        try:
            for number, answers in answered:
                part = pending.pop(number, None)
                if part is not None:
                    self.parts.write(part, answers)
                    done += part.size
                    self.tell(Answering(before + done, total, done / (perf_counter() - started)))
        except ray.exceptions.RayError as error:
            raise DistilBertError(
                f"the workers failed: {_last_line(error)}; {before + done:,} of {total:,} rows are kept, resume "
                "(--resume) goes on from there"
            ) from error
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped after {before + done:,} of {total:,} rows, which are kept; resume the run to go on from there"
            ) from None

    def merged(self) -> Iterator[Row]:
        """Yield each row of the file with its answer, in order."""
        for part, rows in self._all_parts():
            for row, answer in zip(rows, self.parts.read(part), strict=True):
                yield merged(row, answer)


def _answers(blocks: list[Any], cluster: Cluster, worker: tuple[Any, ...]) -> Iterator[tuple[int, list[Row]]]:
    """Yield the numbers of parts and their answers, as they come.

    Raises:
        InputError: A row cannot be used, or the model cannot be opened.
    """
    import ray.data

    from distilbert_deploy.scale.part_worker import PartWorker

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    processes = min(cluster.workers or cluster.room(), len(blocks))
    answered = ray.data.from_arrow_refs(blocks).map_batches(
        PartWorker,
        fn_constructor_args=worker,
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=processes),
        num_cpus=cluster.cpus,
        num_gpus=cluster.gpus,
    )
    for row in answered.iter_rows():
        if row["error"]:
            raise InputError(row["error"])
        yield row["number"], json.loads(row["answers"])


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1]
