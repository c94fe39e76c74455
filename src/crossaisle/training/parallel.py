"""`World`: the processes of a data-parallel training, started by `torchrun` or Ray, and this one's rank.

The texts of a batch are distributed, their vectors gathered, and every process computes the loss of the whole
batch. So a step is the same whatever the number of processes: same examples, same negatives, same weights
afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch import distributed as dist

from crossaisle.errors import ConfigError

Places = npt.NDArray[np.int64]
PATIENCE = timedelta(minutes=30)
"""Timeout for processes waiting for each other."""


@dataclass(frozen=True)
class World:
    """This process's rank and the number of processes; by default a single one."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether this is the only process."""
        return self.size == 1

    def spread(self, make: Callable[[Places], Tensor], lengths: Sequence[int]) -> Tensor:
        """float (n, d): rows computed in shares by the processes, with gradients.

        `make` returns float (k, d) for the rows at int64 (k,) of n; `lengths` are their costs. Whatever is
        computed from the result must be the same in every process: each receives the full gradient of its own
        rows times `size`, which the mean over processes (`average`) cancels.
        """
        if self.alone:
            return make(np.arange(len(lengths)))
        # Sorted by length, so that shares cost the same and batches contain little padding.
        order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
        own = order[self.rank :: self.size]
        # A process without a share of a tiny batch computes a dummy row: all take part in the exchange.
        made = make(own if len(own) else order[:1])[: len(own)]
        each = -(-len(order) // self.size)
        padded = torch.nn.functional.pad(made.float(), (0, 0, 0, each - len(made)))
        every: Tensor = _Gather.apply(padded, self.rank, self.size)  # type: ignore[no-untyped-call]
        rows = every.transpose(0, 1).reshape(each * self.size, -1)[: len(order)].to(made.dtype)
        return rows[torch.from_numpy(np.argsort(order)).to(rows.device)]

    def average(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Averages gradients over all processes, in place; a missing one counts as zero."""
        if self.alone:
            return
        moving = list(parameters)
        for parameter in moving:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([cast(Tensor, p.grad).flatten() for p in moving])
        dist.all_reduce(flat)
        means = torch.split_with_sizes(flat / self.size, [p.numel() for p in moving])
        for parameter, mean in zip(moving, means, strict=True):
            cast(Tensor, parameter.grad).copy_(mean.view_as(parameter))

    def agreed(self, value: float, device: torch.device) -> float:
        """The first process's value, in all processes; NaN if any process has NaN."""
        if self.alone:
            return value
        values = torch.zeros(self.size, dtype=torch.float64, device=device)
        values[self.rank] = value
        dist.all_reduce(values)
        return float("nan") if bool(values.isnan().any()) else float(values[0])

    def start_alike(self, tensors: Iterable[Tensor]) -> None:
        """Copies the first process's values to all processes, in place."""
        if not self.alone:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """A barrier: returns when all processes have reached it."""
        if not self.alone:
            dist.barrier()


class _Gather(torch.autograd.Function):
    """(k, d) of each process -> (size, k, d). Every process knows the whole gradient, so backward needs no
    exchange."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rank: int, size: int) -> Tensor:
        ctx.rank, ctx.size = rank, size
        sent = own.contiguous() if dist.get_backend() == "nccl" else own.contiguous().cpu()
        parts = [torch.empty_like(sent) for _ in range(size)]
        dist.all_gather(parts, sent)
        return torch.stack(parts).to(own.device)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.rank] * ctx.size, None, None


def device_of(name: str) -> torch.device:
    """Device for `auto`, `cpu` or `cuda`; auto uses a GPU if available. Each process of a machine gets its
    own GPU.

    Raises `ConfigError` for another name, and if there is no such GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {name}: must be auto, cpu or cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError(f"--device cuda: torch {torch.__version__} finds no GPU here: use --device cpu")
    if name == "cpu" or not there:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Joins the world set up by `torchrun` or Ray Train; a world of one if there is none.

    Uses NCCL if each process of the machine has its own GPU, else gloo.
    """
    if dist.is_initialized():  # by Ray Train, which also shuts it down
        yield World(dist.get_rank(), dist.get_world_size())
        return
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        yield World()
        return
    own = device.type == "cuda" and int(os.environ.get("LOCAL_WORLD_SIZE", size)) <= torch.cuda.device_count()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if own else "gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
