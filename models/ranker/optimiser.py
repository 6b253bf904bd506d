"""Adam over all dense tensors at once, as views of one flat array."""

# pyright: reportUnknownMemberType=false
from typing import cast

import numpy as np
import torch
from torch import Tensor

from headrace.models.array_types import Floats
from headrace.models.device import HOST, to_device
from headrace.models.ranker.config import STATISTICS, RankerConfig

_SLOWEST = 0.002  # weight of a batch in the running mean of the inputs, after the first batches
_LEAST_SPREAD = np.float32(0.05)  # lower bound, for an input that is almost constant
_EPSILON = np.float32(1e-8)
# Biases that no other weight can replace must settle within minutes, not hours: at 0.001 a step, a position bias of
# -2 takes 2,000 batches. The linear parts see standardised inputs and tolerate larger steps (docs/adr/0005).
_FASTER = {"position": 10.0, "head_bias": 10.0, "light_bias": 10.0, "light": 3.0, "wide": 3.0}
_FUSION = 10.0  # what a look means must be learned while it is in fashion (docs/adr/0019)


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1) with the gradient clipped by norm; one flat step takes about 0.1 ms."""

    def __init__(self, config: RankerConfig, dense: dict[str, Floats], device: torch.device = HOST) -> None:
        self._config = config
        self._shapes = config.shapes()
        self._flat: Floats = np.concatenate([dense[name].reshape(-1) for name in self._shapes]).astype(np.float32)
        self._first: Floats = np.zeros_like(self._flat)
        self._second: Floats = np.zeros_like(self._flat)
        faster = _FASTER | dict.fromkeys(config.fusion_shapes(), _FUSION)
        self._rates: Floats = np.concatenate(
            [np.full(int(np.prod(shape)), faster.get(name, 1.0), np.float32) for name, shape in self._shapes.items()]
        )
        self.steps = 0
        views = self._views(self._flat)
        self._statistics = [views[name] for name in STATISTICS]
        self._on_device = to_device(self._flat, device)
        ends = np.cumsum([values.size for values in views.values()])
        self.tensors: dict[str, Tensor] = {
            name: self._on_device[end - values.size : end].view(values.shape).requires_grad_()
            for end, (name, values) in zip(ends.tolist(), views.items(), strict=True)
        }

    def take_gradient(self) -> Floats:
        """Return the tensors' gradient, flat in their order, and clear it, so that a failed batch leaves none."""
        gradients = [
            torch.zeros(tensor.numel(), device=tensor.device) if tensor.grad is None else tensor.grad.reshape(-1)
            for tensor in self.tensors.values()
        ]
        for tensor in self.tensors.values():
            tensor.grad = None
        return cast(Floats, torch.cat(gradients).cpu().numpy())

    def step(self, summed: Floats, count: int) -> None:
        """Take one step with the mean of a flat gradient that is summed over `count` samples.

        Raises:
            FloatingPointError: it is not finite; no parameter has changed.
        """
        gradient = summed / np.float32(count)
        norm = float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))
        if not np.isfinite(norm):
            message = f"the gradient of a batch of {count} has norm {norm}; inputs must be finite"
            raise FloatingPointError(message)
        gradient *= np.float32(min(1.0, self._config.clip / max(norm, 1e-12)))
        self.steps += 1
        beta_1, beta_2 = np.float32(self._config.beta_1), np.float32(self._config.beta_2)
        self._first += (1 - beta_1) * (gradient - self._first)
        self._second += (1 - beta_2) * (np.square(gradient) - self._second)
        rate = self._config.dense_rate / (1 - self._config.beta_1**self.steps)
        spread = np.sqrt(self._second / np.float32(1 - self._config.beta_2**self.steps)) + _EPSILON
        self._flat -= np.float32(rate) * self._rates * self._first / spread
        self._copy_to_device()

    def update_statistics(self, inputs: Floats) -> None:
        """Move the running mean and spread of the dense inputs towards a batch [B, F]."""
        share = np.float32(max(1 / (self.steps + 1), _SLOWEST))
        mean, spread = self._statistics
        mean += share * (inputs.mean(axis=0) - mean)
        square = np.square(spread) + share * (np.square(inputs - mean).mean(axis=0) - np.square(spread))
        spread[:] = np.maximum(np.sqrt(square), _LEAST_SPREAD)
        self._copy_to_device()

    def arrays(self) -> dict[str, Floats]:
        """Return copies of the dense tensors."""
        return {name: values.copy() for name, values in self._views(self._flat).items()}

    def moments(self) -> dict[str, Floats]:
        """Return copies of the two moment estimates, flat in the order of the tensors."""
        return {"first": self._first.copy(), "second": self._second.copy()}

    def resume(self, moments: dict[str, Floats], steps: int) -> None:
        """Resume from the moments of a snapshot."""
        self._first[:], self._second[:], self.steps = moments["first"], moments["second"], steps

    def _copy_to_device(self) -> None:
        """Copy the parameters to the device; on the CPU it shares their memory."""
        if self._on_device.data_ptr() != self._flat.ctypes.data:
            self._on_device.copy_(torch.from_numpy(self._flat))

    def _views(self, flat: Floats) -> dict[str, Floats]:
        views: dict[str, Floats] = {}
        start = 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            views[name] = flat[start : start + size].reshape(shape)
            start += size
        return views
