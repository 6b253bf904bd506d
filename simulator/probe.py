"""How fresh the line is, measured from outside: three threads that look all the time.

* append to feature: a click for a user of the probe's own goes through the API about each second; the store is
  then read until the click is in the user's history. Counted from `received_at`, which the API stamps just before
  it appends: a few ms too much rather than too little.
* append to sample: `samples` is read committed; for a first positive the time since its `known_at`, when the
  feedback was received.
* click to weights: the live version is looked at each second; for a positive sample the time from `known_at` until
  the first version that has learnt it was in service.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing

import httpx
import msgspec
from confluent_kafka import OFFSET_END

from lang.plan.plan import Plan
from schemas.events import Event
from schemas.http import ModelsAnswer
from schemas.samples import FIRST, SAMPLE
from schemas.topics import SAMPLES
from store.log import LogReader
from store.reader import FeatureReader, StoreError, Wanted

_EACH_S = 1.0
_LOOK_S = 0.015
GIVE_UP_S = 20.0
_POLL_S = 0.05
_PROBES = 20  # users of the probe's own, in turn
_LIVE = "live"


class Applied(msgspec.Struct, frozen=True):
    """A live version: which samples it has learnt (offsets below `offset`) and when it was put in service, ms."""

    version: str
    offset: int
    at_ms: int


class Probe:
    """Collects milliseconds until stopped."""

    def __init__(self, url: str, token: str, *, reader: FeatureReader, plan: Plan, bootstrap: str) -> None:
        self.to_feature_ms: list[float] = []
        self.to_sample_ms: list[float] = []
        self.applied: list[Applied] = []
        self.lost = 0  # clicks that never came to be a feature
        self._positives: list[tuple[int, int]] = []  # (offset, known_at) of first positives
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=10.0)
        self._reader = reader
        self._group = plan.group("user_recent")
        self._bootstrap = bootstrap
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to look."""
        for name, look in (("feature", self._features), ("sample", self._samples), ("weights", self._versions)):
            thread = threading.Thread(target=look, name=f"probe-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End; what has been found stays."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=GIVE_UP_S)
        self._http.close()

    def to_weights_ms(self) -> list[float]:
        """From each positive to the first version that has learnt it; those that none has learnt yet are left out."""
        return waits(self._positives, self.applied)

    def models(self) -> ModelsAnswer:
        """What GET /v1/models says."""
        return msgspec.json.decode(self._http.get("/v1/models").raise_for_status().content, type=ModelsAnswer)

    def _features(self) -> None:
        number = 0
        while not self._stop.wait(_EACH_S):
            try:
                self._feature(number)
            except (httpx.HTTPError, *StoreError):
                self.lost += 1
            number += 1

    def _feature(self, number: int) -> None:
        now_ms = time.time_ns() // 1_000_000
        user, item = f"probe-{number % _PROBES}", f"probe-item-{number}"
        click = Event(
            event_id=f"probe-{number}-{now_ms}", user_id=user, event_type="click", occurred_at=now_ms, item_id=item
        )
        posted = self._http.post("/v1/events", content=msgspec.json.encode({"events": [click]}))
        posted.raise_for_status()
        found_ms = self._until_seen(user, item)
        if found_ms is None:
            self.lost += 1
        else:
            self.to_feature_ms.append(found_ms)

    def _until_seen(self, user: str, item: str) -> float | None:
        """Milliseconds from the click's receipt until the store told of it."""
        ends_s = time.monotonic() + GIVE_UP_S
        while time.monotonic() < ends_s:
            (found,) = self._reader.read([Wanted(self._group, [user])], at_ms=time.time_ns() // 1_000_000 + 1000)
            now_ms = time.time_ns() / 1_000_000
            received_ms = int(found.merged.as_of[0])
            newest = found.merged.lists["recent_items"][0][:1]
            if newest == [item] and found.merged.numbers["clicks_24h"][0] and self._fresh(received_ms, now_ms):
                return now_ms - received_ms
            time.sleep(_LOOK_S)
        return None

    @staticmethod
    def _fresh(received_ms: int, now_ms: float) -> bool:
        """Whether `as_of` speaks of this click: the sequence's row may be there before the tile that counts it."""
        return now_ms - received_ms < _PROBES * _EACH_S * 1000

    def _samples(self) -> None:
        with closing(LogReader(self._bootstrap, SAMPLES.name, {0: OFFSET_END})) as reader:
            while not self._stop.is_set():
                for message in reader.read(_POLL_S, count=500):
                    self._sample(message.offset() or 0, message.value() or b"", time.time_ns() / 1_000_000)

    def _sample(self, offset: int, value: bytes, now_ms: float) -> None:
        sample = SAMPLE.decode(value)
        if sample["kind"] == FIRST and sample["click"]:
            self.to_sample_ms.append(now_ms - sample["known_at"])
            self._positives.append((offset, sample["known_at"]))

    def _versions(self) -> None:
        while not self._stop.wait(_EACH_S):
            try:
                self._version(self.models)
            except httpx.HTTPError:
                continue

    def _version(self, models: Callable[[], ModelsAnswer]) -> None:
        for alias in models().aliases:
            if alias.alias == _LIVE and (not self.applied or self.applied[-1].version != alias.version):
                self.applied.append(Applied(alias.version, alias.offset, alias.applied_at))


def waits(positives: list[tuple[int, int]], applied: list[Applied]) -> list[float]:
    """From each (offset, known_at) to the first version that covers it, ms. Both ascend by offset.

    >>> waits([(3, 1000), (9, 1500)], [Applied("1.1", 3, 1200), Applied("1.2", 5, 2000)])
    [1000.0]
    """
    found: list[float] = []
    place = 0
    for offset, known_ms in positives:
        while place < len(applied) and applied[place].offset <= offset:
            place += 1
        if place == len(applied):
            break
        found.append(float(applied[place].at_ms - known_ms))
    return found
