"""`World`: the processes of a data-parallel training, as `torchrun` or Ray starts them, and where each is.

Texts are shared out, their vectors gathered, and the loss is that of the whole batch in every process. So a
step is the step of one process, whatever their number: same examples, same negatives, same weights after it.
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
"""How long processes wait for each other."""


@dataclass(frozen=True)
class World:
    """Which of how many processes this one is; alone by default."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.size == 1

    def spread(self, make: Callable[[Places], Tensor], lengths: Sequence[int]) -> Tensor:
        """float (n, d): rows that each process makes its share of, with their gradient.

        `make` gives float (k, d) for places int64 (k,) of the n rows; `lengths` are what they cost. What is
        worked out from the result must be the same in every process: each gets the whole gradient of its own
        rows, times `size`, which the mean over the processes (`average`) takes back.
        """
        if self.alone:
            return make(np.arange(len(lengths)))
        # By falling length, so that shares cost the same and little of a batch is padding.
        order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
        own = order[self.rank :: self.size]
        # One that has no share of a tiny batch makes a row for nothing: all take part in the exchange.
        made = make(own if len(own) else order[:1])[: len(own)]
        each = -(-len(order) // self.size)
        padded = torch.nn.functional.pad(made.float(), (0, 0, 0, each - len(made)))
        every: Tensor = _Gather.apply(padded, self.rank, self.size)  # type: ignore[no-untyped-call]
        rows = every.transpose(0, 1).reshape(each * self.size, -1)[: len(order)].to(made.dtype)
        return rows[torch.from_numpy(np.argsort(order)).to(rows.device)]

    def average(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """The mean of their gradients over all processes, in place; none counts as zero."""
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
        """The first process's value, in all of them; NaN if any has NaN."""
        if self.alone:
            return value
        values = torch.zeros(self.size, dtype=torch.float64, device=device)
        values[self.rank] = value
        dist.all_reduce(values)
        return float("nan") if bool(values.isnan().any()) else float(values[0])

    def start_alike(self, tensors: Iterable[Tensor]) -> None:
        """The first process's values, in all of them, in place."""
        if not self.alone:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Until all processes are here."""
        if not self.alone:
            dist.barrier()


class _Gather(torch.autograd.Function):
    """(k, d) of each process -> (size, k, d). The gradient is known in every process: no exchange."""

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
    """`auto`, `cpu` or `cuda`: auto is a GPU where there is one. Each process of a machine takes its own GPU.

    Raises `ConfigError` for another name, and for a GPU that is not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {name}: must be auto, cpu or cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError(f"--device cuda: torch {torch.__version__} finds no GPU here: use --device cpu")
    if name == "cpu" or not there:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())


def first_process() -> bool:
    """Whether this process, one that `torchrun` started or not, is the one that writes and speaks."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """This process in the world that `torchrun` or Ray Train made; alone where neither did.

    NCCL where each process of the machine has a GPU of its own, else gloo.
    """
    if dist.is_initialized():  # by Ray Train, which also takes it apart
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
