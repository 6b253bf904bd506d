"""What a process cannot keep up with it refuses: one slate at a time here, and a second that has waited too long."""

import asyncio

import pytest

from serving.http.admission import Admission
from serving.http.problems import ProblemError
from serving.telemetry.stopwatch import Stopwatch


async def slate() -> str:
    return "slate"


def together(*, patience_s: float) -> list[object]:
    """Ask for three at once; the first is not done before the others wait."""

    async def ask() -> list[object]:
        admission, done = Admission(at_once=1, patience_s=patience_s), asyncio.Event()
        first = asyncio.ensure_future(admission.run(done.wait, Stopwatch()))
        others = [asyncio.ensure_future(admission.run(slate, Stopwatch())) for _ in range(2)]
        await asyncio.sleep(0)  # let them be asked for
        done.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    return asyncio.run(ask())


def test_a_request_that_waits_too_long_is_refused_with_retry_after() -> None:
    first, *others = together(patience_s=0.0)
    assert isinstance(first, ProblemError) or first is True
    for error in others:
        assert isinstance(error, ProblemError)
        assert error.problem.status == 503
        assert error.headers["Retry-After"]
        assert "more slates are requested than this process can make" in error.problem.detail


def test_a_request_that_waits_less_is_answered_and_its_wait_reported() -> None:
    assert together(patience_s=60.0) == [True, "slate", "slate"]
    watch = Stopwatch()
    asyncio.run(Admission().run(slate, watch))
    assert "wait;dur=" in watch.header()


def test_a_fault_of_the_work_is_the_askers() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(Admission().run(fail, Stopwatch()))
