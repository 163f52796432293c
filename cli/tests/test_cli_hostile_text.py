"""Text from files reaches the terminal only as text: no control characters, no markup, no line breaks of its own."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import pytest

from distilbert_cli.stderr import capture_stderr
from distilbert_common.errors import InputError
from distilbert_conversion import open_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, safetensors_bytes
from parity_tests.helpers.command_line import COMMAND, Ended, run

EVIL = "evil\x1b[31m\x1b]0;title\x07\x9b2J\x7f\r\n\t\u2028[bold red]:boom:[/bold red]\u202e\u200b\ufeff"
SHOWN = r"evil\x1b[31m\x1b]0;title\x07\x9b2J\x7f\r\n\t\u2028[bold red]:boom:[/bold red]\u202e\u200b\ufeff"
MODEL = MICRO / "ForMaskedLM"


def weights() -> dict[str, np.ndarray]:
    return {name: np.array(tensor.read()) for name, tensor in open_checkpoint(MLM).file_tensors.items()}


def json_with(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def tensor_name(source: Path) -> None:
    (source / "model.safetensors").write_bytes(safetensors_bytes({**weights(), EVIL: np.zeros(1, np.float32)}))


def metadata(source: Path) -> None:
    (source / "model.safetensors").write_bytes(safetensors_bytes(weights(), {"format": EVIL, EVIL: EVIL}))


def type_of_a_tensor(source: Path) -> None:
    entry = {EVIL: {"dtype": EVIL, "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(entry).encode()
    (source / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"1234")


def weights_of(kind: str, name: str) -> Callable[[Path], Path]:
    """Return what replaces the weights by those of another golden folder."""

    def replace(source: Path) -> Path:
        (source / "model.safetensors").unlink()
        return Path(shutil.copy(MODEL / kind / name, source))

    return replace


def msgpack_key(source: Path) -> None:
    path = weights_of("flax_msgpack", "flax_model.msgpack")(source)
    array = msgpack.ExtType(1, msgpack.packb([[1], "float32", b"1234"]))
    path.write_bytes(msgpack.packb({**msgpack.unpackb(path.read_bytes()), EVIL: array}))


def msgpack_type(source: Path) -> None:
    path = weights_of("flax_msgpack", "flax_model.msgpack")(source)
    path.write_bytes(msgpack.packb({EVIL: msgpack.ExtType(1, msgpack.packb([[1], EVIL, b"1234"]))}))


def hdf5_name(source: Path) -> None:
    with h5py.File(weights_of("tf_h5", "tf_model.h5")(source), "r+") as file:
        file[f"distilbert/{EVIL.replace('/', '_')}"] = np.zeros(1, np.float32)


def hdf5_type(source: Path) -> None:
    with h5py.File(weights_of("tf_h5", "tf_model.h5")(source), "r+") as file:
        file.create_dataset(f"distilbert/{EVIL.replace('/', '_')}", (1,), np.dtype([(EVIL, "f4")]))


def pickle_name(source: Path) -> None:
    (source / "model.safetensors").unlink()
    module = "".join(char for char in EVIL if char.isascii() and char not in "\r\n")  # as the format has it
    with zipfile.ZipFile(source / "pytorch_model.bin", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02c" + module.encode() + b"\nsystem\n)R.")


def pickle_key(source: Path) -> None:
    (source / "model.safetensors").unlink()
    with zipfile.ZipFile(source / "pytorch_model.bin", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({EVIL: EVIL}, 2))


def shard(source: Path) -> None:
    shutil.rmtree(source)
    shutil.copytree(MODEL / "pt_sharded", source)
    json_with(source / "model.safetensors.index.json", weight_map={EVIL: EVIL})


def weight_of_a_shard(source: Path) -> None:
    shutil.rmtree(source)
    shutil.copytree(MODEL / "pt_sharded", source)
    path = source / "model.safetensors.index.json"
    weight_map = json.loads(path.read_text())["weight_map"]
    json_with(path, weight_map={**weight_map, EVIL: "model-00001-of-00004.safetensors"})


def config(**fields: Any) -> Callable[[Path], None]:
    """Return what puts fields into the config."""
    return lambda source: json_with(source / "config.json", **fields)


PLACES: dict[str, Callable[[Path], Any]] = {
    "tensor name": tensor_name,
    "metadata": metadata,
    "type of a tensor": type_of_a_tensor,
    "MessagePack key": msgpack_key,
    "MessagePack type": msgpack_type,
    "HDF5 name": hdf5_name,
    "HDF5 type": hdf5_type,
    "pickle name": pickle_name,
    "pickle key": pickle_key,
    "shard": shard,
    "weight of a shard": weight_of_a_shard,
    "model type": config(model_type=EVIL),
    "activation": config(activation=EVIL),
    "labels": config(id2label={EVIL: EVIL}),
    "label ids": config(label2id={EVIL: EVIL}),
    "architectures": config(architectures=[EVIL, "DistilBertForMaskedLM"]),
    "size": config(dim=EVIL),
    "field": config(**{EVIL: EVIL}),
}
"""Where a checkpoint may hold any text."""

SEEN = {
    "inspect": {"tensor name", "MessagePack key", "HDF5 name"},
    "convert": set(PLACES) - {"metadata", "architectures", "model type", "field", "type of a tensor", "HDF5 type"},
}
"""Places whose text the commands show, besides those that both refuse."""


def assert_harmless(result: Ended) -> str:
    """Assert that a command ended well or said in one sentence what is wrong; return what it said, once escaped."""
    assert result.exit_code in (0, 2), result.stderr
    text = result.stdout + result.stderr
    assert all(char.isprintable() or char == "\n" for char in text), text
    if result.exit_code:
        assert (result.stdout, result.stderr.count("\n")) == ("", 1)
        assert result.stderr.startswith("distilbert: ")
    return text


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MLM, tmp_path / "source"))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", ["inspect", "inspect --json", "convert"])
def test_evil_text(command: str, place: str, source: Path, tmp_path: Path) -> None:
    PLACES[place](source)
    name, *options = command.split()
    more = [tmp_path / "out", "--to", "flax"] if name == "convert" else options
    result = run(name, source, *more)
    text = assert_harmless(result)
    if command == "inspect --json" and result.exit_code == 0:
        assert json.loads(result.stdout)
    elif result.exit_code == 2 or place in SEEN[name]:
        assert "evil" in text.replace("\n", "")
        assert r"\x1b[31m" in text.replace("\\\\", "\\")


def test_all_of_it_is_shown_escaped(source: Path) -> None:
    tensor_name(source)
    text = run("inspect", source).stdout
    assert f"own weights  {SHOWN}" in text


@pytest.mark.parametrize("name", [EVIL.replace("/", "_"), "\udcff\udc80", "[red]x[", "-", " "], ids=ascii)
def test_evil_paths(name: str, tmp_path: Path) -> None:
    """Names of files need not even be text."""
    shutil.copytree(MLM, tmp_path / name)
    for arguments in (("inspect",), ("inspect", "--json")):
        assert_harmless(run(*arguments, tmp_path / name))
    assert_harmless(run("convert", tmp_path / name, tmp_path / name / "out" / name, "--to", "tf"))
    (tmp_path / name / "model.safetensors").write_bytes(b"")
    assert assert_harmless(run("inspect", tmp_path / name)).startswith("distilbert: ")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_terminals_that_do_not_know_a_character(encoding: str, options: list[str], source: Path) -> None:
    name = "é\u4e2d\U0001f600\u0627"
    (source / "model.safetensors").write_bytes(safetensors_bytes({**weights(), name: np.zeros(1, np.float32)}))
    command = [*COMMAND, "inspect", str(source), *options]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    text, shown = done.stdout.decode(encoding), name.encode(encoding, "backslashreplace").decode(encoding)
    assert "embeddings.LayerNorm.bias" in text
    assert (json.loads(text)["extras"] == [name]) if options else (shown in text)


def test_warnings_are_shown_while_native_code_is_silent(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_into(error: Exception | None) -> None:
        os.write(2, b"a GPU is missing")
        if error is not None:
            raise error

    monkeypatch.setattr(sys, "__stderr__", sys.stderr)  # nobody has put something in its place
    with capture_stderr():
        run_into(None)
        sys.stderr.write("the head is new\n")
    with pytest.raises(InputError), capture_stderr():
        run_into(InputError("a sentence"))
    assert capfd.readouterr().err == "the head is new\n"
