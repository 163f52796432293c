"""The dialects: which container, which column of the weight table, which file name, and where the prefix goes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from distilbert_common.errors import CheckpointError
from distilbert_conversion.weights.table import PREFIX, block_start, canonical_name, is_backbone, is_known, name_in

__all__ = [
    "CONTAINERS",
    "DIALECTS",
    "Dialect",
    "container_of",
    "detect",
    "dialects_in",
    "is_ignored",
    "with_variant",
]


@dataclass(frozen=True)
class Dialect:
    """A way in which a framework stores weights.

    Attributes:
        framework: "pt", "tf" or "flax"; also what a safetensors file calls its `format`.
        container: The module of `formats` that reads and writes it.
        column: The column of the weight table that its names come from.
        separator: What joins the parts of a name.
        always_prefixed: Whether the bare model's names begin with the prefix too, not only those of a head's backbone.
        filename: What transformers (for "keras": this project) calls the file.
        head_filename: The file of the head's weights, where they have one of their own.
    """

    framework: str
    container: str
    column: str
    separator: str
    always_prefixed: bool
    filename: str
    head_filename: str = ""

    def file(self, variant: str | None = None) -> str:
        """Return the name of the weights file, as `model.fp16.safetensors` for the variant "fp16"."""
        return with_variant(self.filename, variant)

    def index(self, variant: str | None = None) -> str:
        """Return the name of the file that lists the shards of a sharded checkpoint."""
        return with_variant(f"{self.filename}.index.json", variant)

    def shard(self, number: int, count: int, variant: str | None = None) -> str:
        """Return the name of shard `number` (from 1) of `count`."""
        name = Path(self.file(variant))
        return f"{name.stem}-{number:05d}-of-{count:05d}{name.suffix}"

    def full_name(self, bare: str, head: str | None) -> str:
        """Return the name in a file of a bare canonical name; names that no row has stay as they are.

        Args:
            bare: The name.
            head: A key of `HEADS`; None for a model with a head of its own.
        """
        if not is_known(bare):
            return bare
        prefixed = is_backbone(bare) and (self.always_prefixed or head != "Model")
        name = name_in(bare, self.column)
        if self.column == "flax":
            name = name.replace("/", self.separator)
        return f"{PREFIX}{self.separator}{name}" if prefixed else name

    def own_name(self, name: str) -> str:
        """Return the name of a user's own weight, which is the one in the file but for the scope of TensorFlow."""
        return _SCOPE.sub("", name) if self.column == "tf" else name

    def bare_name(self, name: str) -> str | None:
        """Return the bare canonical name of a name in a file, prefixed or not, or None where no row has it."""
        if self.column == "flax":
            name = name.replace(self.separator, "/")
        name = name[_LEADING[self.column].match(name).end() :]  # type: ignore[union-attr]
        if self.column == "canonical":
            stem, _, parameter = name.rpartition(".")
            name = f"{stem}.{_LEGACY.get(parameter, parameter)}"
        return canonical_name(name, self.column)

    def wrapper_of(self, name: str) -> str | None:
        """Return what stands before the model's own part of a layer's name, as "module."; None for other names."""
        path = name.replace(self.separator, "/") if self.column == "flax" else name
        start = block_start(path, self.column)
        if start is None or self.bare_name(name[start:]) is None:
            return None
        return _MODEL.sub("", name[:start])


def with_variant(filename: str, variant: str | None) -> str:
    """Return a file name with a variant before its last part, as transformers places it."""
    path = Path(filename)
    return f"{path.stem}.{variant}{path.suffix}" if variant else filename


