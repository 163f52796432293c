"""Reading damaged checkpoints by the thousand, in processes that may crash, hang or run out of memory.

    python -m parity_tests.helpers.fuzzing DIALECT SEED COUNT FIRST LAST

reads those of COUNT with the numbers FIRST to LAST - 1, in this process, and prints what went wrong, one JSON object
a line.
"""

from __future__ import annotations

import codecs
import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import DistilBertError
from distilbert_conversion import FORMATS, compare, convert, open_checkpoint
from parity_tests.helpers.fuzz_samples import Damage
from parity_tests.helpers.machine import has, memory_in_bytes

SECONDS = 5
"""How long one damaged checkpoint may take."""

MEMORY = 2**30
"""How much more memory a process may use than after reading a good checkpoint, in bytes."""

_CONVERT_EVERY = 8
_MOST_FAILURES = 10
_FORBIDDEN = (
    "subprocess.", "socket.", "pickle.", "marshal.", "ctypes.", "pty.", "os.system", "os.exec", "os.fork",
    "os.posix_spawn", "os.spawn", "os.startfile", "exec", "compile", "code.__new__", "os.symlink", "os.link",
)  # fmt: skip
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.utime", "shutil.")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Hears of everything that Python does to the system, and keeps what reading a checkpoint must not do."""

    def __init__(self, allowed: Path) -> None:
        self.allowed = str(allowed)
        self.heard: list[str] | None = None
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Keep an event if it is a bad one, and somebody listens."""
        if self.heard is not None and (event.startswith(_FORBIDDEN) or self._changes(event, arguments)):
            self.heard.append(f"{event}{arguments!r:.200}")

    def _changes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """Whether an event changes a file that is not below `allowed`."""
        if event == "open":
            writes = isinstance(arguments[2], int) and arguments[2] & _WRITING
        else:
            writes = event.startswith(_CHANGES)
        within = event in ("os.remove", "os.rmdir") and arguments[1] != -1  # a part of a removal that was heard
        return bool(writes) and not within and not str(arguments[0]).startswith(self.allowed)


@dataclass
class Place:
    """The folders that damaged checkpoints are read from and converted to."""

    root: Path

    @property
    def source(self) -> Path:
        """Where the damaged checkpoint is."""
        return self.root / "source"

    @property
    def out(self) -> Path:
        """Where it is converted to."""
        return self.root / "result" / "out"

    def fill(self, good: dict[str, bytes]) -> None:
        """Write the good checkpoint."""
        self.source.mkdir()
        self.out.parent.mkdir()
        for name, content in good.items():
            (self.source / name).parent.mkdir(exist_ok=True)
            (self.source / name).write_bytes(content)


def read_all(source: Path) -> dict[str, bytes]:
    """Read all that is in a checkpoint, both ways; return the tensors' bytes.

    Raises:
        DistilBertError: It is damaged.
        AssertionError: A tensor is not what it is said to be.
    """
    contents = {}
    with open_checkpoint(source) as checkpoint:
        assert checkpoint.head
        assert checkpoint.dtype
        assert checkpoint.tied is not None
        for name, tensor in checkpoint.file_tensors.items():
            array = tensor.read()
            assert (array.shape, array.dtype) == (tensor.shape, tensor.dtype), name
            contents[name] = b"".join(chunk.tobytes() for chunk in tensor.chunks())
            assert len(contents[name]) == tensor.nbytes == array.nbytes, name
        assert compare(checkpoint, checkpoint.config(), checkpoint.head).dialect
    return contents


def examine(place: Place, intact: dict[str, bytes] | None, to: str | None) -> bool:
    """Read a damaged checkpoint, and convert it if `to` is given; return whether it could be read.

    Args:
        place: Where it is.
        intact: What it must hold if it can be read at all: it was cut off.
        to: A framework.
    """
    try:
        contents = read_all(place.source)
    except DistilBertError:
        return False
    assert intact is None or contents == intact, "a file that was cut off gave other values"
    if to is not None:
        _examine_conversion(place, to)
    return True


def _examine_conversion(place: Place, to: str) -> None:
    try:
        convert(place.source, place.out, to=to)
    except DistilBertError:
        assert not list(place.out.parent.iterdir()), "a conversion that failed left something"
        return
    with open_checkpoint(place.source) as before, open_checkpoint(place.out) as after:
        for name, tensor in after.tensors.items():
            assert np.array_equal(tensor.read(), before.tensors[name].read(), equal_nan=True), name
    assert [path.name for path in place.out.parent.iterdir()] == ["out"]
    shutil.rmtree(place.out)


def limit_memory() -> None:
    """Allow this process so much more memory than it has; there is no limit where its size is not told."""
    if not has("procfs"):
        return
    size, _ = memory_in_bytes()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(damage: Damage, first: int, last: int, root: Path) -> Iterator[dict[str, Any]]:
    """Examine damaged checkpoints; yield what went wrong, and at the end how many could be read."""
    place = Place(root)
    place.fill(damage.good)
    intact = read_all(place.source)
    watch = Watch(place.out.parent)
    for to in FORMATS:
        _examine_conversion(place, to)
    for encoding in ("cp437", "raw_unicode_escape"):
        codecs.lookup(encoding)
    for module in ("asyncio", "tensorstore") if damage.dialect == "orbax" else ():
        importlib.import_module(module)  # now everything is imported
    os.fsync = lambda _: None  # type: ignore[assignment]  # nothing here need outlast a power cut
    warnings.simplefilter("error")
    limit_memory()
    opened = 0
    with (root / "number").open("w+b", buffering=0) as number_file:
        for number in range(first, last):
            name, content = damage.case(number)
            (place.source / name).write_bytes(content)
            os.pwrite(number_file.fileno(), b"%20d" % number, 0)
            to = None if number % _CONVERT_EVERY else list(FORMATS)[number // _CONVERT_EVERY % 3]
            fault: BaseException | None = None
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            watch.heard = []
            try:
                opened += examine(place, intact if number < len(damage.cuts) else None, to)
            except BaseException as error:
                fault = error
            heard, watch.heard = watch.heard, None
            signal.setitimer(signal.ITIMER_REAL, 0)
            if fault or heard:
                shutil.rmtree(place.out.parent)
                place.out.parent.mkdir()
                text = "".join(traceback.format_exception(fault))[-3000:] if fault else ""
                yield {"number": number, "fault": f"{text}{heard or ''}"}
            (place.source / name).write_bytes(damage.good[name])
    yield {"opened": opened}


@dataclass
class Result:
    """What became of damaged checkpoints."""

    read: int = 0
    opened: int = 0
    failures: list[str] = field(default_factory=list)


def fuzz(dialect: str, count: int, seed: int, first: int = 0) -> Result:
    """Examine damaged checkpoints in processes of their own; one that dies is a failure, and the next one goes on.

    Args:
        dialect: A key of `SAMPLES`.
        count: How many.
        seed: Another one makes other damage.
        first: The number of the first.
    """
    result = Result()
    while first < count and len(result.failures) < _MOST_FAILURES:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as root:
            command = [sys.executable, __file__, dialect, str(seed), str(count), str(first), str(count), root]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            at = Path(root, "number")
            number = int(at.read_bytes()) if at.is_file() and at.stat().st_size else first
        result.opened += sum(line.get("opened", 0) for line in lines)
        faults = [(line["number"], line["fault"]) for line in lines if "fault" in line]
        if done.returncode == -signal.SIGTERM:  # somebody stopped it, no file can
            number -= 1
        elif done.returncode:
            faults.append((number, f"the process ended with {done.returncode}: {done.stderr[-3000:]}"))
        again = f"python -m parity_tests.helpers.fuzzing {dialect} {seed} {count}"
        result.failures += [f"{fault}\nto see it again: {again} {at} {at + 1}" for at, fault in faults]
        result.read += number + 1 - first
        first = number + 1
    return result


def assert_survives(dialect: str) -> None:
    """Assert that no damaged file of a dialect does harm, and that some could be read and most could not."""
    count, seed = int(os.environ.get("DISTILBERT_FUZZ", "500")), int(os.environ.get("DISTILBERT_FUZZ_SEED", "1"))
    result = fuzz(dialect, count, seed)
    assert not result.failures, f"{len(result.failures)} failures\n" + "\n\n".join(result.failures)
    assert result.read >= count
    assert 0 < result.opened < 0.8 * result.read


def main() -> None:
    dialect, seed, count, first, last, *root = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for fact in run(
            Damage(dialect, int(seed), int(count)), int(first), int(last), Path(root[0] if root else folder)
        ):
            print(json.dumps(fact), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
