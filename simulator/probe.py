"""Measures the freshness of a running stack from outside, in three threads.

* append to feature: about once a second, a click of one of the probe's users goes through the API; the probe then
  reads the store until the click appears in the user's history. The time counts from `received_at`, which the API sets
  just before it appends the event, so the result is a few ms too high rather than too low.
* append to sample: the time from `known_at` of a first positive, when its feedback was received, until a
  read-committed consumer of `samples` reads it.
* click to weights: the time from `known_at` of a positive sample until the first version that learned from it was
  live. The live version is polled once a second.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing

import msgspec
from confluent_kafka import OFFSET_END

from headrace.client import ApiError, Client
from headrace.lang.plan.plan import Plan
from headrace.schemas.events import Event
from headrace.schemas.http import ModelsAnswer
from headrace.schemas.samples import FIRST, SAMPLE
from headrace.schemas.topics import SAMPLES
from headrace.store.kafka.log import LogReader
from headrace.store.redis.reader import FeatureReader, FeatureRequest, StoreError

_EVERY_S = 1.0
_POLL_STORE_S = 0.015
GIVE_UP_S = 20.0
_POLL_S = 0.05
_PROBES = 20  # users of the probe, in turn
_LIVE = "live"


class LiveVersion(msgspec.Struct, frozen=True):
    """A version that went live at `at_ms`, and learned from the samples at offsets below `offset`."""

    version: str
    offset: int
    at_ms: int


class Probe:
    """Collects freshness times, ms, until stopped."""

    def __init__(self, url: str, token: str, *, reader: FeatureReader, plan: Plan, bootstrap: str) -> None:
        self.to_feature_ms: list[float] = []
        self.to_sample_ms: list[float] = []
        self.versions: list[LiveVersion] = []
        self.lost = 0  # clicks that never became a feature
        self._positives: list[tuple[int, int]] = []  # (offset, known_at) of first positives
        self._api = Client(url, token)
        self._reader = reader
        self._group = plan.group("user_recent")
        self._bootstrap = bootstrap
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        targets = {"feature": self._probe_features, "sample": self._follow_samples, "weights": self._follow_versions}
        for name, target in targets.items():
            thread = threading.Thread(target=target, name=f"probe-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop the threads; the collected times remain."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=GIVE_UP_S)
        self._api.close()

    def to_weights_ms(self) -> list[float]:
        """From each positive to the first version that learned from it, if there is one yet."""
        return version_delays(self._positives, self.versions)

    def models(self) -> ModelsAnswer:
        """The answer of GET /v1/models."""
        return self._api.list_models()

    def _probe_features(self) -> None:
        number = 0
        while not self._stop.wait(_EVERY_S):
            try:
                self._probe_feature(number)
            except (ApiError, *StoreError):
                self.lost += 1
            number += 1

    def _probe_feature(self, number: int) -> None:
        now_ms = time.time_ns() // 1_000_000
        user, item = f"probe-{number % _PROBES}", f"probe-item-{number}"
        click = Event(
            event_id=f"probe-{number}-{now_ms}", user_id=user, event_type="click", occurred_at=now_ms, item_id=item
        )
        self._api.send_events([click])
        found_ms = self._wait_until_seen(user, item)
        if found_ms is None:
            self.lost += 1
        else:
            self.to_feature_ms.append(found_ms)

    def _wait_until_seen(self, user: str, item: str) -> float | None:
        """Milliseconds from the receipt of the click until the store returns it; None after `GIVE_UP_S`."""
        ends_s = time.monotonic() + GIVE_UP_S
        while time.monotonic() < ends_s:
            (found,) = self._reader.read(
                [FeatureRequest(self._group, [user])], at_ms=time.time_ns() // 1_000_000 + 1000
            )
            now_ms = time.time_ns() / 1_000_000
            received_ms = int(found.merged.as_of[0])
            newest = found.merged.lists["recent_items"][0][:1]
            if newest == [item] and found.merged.numbers["clicks_24h"][0] and self._is_current(received_ms, now_ms):
                return now_ms - received_ms
            time.sleep(_POLL_STORE_S)
        return None

    @staticmethod
    def _is_current(received_ms: int, now_ms: float) -> bool:
        """Whether `as_of` is of this click: its row in the sequence may arrive before the tile that counts it."""
        return now_ms - received_ms < _PROBES * _EVERY_S * 1000

    def _follow_samples(self) -> None:
        with closing(LogReader(self._bootstrap, SAMPLES.name, {0: OFFSET_END})) as reader:
            while not self._stop.is_set():
                for message in reader.read(_POLL_S, count=500):
                    self._note_sample(message.offset() or 0, message.value() or b"", time.time_ns() / 1_000_000)

    def _note_sample(self, offset: int, value: bytes, now_ms: float) -> None:
        sample = SAMPLE.decode(value)
        if sample["kind"] == FIRST and sample["click"]:
            self.to_sample_ms.append(now_ms - sample["known_at"])
            self._positives.append((offset, sample["known_at"]))

    def _follow_versions(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self._note_version(self.models)
            except ApiError:
                continue

    def _note_version(self, models: Callable[[], ModelsAnswer]) -> None:
        for alias in models().aliases:
            if alias.alias == _LIVE and (not self.versions or self.versions[-1].version != alias.version):
                self.versions.append(LiveVersion(alias.version, alias.offset, alias.applied_at))


def version_delays(positives: list[tuple[int, int]], applied: list[LiveVersion]) -> list[float]:
    """Times, ms, from each (offset, known_at) to the first version that covers it. Both lists ascend by offset.

    >>> version_delays([(3, 1000), (9, 1500)], [LiveVersion("1.1", 3, 1200), LiveVersion("1.2", 5, 2000)])
    [1000.0]
    """
    delays: list[float] = []
    version = 0
    for offset, known_ms in positives:
        while version < len(applied) and applied[version].offset <= offset:
            version += 1
        if version == len(applied):
            break
        delays.append(float(applied[version].at_ms - known_ms))
    return delays
