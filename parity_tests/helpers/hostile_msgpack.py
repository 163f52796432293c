"""Hostile JSON, MessagePack and safetensors headers: well-formed, with something wrong said in them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgpack

from parity_tests.helpers.mutations import NUMBERS, TEXTS

Tree = Any
"""Dicts and lists, and whatever else is in them."""


def _deep(rng: Random) -> Tree:
    tree: Tree = 1
    for _ in range(rng.choice((40, 200))):
        tree = [tree] if rng.random() < 0.5 else {"a": tree}
    return tree


_LEAVES: tuple[Callable[[Random], Tree], ...] = (
    lambda rng: rng.choice(NUMBERS),
    lambda rng: rng.choice(NUMBERS),
    lambda rng: rng.choice(TEXTS),
    lambda rng: rng.choice((None, True, False, 1.5, -0.0, float("inf"), float("nan"), 10**40)),
    lambda rng: rng.choice(([], {}, [[]], {"": {}}, ["x"] * 1000, [0] * 1000)),
    lambda rng: [rng.choice(NUMBERS) for _ in range(rng.randint(1, 4))],
    lambda rng: [1] * rng.choice((33, 65, 1000)),
    _deep,
)


def _branches(tree: Tree) -> list[tuple[Tree, Any]]:
    """Return (container, key) of everything in a tree."""
    positions: list[tuple[Tree, Any]] = []
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        keys: Sequence[Any] = list(item) if isinstance(item, dict) else range(len(item))
        positions += [(item, key) for key in keys]
        waiting += [item[key] for key in keys if isinstance(item[key], (dict, list))]
    return positions


def _replaced(rng: Random, branch: Tree, key: Any, leaf: Tree) -> None:
    branch[key] = leaf


def _removed(rng: Random, branch: Tree, key: Any, leaf: Tree) -> None:
    del branch[key]


def _renamed(rng: Random, branch: Tree, key: Any, leaf: Tree) -> None:
    name = rng.choice((rng.choice(TEXTS), f"{key}/{key}", f"{key}\0"))
    if isinstance(branch, dict):
        branch[name] = branch.pop(key)


def _added(rng: Random, branch: Tree, key: Any, leaf: Tree) -> None:
    if isinstance(branch, dict):
        branch[rng.choice(TEXTS)] = leaf
    else:
        branch.append(leaf)


def _taken_from_elsewhere(rng: Random, branch: Tree, key: Any, leaf: Tree) -> None:
    keys = list(branch) if isinstance(branch, dict) else range(len(branch))
    branch[key] = branch[rng.choice(keys)]


def _replaced_in_kind(rng: Random, branch: Tree, key: Any, leaf: Tree) -> None:
    """Put something of the same type in place of a number, a text or a flag: what gets past the first check."""
    old = branch[key]
    if isinstance(old, bool):
        branch[key] = not old
    elif isinstance(old, (int, float)):
        branch[key] = rng.choice((rng.choice(NUMBERS), abs(rng.choice(NUMBERS)), 10 ** rng.randint(1, 30)))
    elif isinstance(old, str):
        branch[key] = rng.choice(TEXTS)


_ACTIONS = (
    _replaced, _replaced, _replaced_in_kind, _replaced_in_kind, _removed, _renamed, _added, _taken_from_elsewhere
)  # fmt: skip


def shaken(rng: Random, tree: Tree) -> Tree:
    """Change a tree in one to three places; the tree given is changed and returned."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        branches = _branches(tree)
        if branches:
            branch, key = rng.choice(branches)
            rng.choice(_ACTIONS)(rng, branch, key, rng.choice(_LEAVES)(rng))
    return tree


def json_text(rng: Random, tree: Tree) -> bytes:
    """Return a tree as JSON; at times with each key of the outermost object twice."""
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.1 and isinstance(tree, dict) and len(tree) > 1:
        text = text[:-1] + "," + json.dumps(shaken(rng, json.loads(text)))[1:]
    return text.encode("utf-8", "surrogatepass")


def hostile_json(rng: Random, content: bytes) -> bytes:
    """Return a JSON object in which something else is said."""
    return json_text(rng, shaken(rng, json.loads(content)))


def hostile_safetensors(rng: Random, content: bytes) -> bytes:
    """Return a safetensors file whose header says something else."""
    (length,) = struct.unpack("<Q", content[:8])
    text = hostile_json(rng, content[8 : 8 + length])
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def _open_arrays(value: Tree) -> Tree:
    """Return a tree in which each array is the list that is packed in it, so that it can be shaken too."""
    if isinstance(value, dict):
        return {key: _open_arrays(item) for key, item in value.items()}
    return ["array", *msgpack.unpackb(value.data)] if isinstance(value, msgpack.ExtType) else value


def _close_arrays(value: Tree) -> Tree:
    if isinstance(value, dict):
        return {key: _close_arrays(item) for key, item in value.items()}
    if isinstance(value, list) and value[:1] == ["array"]:
        return msgpack.ExtType(1, _packed(value[1:]))
    return value


def _packed(tree: Tree) -> bytes:
    packed: bytes = msgpack.packb(tree, unicode_errors="surrogatepass")
    return packed


def _chunked(rng: Random, array: Sequence[Any]) -> Tree:
    """Return an array in the form in which Flax writes large ones."""
    _, shape, dtype, content = array
    chunks = {"0": ["array", [len(content) // 8], dtype, content[: len(content) // 2]]}
    chunks["1"] = ["array", [len(content) // 8], dtype, content[len(content) // 2 :]]
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(axis): size for axis, size in enumerate(shape)},
        "chunks": chunks,
    }


def hostile_msgpack(rng: Random, content: bytes) -> bytes:
    """Return a MessagePack file that says something else; at times one of its arrays is divided."""
    tree = _open_arrays(msgpack.unpackb(content, strict_map_key=False))
    if rng.random() < 0.3:
        branch, key = rng.choice([(b, k) for b, k in _branches(tree) if isinstance(b[k], list) and b[k][0] == "array"])
        branch[key] = _chunked(rng, branch[key])
    try:
        return _packed(_close_arrays(shaken(rng, tree)))
    except (OverflowError, ValueError, TypeError):  # not everything that can be thought of can be packed
        return hostile_msgpack(rng, content)
