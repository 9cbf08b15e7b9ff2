"""Muon: steps by matrices whose directions all count alike; AdamW for what is no matrix.

The gradient of a kernel, as a matrix (outputs, inputs x height x width), is mostly made of few directions.
Muon takes the momentum of it and brings all its singular values near 1 before it steps, by five iterations
of Newton and Schulz: small products in bfloat16. Steps are scaled to the size of AdamW's (0.2 sqrt of the
longer side), so that learning rate and weight decay mean the same for both.

PyTorch's own `torch.optim.Muon` takes matrices only, and leaves all else to a second optimiser; the tests
compare with it.

Jordan et al.: Muon: an optimizer for hidden layers in neural networks. 2024.
https://kellerjordan.github.io/posts/muon/. The scale: Liu et al., 2025, https://arxiv.org/abs/2502.16982
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn

COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)  # of the iteration, which nears 1 fast rather than exactly
ITERATIONS: Final = 5
SCALE: Final = 0.2  # the root mean square of AdamW's steps


class Muon(torch.optim.Optimizer):
    """Muon for the groups that say `is_matrix`, AdamW for the others.

    Args:
        groups: of parameters, with `weight_decay` and `is_matrix`.
        lr: of both.
        momentum: of Muon, with Nesterov's look ahead.
        betas: of AdamW.
        eps: likewise.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": 0.0, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__(groups, {**defaults, "is_matrix": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    how = self._matrix_step if group["is_matrix"] else self._adam_step
                    how(parameter, parameter.grad, group)
        return loss

    def _matrix_step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["average"] = torch.zeros_like(gradient)
        state["average"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(state["average"], group["momentum"])
        even = evened(ahead.flatten(1))
        size = group["lr"] * SCALE * math.sqrt(max(even.shape))
        parameter.sub_(even.reshape(parameter.shape), alpha=size)

    def _adam_step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["steps"] = 0
            state["average"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        state["steps"] += 1
        first, second = group["betas"]
        state["average"].lerp_(gradient, 1 - first)
        state["square"].lerp_(gradient.square(), 1 - second)
        root = (state["square"] / (1 - second ** state["steps"])).sqrt_().add_(group["eps"])
        parameter.addcdiv_(state["average"], root, value=-group["lr"] / (1 - first ** state["steps"]))


def evened(matrix: Tensor) -> Tensor:
    """(R, C) with the directions of this one, and singular values between about 0.7 and 1.2; float32."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    even = (matrix.T if is_tall else matrix).bfloat16()
    even = even / even.norm().clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = even @ even.T
        even = torch.addmm(even, torch.addmm(gram, gram, gram, beta=b, alpha=c), even, beta=a)
    return (even.T if is_tall else even).float()


def matrices_of(module: nn.Module) -> list[nn.Parameter]:
    """The trainable kernels that mix channels: of linear layers, and of convolutions without groups."""
    kernels = (
        layer.weight
        for layer in module.modules()
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
    )
    return [kernel for kernel in kernels if isinstance(kernel, nn.Parameter) and kernel.requires_grad]
