"""Opening a checkpoint of any dialect: its tensors by canonical name and in PyTorch's layout, none read yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError, CheckpointNotFoundError
from distilbert_common.files import local_path, read_json, resolve
from distilbert_conversion import formats
from distilbert_conversion.formats import safetensors_file
from distilbert_conversion.locate import candidates, find_shards, find_weights, source_of
from distilbert_conversion.rivals import warn_of_rivals
from distilbert_conversion.translate import bert, keras_hub
from distilbert_conversion.translate.translated_checkpoint import Reading
from distilbert_conversion.translate.wrappers import unwrapped
from distilbert_conversion.weights.dialects import DIALECTS, container_of, detect, is_ignored
from distilbert_conversion.weights.lazy import DTYPES, Array, LazyTensor, equal, lazy
from distilbert_conversion.weights.table import HEADS, PREFIX, WEIGHTS, is_known, is_transposed, names


@dataclass
class Checkpoint:
    """An open checkpoint; a context manager, though nothing is lost where it is not used as one.

    Attributes:
        path: The weights file, or the index of a divided checkpoint.
        files: The weights files.
        dialect: A key of `DIALECTS`.
        beside: Finds another file of the checkpoint, as "config.json"; None where it is not there.
        reading: What was found, translated where it is another model's.
        metadata: The free text fields of a safetensors header.
        stored: Every tensor as it is in the file: name and layout.
        notes: What was done to it, in words.
        tensors: The weights by bare canonical name, in PyTorch's layout.
        extras: What no row of the weight table has, as in the file: a user's own modules.
        ignored: Names in the file that are known to be no weights.
    """

    path: Path
    files: list[Path]
    dialect: str
    beside: Callable[[str], Path | None]
    reading: Reading
    metadata: dict[str, str] = field(default_factory=dict)
    stored: Mapping[str, LazyTensor] = field(init=False)
    notes: tuple[str, ...] = field(init=False)
    tensors: Mapping[str, LazyTensor] = field(init=False)
    extras: Mapping[str, LazyTensor] = field(init=False)
    ignored: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.stored, self.notes = self.reading.tensors, self.reading.notes
        kind = DIALECTS[self.dialect]
        bare = {name: kind.bare_name(name) for name in self.stored}
        ignored = [name for name, found in bare.items() if found is None and is_ignored(name)]
        self.ignored = [*ignored, *self.reading.left_out]
        extras = [name for name, found in bare.items() if found is None and not is_ignored(name)]
        self.extras = {kind.own_name(name): self.stored[name] for name in extras}
        weights: dict[str, LazyTensor] = {}
        for name, found in bare.items():
            if found is not None:
                self._add(weights, found, name, transposed=kind.column != "canonical" and is_transposed(found))
        self.tensors = weights

    @property
    def sharded(self) -> bool:
        """Whether it is divided into several files with an index."""
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
        return self.head == "Model" and bool(self.extras) and any(name.startswith(prefixes) for name in self.stored)

    def weight(self, name: str) -> LazyTensor | None:
        """Return a weight by its bare canonical name, or a user's own by its full name; None where it is not there.

        A user's own weight inside the backbone is the same with the prefix of the backbone and without, and whichever
        of "." and "/" joins the parts of its name.
        """
        if is_known(name):
            return self.tensors.get(name)
        if name in self.ignored:  # a user's own, by chance of a name that old files had for what is none
            return self.stored.get(name)
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
        return self.beside("config.json")

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The content of the config.

        Raises:
            CheckpointNotFoundError: There is none.
        """
        if self.reading.fields is not None:
            return self.reading.fields
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
        self.tensors = self.extras = self.stored = {}

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, weights: dict[str, LazyTensor], bare: str, name: str, *, transposed: bool) -> None:
        """Take a stored tensor as a weight, once: a second one must equal the first."""
        tensor = self.stored[name].transposed() if transposed else self.stored[name]
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
        architectures = self.fields.get("architectures") if self.reading.fields or self.config_path else None
        if not isinstance(architectures, list) or not architectures:
            return None
        head = str(architectures[0]).rpartition("DistilBert")[2]
        return head if head in HEADS else None


