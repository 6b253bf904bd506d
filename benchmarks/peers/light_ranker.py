"""The light ranker on its own: in the product it learns only beside the full one, whose chances it copies.

Made of the product's own functions: `score_light` tells a batch, then `light_loss` and the product's Adam, which steps
through all dense tensors of the full ranker, learn it. In place of the full ranker's outputs stand the labels.
"""

import numpy as np
import torch

from models.array_types import Floats
from models.config import RankerConfig
from models.optimiser import Adam
from models.ranker_numpy import score_light
from models.ranker_torch import light_loss, to_numpy
from models.training import initial_dense

_SURE = 20.0  # the logit of a label: its chance is 1 or 0 to eight digits


class Light:
    """Tells, then learns."""

    def __init__(self, seed: int) -> None:
        config = RankerConfig()
        self._adam = Adam(config, initial_dense(config, np.random.default_rng(seed)))
        self._dense = {name: to_numpy(tensor.detach()) for name, tensor in self._adam.tensors.items()}

    def take(self, inputs: Floats, labels: Floats) -> Floats:
        """The chances of a batch before it is learnt. inputs [B, F], labels [B] -> [B]."""
        told = score_light(self._dense, inputs)
        self._adam.update_statistics(inputs)
        teacher = torch.from_numpy((2 * labels - 1) * np.float32(_SURE))[:, None]
        light_loss(self._adam.tensors, torch.from_numpy(inputs), outputs=teacher).backward()
        self._adam.step(self._adam.take_gradient(), len(inputs))
        return told
