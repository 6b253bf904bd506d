"""A recorded log through the whole line, as a trusted producer.

Each visit becomes one exposure, with the features it would have been served with (the same fold, merge and
assembly as live, over the visits before it), then its impression and its feedback, all with the recorded
time as `received_at`. The log ends with a tick that closes every slot.
"""

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from msgspec import Struct

from headrace.replay.recordings import Recording, Visit
from lang.plan.plan import Plan
from models.inputs import FEATURE_SET
from schemas.defaults import HISTORY
from schemas.events import Event
from schemas.exposures import Exposure, Slot
from serving.offline.features import CLICKSTREAM, OfflineFeatures
from serving.offline.log_writer import LogWriter
from serving.state.experiment import Arm
from serving.state.query import Query
from store.reader import FeatureReader, FeatureRequest, FeatureValues

ARM = Arm(name="recorded", share=1.0, policy="recorded")
_POLL_EACH = 500
_DAYPARTS = ("night", "morning", "afternoon", "evening")


class Counts(Struct, frozen=True):
    """What a replay has written."""

    exposures: int
    events: int


class Served:
    """Works out what each visit would have been served with."""

    def __init__(self, recording: Recording, plan: Plan) -> None:
        self._plan = plan.for_source(CLICKSTREAM)
        self._recomputed = OfflineFeatures(plan, recording.items)
        self._versions = {group.name: group.version for group in self._plan.groups}

    def exposure(self, request_id: str, *visits: Visit) -> Exposure:
        """The exposure of what a user was shown at once: a slot each, dense inputs as of the visits before them."""
        visit = visits[0]
        query = self._recomputed.hydrate(query_of(request_id, visit))
        item_ids = [each.item_id for each in visits]
        slots = [
            Slot(
                item_id=item_id,
                position=position,
                score=0.0,
                propensity=1.0,
                sources=["recorded"],
                category=self._recomputed.items[item_id].category,
                dense=dense.tobytes(),
            )
            for position, (item_id, dense) in enumerate(
                zip(item_ids, self._recomputed.dense(query, item_ids), strict=True)
            )
        ]
        return Exposure(
            request_id=request_id,
            user_id=visit.user_id,
            session_id=visit.session_id,
            surface="feed",
            received_at=visit.at_ms,
            arm=ARM.name,
            policy=ARM.policy,
            model_version="",
            feature_set=FEATURE_SET,
            feature_versions=self._versions,
            history=query.user.history[:HISTORY],
            slots=slots,
        )

    def differences(self, reader: FeatureReader, visits: Iterable[Visit], *, at_ms: int) -> list[str]:
        """Which features of these visits' users and items the store tells otherwise than the executor."""
        owners: dict[str, set[str]] = {"user_id": set(), "item_id": set(), "daypart": set(_DAYPARTS)}
        for visit in visits:
            owners["user_id"].add(visit.user_id)
            owners["item_id"].add(visit.item_id)
        known = [group for group in self._plan.groups if group.entity[0] in owners]
        wanted = [FeatureRequest(group, sorted(owners[group.entity[0]])) for group in known]
        pairs = zip(self._recomputed.memory.read(wanted, at_ms=at_ms), reader.read(wanted, at_ms=at_ms), strict=True)
        return [difference for ours, theirs in pairs for difference in _differences(ours, theirs)]

    def happen(self, events: Iterable[Event]) -> None:
        """Fold what came of a visit."""
        self._recomputed.happen(events)


def query_of(request_id: str, visit: Visit) -> Query:
    """The request that a visit began with."""
    return Query(
        request_id=request_id,
        user_id=visit.user_id,
        session_id=visit.session_id,
        surface="feed",
        count=1,
        at_ms=visit.at_ms,
        seed=0,
        arm=ARM,
    )


def events_of(request_id: str, visit: Visit) -> list[Event]:
    """The impression of a visit and its feedback."""
    happened = [("impression", None), *visit.feedback]
    return [
        Event(
            event_id=f"{request_id}-{number}-{kind}",
            user_id=visit.user_id,
            event_type=kind,
            occurred_at=visit.at_ms,
            received_at=visit.at_ms,
            item_id=visit.item_id,
            session_id=visit.session_id,
            request_id=request_id,
            position=0,
            value=value,
        )
        for number, (kind, value) in enumerate(happened)
    ]


def _differences(ours: FeatureValues, theirs: FeatureValues) -> Iterator[str]:
    place = {key: index for index, key in enumerate(theirs.keys)}
    for index, key in enumerate(ours.keys):
        there = place.get(key)
        if there is None:
            yield f"{ours.group.name} {key}: not in the store"
            continue
        for name, column in ours.merged.numbers.items():
            found = theirs.merged.numbers[name][there]
            if not np.isclose(column[index], found, rtol=1e-9, atol=1e-12, equal_nan=True):
                yield f"{ours.group.name} {key} {name}: {found} in the store, {column[index]} by the executor"
        for name, lists in ours.merged.lists.items():
            if lists[index] != theirs.merged.lists[name][there]:
                yield f"{ours.group.name} {key} {name}: other members in the store"


class Replayer:
    """Writes a recording to the log of one stack."""

    def __init__(self, recording: Recording, plan: Plan, *, bootstrap: str, name: str) -> None:
        self._recording = recording
        self.served = Served(recording, plan)
        self._name = name
        self._writer = LogWriter(bootstrap)

    def write(self, *, speed: float, close_after_ms: int, seen: Callable[[int], None]) -> Counts:
        """Write the whole recording.

        Args:
            speed: recorded seconds a second; infinity writes as fast as it goes.
            close_after_ms: how far beyond the last visit the closing tick lies.
            seen: told the number of visits written, now and then.
        """
        self._writer.items(self._recording.items)
        visits = self._recording.visits
        begun, first_ms, events = time.monotonic(), visits[0].at_ms, 0
        for number, visit in enumerate(visits):
            due_s = (visit.at_ms - first_ms) / 1000 / speed - (time.monotonic() - begun)
            if due_s > 0:
                time.sleep(due_s)
            events += self._visit(f"{self._name}-{number}", visit)
            if number % _POLL_EACH == 0:
                seen(number)
        self._writer.close(visits[-1].at_ms + close_after_ms)
        seen(len(visits))
        return Counts(len(visits), events)

    def _visit(self, request_id: str, visit: Visit) -> int:
        self._writer.write(self.served.exposure(request_id, visit))
        events = events_of(request_id, visit)
        for event in events:
            self._writer.write(event)
        self.served.happen(events)
        return len(events)