def open_checkpoint(
    name_or_path: str | Path,
    *,
    cache_dir: str | Path | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    subfolder: str | None = None,
    force_download: bool = False,
    variant: str | None = None,
    use_safetensors: bool | None = None,
    fold_token_type: bool | None = None,
    wrapper: str = "",
) -> Checkpoint:
    """Open a checkpoint in any dialect; tensors are read when they are asked for.

    Args:
        name_or_path: A directory, a weights file, an index of shards, or a hub id.
        cache_dir: The hub cache to use instead of the default one.
        revision: Branch, tag or commit on the hub.
        token: Access token for private repositories.
        local_files_only: Look in the hub cache only, never on the network.
        subfolder: Folder inside the directory or repository.
        force_download: Fetch the files of a hub id anew though they are in the cache.
        variant: Which of several sets of weights: "fp16" for `model.fp16.safetensors`.
        use_safetensors: True to read safetensors only, False all other formats only.
        fold_token_type: Read a BERT as a DistilBERT too, with token type 0 added to every position or left out;
            None refuses a BERT.
        wrapper: What stands before the names of the model that is meant, as "student."; only of a file of several.

    Raises:
        CheckpointError: There are no weights, a file is damaged, or its names are not DistilBERT's.
        ConfigError: It is a BERT that no DistilBERT equals.
    """
    hub: dict[str, Any] = {
        "cache_dir": cache_dir,
        "revision": revision,
        "token": token,
        "local_files_only": local_files_only,
        "subfolder": subfolder,
        "force_download": force_download,
    }
    path = find_weights(name_or_path, hub, variant, use_safetensors)
    checkpoint = _opened(path, name_or_path, hub, fold_token_type, wrapper)
    if local_path(name_or_path).is_dir():
        others = candidates(variant, use_safetensors)
        beside = {**hub, "subfolder": None}
        warn_of_rivals(checkpoint, others, lambda other: _opened(other, other, beside, fold_token_type, wrapper))
    return checkpoint


def _opened(
    path: Path, name_or_path: str | Path, hub: Mapping[str, Any], fold_token_type: bool | None, wrapper: str
) -> Checkpoint:
    """Open a weights file or an index of shards that was looked for under a name."""
    files, index = find_shards(path, name_or_path, hub)

    def beside(name: str) -> Path | None:
        return resolve(source_of(name_or_path, path), name, required=False, **hub)

    preset = keras_hub.read_preset(path, beside) if path.name == DIALECTS["keras-hub"].filename else None
    if preset is not None:
        return Checkpoint(path, preset[0], "keras-hub", beside, preset[1])
    stored, metadata = _read(files)
    for name, file in index.items():
        if name not in stored:
            raise CheckpointError(f"{path} says that {name!r} is in {file}, which does not have it; get both again")

    stored, notes = unwrapped(path, stored, container_of(files[0]), wrapper)
    reading = Reading(None, stored, notes=notes)
    if bert.is_bert(stored):
        config = beside("config.json") or beside("bert_config.json")  # which Google's code wrote
        reading = bert.read_as_distilbert(path, stored, config, fold_token_type)
        reading = replace(reading, notes=notes + reading.notes)
    dialect = detect(reading.tensors, container_of(files[0]), metadata.get("format"), files[0])
    return Checkpoint(path, files, dialect, beside, reading, metadata)


def view_checkpoint(
    tensors: Mapping[str, Array | LazyTensor], name: str = "state_dict", wrapper: str = ""
) -> Checkpoint:
    """Look at tensors in memory as at an open checkpoint, which has no config.

    Args:
        tensors: By the names of any framework's.
        name: What errors call them.
        wrapper: As `open_checkpoint` takes it.

    Raises:
        CheckpointError: No name is one of DistilBERT's.
    """
    path = Path(name)
    stored, notes = unwrapped(path, {name: lazy(tensor) for name, tensor in tensors.items()}, "torch", wrapper)
    return Checkpoint(path, [], detect(stored, "torch", None, path), lambda _: None, Reading(None, stored, notes=notes))


def _read(files: list[Path]) -> tuple[Mapping[str, LazyTensor], dict[str, str]]:
    """Return tensors by the names in the files, and metadata."""
    stored: dict[str, LazyTensor] = {}
    container = container_of(files[0])
    for file in files:
        for name, tensor in formats.read(file, container).items():
            if name in stored and not equal(stored[name], tensor):
                raise CheckpointError(f"{file} and a file beside it hold different values for {name!r}")
            stored[name] = tensor
    return stored, safetensors_file.read_metadata(files[0]) if container == "safetensors" else {}


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
    if not any(any(found) for found in present.values()):
        return "Model"
    # Multiple choice has the names of sequence classification with one label: without a config it is taken for that.
    fit = {head: 2 * sum(found) - len(found) for head, found in present.items() if found}
    return max(fit, key=lambda head: fit[head])
