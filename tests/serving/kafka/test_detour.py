"""When a worker writes to the spool, and when to Kafka again."""

import pytest

from headrace.serving.kafka.detour import OVERTAKEN_MS, Detour

S = 1_000_000_000
OLD_S = OVERTAKEN_MS / 1000 + 1


def looked(*, taken_s: int | None, now_s: float, oldest_s: float | None, drained_s: float) -> bool:
    detour = Detour()
    if taken_s is not None:
        detour.take(taken_s * S)
    oldest_ms = None if oldest_s is None else int(oldest_s * 1000)
    detour.look(int(now_s * S), oldest_ms=oldest_ms, drained_ns=int(drained_s * S))
    return detour.taken


@pytest.mark.parametrize(
    ("taken_s", "oldest_s", "drained_s", "taken", "why"),
    [
        (None, None, 0, False, "nothing ever failed"),
        (None, 99, 0, False, "another worker has just failed; this one may not"),
        (None, 100 - OLD_S, 99, True, "old records wait, and would be overtaken"),
        (90, 99, 0, True, "Kafka is away"),
        (90, 99, 89, True, "the drainer wrote something, but before the failure"),
        (90, 100 - OLD_S, 99, True, "Kafka is back, and old records wait"),
        (90, 99, 98, False, "Kafka is back, and only new records wait"),
        (90, None, 0, False, "nothing waits"),
        (101, None, 0, True, "the failed record may not be in the folder yet"),
    ],
)
def test_the_detour(taken_s: int | None, oldest_s: float | None, drained_s: float, taken: bool, why: str) -> None:
    assert looked(taken_s=taken_s, now_s=100, oldest_s=oldest_s, drained_s=drained_s) is taken, why


def test_a_second_failure_does_not_extend_it() -> None:
    detour = Detour()
    detour.take(90 * S)
    detour.take(99 * S)
    detour.look(100 * S, oldest_ms=99_000, drained_ns=95 * S)
    assert not detour.taken
