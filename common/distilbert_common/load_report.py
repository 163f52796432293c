"""What became of each weight of a checkpoint, in one report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["LoadReport"]

Shape = tuple[int, ...]
Mismatch = tuple[str, Shape, Shape]


@dataclass(frozen=True)
class LoadReport:
    """What became of each weight, sorted by name: bare canonical names, and a user's own weights by their full names.

    Attributes:
        dialect: The checkpoint's dialect.
        dtype: The type of most of its values.
        loaded: Weights that are in the checkpoint and fit.
        missing: Weights of the model that are not in the checkpoint though it should have them.
        unexpected: Names in the checkpoint that belong to no DistilBERT of this config, and not to the model.
        mismatched: (name, shape in the file, shape expected).
        tied: Weights in the checkpoint that equal the ones they are tied to.
        ignored: Names that do not matter: other heads' weights, buffers of old versions.
        new_head: Weights of a head that the checkpoint does not have: they keep their initial values.
        new_extras: Those of `new_head` that no model of this project with this head has: a user's own.
        extras: Those of `loaded` that are a user's own.
        notes: What was done to the checkpoint first, in words, as a wrapper's prefix that was taken off.
    """

    dialect: str
    dtype: str
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    tied: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    new_head: tuple[str, ...] = ()
    new_extras: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, unexpected or misshapen."""
        return not (self.missing or self.unexpected or self.mismatched)

    def message(self) -> str:
        """Return one text that names every weight that does not fit, and "" when all is as it should be."""
        misshapen = (f"{name} is {in_file}, expected {expected}" for name, in_file, expected in self.mismatched)
        parts = {
            "missing": self.missing,
            "of the wrong shape": tuple(misshapen),
            "unexpected": self.unexpected,
            "not in the checkpoint, with initial values": self.new_extras,
        }
        return "; ".join(f"{len(names)} {what}: {', '.join(names)}" for what, names in parts.items() if names)

    def __getitem__(self, name: str) -> list[Any]:
        """Return what transformers' `output_loading_info` has under a name.

        Raises:
            KeyError: It has no such name.
        """
        info: dict[str, list[Any]] = {
            "missing_keys": sorted({*self.missing, *self.new_head}),
            "unexpected_keys": list(self.unexpected),
            "mismatched_keys": list(self.mismatched),
            "error_msgs": [],
        }
        return info[name]

    def __str__(self) -> str:
        return "; ".join((self.message() or f"all {len(self.loaded)} weights found", *self.notes))
