"""Export, quantization and serving of trained DistilBERT models."""

from __future__ import annotations

__all__: list[str] = []
