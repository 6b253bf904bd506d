"""Events that arrive while something happens to the stack, and the check that each is there once at the end."""

import threading

from headrace.log.clean_log import CleanLog
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line

_PAUSE_S = 0.2  # between batches of ten events


class EventLoad:
    """Writes events of eight users until it is closed; every tenth is written twice."""

    def __init__(self, line: Line) -> None:
        self.begin = line.now()
        self.tag = f"upgrade{self.begin}"
        self.events: list[dict[str, object]] = []
        self._line, self._ended = line, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            batch = [self._event(len(self.events) + number) for number in range(10)]
            self.events += batch
            self._line.write_events([*batch, batch[0]])

    def _event(self, number: int) -> dict[str, object]:
        at, user = self._line.now(), f"{self.tag}-u{number % 8}"
        event = {"event_id": f"{self.tag}-{number}", "user_id": user, "item_id": f"i{number % 5}"}
        return event | {"event_type": ("impression", "click")[number % 2], "occurred_at": at, "received_at": at}

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


def assert_complete(line: Line, load: EventLoad) -> None:
    """Wait until every event is in the clean log, once, and in the features as the oracle has them."""
    log, group = CleanLog(line.endpoints, line.plan.source("clickstream")), line.plan.group("user_engagement")

    def ids() -> list[str]:
        mine = (str(event["event_id"]) for event in log.events(load.begin))
        return sorted(each for each in mine if each.startswith(load.tag))

    wanted = sorted(str(event["event_id"]) for event in load.events)
    line.wait(lambda: len(ids()) >= len(wanted), "every event in the clean log")
    assert ids() == wanted
    users = [(f"{load.tag}-u{number}",) for number in range(8)]
    expected = by_the_oracle(group, load.events, users, at_ms=line.now())
    line.wait(lambda: not mismatches(expected, line.reader), "features as the oracle has them")
