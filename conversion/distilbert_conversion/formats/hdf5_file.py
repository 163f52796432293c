"""HDF5: `tf_model.h5` as transformers' TF classes write it, and Keras 3's `.weights.h5`.

`tf_model.h5` has a group per Keras layer, with the names of its weights as an attribute; a weight's path is
layer, then its full name, which begins with the model's scope: `classifier/tf_distil_bert_…/classifier/kernel:0`.
Keras 2's `model.save` puts the same groups into `model_weights`, beside the state of the optimizer.
The masked-LM file holds the embeddings twice, once more under `vocab_projector`. Weights are read by name; the
order, which changes when layers were frozen, does not matter. A shard holds the bare names without layers.

`.weights.h5` has a path of attributes per weight: `distilbert/embeddings/LayerNorm/vars/0`. A subclassed Keras model
has an attribute `layers`, and modules whose names sort after it are stored in there under the name of their
class; their own name is then an attribute of the group, and the reader puts it back.

Contiguous data sets are mapped; others are read by the library when asked for.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path

import h5py
import numpy as np

from distilbert_common.errors import CheckpointError, UnsupportedFormatError
from distilbert_conversion.formats.hdf5_output import created
from distilbert_conversion.formats.sizes import check_sizes
from distilbert_conversion.weights.dialects import Dialect
from distilbert_conversion.weights.lazy import DTYPES, Array, LazyTensor, equal
from distilbert_conversion.weights.mapped import MappedFile
from distilbert_conversion.weights.table import HEADS, PREFIX

__all__ = ["put", "read", "write"]

BFLOAT16 = DTYPES["bfloat16"]
OPAQUE = np.dtype("V2")  # how Keras 3 stores bfloat16, which HDF5 does not know, with its name as an attribute

SAVED_MODEL = "model_weights"
"""The group that `model.save` of Keras 2 puts the weights into."""

_FAULTS = (OSError, RuntimeError, KeyError, TypeError, ValueError, zlib.error)
_PIPELINES = {(), (h5py.h5z.FILTER_DEFLATE,), (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE)}
_CHUNK = 2**20  # bytes; a small data set's only chunk may be larger than itself
_HEADER_LIMIT = 64512  # bytes that an HDF5 attribute can take, by Keras' count
_ROOT_ATTRIBUTES = {"backend": b"tensorflow", "keras_version": b"2.21.0"}


def read(path: Path, name_of: Callable[[h5py.File, str], str] | None = None) -> dict[str, LazyTensor]:
    """Return the tensors of a file by their names, without layer groups.

    Args:
        path: The file.
        name_of: Gives the name of the weight at a path of the file, where it is not a Keras model's.

    Raises:
        CheckpointError: The file is damaged, links to other files, or holds different values for one name.
    """
    mapped = MappedFile(path)
    try:
        with h5py.File(path, "r") as file:
            named = [
                ((name_of or _name)(file, location), _tensor(mapped, dataset, location))
                for location, dataset in _datasets(file)
            ]
    except _FAULTS as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not a whole HDF5 file ({error}); get it again") from error
    check_sizes(path, (tensor for _, tensor in named))
    tensors: dict[str, LazyTensor] = {}
    for name, tensor in named:
        if name in tensors and not equal(tensors[name], tensor):
            raise CheckpointError(f"{path} holds two different values for {name!r}")
        tensors[name] = tensor
    return tensors


def _datasets(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    """Return every data set of the weights with its path; links to other files are not followed."""
    datasets: list[tuple[str, h5py.Dataset]] = []
    file.visititems(lambda name, item: datasets.append((name, item)) if isinstance(item, h5py.Dataset) else None)
    prefix = f"{SAVED_MODEL}/" if SAVED_MODEL in file else ""
    return [(name, item) for name, item in datasets if name.startswith(prefix)]


def _name(file: h5py.File, location: str) -> str:
    """Return the name of the weight at a path."""
    if SAVED_MODEL in file:
        location = location.removeprefix(f"{SAVED_MODEL}/")
        file = file[SAVED_MODEL]
    first, _, after = location.partition("/")
    if _has_list(file, "layer_names"):
        return after if _has_list(file[first], "weight_names") else location  # a shard has no groups of layers
    if first == "layers" and "/vars/" in location:
        module, _, parameter = location.rpartition("/vars/")
        return f"{file[module]['vars'].attrs.get('name', module)}/vars/{parameter}"
    return location


def _has_list(group: h5py.Group, name: str) -> bool:
    """Whether a group has a list of names, which is in several attributes where it is long."""
    return name in group.attrs or f"{name}0" in group.attrs


def _tensor(mapped: MappedFile, dataset: h5py.Dataset, location: str) -> LazyTensor:
    """Describe a data set; one that is not a plain part of the file is opened again when it is read."""
    path = mapped.path
    if dataset.external or dataset.is_virtual:
        raise CheckpointError(f"{path}: {location!r} refers to another file, which is not followed")
    _check_filters(path, dataset, location)
    dtype = dataset.dtype
    if dtype == OPAQUE and dataset.attrs.get("dtype") == "bfloat16":
        dtype = BFLOAT16
    if dtype.kind not in "fiub" and dtype != BFLOAT16:
        raise CheckpointError(f"{path}: {location!r} has the type {dtype}; expected one of {', '.join(DTYPES)}")
    offset = dataset.id.get_offset()
    if offset is not None and dataset.file.userblock_size == 0:
        return mapped.tensor(offset, dataset.shape, dtype)

    def load() -> Array:
        try:
            with h5py.File(path, "r") as file:
                array: Array = file[location][()]
        except _FAULTS as error:
            raise CheckpointError(f"{path}: {location!r} cannot be read ({error}); get the file again") from error
        return array.view(dtype)

    return LazyTensor(dataset.shape, dtype.newbyteorder("="), load)


def _check_filters(path: Path, dataset: h5py.Dataset, location: str) -> None:
    """Check that each compressed chunk of a data set unpacks to the size of a chunk; the library would go on."""
    properties = dataset.id.get_create_plist()
    filters = tuple(properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    if filters not in _PIPELINES:
        raise CheckpointError(
            f"{path}: {location!r} is stored with the filters {filters}; save it without or with gzip"
        )
    if h5py.h5z.FILTER_DEFLATE not in filters:
        return
    size = prod(dataset.chunks) * dataset.dtype.itemsize
    if size > max(dataset.nbytes, _CHUNK):
        raise CheckpointError(f"{path}: {location!r} is stored in chunks larger than itself; get the file again")
    for number in range(dataset.id.get_num_chunks()):
        chunk = dataset.id.get_chunk_info(number)
        if chunk.size > path.stat().st_size:
            raise CheckpointError(f"{path} is cut off: {location!r} has a chunk larger than the file; get it again")
        mask, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        if not mask and len(zlib.decompressobj().decompress(packed, size + 1)) != size:
            raise CheckpointError(
                f"{path}: {location!r} has a chunk of another size than its others; get the file again"
            )


def write(path: Path, tensors: Mapping[str, LazyTensor], dialect: Dialect, head: str | None) -> None:
    """Write tensors to a file.

    Args:
        path: The file.
        tensors: By the names they get.
        dialect: "tf" names are grouped by layer, "keras" names are paths as they stand.
        head: The model; None for one shard of several.

    Raises:
        UnsupportedFormatError: A tensor is bfloat16, or Keras' format is to be sharded.
    """
    if dialect.column == "keras" and head is None:
        raise UnsupportedFormatError("a Keras weights file cannot be sharded; use format safetensors, or no shard size")
    with created(path) as file:
        if dialect.column == "keras":
            for name, tensor in tensors.items():
                put(file, name, tensor)
        elif head is None:
            _put_attribute(file, "layer_names", sorted(tensors))
            for name in sorted(tensors):
                put(file, name, _no_bfloat16(tensor := tensors[name]))
        else:
            _put_layers(file, tensors, head)


def _put_layers(file: h5py.File, tensors: Mapping[str, LazyTensor], head: str) -> None:
    """Write the groups that Keras 2 writes, down to the empty ones."""
    blocks = sum(name.endswith("/ffn/lin1/bias:0") for name in tensors)
    # Keras numbers layers by class: one dropout in the embeddings, three in each block, and then the head's.
    layers = [layer.format(n=3 * blocks + 1) for layer in HEADS[head].layers]
    # A user's own weights are grouped by the first part of their names, as those of a layer that Keras calls so.
    layers += sorted({name.partition("/")[0] for name in tensors} - set(layers))
    file.attrs.update(_ROOT_ATTRIBUTES)
    _put_attribute(file, "layer_names", layers)
    for layer in sorted(layers):
        names = [name for name in tensors if name.partition("/")[0] == layer]
        if layer == "vocab_projector":  # it shares the embedding layer, whose weights Keras stores again
            names += [name for name in tensors if name.startswith(f"{PREFIX}/embeddings/")]
        _put_group(file, layer, {f"{HEADS[head].scope}/{name}": tensors[name] for name in names})
    _put_group(file, "top_level_model_weights", {})


def _put_group(file: h5py.File, name: str, tensors: Mapping[str, LazyTensor]) -> None:
    group = file.create_group(name)
    _put_attribute(group, "weight_names", tensors)
    for full_name, tensor in tensors.items():
        put(group, full_name, _no_bfloat16(tensor))


def _put_attribute(group: h5py.Group, name: str, values: Iterable[str]) -> None:
    """Write a list of names, in several attributes where it is longer than an attribute can be, as Keras 2 does."""
    encoded = [value.encode() for value in values]
    count = 1
    while any(part.nbytes > _HEADER_LIMIT for part in np.array_split(np.asarray(encoded), count)):
        count += 1
    if count == 1:
        group.attrs[name] = encoded
        return
    for number, part in enumerate(np.array_split(np.asarray(encoded), count)):
        group.attrs[f"{name}{number}"] = part


def put(group: h5py.Group, name: str, tensor: LazyTensor) -> None:
    """Write one data set chunk by chunk."""
    is_bfloat16 = tensor.dtype == BFLOAT16
    dataset = group.create_dataset(name, tensor.shape, OPAQUE if is_bfloat16 else tensor.dtype)
    if is_bfloat16:
        dataset.attrs["dtype"] = "bfloat16"
    if not tensor.shape:
        dataset[()] = tensor.read().view(dataset.dtype)  # a number alone has no rows
        return
    rows = 0
    for chunk in tensor.chunks():
        values = (chunk.view(OPAQUE) if is_bfloat16 else chunk).reshape(-1, *tensor.shape[1:])
        dataset[rows : rows + len(values)] = values
        rows += len(values)


def _no_bfloat16(tensor: LazyTensor) -> LazyTensor:
    if tensor.dtype == BFLOAT16:
        raise UnsupportedFormatError(
            "tf_model.h5 cannot hold bfloat16; use format safetensors or keras, or dtype float32 or float16"
        )
    return tensor
