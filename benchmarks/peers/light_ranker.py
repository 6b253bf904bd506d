"""The light ranker on its own; in the product it learns from the predictions of the full ranker.

It uses the product's functions: `score_light` predicts a batch, then `light_loss` and the product's Adam, which updates
all dense tensors of the full ranker, learn it. The labels replace the outputs of the full ranker.
"""

import numpy as np
import torch

from headrace.models.array_types import Floats
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.forward_numpy import score_light
from headrace.models.ranker.forward_torch import light_loss, to_numpy
from headrace.models.ranker.optimiser import Adam
from headrace.models.ranker.training import initial_dense

_SURE = 20.0  # the logit of a label: a chance of 1 or 0 to eight digits


class LightRanker:
    """Predicts each batch, then learns it."""

    def __init__(self, seed: int) -> None:
        config = RankerConfig()
        self._adam = Adam(config, initial_dense(config, np.random.default_rng(seed)))
        self._dense = {name: to_numpy(tensor.detach()) for name, tensor in self._adam.tensors.items()}

    def predict_and_learn(self, inputs: Floats, labels: Floats) -> Floats:
        """Chances of a batch before learning it. inputs [B, F], labels [B] -> [B]."""
        chances = score_light(self._dense, inputs)
        self._adam.update_statistics(inputs)
        teacher = torch.from_numpy((2 * labels - 1) * np.float32(_SURE))[:, None]
        light_loss(self._adam.tensors, torch.from_numpy(inputs), outputs=teacher).backward()
        self._adam.step(self._adam.take_gradient(), len(inputs))
        return chances
