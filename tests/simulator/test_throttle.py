"""The load slows down where answers do, and comes back."""

import math

import pytest

from simulator import throttle
from simulator.throttle import Throttle


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Throttle:
    """One that changes its rate at each tenth answer: `notes` gives it ten."""
    monkeypatch.setattr(throttle, "_EACH_S", math.inf)
    return Throttle(10.0)


def notes(subject: Throttle, monkeypatch: pytest.MonkeyPatch, *took_s: float) -> float:
    for each in took_s[:-1]:
        subject.note(each)
    with monkeypatch.context() as patched:
        patched.setattr(throttle, "_EACH_S", 0.0)
        subject.note(took_s[-1])
    return subject.rate


def test_one_slow_answer_is_no_reason_and_three_of_ten_are(subject: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    assert notes(subject, monkeypatch, *[0.1] * 9, 9.0) == 10.0
    assert notes(subject, monkeypatch, *[0.1] * 7, 9.0, math.inf, 9.0) == pytest.approx(8.5)
    assert notes(subject, monkeypatch, *[0.1] * 10) == pytest.approx(8.9)


def test_it_stays_between_a_tenth_and_what_is_wanted(subject: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(50):
        notes(subject, monkeypatch, math.inf)
    assert subject.rate == pytest.approx(1.0)
    for _ in range(50):
        notes(subject, monkeypatch, 0.1)
    assert subject.rate == 10.0
