"""How a run of fine-tuning is shown: a bar on a terminal, lines in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from distilbert_cli.text import printable

if TYPE_CHECKING:
    from distilbert_tasks.training.progress import OnProgress

__all__ = ["in_words", "training_progress"]


@contextmanager
def training_progress() -> Iterator[OnProgress]:
    """Give what shows the events of a run on standard error; of several processes the first alone speaks."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from distilbert_tasks.run import is_first_process
    from distilbert_tasks.training.progress import Answering, Asking, Evaluation, Note, Tokenization
    from distilbert_tasks.training.progress import Progress as Step

    console = Console(stderr=True, highlight=False, quiet=not is_first_process())
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[type, Any] = {}
        facts_of = {Step: _training, Tokenization: _tokenization, Asking: _asking, Answering: _answering}

        def show(event: Any) -> None:
            if isinstance(event, Note):
                console.print(escape(printable(event.text)), soft_wrap=True)
            elif isinstance(event, Evaluation):
                best = ", the best so far" if event.is_best else ""
                console.print(f"step {event.step}: {escape(in_words(event.metrics))}{best}", soft_wrap=True)
            elif type(event) in facts_of:
                if type(event) not in tasks:
                    for kind in list(tasks):  # what came before is done
                        bar.remove_task(tasks.pop(kind))
                    tasks[type(event)] = bar.add_task("")
                bar.update(tasks[type(event)], **facts_of[type(event)](event))

        yield show


def in_words(metrics: Any) -> str:
    """Return metrics in one line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def _training(event: Any) -> dict[str, Any]:
    """Return how far the bar of a training is, and what is written beside it."""
    return {"total": event.steps, "completed": event.step, "description": _description(event)}


def _tokenization(event: Any) -> dict[str, Any]:
    words = f"files, {event.tokens:,} tokens, {event.tokens_per_second:,.0f} tokens/s"
    return {"total": event.parts, "completed": event.part - 1, "description": words}


def _asking(event: Any) -> dict[str, Any]:
    words = f"steps of the teacher, {event.tokens_per_second:,.0f} tokens/s"
    return {"total": event.steps, "completed": event.step, "description": words}


def _answering(event: Any) -> dict[str, Any]:
    words = f"rows, {event.rows_per_second:,.0f} rows/s"
    return {"total": event.total, "completed": event.rows, "description": words}


def _description(step: Any) -> str:
    loss = "" if step.loss is None else f"loss {step.loss:.4f}, "
    left = f"{_clock(step.seconds_left)} left"
    return f"{loss}rate {step.learning_rate:.2e}, {step.examples_per_second:.0f} examples/s, {left}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
