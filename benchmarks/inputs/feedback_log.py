"""A simulated feed as slots with their labels, and as the samples that a learner receives.

Every sample has weight 1, so that the model learns the click probability itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush

import numpy as np
from msgspec import Struct, structs
from numpy.random import Generator

from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.events import Event
from headrace.schemas.exposures import Exposure
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.samples import SAMPLE, Sample
from headrace.simulator.warmup import WarmUp, WarmUpSettings
from headrace.simulator.world import World, WorldSettings
from headrace.udfs.labels import close_slate, encode_samples, label_feedback
from headrace.udfs.slates import Feedback, open_slate

Slot = tuple[str, int]
"""(request id, position)."""
_NEVER_MS = 1 << 62


class FeedbackLog(Struct, frozen=True, kw_only=True):
    """A simulated history; exposures and events are in order of `received_at`.

    Attributes:
        slots: samples with their final labels, in serving order; `known_at` is the time of serving.
    """

    exposures: list[Exposure]
    events: list[Event]
    slots: list[Sample]

    def before(self, at_ms: int) -> "FeedbackLog":
        """The part of the history before a time."""
        return FeedbackLog(
            exposures=[each for each in self.exposures if each.received_at < at_ms],
            events=[each for each in self.events if (each.received_at or 0) < at_ms],
            slots=[each for each in self.slots if each.served_at < at_ms],
        )


class Delays(Struct, frozen=True, kw_only=True):
    """The log-normal delay of feedback after its slate, and how long a learner waits for it."""

    median_s: float = 300.0
    spread: float = 1.5
    wait_ms: int = 600_000
    correction_ms: int = 6 * 3_600_000


def simulate(world: WorldSettings, history: WarmUpSettings, *, seed: int) -> FeedbackLog:
    """Simulate the history of a world."""
    plan, random = load_plan(FEATURES), np.random.default_rng
    past = WarmUp(history, world=World(world, random(seed)), plan=plan, generator=random(seed + 1))
    past.run()
    return FeedbackLog(exposures=past.exposures, events=past.events, slots=list(_slots(past.exposures, past.events)))


def join_feedback(
    exposures: Sequence[Exposure], events: Sequence[Event], *, wait_ms: int, correction_ms: int
) -> Iterator[Sample]:
    """Replay the label join: yield each sample in the order in which the job would emit it.

    There is one net label per slot and head, and a correction if feedback comes late.
    """
    due: list[tuple[int, int, str]] = []
    slates = {}
    for number, exposure in enumerate(exposures):
        payload = exposure.payload()
        slates[exposure.request_id] = (
            payload,
            open_slate(payload, wait_ms=wait_ms, correction_ms=correction_ms, negative_rate=1.0),
        )
        heappush(due, (exposure.received_at + wait_ms, number, exposure.request_id))
    for event in events:
        now = event.received_at or 0
        while due and due[0][0] < now:
            payload, slate = slates[heappop(due)[2]]
            yield from _rows(encode_samples(payload, slate, list(close_slate(slate))))
        payload, slate = slates[event.request_id]
        fields = {name: getattr(event, name) for name in Feedback.__struct_fields__ if name != "trains"}
        yield from _rows(encode_samples(payload, slate, list(label_feedback(slate, Feedback(**fields)))))


def with_equal_weights(rows: Iterator[Sample]) -> list[Sample]:
    """The same samples with weight 1."""
    return [structs.replace(row, weight=1.0) for row in rows]


def draw_delays(log: FeedbackLog, delays: Delays, generator: Generator) -> dict[Slot, int]:
    """Draw the delay of the feedback of each clicked slot, in ms after its slate."""
    clicked = [row for row in log.slots if row.click]
    lengths = delays.median_s * 1000 * np.exp(delays.spread * generator.normal(size=len(clicked)))
    return {(row.request_id, row.position): int(length) for row, length in zip(clicked, lengths.tolist(), strict=True)}


def delayed_samples(
    log: FeedbackLog, late_ms: Mapping[Slot, int], delays: Delays
) -> dict[str, tuple[list[Sample], int]]:
    """The samples of a log with late feedback and the wait of the learner in ms, by how it handles late labels.

    `oracle` knows each label when the slot is served. `naive` receives a negative then, and the click later as one
    more sample. `wait` receives one label, at the end of the wait. `corrected` is the product's join.
    """
    served = [structs.replace(row, click=0.0, converted=0.0, engagement=0.0) for row in log.slots]
    delays_ms = [late_ms.get((row.request_id, row.position), _NEVER_MS) for row in log.slots]
    slots_and_delays = list(zip(log.slots, delays_ms, strict=True))
    naive = [*served, *(_positive(row, late) for row, late in slots_and_delays if late < _NEVER_MS)]
    waited = [
        structs.replace(row if late <= delays.wait_ms else blank, known_at=row.served_at + delays.wait_ms)
        for (row, late), blank in zip(slots_and_delays, served, strict=True)
    ]
    late = [_late(event, late_ms) for event in log.events if event.event_type in SHIPPED_HEADS.feedback]
    late.sort(key=lambda event: event.received_at or 0)
    corrected = join_feedback(log.exposures, late, wait_ms=delays.wait_ms, correction_ms=delays.correction_ms)
    return {
        "oracle": (log.slots, 0),
        "corrected": (with_equal_weights(corrected), delays.wait_ms),
        "wait": (waited, 0),
        "naive": (sorted(naive, key=lambda row: row.known_at), 0),
    }


def _slots(exposures: Sequence[Exposure], events: Sequence[Event]) -> Iterator[Sample]:
    labels: defaultdict[Slot, dict[str, float]] = defaultdict(dict)
    for event in events:
        if event.event_type in SHIPPED_HEADS.feedback and event.request_id and event.position is not None:
            value = 1.0 if event.value is None else event.value
            labels[event.request_id, event.position][SHIPPED_HEADS.feedback[event.event_type][0].name] = value
    for exposure in exposures:
        payload = exposure.payload()
        slate = open_slate(payload, wait_ms=0, correction_ms=0, negative_rate=1.0)
        for row in _rows(encode_samples(payload, slate, list(close_slate(slate)))):
            yield structs.replace(row, **labels.get((row.request_id, row.position), {}))


def _positive(row: Sample, late_ms: int) -> Sample:
    """The sample of a late click, which labels only the positive heads."""
    positive = {head: getattr(row, head) or None for head in SHIPPED_HEADS.names}
    return structs.replace(row, known_at=row.served_at + late_ms, **positive)


def _late(event: Event, late_ms: Mapping[Slot, int]) -> Event:
    """The event, delayed like the feedback of its slot."""
    slot = (event.request_id or "", event.position or 0)
    return structs.replace(event, received_at=(event.received_at or 0) + late_ms[slot])


def _rows(payloads: Iterator[bytes]) -> Iterator[Sample]:
    return (Sample(**SAMPLE.decode(payload)) for payload in payloads)
