"""The Ray cluster that a run uses: one that is there, or one of this machine alone that ends with the run."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from distilbert_common.errors import InputError, MissingFrameworkError

__all__ = ["Cluster", "connected", "require_ray"]

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_enable_metrics_collection": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray warns of otherwise
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # on standard error; Ray's files have the rest
    "RAY_AIR_NEW_OUTPUT": "0",  # we say what trials do
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths stay what they are
    "RAY_raylet_start_wait_time_s": "120",  # 30 are few on a machine that is busy
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # runs write metrics themselves
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial may end before it measures
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
}
"""What the processes of a run find in their environment, where nothing else is there."""
LOCAL = "local"
PATIENCE = 10.0
"""Seconds in which a cluster is to take a connection."""
MEMORY = 256 * 2**20
"""Bytes of the object store of a cluster of this machine; what does not fit is written to disk."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where a run computes, and with how many processes.

    Attributes:
        address: That of a cluster, as "auto" on one of its machines; None for the one in RAY_ADDRESS, or for this
            machine alone.
        workers: How many processes compute at once; None for as many as the cluster has room for.
        cpus: Cores of each.
        gpus: GPUs of each; may be a fraction.
    """

    address: str | None = None
    workers: int | None = None
    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers is {self.workers}; expected a whole number of at least 1")
        if self.cpus < 1 or self.gpus < 0:
            raise InputError(f"a worker has {self.cpus} cores and {self.gpus:g} GPUs; expected at least 1 and 0")

    @property
    def resources(self) -> dict[str, float]:
        """What Ray sets aside for each worker."""
        return {"CPU": float(self.cpus)} | ({"GPU": self.gpus} if self.gpus else {})

    def room(self) -> int:
        """Return how many workers the cluster has room for now; at least 1."""
        import ray

        available = ray.cluster_resources()
        return max(1, int(min(available.get(name, 0.0) / needed for name, needed in self.resources.items())))


def require_ray(asked_for: str) -> Any:
    """Return Ray, told to be quiet and to send nothing.

    Args:
        asked_for: What needs it.

    Raises:
        MissingFrameworkError: It is not installed; the message holds the command that installs it.
    """
    if find_spec("ray") is None:
        raise MissingFrameworkError(asked_for, "ray", "ray")
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray


@contextmanager
def connected(cluster: Cluster, asked_for: str) -> Iterator[None]:
    """Connect to a cluster, or start one; one that this program is connected to already is used, and kept.

    Raises:
        InputError: There is no cluster at the address.
        MissingFrameworkError: Ray is not installed.
    """
    ray = require_ray(asked_for)
    if ray.is_initialized():
        yield
        return
    address = cluster.address or os.environ.get("RAY_ADDRESS") or LOCAL
    start_options: dict[str, Any] = {}
    if address == LOCAL:
        cores = max(os.cpu_count() or 1, (cluster.workers or 1) * cluster.cpus)
        start_options = {"num_cpus": cores, "include_dashboard": False, "object_store_memory": MEMORY}
    try:
        _check_reachable(address)
        with _no_stderr():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **start_options)
    except Exception as error:  # Ray raises plain ones too
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if address == LOCAL:
            raise InputError(f"Ray cannot be started here: {reason}; its files in /tmp/ray say more") from error
        raise InputError(
            f"no Ray cluster answers at {address!r} (--ray-address, RAY_ADDRESS): {reason}; start one with ray start "
            "--head, or leave the address out for a cluster of this machine alone"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Drop what Ray's C++ writes to standard error when it starts; what goes wrong is raised."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def _check_reachable(address: str) -> None:
    """Require that somebody listens at an address such as "10.0.0.5:6379", where Ray itself tries for ten minutes.

    Raises:
        OSError: Nobody does.
        ValueError: It is no address.
    """
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("expected a host and a port, as 10.0.0.5:6379, or auto on a machine of the cluster")
    with socket.create_connection((host, int(port)), timeout=PATIENCE):
        pass
