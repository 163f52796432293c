"""A checkpoint that a command is given: what it holds, and as what every family opens it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
from distilbert_conversion import convert, open_checkpoint
from distilbert_tasks.model_config import folder_of

__all__ = ["ModelFiles", "open_model"]


@dataclass(frozen=True)
class ModelFiles:
    """A checkpoint of any dialect, or of a BERT.

    Attributes:
        source: The checkpoint as it was named.
        path: What every family opens: the same, or the DistilBERT that was made of a BERT.
        head: The model that it holds, as "ForMaskedLM".
        config: Its config.
        notes: What was done to it, in words.
    """

    source: str | Path
    path: str | Path
    head: str
    config: DistilBertConfig
    notes: tuple[str, ...] = ()

    def tokenizer(self) -> Any:
        """Return its tokenizer."""
        return DistilBertTokenizerFast.from_pretrained(folder_of(self.path))


def open_model(source: str | Path, temporary: Path) -> ModelFiles:
    """Look at a checkpoint; one that no family opens as it is becomes a DistilBERT first, such as a BERT.

    Args:
        source: A directory, a weights file or a hub id.
        temporary: A folder for what is made, which must last until the model is loaded.

    Raises:
        CheckpointError: There is no checkpoint, or no DistilBERT equals it.
    """
    with open_checkpoint(source, fold_token_type=True) as checkpoint:
        head, notes, is_translated = checkpoint.head, checkpoint.notes, checkpoint.translated.fields is not None
    path: str | Path = source
    if is_translated:
        path = Path(mkdtemp(dir=temporary))
        convert(source, path, to="pt", verify=False)
    return ModelFiles(source, path, head, DistilBertConfig.from_pretrained(folder_of(path)), notes)
