"""Reading a PyTorch pickle without running anything from it.

A pickle is a program; unpickling it runs whatever it names. Here its instructions are read one by one, and the few
that a dict of tensors needs are carried out on plain data: a name becomes a `Name`, a call to one of the functions
in `_CALLS` that rebuild tensors becomes a `TensorRef`, an `ArrayRef` or a dict, everything else is refused. Nothing is
imported.
Source: the instruction set in Python's `pickletools`.
"""

from __future__ import annotations

import io
import mmap
import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from distilbert_common.errors import CheckpointError
from distilbert_conversion.formats import numpy_pickle
from distilbert_conversion.formats.numpy_pickle import ArrayRef, DtypeRef

__all__ = ["StorageRef", "TensorRef", "unpickle"]


@dataclass(frozen=True)
class Name:
    """Something that a pickle names, as "torch FloatStorage"."""

    text: str


@dataclass(frozen=True)
class StorageRef:
    """A block of numbers: the name of its type, its key in the file, and how many numbers it has."""

    kind: str
    key: str
    size: int


@dataclass(frozen=True)
class TensorRef:
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_MARK = object()
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING", "STRING", "BINBYTES", "SHORT_BINBYTES",
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = {"BINPUT", "LONG_BINPUT", "PUT"}
_GETS = {"BINGET", "LONG_BINGET", "GET"}
_NOTHING = {"PROTO", "FRAME"}
_MAX_KEY = 2**63  # an optimizer's state beside a model's is numbered


Readable = io.BytesIO | mmap.mmap
"""What a pickle is read from: memory, so that a made-up length is never allocated."""


def unpickle(file: Readable, path: Path) -> Any:
    """Return the data of the pickle at a file's position, which is left after the pickle's end.

    Raises:
        CheckpointError: The pickle is damaged, or needs more than a dict of tensors does.
    """
    try:
        with warnings.catch_warnings(action="error"):  # pickletools warns of escapes that no pickler writes
            return _Machine(path).run(file)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, Warning) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not a whole PyTorch file ({error}); get it again") from error


class _Machine:
    """The stack and the memory that a pickle's instructions work on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: Readable) -> Any:
        """Carry out instructions until the last, and return what is on the stack."""
        for opcode, argument, _ in pickletools.genops(cast(IO[bytes], file)):
            if opcode.name == "STOP":
                break
            self.step(opcode.name, argument)
        return self.stack.pop()

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _TUPLES:
            self.stack[-_TUPLES[name] :] = [tuple(self.stack[-_TUPLES[name] :])]
        elif name in _PUTS:
            self.memo[int(argument)] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self.memo[int(argument)])
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _NOTHING:
            raise self.refusal(f"the instruction {name}")

    def marked(self) -> list[Any]:
        """Take off what lies above the last mark, and the mark."""
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def refusal(self, what: str) -> CheckpointError:
        """Return the error for a pickle that holds more than tensors."""
        return CheckpointError(
            f"{self.path} holds {what}, which is not read: only tensors by name are, and nothing in the file is run; "
            "save the model's state_dict() and use that file"
        )

    def name(self, argument: str) -> None:
        self.stack.append(Name(argument))

    def stack_name(self, _: Any) -> None:
        module, attribute = self.stack[-2:]
        self.stack[-2:] = [Name(f"{module} {attribute}")]

    def make_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.marked()))

    def append(self, _: Any) -> None:
        item = self.stack.pop()
        self.list_on_top().append(item)

    def appends(self, _: Any) -> None:
        items = self.marked()
        self.list_on_top().extend(items)

    def list_on_top(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise self.refusal(f"an addition to a {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def set_item(self, _: Any) -> None:
        pair = self.stack[-2:]
        del self.stack[-2:]
        self.update(pair)

    def set_items(self, _: Any) -> None:
        self.update(self.marked())

    def update(self, items: list[Any]) -> None:
        """Put keys and values, by turns, into the dict on the stack."""
        target = self.stack[-1]
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(target) is not dict or not (type(key) is str or (type(key) is int and 0 <= key < _MAX_KEY)):
                raise self.refusal(f"a {type(target).__name__} with a {type(key).__name__} as a key")
            target[key] = value

    def build(self, _: Any) -> None:
        """Give an array its contents; leave out a dict's attributes: PyTorch gives a state_dict version numbers."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, (ArrayRef, DtypeRef)):
            target.fill(state)
        elif type(target) is not dict:
            raise self.refusal(f"attributes of a {type(target).__name__}")

    def storage(self, _: Any) -> None:
        """Take a reference to a storage: ("storage", type, key, device, size) and in old files a view of it."""
        reference = self.stack.pop()
        if type(reference) is not tuple or [type(part) for part in reference[:5]] != [str, Name, str, str, int]:
            raise self.refusal("a reference to something else than a storage")
        tag, kind, key, _device, size, *view = reference
        if tag != "storage" or view not in ([], [None]):
            raise self.refusal("a reference to something else than a storage")
        self.stack.append(StorageRef(kind.text.removeprefix("torch "), key, size))

    def call(self, _: Any) -> None:
        """Take a call of one of the functions in `_CALLS`, and none else."""
        function, arguments = self.stack[-2:]
        called = function.text if type(function) is Name else f"a {type(function).__name__}"
        if called not in _CALLS or type(arguments) is not tuple:
            raise self.refusal(f"a call of {called.replace(' ', '.')!r}")
        self.stack[-2:] = [_CALLS[called](*arguments)]


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TensorRef:
    if type(storage) is not StorageRef or not all(type(n) is int for n in (offset, *shape, *strides)):
        raise ValueError("a tensor without storage, shape or strides")
    return TensorRef(storage, offset, tuple(shape), tuple(strides))


def _ordered_dict(pairs: Any = ()) -> dict[str, Any]:
    if not all(type(key) is str for key, _ in pairs):
        raise ValueError("a dict whose keys are not all text")
    return dict(pairs)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _ordered_dict,
    "torch Size": lambda sizes=(): tuple(sizes),
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils _rebuild_parameter_with_state": lambda tensor, *_: tensor,
    **numpy_pickle.CALLS,
}
"""What a pickle may call, by module and name, and what is done instead."""

_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "TUPLE": _Machine.make_tuple,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.storage,
    "REDUCE": _Machine.call,
    "MEMOIZE": lambda machine, _: machine.memo.__setitem__(len(machine.memo), machine.stack[-1]),
}
