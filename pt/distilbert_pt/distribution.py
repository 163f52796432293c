"""Devices and processes: where a run computes, and what its processes add up.

Started by `torchrun`, each process has a model and a part of each batch; gradients are summed before each update.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from distilbert_common.errors import DeviceError, DistilBertError
from distilbert_common.training_state import device_name

__all__ = ["Processes", "choose_device"]

BUCKET_BYTES = 25 * 2**20
"""How much is sent at once; as in PyTorch's own data parallel training."""


def choose_device(device: str) -> torch.device:
    """Return the device of a kind; of several GPUs the one that `torchrun` gave this process.

    Args:
        device: "cpu", "gpu", or "auto" for the GPU if there is one.

    Raises:
        DeviceError: There is no GPU, or no such kind.
    """
    device = device_name(device)
    if device == "gpu" and not torch.cuda.is_available():
        raise DeviceError("device is 'gpu', and PyTorch sees no GPU here; use device='cpu', or install PyTorch for it")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", torch.cuda.current_device())))


class Processes:
    """The processes that train together, or this one alone.

    Attributes:
        rank: The number of this one.
        world: How many there are.
    """

    def __init__(self, device: torch.device) -> None:
        if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        together = dist.is_available() and dist.is_initialized()
        self.rank: int = dist.get_rank() if together else 0
        self.world: int = dist.get_world_size() if together else 1

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Give tensors the values that they have in the first process."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), 0)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one dtype by their sums over all processes.

        Raises:
            DistilBertError: Another process has ended.
        """
        if self.world == 1:
            return
        try:
            for bucket in buckets(tensors):
                flat = torch.cat([tensor.flatten() for tensor in bucket])  # (entries,)
                dist.all_reduce(flat)
                parts = flat.split([tensor.numel() for tensor in bucket])
                for tensor, part in zip(bucket, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))
        except RuntimeError as error:
            raise DistilBertError(
                f"process {self.rank} of {self.world} lost its connection to another one, which has ended; "
                "start the run again to go on from its last checkpoint"
            ) from error


def buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the tensors in order, as many at a time as `BUCKET_BYTES` hold."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and size + tensor.nbytes > BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket
