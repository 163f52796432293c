"""How the processes of Ray Train find each other: through the variables that torchrun sets, whatever the framework.

Ray's own trainers differ: that for JAX leaves processes on CPUs to train apart, that for TensorFlow asks for Keras 2,
and each imports its framework. The engines of the three families join by these variables alone.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from ray.train.backend import Backend, BackendConfig

__all__ = ["Torchrun"]


class Torchrun(BackendConfig):  # type: ignore[misc]  # Ray is not followed
    """The environment that torchrun would make."""

    @property
    def backend_cls(self) -> type[Backend]:
        """Who makes it."""
        return _TorchrunBackend


class _TorchrunBackend(Backend):  # type: ignore[misc]
    share_cuda_visible_devices = True  # LOCAL_RANK chooses among the GPUs of a machine

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """Tell each process who it is, and where the others are."""
        import ray

        addresses = worker_group.execute(_free_address)
        calls = [
            worker_group.execute_single_async(rank, _join, number=rank, addresses=addresses)
            for rank in range(len(worker_group))
        ]
        ray.get(calls)


def _free_address() -> tuple[str, list[int]]:
    """Return the address of this machine, and three ports that are free one after the other."""
    import ray

    host = ray.util.get_node_ip_address()
    while True:
        with socket.socket() as probe:
            probe.bind(("", 0))
            first = probe.getsockname()[1]
        try:
            with socket.socket() as second:
                second.bind(("", first + 1))
                return host, [first, first + 1]
        except OSError:
            continue


def _join(number: int, addresses: list[tuple[str, list[int]]]) -> None:
    host, (port, _) = addresses[0]
    hosts = [address for address, _ in addresses]
    workers = [f"{address}:{ports[1]}" for address, ports in addresses]
    cluster = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": number}}
    os.environ |= {
        "RANK": str(number),
        "WORLD_SIZE": str(len(addresses)),
        "LOCAL_RANK": str(hosts[:number].count(hosts[number])),
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
        "TF_CONFIG": json.dumps(cluster),  # TensorFlow wants the address of each
    }
