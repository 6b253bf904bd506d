"""States are swapped while requests are answered: no error, no answer of two versions, no memory that stays."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from headrace.client import ApiError, Client, RecommendationAnswer, RecommendationRequest, Refused
from headrace.wait import wait_until
from tests.support import serving_process
from tests.support import serving_states as worlds
from tests.support.api import TOKEN
from tests.support.serving_process import ServingProcess

CLIENTS = 2
ITEMS = 10_000  # a state that stays would cost more than 3 MB
WARM_SHARE = 1 / 3  # of the swaps, after which memory must not grow any more
MOST_GROWTH = 30 * 2**20  # a dozen states that the operating system has not taken back
LONG = [pytest.mark.long, pytest.mark.timeout(1200)]


class Asker:
    """One client that asks again and again."""

    def __init__(self, served: ServingProcess) -> None:
        self.answers: list[RecommendationAnswer] = []
        self.errors: list[ApiError] = []
        self._served = served

    def run(self, stop: threading.Event) -> None:
        with Client(self._served.url, TOKEN, timeout_s=30, retries=0) as api:
            while not stop.is_set():
                try:
                    self.answers.append(api.recommend(RecommendationRequest(user_id=f"u{len(self.answers) % 50}")))
                except ApiError as error:
                    self.errors.append(error)


@contextmanager
def asking(served: ServingProcess) -> Iterator[list[Asker]]:
    """Clients ask until the end of the context."""
    askers, stop = [Asker(served) for _ in range(CLIENTS)], threading.Event()
    threads = [threading.Thread(target=asker.run, args=(stop,)) for asker in askers]
    for thread in threads:
        thread.start()
    try:
        yield askers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(("swaps", "every_s"), [(40, 0.0), pytest.param(600, 1.0, marks=LONG)])
def test_a_swap_costs_no_answer(tmp_path: Path, swaps: int, every_s: float) -> None:
    """Each client sees each state; `every_s` is the least time between two."""
    private: list[int] = []
    with serving_process.running(tmp_path, items=ITEMS) as served, asking(served) as askers:
        (worker,) = served.workers()
        for number in range(swaps):
            version, due_s = f"2.{number}", time.monotonic() + every_s
            served.live.promote("live", worlds.model(number % 7, version=version), applied_at=worlds.NOW)
            served.live.set_features(msgspec.structs.replace(served.live.state.features))
            served.publish()
            seen = partial(all_have_seen, askers, version)
            wait_until(seen, what=f"answers of {version}", deadline_s=60, hint=f"Look at {tmp_path}/serving.log.")
            private.append(worker.memory_full_info().uss)
            wait_until(partial(is_past, due_s), what="the time of the next state", deadline_s=60, hint="")
    answers = [answer for asker in askers for answer in asker.answers]
    errors = [error for asker in askers for error in asker.errors]
    assert not [error for error in errors if not (isinstance(error, Refused) and error.problem.status == 503)]
    assert {len(answer.items) for answer in answers} == {10}
    assert all(answer.versions.model in (answer.versions.index, "") for answer in answers)  # "": no time for the ranker
    for asker in askers:
        epochs = [tuple(map(int, answer.versions.index.split("."))) for answer in asker.answers]
        assert epochs == sorted(epochs)
    warm = private[round(len(private) * WARM_SHARE) :]
    assert max(warm) < warm[0] + MOST_GROWTH, [round(size / 2**20) for size in private]


def all_have_seen(askers: Sequence[Asker], version: str) -> bool:
    return all(asker.answers and asker.answers[-1].versions.index == version for asker in askers)


def is_past(due_s: float) -> bool:
    return time.monotonic() >= due_s
