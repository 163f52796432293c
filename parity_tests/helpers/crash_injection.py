"""Conversions killed at any moment, and two to one place at the same time: processes that fork from a warm one.

python -m parity_tests.helpers.crash_injection kill|race FOLDER COUNT

prints what was seen as JSON. A moment is a step of Python towards the system, so that each run has the same ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from distilbert_common.errors import OutputExistsError
from distilbert_conversion import convert
from parity_tests.helpers.checkpoints import MICRO, MLM

_STEPS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "shutil.rmtree", "os.listdir")
_LEFTOVER = re.compile(r"\.out\.[0-9a-f]{8}\.(new|old)")

Files = dict[str, bytes] | None


class Clock:
    """Counts the steps that a process takes, and does something at one of them."""

    def __init__(self) -> None:
        self.moment = 0
        self.step = 0
        self.action: Callable[[], None] = lambda: None
        self.before_sync: Callable[[], None] = lambda: None
        self._folder_events: list[str] = []
        sys.addaudithook(self.hear)
        fsync = os.fsync

        def ticking_fsync(descriptor: int) -> None:
            self.tick()
            fsync(descriptor)
            self.tick()

        os.fsync = ticking_fsync

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take a step where Python does something to the file system."""
        if event in _STEPS:
            self.tick()
        if event == "os.mkdir" and str(arguments[0]).endswith(".new"):
            self._folder_events = [str(arguments[0])]
        if event == "open" and str(arguments[0]) in self._folder_events:  # first to lock it, then to sync it
            self._folder_events.append(self._folder_events[0])
            if len(self._folder_events) == 3:
                self.before_sync()

    def tick(self, *_: Any) -> None:
        """Take one step."""
        self.step += 1
        if self.step == self.moment:
            self.action()


def content(folder: Path) -> Files:
    """Return what is in a folder, or None where there is none."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.exists() else None


def forked(work: Callable[[], int]) -> int:
    """Start work in a process of its own, which ends with the status returned; return its id."""
    process = os.fork()
    if process == 0:
        status = 70
        try:
            status = work()
        finally:
            os._exit(status)
    return process


class Folder:
    """A source, a place to convert to, and what may be there: nothing, the old model, or the new one."""

    def __init__(self, root: Path) -> None:
        self.source, self.out = root / "source", root / "results" / "out"
        shutil.copytree(MLM, self.source)
        (self.source / "vocab.txt").write_text("[PAD]\n")
        self.out.parent.mkdir()
        convert(MICRO / "Model" / "pt", root / "old", to="pt")
        convert(self.source, root / "new", to="flax")
        convert(self.source, root / "other", to="tf")
        self.states = {name: content(root / name) for name in ("old", "new", "other")}
        self.states["absent"] = None
        self.source_content = content(self.source)

    def fill(self, *, old: bool) -> None:
        """Make the place as it is before a conversion."""
        shutil.rmtree(self.out.parent)
        self.out.parent.mkdir()
        for name, data in (self.states["old"] or {}).items() if old else ():
            self.out.mkdir(exist_ok=True)
            (self.out / name).write_bytes(data)

    def state(self) -> str:
        """Return what is at the place: a key of `states`, or "half" if it is none of them."""
        assert content(self.source) == self.source_content, "the source was changed"
        siblings = [path.name for path in self.out.parent.iterdir() if path != self.out]
        assert all(map(_LEFTOVER.fullmatch, siblings)), siblings
        out_content = content(self.out)
        return next((name for name, files in self.states.items() if files == out_content), "half")


def kill(folder: Folder, clock: Clock, moment: int, *, old: bool) -> str:
    """Kill a conversion at a moment, then convert again; return what was there in between."""
    folder.fill(old=old)

    def work() -> int:
        clock.step, clock.moment = 0, moment
        clock.action = lambda: os.kill(os.getpid(), signal.SIGKILL)
        convert(folder.source, folder.out, to="flax", overwrite=old, progress=clock.tick)
        return 0

    _, status = os.waitpid(forked(work), 0)
    assert os.WIFSIGNALED(status), f"not killed at step {moment}: there are fewer"
    state = folder.state()
    if state == "absent" and old:
        try:
            convert(folder.source, folder.out, to="flax")
        except OutputExistsError:
            assert folder.state() == "old", "the old model was not brought back"
    convert(folder.source, folder.out, to="flax", overwrite=True)
    assert folder.state() == "new"
    assert [path.name for path in folder.out.parent.iterdir()] == ["out"], "leftovers were not tidied up"
    return state


def steps(folder: Folder, clock: Clock, *, old: bool) -> int:
    """Return how many steps a conversion takes, in hundreds of a process's exit status twice."""
    folder.fill(old=old)
    reading, writing = os.pipe()

    def work() -> int:
        clock.step = clock.moment = 0
        convert(folder.source, folder.out, to="flax", overwrite=old, progress=clock.tick)
        os.write(writing, b"%d" % clock.step)
        return 0

    os.waitpid(forked(work), 0)
    os.close(writing)
    with os.fdopen(reading) as file:
        return int(file.read())


def kills(folder: Folder, clock: Clock, count: int) -> dict[str, Any]:
    """Kill conversions at so many moments, with and without an old model; the last moments are all among them."""
    seen: dict[str, Any] = {}
    for old in (False, True):
        last = steps(folder, clock, old=old)
        moments = sorted({*range(last - count // 2, last + 1), *range(1, last + 1, max(1, 2 * last // count))})
        states = Counter(kill(folder, clock, moment, old=old) for moment in moments if moment > 0)
        seen["overwrite" if old else "new"] = {"moments": len(moments), "steps": last, **states}
    return seen


def race(folder: Folder, clock: Clock, number: int, *, old: bool) -> str:
    """Convert twice, both waiting for each other before the last steps; return what became of both and what is there.

    Args:
        folder: Where.
        clock: Tells when a conversion is ready.
        number: One of the two waits so many ten-thousandths of a second longer.
        old: Whether there is something to replace.
    """
    folder.fill(old=old)
    ready, go = os.pipe(), os.pipe()

    def work(to: str) -> int:
        def wait() -> None:
            os.write(ready[1], b"r")
            os.read(go[0], 1)
            time.sleep(number / 10_000 if to == ("flax", "tf")[number % 2] else 0)

        clock.moment, clock.before_sync = 0, wait
        try:
            convert(folder.source, folder.out, to=to, overwrite=old)
        except OutputExistsError:
            return 3
        return 0

    processes = [forked(partial(work, to)) for to in ("flax", "tf")]
    for _ in processes:
        os.read(ready[0], 1)
    os.write(go[1], b"gg")
    statuses = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    for descriptor in (*ready, *go):
        os.close(descriptor)
    siblings = [path.name for path in folder.out.parent.iterdir()]
    return f"{sorted(statuses)} {folder.state()} {siblings}"


def main() -> None:
    what, root, count = sys.argv[1:]
    folder, clock = Folder(Path(root)), Clock()
    if what == "kill":
        print(json.dumps(kills(folder, clock, int(count))))  # noqa: T201
    else:
        seen = {
            name: Counter(race(folder, clock, number, old=old) for number in range(int(count)))
            for name, old in _RACES.items()
        }
        print(json.dumps(seen))  # noqa: T201


_RACES = {"new": False, "overwrite": True}

if __name__ == "__main__":
    main()
