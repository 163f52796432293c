"""The errors of exporting."""

from __future__ import annotations

from distilbert_common.errors import DistilBertError

__all__ = ["ExportError"]


class ExportError(DistilBertError, RuntimeError):
    """A model cannot be exported as asked, or the export does not give the model's numbers; nothing is written."""
