"""States are swapped while requests are answered: no error, no answer of two versions, no memory that stays."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.client import ApiError, Client, RecommendationAnswer, RecommendationRequest, Refused
from tests.support import serving_process
from tests.support import serving_states as worlds
from tests.support.api import TOKEN
from tests.support.serving_process import ServingProcess

CLIENTS = 2
WARM_SHARE = 1 / 3  # of the swaps, after which memory must not grow any more


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


@pytest.mark.parametrize(
    ("swaps", "every_s"), [(40, 0.1), pytest.param(600, 1.0, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_a_swap_costs_no_answer(tmp_path: Path, swaps: int, every_s: float) -> None:
    private: list[int] = []
    with serving_process.running(tmp_path) as served, asking(served) as askers:
        (worker,) = served.workers()
        due_s = time.monotonic()
        for number in range(swaps):
            served.live.promote("live", worlds.model(number % 7, version=f"2.{number}"), applied_at=worlds.NOW)
            served.live.set_catalogue(worlds.catalogue_of(worlds.items(400 + number % 5, 8)))
            served.publish()
            private.append(worker.memory_full_info().uss)
            due_s += every_s
            time.sleep(max(due_s - time.monotonic(), 0))
    answers = [answer for asker in askers for answer in asker.answers]
    errors = [error for asker in askers for error in asker.errors]
    assert not [error for error in errors if not (isinstance(error, Refused) and error.problem.status == 503)]
    assert len(errors) < len(answers) / 10
    assert all(answer.versions.model == answer.versions.index and len(answer.items) == 10 for answer in answers)
    for asker in askers:
        versions = [
            int(answer.versions.model.split(".")[1]) for answer in asker.answers if answer.versions.model[0] == "2"
        ]
        assert versions == sorted(versions)
        assert len(set(versions)) > swaps / 4
    warm = private[round(len(private) * WARM_SHARE) :]
    assert max(warm) < 1.1 * warm[0] + 8 * 2**20, [round(size / 2**20) for size in private]