DIALECTS: dict[str, Dialect] = {
    "pt-safetensors": Dialect("pt", "safetensors", "canonical", ".", False, "model.safetensors"),
    "tf-safetensors": Dialect("tf", "safetensors", "tf", "/", True, "model.safetensors"),
    "flax-safetensors": Dialect("flax", "safetensors", "flax", ".", False, "model.safetensors"),
    "pt-bin": Dialect("pt", "torch", "canonical", ".", False, "pytorch_model.bin"),
    "tf-h5": Dialect("tf", "hdf5", "tf", "/", True, "tf_model.h5"),
    "keras": Dialect("tf", "hdf5", "keras", "/", True, "model.weights.h5"),
    "keras-hub": Dialect("tf", "keras_hub", "keras", "/", True, "model.weights.h5", "task.weights.h5"),
    "flax-msgpack": Dialect("flax", "msgpack", "flax", "/", False, "flax_model.msgpack"),
    "flax-orbax": Dialect("flax", "orbax", "flax", "/", False, "_METADATA"),
}
"""Every dialect; where a directory holds several, the first by file is read."""

CONTAINERS = {
    ".safetensors": "safetensors",
    ".bin": "torch",
    ".pt": "torch",
    ".pth": "torch",
    ".ckpt": "torch",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".msgpack": "msgpack",
    ".index": "tensor_bundle",
}
"""The container of a weights file, by the end of its name; Orbax' list of arrays has none."""


READ_ONLY = {"tensor_bundle": "tf-h5"}
"""Containers that are read only, and the dialect whose names their readers give."""


def dialects_in(container: str) -> dict[str, Dialect]:
    """Return the dialects that a file of a container can have."""
    named = READ_ONLY.get(container)
    return {name: dialect for name, dialect in DIALECTS.items() if dialect.container == container or name == named}


def container_of(path: Path) -> str:
    """Return the container of a weights file.

    Raises:
        CheckpointError: Its name is not that of one.
    """
    if path.name == DIALECTS["flax-orbax"].filename:
        return DIALECTS["flax-orbax"].container
    if path.suffix not in CONTAINERS:
        raise CheckpointError(f"{path} is no weights file; expected a name ending in {', '.join(CONTAINERS)}")
    return CONTAINERS[path.suffix]


_LEADING = {
    "canonical": re.compile(r"(module\.)?(distilbert\.)?"),  # torch.nn.DataParallel puts "module." before all
    "tf": re.compile(r"(tf_distil_bert\w*/)?(distilbert/)?"),  # the model's scope, numbered when not the first
    "flax": re.compile(r"(params/)?(distilbert/)?"),
    "keras": re.compile(r"(distilbert/)?"),
}
"""What may stand before a bare name."""

_SCOPE = re.compile(r"^tf_distil_bert\w*/")
_MODEL = re.compile(rf"(^|(?<=[./]))(tf_distil_bert\w*/)?({PREFIX}[./])?$")
"""What a model itself puts before the names of its backbone."""

_LEGACY = {"gamma": "weight", "beta": "bias"}
"""LayerNorm's parameters in PyTorch files converted from TensorFlow in 2019."""

_IGNORED_NAMES = re.compile(
    r"(^|\.)position_ids$"  # a buffer that transformers stored until 4.31
    r"|(^|/)seed_generator/"  # the state of Keras 3's dropout layers
    r"|^optimizer/"
)


def is_ignored(name: str) -> bool:
    """Whether a name in a file is known to be no weight."""
    return _IGNORED_NAMES.search(name) is not None


def detect(names: Iterable[str], container: str, declared: str | None, path: object) -> str:
    """Return the dialect of a file from the names in it.

    Args:
        names: The names of its tensors.
        container: Its container.
        declared: The framework that its metadata names; counts only where the names fit several dialects equally.
        path: The file, for the message.

    Raises:
        CheckpointError: No name fits any dialect.
    """
    names = list(names)
    fits = {
        name: (sum(dialect.bare_name(entry) is not None for entry in names), dialect.framework == declared)
        for name, dialect in dialects_in(container).items()
    }
    best = max(fits, key=lambda name: fits[name])
    if fits[best][0] == 0:
        shown = ", ".join(repr(name) for name in sorted(names)[:3]) or "none"
        raise CheckpointError(
            f"{path} is no DistilBERT checkpoint: none of its {len(names)} tensor names is one of DistilBERT's "
            f"in any framework (it has {shown}{', …' if len(names) > 3 else ''})"
        )
    return best
