"""An open checkpoint of any dialect: its tensors by canonical name and in PyTorch's layout, none read yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError, CheckpointNotFoundError
from distilbert_common.files import read_json
from distilbert_conversion.source import Source
from distilbert_conversion.translate.translated_checkpoint import TranslatedCheckpoint
from distilbert_conversion.weights.dialects import DIALECTS, is_ignored
from distilbert_conversion.weights.lazy import DTYPES, LazyTensor, equal
from distilbert_conversion.weights.table import HEADS, PREFIX, WEIGHTS, is_known, is_transposed, names

__all__ = ["Checkpoint"]


@dataclass
class Checkpoint:
    """An open checkpoint; a context manager, though nothing is lost where it is not used as one.

    Attributes:
        source: Where it is.
        files: The weights files.
        dialect: A key of `DIALECTS`.
        translated: What is in the files, in the names of a DistilBERT.
        metadata: The free text fields of a safetensors header.
        file_tensors: Every tensor as it is in the file: name and layout.
        notes: What was done to it, in words.
        tensors: The weights by bare canonical name, in PyTorch's layout.
        extras: What no row of the weight table has, as in the file: a user's own modules.
        ignored: Names in the file that are known to be no weights.
    """

    source: Source
    files: list[Path]
    dialect: str
    translated: TranslatedCheckpoint
    metadata: dict[str, str] = field(default_factory=dict)
    file_tensors: Mapping[str, LazyTensor] = field(init=False)
    notes: tuple[str, ...] = field(init=False)
    tensors: Mapping[str, LazyTensor] = field(init=False)
    extras: Mapping[str, LazyTensor] = field(init=False)
    ignored: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.file_tensors, self.notes = self.translated.tensors, self.translated.notes
        dialect = DIALECTS[self.dialect]
        bare_names = {name: dialect.bare_name(name) for name in self.file_tensors}
        unknown = [name for name, bare in bare_names.items() if bare is None]
        self.ignored = [*filter(is_ignored, unknown), *self.translated.left_out]
        self.extras = {dialect.own_name(name): self.file_tensors[name] for name in unknown if not is_ignored(name)}
        weights: dict[str, LazyTensor] = {}
        for name, bare in bare_names.items():
            if bare is not None:
                self._add(weights, bare, name, transposed=dialect.column != "canonical" and is_transposed(bare))
        self.tensors = weights

    @property
    def path(self) -> Path:
        """The weights file, or the index of a sharded checkpoint."""
        return self.source.path

    @property
    def sharded(self) -> bool:
        """Whether it is several files with an index."""
        return self.path not in self.files

    @property
    def dtype(self) -> str:
        """The type of most of its values, as "float32"."""
        counts: Counter[str] = Counter()
        for tensor in self.tensors.values():
            counts[tensor.dtype.name] += tensor.size
        return counts.most_common(1)[0][0]

    @cached_property
    def head(self) -> str:
        """The model that it holds, a key of `HEADS`: by its names, and where they fit several, by its config."""
        return _guess_head(self.tensors, self._architecture())

    @cached_property
    def has_own_head(self) -> bool:
        """Whether it holds a backbone inside a model whose head is none of ours: nothing but extras beside it."""
        prefixes = (f"{PREFIX}.", f"{PREFIX}/")
        return (
            self.head == "Model" and bool(self.extras) and any(name.startswith(prefixes) for name in self.file_tensors)
        )

    def weight(self, name: str) -> LazyTensor | None:
        """Return a weight by its bare canonical name, or a user's own by its full name; None where it is not there.

        A user's own weight inside the backbone is the same with the prefix of the backbone and without, and whichever
        of "." and "/" joins the parts of its name.
        """
        if is_known(name):
            return self.tensors.get(name)
        if name in self.ignored:  # a user's own, by chance of a name that old files had for what is none
            return self.file_tensors.get(name)
        return self.extras.get(name if name in self.extras else self._extra_names.get(_key(name), name))

    @cached_property
    def _extra_names(self) -> dict[str, str]:
        return {_key(name): name for name in self.extras}

    @property
    def tied(self) -> set[str]:
        """Weights that only repeat another one's values: the projector of a tied masked-LM model."""
        pairs = [(row.canonical, row.tied_to) for row in WEIGHTS if row.tied_to in self.tensors]
        return {
            name
            for name, target in pairs
            if target and name in self.tensors and equal(self.tensors[name], self.tensors[target])
        }

    @cached_property
    def config_path(self) -> Path | None:
        """The `config.json` beside it, or None."""
        return self.source.sibling("config.json")

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The content of the config.

        Raises:
            CheckpointNotFoundError: There is none.
        """
        if self.translated.fields is not None:
            return self.translated.fields
        if self.config_path is None:
            raise CheckpointNotFoundError(
                f"{self.path} has no config.json beside it, where a model's sizes are read from; put the model's "
                "there, or give from_pretrained a config"
            )
        return read_json(self.config_path)

    def config(self) -> DistilBertConfig:
        """Return the config.

        Raises:
            CheckpointNotFoundError: There is none.
            ConfigError: It is another model's, or a value breaks its rule.
        """
        config: DistilBertConfig = DistilBertConfig.from_dict(self.fields)
        config.name_or_path = str(self.config_path)
        return config

    def close(self) -> None:
        """Drop the tensors; arrays that were read stay valid."""
        self.tensors = self.extras = self.file_tensors = {}

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, weights: dict[str, LazyTensor], bare: str, name: str, *, transposed: bool) -> None:
        """Take a stored tensor as a weight, once: a second one must equal the first."""
        tensor = self.file_tensors[name].transposed() if transposed else self.file_tensors[name]
        if tensor.dtype not in DTYPES.values():
            raise CheckpointError(
                f"{self.path}: {name!r} has the type {tensor.dtype}; expected one of {', '.join(DTYPES)}: "
                "save the model before it is quantized"
            )
        if bare in weights and not equal(weights[bare], tensor):
            raise CheckpointError(f"{self.path} holds two different values for {bare}, one as {name!r}")
        weights[bare] = tensor

    def _architecture(self) -> str | None:
        """The head that the config names, if it is one of ours."""
        architectures = self.fields.get("architectures") if self.translated.fields or self.config_path else None
        if not isinstance(architectures, list) or not architectures:
            return None
        head = str(architectures[0]).rpartition("DistilBert")[2]
        return head if head in HEADS else None


def _key(name: str) -> str:
    """Return what two spellings of one user's own name have in common."""
    return name.replace("/", ".").removeprefix(f"{PREFIX}.")


def _guess_head(tensors: Mapping[str, LazyTensor], architecture: str | None) -> str:
    """Return the model whose own weights are there: the one that the config names, or the one that fits best."""
    present = {
        head: [bare in tensors for bare, row in names(head, 0) if not row.backbone and not row.tied_to]
        for head in HEADS
    }
    if architecture and any(present[architecture]):
        return architecture
    if not any(map(any, present.values())):
        return "Model"
    # Multiple choice has the names of sequence classification with one label: without a config it is taken for that.
    fit = {head: 2 * sum(flags) - len(flags) for head, flags in present.items() if flags}
    return max(fit, key=lambda head: fit[head])
