"""AdamW with clipped gradients and a scaled loss, and its state as arrays.

What the learning rate of a step is, `distilbert_tasks.training.schedule` says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distilbert_common.training import Arrays, EngineOptions, Parameter
from distilbert_common.training_state import GROWTH_INTERVAL, OptimizerState, initial_loss_scale

__all__ = ["AdamW"]


class AdamW:
    """`torch.optim.AdamW`, in its fused form, which clips and skips without waiting for the device.

    Attributes:
        parameters: Those that are trained, by canonical name.
    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], rules: Mapping[str, Parameter], options: EngineOptions
    ) -> None:
        self.parameters = dict(parameters)
        self._max_norm = options.max_grad_norm
        self._scaled = options.precision == "float16"
        device = next(iter(self.parameters.values())).device
        self._scale = torch.from_numpy(initial_loss_scale(options)).to(device)  # (2,): the factor, steps it has held
        groups: dict[Parameter, list[nn.Parameter]] = defaultdict(list)
        for name, parameter in self.parameters.items():
            groups[rules[name]].append(parameter)
        self._optimizer = torch.optim.AdamW(
            [{"params": group, "weight_decay": rule.decay, "rate": rule.rate} for rule, group in groups.items()],
            betas=options.betas,
            eps=options.epsilon,
            fused=True,
        )
        for parameter in self.parameters.values():
            self._optimizer.state[parameter] = {
                "step": torch.zeros((), device=device),
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }

    @property
    def loss_scale(self) -> Tensor:
        """What losses are multiplied by, so that float16 gradients do not vanish; a scalar."""
        return self._scale[0]

    def gradients(self) -> list[Tensor]:
        """Return the gradients in order, zeros for what the loss does not depend on."""
        for parameter in self.parameters.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [parameter.grad for parameter in self.parameters.values()]

    @torch.no_grad()
    def update(self, learning_rate: float) -> Tensor:
        """Change the parameters by their gradients, and drop these; nothing where one is not finite.

        Args:
            learning_rate: That of parameters whose rate is 1.

        Returns:
            The norm of the gradients, unscaled, before they are clipped.
        """
        norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in self.gradients()])
        norm = torch.linalg.vector_norm(norms) / self.loss_scale
        overflow = (~norm.isfinite()).float()
        divisor = self.loss_scale.clone()
        if self._max_norm is not None:
            divisor *= ((norm + 1e-6) / self._max_norm).clamp(min=1.0)
        # what PyTorch's own gradient scaler sets: gradients are divided by the one, the other leaves out the step
        self._optimizer.grad_scale, self._optimizer.found_inf = divisor, overflow
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate * group["rate"]
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._scaled:
            self._rescale(overflow)
        return norm

    def _rescale(self, overflow: Tensor) -> None:
        """Halve the loss scale after an overflow; double it after many steps without one."""
        scale, steps = self._scale
        grown = steps + 1 >= GROWTH_INTERVAL
        finite = torch.stack([torch.where(grown, scale * 2, scale), torch.where(grown, 0.0, steps + 1)])
        self._scale.copy_(torch.where(overflow > 0, torch.stack([scale / 2, torch.zeros_like(steps)]), finite))

    def state(self) -> Arrays:
        """Return moments, count of updates and scale of the loss, as copies."""
        first, second = (
            {name: self._optimizer.state[parameter][key].cpu().numpy() for name, parameter in self.parameters.items()}
            for key in ("exp_avg", "exp_avg_sq")
        )
        updates = int(self._optimizer.state[next(iter(self.parameters.values()))]["step"])
        return OptimizerState(first, second, updates, self._scale.cpu().numpy()).arrays()

    @torch.no_grad()
    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take back what `state` returned."""
        first, second, updates, scale = OptimizerState.of(state)
        for name, parameter in self.parameters.items():
            moments = self._optimizer.state[parameter]
            moments["exp_avg"].copy_(torch.from_numpy(np.array(first[name])))
            moments["exp_avg_sq"].copy_(torch.from_numpy(np.array(second[name])))
            moments["step"].fill_(float(updates))
        self._scale.copy_(torch.from_numpy(np.array(scale)))
