"""Other devices than the CPU: a GPU if there is one, and always a copy in the CPU's memory."""

import numpy as np
import pytest
import torch

from headrace.models.device import HOST, DeviceError, parse_device
from headrace.models.index.exact import NumpyIndex
from headrace.models.index.torch_index import TorchIndex
from headrace.models.ranker.arrays import flatten
from headrace.models.ranker.forward_torch import from_numpy
from headrace.models.ranker.training import Trainer, gather, predict
from tests.support.batches import CONFIG, ITEMS, batch

COPY = torch.device("cpu", 0)  # values are copied there, as to any device
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU on this machine")
ELSEWHERE = [pytest.param(COPY, 0.0, id="copy"), pytest.param(torch.device("cuda"), 1e-3, id="cuda", marks=NO_GPU)]


def train(device: torch.device, batches: int = 8) -> tuple[Trainer, list[np.ndarray]]:
    trainer = Trainer(CONFIG, np.random.default_rng(0), device)
    return trainer, [trainer.learn(batch(seed)) for seed in range(batches)]


@pytest.mark.parametrize(("device", "apart"), ELSEWHERE)
def test_it_learns_and_predicts_what_the_cpu_does(device: torch.device, apart: float) -> None:
    (trainer, predicted), (reference, expected) = train(device), train(HOST)
    np.testing.assert_allclose(predicted, expected, rtol=apart, atol=apart)
    for name, values in flatten(reference.state()).items():
        np.testing.assert_allclose(flatten(trainer.state())[name], values, rtol=apart, atol=apart, err_msg=name)
    both = [
        predict(CONFIG, from_numpy(trainer.changes().dense, where), tables=dict(trainer.tables), batch=batch(99))
        for where in (device, HOST)
    ]
    np.testing.assert_allclose(*both, rtol=apart, atol=apart)


@pytest.mark.parametrize(("device", "apart"), ELSEWHERE)
def test_a_snapshot_continues_on_either(device: torch.device, apart: float) -> None:
    begun, _ = train(HOST)
    on = Trainer.from_state(CONFIG, begun.state(), device)
    np.testing.assert_allclose(on.learn(batch(9)), begun.learn(batch(9)), rtol=apart, atol=apart)


def test_nothing_is_left_on_the_cpu() -> None:
    trainer = Trainer(CONFIG, np.random.default_rng(0), torch.device("meta"))  # shapes alone, and no other tensors
    clicked = batch(1, click=1.0)
    for name, ids in (("user", clicked.users), ("item", ITEMS), ("category", clicked.categories)):
        trainer.tables[name].sight(ids, 0)  # they own rows, so that the towers' loss is made, too
    gathered = gather(trainer.config, dict(trainer.tables), clicked, learn=True, device=torch.device("meta"))
    trainer._loss(clicked, gathered).backward()


def test_a_missing_device_is_reported() -> None:
    with pytest.raises(DeviceError, match="'tpu'; say cpu, or cuda"):
        parse_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="torch finds no GPU"):
            parse_device("cuda")


@pytest.mark.parametrize(("device", "apart"), ELSEWHERE)
def test_the_nearest_are_the_same(device: torch.device, apart: float) -> None:
    generator = np.random.default_rng(3)
    vectors, user = (generator.integers(-5, 6, size).astype(np.float32) for size in ((300, 2), 2))  # ties, exact sums
    ids = np.arange(1, 301)
    index, reference = TorchIndex(ids, vectors, device), NumpyIndex(ids, vectors)
    for count in (0, 1, 7, 299, 300, 400):
        for allowed in (None, generator.random(300) < 0.5, np.zeros(300, np.bool_)):
            indexes, products = index.search(user, count, allowed=allowed)
            expected = reference.search(user, count, allowed=allowed)
            np.testing.assert_allclose(products, expected[1], rtol=apart, atol=apart)
            if not apart:
                np.testing.assert_array_equal(indexes, expected[0])
