"""Adversarial training: perturbs token vectors against the loss, and trains on both the plain and perturbed
loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Perturbation:
    """Adds a perturbation to the output of the token-embedding layer, one per text of the batch.

    Miyato et al., Adversarial Training Methods for Semi-Supervised Text Classification (ICLR 2017); Madry et
    al. (ICLR 2018).
    """

    def __init__(self, embeddings: nn.Module) -> None:
        self.offset: Tensor | None = None
        self._watching = False
        self._first = torch.zeros(())
        self._handle = embeddings.register_forward_hook(self._add)

    def _add(self, _module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        if not self._watching:
            return output
        if self.offset is None:
            self.offset = self._first = torch.zeros_like(output, requires_grad=True)
        return output + self.offset

    def close(self) -> None:
        """Removes the hook."""
        self._handle.remove()

    def backward(self, loss: Callable[[], Tensor], *, epsilon: float, steps: int) -> Tensor:
        """Accumulates the gradients of the plain and of the perturbed loss; returns the plain loss.

        `loss` runs the model on the same batch each time. `steps` = 1 is FGM; more is PGD with steps of `1.5
        * epsilon / steps`, projected to within `epsilon` of the unperturbed vectors.
        """
        self._watching, self.offset = True, None
        try:
            plain = loss()
            plain.backward()  # type: ignore[no-untyped-call]
            offset = self._first
            if offset.grad is None:  # the loss does not depend on the texts
                return plain.detach()
            moved = torch.zeros_like(offset)
            size = epsilon if steps == 1 else 1.5 * epsilon / steps
            gradient = offset.grad
            for step in range(steps):
                length = gradient.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1)
                moved = moved + size * gradient / length
                far = moved.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1)
                moved = moved * (epsilon / far).clamp(max=1.0)
                self.offset = moved.detach().requires_grad_()
                attacked = loss()
                if step == steps - 1:
                    attacked.backward()  # type: ignore[no-untyped-call]
                else:
                    (gradient,) = torch.autograd.grad(attacked, self.offset)
            return plain.detach()
        finally:
            self._watching, self.offset = False, None
