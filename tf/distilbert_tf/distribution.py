"""Devices and processes: where a run computes, and what its processes add up.

Each process has a model and a part of each batch; gradients are summed before each update. Keras' `fit` cannot train
in several processes, and TensorFlow's strategy for them is used for that sum alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import keras

from distilbert_common.errors import DeviceError, DistilBertError, InputError
from distilbert_common.training_state import device_name
from distilbert_tf.arrays import Tensor

__all__ = ["Processes", "choose_device", "join_processes"]


def join_processes() -> Any:
    """Join the other processes of a run, where `TF_CONFIG` names them or a launcher such as `torchrun` started several.

    It must come before anything is computed, as TensorFlow connects to the others when it is first used.

    Returns:
        The strategy that spans them; None where there is this process alone.

    Raises:
        InputError: There are several on another backend of Keras than TensorFlow.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 and "TF_CONFIG" not in os.environ:
        return None
    if keras.backend.backend() != "tensorflow":
        raise InputError("Keras trains in several processes on TensorFlow alone; set KERAS_BACKEND=tensorflow")
    return strategy()


@cache
def strategy() -> Any:
    """Return TensorFlow's strategy for the processes of this run: there can be one in a process."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if "TF_CONFIG" not in os.environ:
        os.environ["TF_CONFIG"] = local_cluster(int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"]))
        if gpus:
            tf.config.set_visible_devices(gpus[int(os.environ.get("LOCAL_RANK", "0"))], "GPU")
    return tf.distribute.MultiWorkerMirroredStrategy()


def local_cluster(world: int, rank: int) -> str:
    """Return TensorFlow's description of processes on one machine, which listen on the ports after `MASTER_PORT`."""
    first = int(os.environ["MASTER_PORT"]) + 1  # `torchrun` listens on that one itself
    workers = [f"{os.environ['MASTER_ADDR']}:{first + number}" for number in range(world)]
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}})


def choose_device(device: str) -> str:
    """Return Keras' name of a device, as "gpu:0".

    Args:
        device: "cpu", "gpu", or "auto" for the GPU if there is one.

    Raises:
        DeviceError: There is no GPU, or no such kind.
    """
    device = device_name(device)
    gpus = has_gpu()
    if device == "gpu" and not gpus:
        raise DeviceError(
            f"device is 'gpu', and Keras sees none here on {keras.backend.backend()}; use device='cpu', or install "
            "the backend for it"
        )
    return "cpu:0" if device == "cpu" or not gpus else "gpu:0"


def has_gpu() -> bool:
    """Whether Keras' backend has a GPU here."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "gpu")
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))


class Processes:
    """The processes that train together, or this one alone.

    Attributes:
        rank: The number of this one.
        world: How many there are.
    """

    def __init__(self) -> None:
        spanning = join_processes()
        self.rank: int = spanning.cluster_resolver.task_id if spanning else 0
        self.world: int = spanning.num_replicas_in_sync if spanning else 1
        self._sum = sum_function(spanning) if spanning else None

    def copy_from_first(self, variables: Sequence[keras.Variable]) -> None:
        """Give variables the values that they have in the first process."""
        if self.world > 1:
            values = [variable.value * float(self.rank == 0) for variable in variables]
            for variable, value in zip(variables, self.sum(values), strict=True):
                variable.assign(value)

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums of tensors over all processes.

        Raises:
            DistilBertError: Another process has ended.
        """
        if self._sum is None:
            return list(tensors)
        import tensorflow as tf

        try:
            return list(self._sum(list(tensors)))
        except (tf.errors.UnavailableError, tf.errors.InternalError, tf.errors.AbortedError) as error:
            raise DistilBertError(
                f"process {self.rank} of {self.world} lost its connection to another one, which has ended; "
                "start the run again to go on from its last checkpoint"
            ) from error


def sum_function(spanning: Any) -> Any:
    """Return a function that sums a list of tensors over the processes of a strategy."""
    import tensorflow as tf

    def in_replica(*tensors: Tensor) -> Any:
        placed = [tf.identity(tensor) for tensor in tensors]  # the sum goes to where its parts are, which must be known
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, placed)

    @tf.function(autograph=False)
    def summed(tensors: list[Tensor]) -> Any:
        return spanning.run(in_replica, args=tuple(tensors))

    return summed
