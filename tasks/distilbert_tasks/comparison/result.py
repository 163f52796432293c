"""What a comparison of two models came to: figures of each, and how they stand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from distilbert_tasks.comparison.speed import Speed
from distilbert_tasks.metrics import LESS_IS_BETTER

__all__ = ["Comparison", "ModelFigures"]


@dataclass(frozen=True)
class ModelFigures:
    """The figures of one model.

    Attributes:
        path: Where it is.
        layers: How many layers it has.
        dim: The width of its hidden states.
        parameters: How many numbers its weights are; tied ones count once.
        nbytes: The size of its weights files.
        speed: How fast it is.
        metrics: What it scores, by name; empty without data.
    """

    path: str
    layers: int
    dim: int
    parameters: int
    nbytes: int
    speed: Speed
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """A teacher and its student, side by side.

    Attributes:
        task: The task of both.
        teacher: The figures of the teacher.
        student: Those of the student.
        agreement: The share of predictions that are the same; None without data, or of numbers.
        examples: How many examples the data has.
        framework: "pt", "tf" or "flax".
        device: Where the speed was measured.
    """

    task: str
    teacher: ModelFigures
    student: ModelFigures
    agreement: float | None
    examples: int
    framework: str
    device: str

    @property
    def retained(self) -> dict[str, float]:
        """What the student retains of each score of the teacher, as a share; of scores of which more is better."""
        pairs = {name: (value, self.student.metrics[name]) for name, value in self.teacher.metrics.items()}
        return {
            name: theirs / ours for name, (ours, theirs) in pairs.items() if ours > 0 and name not in LESS_IS_BETTER
        }

    @property
    def ratios(self) -> dict[str, float]:
        """The student's figures as shares of the teacher's; `latency` and `throughput` say how many times as fast."""
        ours, theirs = self.teacher, self.student
        return {
            "parameters": theirs.parameters / ours.parameters,
            "size": theirs.nbytes / ours.nbytes,
            "latency": ours.speed.latency_ms / theirs.speed.latency_ms,
            "throughput": theirs.speed.tokens_per_second / ours.speed.tokens_per_second,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as values for JSON."""
        return {**asdict(self), "ratios": self.ratios, "retained": self.retained}

    def rows(self) -> list[tuple[str, ...]]:
        """Return a table: what, the teacher's figure, the student's, and how the two stand to each other."""
        one, two, ratios, retained = self.teacher, self.student, self.ratios, self.retained
        speeds = one.speed, two.speed
        return [
            ("layers", str(one.layers), str(two.layers), ""),
            ("width", str(one.dim), str(two.dim), ""),
            ("parameters", f"{one.parameters:,}", f"{two.parameters:,}", f"{ratios['parameters']:.1%}"),
            ("size, MB", f"{one.nbytes / 1e6:.1f}", f"{two.nbytes / 1e6:.1f}", f"{ratios['size']:.1%}"),
            ("one text, ms", *(f"{speed.latency_ms:.2f}" for speed in speeds), f"{ratios['latency']:.2f} x as fast"),
            ("texts/s", *(f"{speed.texts_per_second:.1f}" for speed in speeds), f"{ratios['throughput']:.2f} x"),
            ("tokens/s", *(f"{speed.tokens_per_second:,.0f}" for speed in speeds), f"{ratios['throughput']:.2f} x"),
            *(
                (name, f"{value:.4f}", f"{two.metrics[name]:.4f}", _share(retained.get(name)))
                for name, value in one.metrics.items()
            ),
            *([("same predictions", "", "", f"{self.agreement:.1%}")] if self.agreement is not None else []),
        ]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%} retained"
