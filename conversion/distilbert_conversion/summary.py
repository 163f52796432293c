"""What a conversion did, in figures and in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distilbert_common.load_report import LoadReport
from distilbert_conversion.verify import Rounding

__all__ = ["ConversionSummary"]


@dataclass(frozen=True)
class ConversionSummary:
    """What a conversion did.

    Attributes:
        source_dialect: The dialect read, a key of `DIALECTS`.
        dialect: The dialect written.
        head: The model, a key of `HEADS`.
        tensors: How many weights were written.
        parameters: How many values they have.
        nbytes: The size of the weights files, in bytes.
        seconds: How long it took.
        files: The weights files, and the index of shards.
        report: What became of the weights of the source.
        notes: What was done to the source first, in words.
        verified: Whether what was written was read again and compared.
        rounding: What the conversion to another type changed, if anything was converted.
    """

    source_dialect: str
    dialect: str
    head: str
    tensors: int
    parameters: int
    nbytes: int
    seconds: float
    files: tuple[Path, ...]
    report: LoadReport
    notes: tuple[str, ...] = ()
    verified: bool = False
    rounding: Rounding | None = None

    def message(self) -> str:
        """Return the summary in words."""
        left_out = sorted((*self.report.unexpected, *self.report.ignored))
        return "".join(
            (
                f"{self.source_dialect} -> {self.dialect}: DistilBert{self.head}, {self.tensors} tensors, ",
                f"{self.parameters:,} parameters, {self.nbytes / 1e6:.1f} MB in {self.seconds:.1f} s",
                "; verified" if self.verified else "; not verified",
                *(f"; {note}" for note in (*self.notes, self.rounding) if note),
                f"; own weights under their own names: {', '.join(self.report.extras)}" if self.report.extras else "",
                f"; tied: {', '.join(self.report.tied)}" if self.report.tied else "",
                f"; left out: {', '.join(left_out)}" if left_out else "",
            )
        )
