"""What an export came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distilbert_deploy.verification import Difference

__all__ = ["ExportReport", "Scores"]


@dataclass(frozen=True)
class Scores:
    """What an export scores on labeled data, beside its source; empty without data.

    Attributes:
        metrics: The metrics of the source ("source") and of the export ("export").
        agreement: The share of predictions that are the same; None where numbers are predicted.
    """

    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    agreement: float | None = None


@dataclass(frozen=True)
class ExportReport:
    """An export that was written, after it was run beside its source.

    Attributes:
        target: The format.
        precision: "float32", "float16", "bfloat16" or "int8".
        head: Which of the six models.
        files: The files of the model; config and tokenizer lie beside them.
        nbytes: Their size.
        source_nbytes: The size of the source's weights as float32.
        difference: How far its outputs are from those of the source on real text.
        metrics: As in `Scores`.
        agreement: As in `Scores`.
        seconds: How long it took.
        notes: What was done to the source, in words.
    """

    target: str
    precision: str
    head: str
    files: tuple[Path, ...]
    nbytes: int
    source_nbytes: int
    difference: Difference
    metrics: Mapping[str, Mapping[str, float]]
    agreement: float | None
    seconds: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as values for JSON."""
        return {**asdict(self), "files": [str(path) for path in self.files]}

    def message(self) -> str:
        """Return the report in sentences."""
        difference = self.difference
        sentences = [
            f"Exported a DistilBert{self.head} to {self.target} in {self.precision}: "
            f"{', '.join(str(path) for path in self.files)}.",
            f"{self.nbytes / 1e6:,.1f} MB, {self.nbytes / self.source_nbytes:.0%} of the weights in float32.",
            f"Run beside the source: largest difference {difference.absolute:.2g} where the largest output is "
            f"{difference.scale:.3g}, rms {difference.rms:.2g} of the outputs' standard deviation.",
        ]
        if self.metrics:
            before, after = self.metrics["source"], self.metrics["export"]
            scores = ", ".join(f"{name} {value:.4f} -> {after[name]:.4f}" for name, value in before.items())
            same = "" if self.agreement is None else f"; {self.agreement:.1%} of the predictions are the same"
            sentences.append(f"On the labeled data: {scores}{same}.")
        return " ".join([*sentences, *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)])
