"""The arguments of the commands that run on Ray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from distilbert_cli.arguments import option
from distilbert_common.errors import InputError

if TYPE_CHECKING:
    from distilbert_deploy.scale import Cluster

__all__ = ["RAY", "OnRay", "cluster", "cluster_of", "refuse_ray_options"]

RAY = "Ray"


OnRay = Annotated[bool, option(RAY, "Divide the work among processes of Ray, on one machine or many.", "--ray")]


def cluster(
    ray_address: Annotated[
        str, option(RAY, "Cluster, as auto on one of its machines; RAY_ADDRESS, or this machine alone, if not given.")
    ] = "",
    ray_workers: Annotated[
        int | None, option(RAY, "Processes at once; as many as there is room for if not given.")
    ] = None,
    ray_cpus: Annotated[int, option(RAY, "Cores of each.")] = 1,
    ray_gpus: Annotated[float, option(RAY, "GPUs of each.")] = 0,
) -> None:
    """Where work is done that is divided among processes."""


def cluster_of(arguments: Mapping[str, Any]) -> Cluster:
    """Return the cluster that the arguments of a command name."""
    from distilbert_deploy.scale import Cluster

    return Cluster(
        address=arguments["ray_address"] or None,
        workers=arguments["ray_workers"],
        cpus=arguments["ray_cpus"],
        gpus=arguments["ray_gpus"],
    )


def refuse_ray_options(arguments: Mapping[str, Any], *others: str) -> None:
    """Require that what only Ray takes is not given without it.

    Args:
        arguments: Those of the command, by name.
        *others: Arguments that are for runs on Ray too, beside those of the cluster.

    Raises:
        InputError: One was given.
    """
    for name in ("ray_address", "ray_workers", *others):
        if arguments[name]:
            raise InputError(f"--{name.replace('_', '-')} is for runs on Ray; give --ray too, or leave it out")
