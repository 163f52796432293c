"""Devices and processes: where a run computes, and what its processes add up.

Each process has a model and a part of each batch, whose rows its own devices divide; gradients are summed over the
processes before each update.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from distilbert_common.errors import DeviceError, DistilBertError
from distilbert_common.training_state import device_name

__all__ = ["Processes", "choose_devices", "join_processes"]


def join_processes() -> None:
    """Join the other processes of a run, where a launcher such as `torchrun` or Slurm has started several.

    It must come before anything is computed, as JAX looks for its devices then.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or jax.distributed.is_initialized():
        return
    port = int(os.environ["MASTER_PORT"]) + 1  # `torchrun` listens on the first one itself
    jax.distributed.initialize(f"{os.environ['MASTER_ADDR']}:{port}", world, int(os.environ["RANK"]))


def choose_devices(device: str) -> list[Any]:
    """Return this process' devices of a kind.

    Args:
        device: "cpu", "gpu", or "auto" for JAX's default, which is an accelerator if there is one.

    Raises:
        DeviceError: There is no GPU, or no such kind.
    """
    kind = device_name(device)
    try:
        return jax.local_devices(backend=None if kind == "auto" else kind)
    except RuntimeError as error:
        raise DeviceError(
            f"device is {device!r}, and JAX sees none here; use device='cpu', or install JAX for it"
        ) from error


class Processes:
    """The processes that train together, or this one alone.

    Attributes:
        rank: The number of this one.
        world: How many there are.
    """

    def __init__(self, devices: list[Any]) -> None:
        self.rank, self.world = jax.process_index(), jax.process_count()
        self._local = Mesh(np.array(devices), ("rows",))
        if self.world > 1:
            kind = devices[0].platform
            grid = np.array(jax.devices(kind)).reshape(self.world, -1)  # (processes, devices)
            self._each = NamedSharding(Mesh(grid, ("process", "rows")), PartitionSpec("process"))
            everywhere = NamedSharding(self._each.mesh, PartitionSpec())
            self._sum = jax.jit(
                lambda tree: jax.tree.map(partial(jax.numpy.sum, axis=0), tree), out_shardings=everywhere
            )

    @property
    def everywhere(self) -> NamedSharding:
        """How parameters lie: on each of this process' devices."""
        return NamedSharding(self._local, PartitionSpec())

    def place(self, array: np.ndarray) -> Array:
        """Put an input on this process' devices, its rows divided among them where that leaves no remainder."""
        divides = array.ndim > 0 and array.shape[0] % self._local.size == 0
        return jax.device_put(array, NamedSharding(self._local, PartitionSpec("rows") if divides else PartitionSpec()))

    def sum(self, tree: Any) -> Any:
        """Return the sums over all processes of arrays that lie on each of this process' devices.

        Raises:
            DistilBertError: Another process has ended.
        """
        if self.world == 1:
            return tree
        try:  # to the end, as what goes wrong elsewhere shows when values are there
            return jax.block_until_ready(jax.tree.map(self._as_local, self._sum(jax.tree.map(self._as_global, tree))))
        except jax.errors.JaxRuntimeError as error:
            raise DistilBertError(
                f"process {self.rank} of {self.world} lost its connection to another one, which has ended; "
                "start the run again to go on from its last checkpoint"
            ) from error

    def copy_from_first(self, tree: Any) -> Any:
        """Return arrays with the values that they have in the first process."""
        return tree if self.world == 1 else self.sum(jax.tree.map(lambda array: array * (self.rank == 0), tree))

    def _as_global(self, array: Array) -> Array:
        """(…) in each process -> (processes, …)."""
        shards = [shard.data[None] for shard in array.addressable_shards]
        return jax.make_array_from_single_device_arrays((self.world, *array.shape), self._each, shards)

    def _as_local(self, array: Array) -> Array:
        """Return an array that is the same everywhere as one of this process' own devices."""
        shards = [shard.data for shard in array.addressable_shards]
        return jax.make_array_from_single_device_arrays(array.shape, self.everywhere, shards)
