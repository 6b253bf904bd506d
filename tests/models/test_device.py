"""Another device than the CPU: the same bodies there; a GPU where there is one, a copy of the CPU's memory always."""

import numpy as np
import pytest
import torch
from batches import CONFIG, ITEMS, batch

from models.arrays import flatten
from models.device import HOST, DeviceError, parse_device
from models.index_numpy import NumpyIndex
from models.index_torch import TorchIndex
from models.ranker_torch import from_numpy
from models.training import Trainer, gather, predict

COPY = torch.device("cpu", 0)  # what is brought there is copied, as to any device
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA GPU on this machine")
ELSEWHERE = [pytest.param(COPY, 0.0, id="copy"), pytest.param(torch.device("cuda"), 1e-3, id="cuda", marks=NO_GPU)]


def taught(device: torch.device, batches: int = 8) -> tuple[Trainer, list[np.ndarray]]:
    trainer = Trainer(CONFIG, np.random.default_rng(0), device)
    return trainer, [trainer.learn(batch(seed)) for seed in range(batches)]


@pytest.mark.parametrize(("device", "apart"), ELSEWHERE)
def test_it_learns_and_tells_what_the_cpu_does(device: torch.device, apart: float) -> None:
    (ours, told), (theirs, expected) = taught(device), taught(HOST)
    np.testing.assert_allclose(told, expected, rtol=apart, atol=apart)
    for name, values in flatten(theirs.state()).items():
        np.testing.assert_allclose(flatten(ours.state())[name], values, rtol=apart, atol=apart, err_msg=name)
    predicted = [
        predict(CONFIG, from_numpy(ours.changes().dense, of), tables=dict(ours.tables), batch=batch(99))
        for of in (device, HOST)
    ]
    np.testing.assert_allclose(*predicted, rtol=apart, atol=apart)


@pytest.mark.parametrize(("device", "apart"), ELSEWHERE)
def test_a_snapshot_goes_on_on_either(device: torch.device, apart: float) -> None:
    begun, _ = taught(HOST)
    on = Trainer.from_state(CONFIG, begun.state(), device)
    np.testing.assert_allclose(on.learn(batch(9)), begun.learn(batch(9)), rtol=apart, atol=apart)


def test_nothing_is_left_on_the_cpu() -> None:
    trainer = Trainer(CONFIG, np.random.default_rng(0), torch.device("meta"))  # shapes alone, and no other tensors
    clicked = batch(1, click=1.0)
    for name, ids in (("user", clicked.users), ("item", ITEMS), ("category", clicked.categories)):
        trainer.tables[name].sight(ids, 0)  # they own rows, so that the towers' loss is made, too
    gathered = gather(dict(trainer.tables), clicked, learn=True, device=torch.device("meta"))
    trainer._loss(clicked, gathered).backward()


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(DeviceError, match="'tpu'; it is cpu, or cuda"):
        parse_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="torch finds no GPU"):
            parse_device("cuda")


@pytest.mark.parametrize(("device", "apart"), ELSEWHERE)
def test_the_nearest_are_the_same(device: torch.device, apart: float) -> None:
    generator = np.random.default_rng(3)
    vectors, user = (generator.integers(-5, 6, size).astype(np.float32) for size in ((300, 2), 2))  # ties, exact sums
    ids = np.arange(1, 301)
    ours, theirs = TorchIndex(ids, vectors, device), NumpyIndex(ids, vectors)
    for count in (0, 1, 7, 299, 300, 400):
        for allowed in (None, generator.random(300) < 0.5, np.zeros(300, np.bool_)):
            places, products = ours.search(user, count, allowed=allowed)
            expected = theirs.search(user, count, allowed=allowed)
            np.testing.assert_allclose(products, expected[1], rtol=apart, atol=apart)
            if not apart:
                np.testing.assert_array_equal(places, expected[0])
