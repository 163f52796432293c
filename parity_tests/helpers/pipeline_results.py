"""Results of pipelines as a file has them: plain values, rounded, and hidden states in short."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["TOLERANCE", "differences", "digest", "rounded"]

TOLERANCE = 1e-5
"""Probabilities in float32 differ by the order in which sums are taken, here of packed rows: some 1e-6 at most."""

MAX_TOKENS = 8


def rounded(value: Any) -> Any:
    """Return a tree with numbers as JSON has them, of seven significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.7g}")
    return int(value) if isinstance(value, np.integer) else value


def digest(value: Any) -> Any:
    """Return hidden states (1, seq, dim) as shape, first and last tokens and mean; lists of them one by one."""
    if not value or np.ndim(value[0][0]) > 1:
        return [digest(item) for item in value]
    states = np.asarray(value, np.float64)[0]  # (seq, dim)
    ends = states if len(states) <= MAX_TOKENS else np.concatenate([states[:2], states[-2:]])
    return {"shape": [1, *states.shape], "ends": ends.tolist(), "mean": states.mean(axis=0).tolist()}


def differences(result: Any, expected: Any, where: str = "") -> list[str]:
    """Return where two trees differ: numbers by more than the tolerance, all else at all."""
    if isinstance(expected, float) and isinstance(result, float):
        return [] if abs(result - expected) <= TOLERANCE else [f"{where}: {result}, expected {expected}"]
    if isinstance(expected, dict) and isinstance(result, dict) and expected.keys() == result.keys():
        return [line for key in expected for line in differences(result[key], expected[key], f"{where}.{key}")]
    if isinstance(expected, list) and isinstance(result, list) and len(expected) == len(result):
        pairs = enumerate(zip(result, expected, strict=True))
        return [line for i, (one, other) in pairs for line in differences(one, other, f"{where}[{i}]")]
    if result == expected and type(result) is type(expected):
        return []
    return [f"{where}: {result!r:.200}, expected {expected!r:.200}"]
