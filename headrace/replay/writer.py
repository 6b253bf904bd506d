"""Write a recorded log to the topics, as a trusted producer.

The visits of a user at one time become one exposure, with the features it would have been served with (aggregated and
assembled as for live requests, over the visits before it); then come each one's impression and feedback, all with the
recorded time as `received_at`. The log ends with a tick that closes every slot.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
from msgspec import Struct

from headrace.lang.plan.plan import Plan
from headrace.replay.recordings import Recording, Visit, shown_together
from headrace.schemas.defaults import HISTORY
from headrace.schemas.events import Event
from headrace.schemas.exposures import Exposure, Slot
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.serving.offline.features import OfflineFeatures
from headrace.serving.offline.log_writer import LogWriter
from headrace.serving.state.experiment import Arm
from headrace.serving.state.query import Query
from headrace.store.redis.reader import FeatureReader, FeatureRequest, FeatureValues

ARM = Arm(name="recorded", share=1.0, policy="recorded")
_POLL_EACH = 500
_DAYPARTS = ("night", "morning", "afternoon", "evening")


class Counts(Struct, frozen=True):
    """Numbers of records that a replay has written, and the last slot: its request and its position."""

    exposures: int
    events: int
    last: tuple[str, int]


class ExposureBuilder:
    """Builds the exposure that each visit would have been served with."""

    def __init__(self, recording: Recording, plan: Plan, inputs: Inputs = SHIPPED) -> None:
        self._plan = plan.for_events()
        self._feature_set = inputs.feature_set
        self._recomputed = OfflineFeatures(plan, recording.items, inputs)
        self._versions = {group.name: group.version for group in self._plan.groups}

    def exposure(self, request_id: str, *visits: Visit) -> Exposure:
        """Build the exposure of visits shown to a user at once: one slot each, inputs as of the visits before them."""
        visit = visits[0]
        query = self._recomputed.hydrate(build_query(request_id, visit, count=len(visits)))
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
            feature_set=self._feature_set,
            feature_versions=self._versions,
            history=query.user.history[:HISTORY],
            slots=slots,
        )

    def differences(self, reader: FeatureReader, visits: Iterable[Visit], *, at_ms: int) -> list[str]:
        """Features of these visits' users and items that differ between the store and the executor."""
        roles = self._plan.event_source.roles
        owners: dict[str, set[str]] = {roles.user: set(), roles.item: set(), "daypart": set(_DAYPARTS)}
        for visit in visits:
            owners[roles.user].add(visit.user_id)
            owners[roles.item].add(visit.item_id)
        known = [group for group in self._plan.groups if group.entity[0] in owners]
        wanted = [FeatureRequest(group, sorted(owners[group.entity[0]])) for group in known]
        pairs = zip(self._recomputed.memory.read(wanted, at_ms=at_ms), reader.read(wanted, at_ms=at_ms), strict=True)
        return [difference for computed, stored in pairs for difference in _differences(computed, stored)]

    def add_events(self, events: Iterable[Event]) -> None:
        """Fold a visit's events into the features."""
        self._recomputed.add_events(events)


def build_query(request_id: str, visit: Visit, *, count: int = 1) -> Query:
    """Build the request that a visit is of; `count`: how many items it asks for."""
    return Query(
        request_id=request_id,
        user_id=visit.user_id,
        session_id=visit.session_id,
        surface="feed",
        count=count,
        at_ms=visit.at_ms,
        seed=0,
        arm=ARM,
    )


def build_events(request_id: str, visit: Visit, *, position: int = 0) -> list[Event]:
    """Build the events of a visit: its impression and its feedback; `position`: its slot of the request."""
    feedback = [("impression", None), *visit.feedback]
    return [
        Event(
            event_id=f"{request_id}-{position}-{number}-{kind}",
            user_id=visit.user_id,
            event_type=kind,
            occurred_at=visit.at_ms,
            received_at=visit.at_ms,
            item_id=visit.item_id,
            session_id=visit.session_id,
            request_id=request_id,
            position=position,
            value=value,
        )
        for number, (kind, value) in enumerate(feedback)
    ]


def _differences(computed: FeatureValues, stored: FeatureValues) -> Iterator[str]:
    stored_index = {key: index for index, key in enumerate(stored.keys)}
    for index, key in enumerate(computed.keys):
        at = stored_index.get(key)
        if at is None:
            yield f"{computed.group.name} {key}: not in the store"
            continue
        for name, column in computed.merged.numbers.items():
            found = stored.merged.numbers[name][at]
            if not np.isclose(column[index], found, rtol=1e-9, atol=1e-12, equal_nan=True):
                yield f"{computed.group.name} {key} {name}: {found} in the store, {column[index]} by the executor"
        for name, lists in computed.merged.lists.items():
            if lists[index] != stored.merged.lists[name][at]:
                yield f"{computed.group.name} {key} {name}: other members in the store"


class Replayer:
    """Writes a recording to the log of one stack."""

    def __init__(self, recording: Recording, plan: Plan, *, bootstrap: str, name: str) -> None:
        self._recording = recording
        self.exposures = ExposureBuilder(recording, plan)
        self._name = name
        self._writer = LogWriter(bootstrap, plan.event_source)

    def write(self, *, speed: float, close_after_ms: int, on_progress: Callable[[int], None]) -> Counts:
        """Write the whole recording.

        Args:
            speed: recorded seconds per second; infinity writes as fast as possible.
            close_after_ms: time from the last visit to the closing tick.
            on_progress: called with the number of visits written, every few hundred visits.
        """
        self._writer.items(self._recording.items)
        visits, counts = self._recording.visits, Counts(0, 0, ("", 0))
        begun, first_ms, reported = time.monotonic(), visits[0].at_ms, 0
        for at_ms, moment in groupby(range(len(visits)), key=lambda row: visits[row].at_ms):
            due_s = (at_ms - first_ms) / 1000 / speed - (time.monotonic() - begun)
            if due_s > 0:
                time.sleep(due_s)
            rows = list(moment)
            counts = self._moment(shown_together(visits, rows), counts)
            if rows[-1] >= reported:
                on_progress(rows[-1])
                reported = rows[-1] + _POLL_EACH
        self._writer.close(visits[-1].at_ms + close_after_ms)
        on_progress(len(visits))
        return counts

    def _moment(self, requests: Sequence[Sequence[int]], before: Counts) -> Counts:
        """Write what was shown at one time, and what came of it; returns the counts with it."""
        visits, events = self._recording.visits, list[Event]()
        for rows in requests:
            request_id, shown = f"{self._name}-{rows[0]}", [visits[row] for row in rows]
            self._writer.write(self.exposures.exposure(request_id, *shown))
            for position, visit in enumerate(shown):
                events += build_events(request_id, visit, position=position)
        for event in events:
            self._writer.write(event)
        self.exposures.add_events(events)
        last = (f"{self._name}-{requests[-1][0]}", len(requests[-1]) - 1)
        return Counts(before.exposures + len(requests), before.events + len(events), last)
