"""The load slows down when answers are slow, and recovers."""

import math

import pytest

from headrace.simulator import throttle
from headrace.simulator.throttle import Throttle


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Throttle:
    """A throttle that changes its rate only at the last answer of `record_answers`."""
    monkeypatch.setattr(throttle, "_EVERY_S", math.inf)
    return Throttle(10.0)


def record_answers(subject: Throttle, monkeypatch: pytest.MonkeyPatch, *took_s: float) -> float:
    for each in took_s[:-1]:
        subject.record(each)
    with monkeypatch.context() as patched:
        patched.setattr(throttle, "_EVERY_S", 0.0)
        subject.record(took_s[-1])
    return subject.rate


def test_three_slow_answers_of_ten_lower_the_rate_and_one_does_not(
    subject: Throttle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert record_answers(subject, monkeypatch, *[0.1] * 9, 9.0) == 10.0
    assert record_answers(subject, monkeypatch, *[0.1] * 7, 9.0, math.inf, 9.0) == pytest.approx(8.5)
    assert record_answers(subject, monkeypatch, *[0.1] * 10) == pytest.approx(8.9)


def test_the_rate_stays_between_a_tenth_and_the_whole_of_the_wanted_rate(
    subject: Throttle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(50):
        record_answers(subject, monkeypatch, math.inf)
    assert subject.rate == pytest.approx(1.0)
    for _ in range(50):
        record_answers(subject, monkeypatch, 0.1)
    assert subject.rate == 10.0
