"""PyTorch's pickles: what is read, and that nothing in one is ever run."""

from __future__ import annotations

import builtins
import collections
import encodings.cp437  # noqa: F401  zipfile imports it on first need, which the watch would hear
import os
import pickle
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distilbert_common.errors import CheckpointError
from distilbert_conversion import open_checkpoint, save_checkpoint
from distilbert_conversion.formats import torch_file
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all
from parity_tests.helpers.fuzzing import Watch

BIN = MICRO / "ForMaskedLM" / "pt_bin" / "pytorch_model.bin"
TWO_FORMS = pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])


def state_dict() -> dict[str, torch.Tensor]:
    return dict(torch.load(BIN, weights_only=True))


@TWO_FORMS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_both_forms_of_torch_save(new: bool, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    saved = collections.OrderedDict(state_dict())
    saved._metadata = {"": {"version": 1}}  # as torch.nn.Module.state_dict() has it
    torch.save(saved, path, _use_new_zipfile_serialization=new, pickle_protocol=protocol)
    with open_checkpoint(path) as checkpoint:
        assert (checkpoint.dialect, checkpoint.head) == ("pt-bin", "ForMaskedLM")
        read_back = read_all(checkpoint)
        assert read_back.pop("vocab_projector.weight").shape == (40, 12)
        assert_same(read_back, read_all(MLM))


@TWO_FORMS
def test_every_kind_of_tensor(new: bool, tmp_path: Path) -> None:
    base = torch.arange(60, dtype=torch.float32).reshape(6, 10)
    tensors = {
        "transposed": base.t(),
        "strided": base[1:5:2, ::3],
        "offset": base[2],
        "one": base[3, 4],
        "empty": torch.zeros(0, 3),
        "expanded": torch.ones(1, 3).expand(4, 3),
        "half": base.half(),
        "brain": base.bfloat16(),
        "double": base.double(),
        "long": torch.arange(3),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(base),
    }
    torch.save(tensors, tmp_path / "x.bin", _use_new_zipfile_serialization=new)
    read_back = torch_file.read(tmp_path / "x.bin")
    assert list(read_back) == list(tensors)
    for name, tensor in tensors.items():
        assert read_back[name].shape == tuple(tensor.shape)
        array = read_back[name].read()
        assert array.dtype.name == str(tensor.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(array.astype(np.float64), tensor.detach().double().numpy())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_torch_loads_what_is_written(dtype: str, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(MLM)
    (path,) = save_checkpoint(
        tmp_path, checkpoint.tensors, checkpoint.config(), "ForMaskedLM", dialect="pt-bin", dtype=dtype
    )
    for mapped in (True, False):
        loaded = torch.load(path, weights_only=True, mmap=mapped)
        assert {name: tensor.shape for name, tensor in loaded.items()} == {
            name: tensor.shape for name, tensor in state_dict().items()
        }
        for name, tensor in state_dict().items():
            assert torch.equal(loaded[name], tensor.to(getattr(torch, dtype)))
        tied = loaded["vocab_projector.weight"], loaded["distilbert.embeddings.word_embeddings.weight"]
        assert tied[0].data_ptr() == tied[1].data_ptr()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


class Builds:
    """Pickles as an object whose attributes are set by `BUILD`."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_parameter, (torch.zeros(1), True, {}), self.state


def attacks(marker: Path) -> dict[str, Any]:
    command = f"touch {marker}"
    return {
        "os.system": Calls(os.system, command),
        "eval": Calls(builtins.eval, f"open({str(marker)!r}, 'w')"),
        "exec": Calls(builtins.exec, f"open({str(marker)!r}, 'w')"),
        "open": Calls(open, str(marker), "w"),
        "getattr": Calls(getattr, "os", "system"),
        "popen": Calls(subprocess.Popen, ["touch", str(marker)]),
        "import": Calls(__import__, "antigravity"),
        "torch.load": Calls(torch.load, str(marker)),
        "build": Builds({"__class__": os.system}),
        "partial": Calls(collections.Counter, "abc"),
        "module": torch.nn.Linear(1, 1),
        "text": "no tensor",
        "number": 3,
        "nested": {"weights": torch.zeros(1)},
    }


@TWO_FORMS
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("attack", attacks(Path()))
def test_everything_but_tensors_is_refused(new: bool, protocol: int, attack: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    tensors = {**state_dict(), "extra": attacks(marker)[attack]}
    path = tmp_path / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=new, pickle_protocol=protocol)
    marker.unlink(missing_ok=True)  # making the pickle may have made it
    with pytest.raises(CheckpointError, match="state_dict"):
        open_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_is_refused(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(pickle.dumps(Calls(os.system, f"touch {marker}"), protocol))
    with pytest.raises(CheckpointError):
        open_checkpoint(path)
    assert not marker.exists()


BILLION_LAUGHS = (
    b"\x80\x02)" + b"".join(b"q" + bytes([i]) + b"0" + (b"h" + bytes([i])) * 3 + b"\x87" for i in range(60)) + b"."
)
INSTRUCTIONS = {
    "instance": b"(S'touch x'\nios\nsystem\n.",
    "object": b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00xo.",
    "new object": b"\x80\x02cbuiltins\nobject\n)\x81.",
    "extension": b"\x80\x02\x82\x01.",
    "set": b"\x80\x04\x8f.",
    "text as persistent id": b"Pabc\n.",
    "nested tuples": BILLION_LAUGHS,
    "nested tuples as storage": b"\x80\x02" + BILLION_LAUGHS[2:-1] + b"Q.",
    "empty stack": b"\x80\x02R.",
    "no mark": b"\x80\x02t.",
    "unknown memory": b"\x80\x02h\x07.",
    "list as key": b"\x80\x02}](K\x01s.",
    "no end": b"\x80\x02}",
    "not a pickle": b"\x80\x02\xff\xff\xff",
    "long text": b"\x80\x02X\xff\xff\xff\x7fabc",
    "long bytes": b"\x80\x05\x8e" + struct.pack("<Q", 2**62) + b"abc.",
    "long number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",
    "negative length": b"\x80\x02\x8b" + struct.pack("<i", -1) + b"abc.",
    "large number as key": b"\x80\x02}\x8b" + struct.pack("<i", 2000) + b"\x7f" * 2000 + b"Ns.",
    "byte array": b"\x80\x05\x96" + struct.pack("<Q", 3) + b"abc.",
    "buffer": b"\x80\x05\x97.",
    "read-only buffer": b"\x80\x05\x97\x98.",
    "new object with keywords": b"\x80\x04\x8c\x08builtins\x8c\x06object\x93)}\x92.",
    "dotted name": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x07touch x\x85R.",
    "getattr of a module": b"\x80\x02cbuiltins\ngetattr\n(cbuiltins\n__import__\n(X\x02\0\0\0ostRX\x06\0\0\0systemtR.",
    "name through a list": b"\x80\x02]q\x00(cos\nsystem\neh\x00X\x07\0\0\0touch x\x85R.",
    "call of a call": b"\x80\x02ccollections\nOrderedDict\n)R)R.",
    "attributes of a tensor's class": b"\x80\x02ctorch\nFloatStorage\n}X\x01\0\0\0aNsb.",
    "call with a list": b"\x80\x02ccollections\nOrderedDict\n]R.",
    "call with itself": b"\x80\x02]q\x00h\x00ah\x00h\x00R.",
    "dict of a number": b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.",
    "size of a number": b"\x80\x02ctorch\nSize\nK\x01\x85R.",
    "tensor of nothing": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "tensor of texts": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(X\x01\0\0\0aq\0h\0h\0h\0tR.",
    "number as persistent id": b"\x80\x02K\x01Q.",
    "list as persistent id": b"\x80\x02]Q.",
    "dict as persistent id": b"\x80\x02}Q.",
    "nothing as persistent id": b"\x80\x02Q.",
    "name as persistent id": b"\x80\x02cos\nsystem\nQ.",
    "short persistent id": b"\x80\x02(X\x07\0\0\0storagetQ.",
    "flag as size": b"\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu\x88tQ.",
    "list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "dict that holds itself": b"\x80\x02}q\x00X\x01\0\0\0ah\x00s.",
    "nesting without end": b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b".",
    "key without a value": b"\x80\x02}(X\x01\0\0\0au.",
    "memory far away": b"\x80\x02Nr\xff\xff\xff\xffj\xff\xff\xff\xff.",
    "memory of nothing": b"\x80\x04\x94.",
    "no instructions": b"\x80\x02.",
    "nothing": b"",
    "two marks": b"\x80\x02((.",
    "a later protocol": b"\x80\xff}.",
    "text that is no text": b"\x80\x02X\x02\0\0\0\xff\xfe.",
    "number that is none": b"Inone\n.",
    "many digits": b"L" + b"9" * 10_000 + b"L\n.",
}


@pytest.fixture(scope="module")
def watch() -> Watch:
    """Hears of every import through a pickle, every process, and every file opened for writing."""
    return Watch(Path("nowhere"))


@pytest.mark.parametrize("new", [True, False], ids=["zip", "bare"])
@pytest.mark.parametrize("content", INSTRUCTIONS.values(), ids=INSTRUCTIONS)
def test_instructions_that_are_not_needed(
    new: bool, content: bytes, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(content)
    if new:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("pytorch_model/data.pkl", content)
    monkeypatch.chdir(tmp_path)
    watch.heard = []
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        open_checkpoint(path)
    heard, watch.heard = watch.heard, None
    assert not heard
    assert [file.name for file in tmp_path.iterdir()] == ["pytorch_model.bin"]


def test_the_watch_hears_what_python_itself_would_run(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof that the test above could fail: `pickle` runs what `unpickle` refuses."""
    monkeypatch.chdir(tmp_path)
    watch.heard = []
    pickle.loads(INSTRUCTIONS["dotted name"])
    heard, watch.heard = watch.heard, None
    assert [event.split("(")[0] for event in heard] == ["pickle.find_class", "os.system"]
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def rewritten(path: Path, change: Callable[[str, bytes], tuple[str, bytes] | None], **options: Any) -> None:
    """Write the golden file again with its entries changed or left out."""
    with zipfile.ZipFile(BIN) as source, zipfile.ZipFile(path, "w", **options) as target:
        for entry in source.infolist():
            changed = change(entry.filename, source.read(entry))
            if changed is not None:
                target.writestr(*changed)


CHANGES: dict[str, Callable[[str, bytes], tuple[str, bytes] | None]] = {
    "no description": lambda name, data: None if name.endswith("data.pkl") else (name, data),
    "no storage": lambda name, data: None if name.endswith("data/3") else (name, data),
    "short storage": lambda name, data: (name, data[:-4] if name.endswith("data/0") else data),
    "big endian": lambda name, data: (name, b"big" if name.endswith("byteorder") else data),
    "two descriptions": lambda name, data: (
        name.replace("version", "x/data.pkl").replace("pytorch_model/x", "x"),
        data,
    ),
    "storage key that leads out": lambda name, data: (name, data.replace(b"X\x01\x00\x00\x003", b"X\x01\x00\x00\x00/")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_damaged_archives(change: Callable[[str, bytes], tuple[str, bytes] | None], tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    rewritten(path, lambda name, data: (name, data))
    assert open_checkpoint(path).head == "ForMaskedLM"
    rewritten(path, change)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        open_checkpoint(path)


def test_compressed_archives_are_refused(tmp_path: Path) -> None:
    """A small compressed entry could be unpacked to any size."""
    path = tmp_path / "pytorch_model.bin"
    rewritten(path, lambda name, data: (name, data), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"not one that torch\.save wrote"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"), [((41, 12), (12, 1), 0), ((40, 12), (12, 1), 1), ((-1, 12), (12, 1), 0)]
)
def test_views_beyond_their_storage(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int, tmp_path: Path
) -> None:
    def integer(n: int) -> bytes:
        return b"J" + struct.pack("<i", n)

    def change(name: str, data: bytes) -> tuple[str, bytes]:
        good = b"K\x00K(K\x0c\x86q\x08K\x0cK\x01\x86"  # offset 0, shape (40, 12), strides (12, 1)
        bad = integer(offset) + b"".join(map(integer, shape)) + b"\x86q\x08" + b"".join(map(integer, strides)) + b"\x86"
        assert not name.endswith("data.pkl") or data.count(good) == 1
        return name, data.replace(good, bad)

    path = tmp_path / "pytorch_model.bin"
    rewritten(path, change)
    with pytest.raises(CheckpointError, match="reaches beyond its storage"):
        open_checkpoint(path)


def on_tpu(tensor: torch.Tensor, dtype: torch.dtype) -> Calls:
    """Pickles as torch_xla's builds of PyTorch save a tensor: as an array, with the type that it has on the device."""
    return Calls(torch._utils._rebuild_device_tensor_from_numpy, tensor.numpy(), dtype, "xla:0", False)


@TWO_FORMS
@pytest.mark.parametrize("protocol", [2, 4])
def test_tensors_of_a_tpu(new: bool, protocol: int, tmp_path: Path) -> None:
    expected = state_dict()
    matrix = next(name for name, tensor in expected.items() if tensor.ndim == 2)
    content = {name: on_tpu(tensor, torch.float32) for name, tensor in expected.items()}
    content[matrix] = on_tpu(torch.from_numpy(np.asfortranarray(expected[matrix].numpy())), torch.bfloat16)
    path = tmp_path / "pytorch_model.bin"
    torch.save(content, path, _use_new_zipfile_serialization=new, pickle_protocol=protocol)
    with open_checkpoint(path) as checkpoint:
        file_tensors = {name: checkpoint.file_tensors[name].read() for name in expected}
        assert file_tensors[matrix].dtype.name == "bfloat16"
        for name, tensor in expected.items():
            np.testing.assert_array_equal(
                file_tensors[name].astype(np.float32),
                tensor.to(torch.bfloat16 if name == matrix else tensor.dtype).float(),
            )


def test_an_array_whose_bytes_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    array = np.zeros(4, np.float32)
    function, arguments, state = array.__reduce__()
    short = Reduces(function, arguments, (*state[:4], b"abc"))
    broken = Calls(torch._utils._rebuild_device_tensor_from_numpy, short, torch.float32, "xla:0", False)
    torch.save({"distilbert.embeddings.LayerNorm.bias": broken}, path)
    with pytest.raises(CheckpointError, match="bytes do not fit its shape"):
        open_checkpoint(path)


class Reduces:
    """Pickles as a call of a function whose result is given a state."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], state: Any) -> None:
        self.reduced = function, arguments, state

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def training_checkpoint(prefix: str) -> dict[str, Any]:
    """What Lightning saves: the state_dict inside, beside the optimizer's state, numbers and settings."""
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]}
    return {
        "epoch": 1,
        "global_step": 10,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": collections.OrderedDict((f"{prefix}{name}", tensor) for name, tensor in state_dict().items()),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": None}},
        "optimizer_states": [optimizer],
        "hparams_name": None,
        "hyper_parameters": {"lr": 1e-3},
    }


@TWO_FORMS
@pytest.mark.parametrize("prefix", ["", "model.", "net._orig_mod."])
def test_a_training_checkpoint(new: bool, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save(training_checkpoint(prefix), path, _use_new_zipfile_serialization=new)
    with open_checkpoint(path) as checkpoint:
        assert not checkpoint.extras
        assert set(checkpoint.file_tensors) == set(state_dict())


def test_two_state_dicts_in_one_file_are_not_guessed_between(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 1, "model": state_dict(), "ema": state_dict()}, path)
    with pytest.raises(CheckpointError, match=r"holds 2 models, under the prefixes 'ema\.' and 'model\.'"):
        open_checkpoint(path)
    torch.save({"epoch": 1, "model": state_dict(), "scheduler": {"last": torch.zeros(1)}}, path)
    with open_checkpoint(path) as checkpoint:
        assert set(state_dict()) <= set(checkpoint.file_tensors)
