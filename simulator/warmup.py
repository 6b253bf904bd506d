"""Generates the history before the demo: slates without a ranker, and the events that users cause on them.

Slates mix popular and random items, so that the model learns from more than its own choices. Dense inputs come from
the functions and the plan that serving uses, over the events up to half a second before the request. Two things are
coarser than live: item features and the catalogue are refreshed every `look_ms`, not every second or two, and an item
without new events keeps the values that were last read.
"""

from heapq import heappop, heappush

import numpy as np
from msgspec import Struct, structs
from numpy.random import Generator

from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Doubles, Ids, Indexes
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.inputs import FEATURE_SET
from headrace.schemas.catalogue import Item
from headrace.schemas.defaults import HISTORY
from headrace.schemas.events import Event
from headrace.schemas.exposures import Exposure, Slot
from headrace.serving.offline.features import OfflineFeatures
from headrace.serving.stages.filters import KEPT, judge
from headrace.serving.stages.score import inputs
from headrace.serving.state import catalogue as catalogues
from headrace.serving.state import columns, item_features
from headrace.serving.state.experiment import Arm
from headrace.serving.state.query import Candidates, Query
from headrace.serving.state.state import ServingState, state_of
from headrace.simulator.behaviour import ShownSlate, events_of
from headrace.simulator.visits import Page, Visits
from headrace.simulator.world import World, item_number, user_name

ARM = Arm(name="warm-up", share=1.0, policy="popular and random")
_LAG_MS = 500  # from an event to its feature, about as long as the pipeline takes
_HOT, _ANY = 160, 100  # candidates per request, as many as in serving
_BY_HEAT = 0.5  # share of slots drawn by popularity; the others are drawn uniformly


class WarmUpSettings(Struct, frozen=True, kw_only=True):
    """The amount of history: slates of `count` items at `rate_per_s` over `seconds`, from `begin_ms` on.

    Attributes:
        look_ms: time between two refreshes of item features and the catalogue.
    """

    begin_ms: int
    seconds: int = 400
    rate_per_s: float = 14.1
    count: int = 10
    look_ms: int = 10_000


class WorldCatalogue:
    """The items of the world, as catalogue records and as serving holds them."""

    def __init__(self, world: World, begun_ms: int) -> None:
        self._begun_ms = begun_ms
        self._layout = ContentLayout([view.modality for view in world.settings.views])
        self.records: list[Item] = []
        self._entries: list[catalogues.Entry] = []
        self.add(world, np.arange(len(world)))

    def add(self, world: World, born: Indexes) -> list[Item]:
        """Add new items, in order of their numbers; returns their records."""
        begin = len(self.records)
        for item in born.tolist():
            record = world.record(item, begun_ms=self._begun_ms)
            record = structs.replace(record, received_at=max(record.born_at, self._begun_ms))
            self.records.append(record)
            self._entries.append(catalogues.entry_of(record, self._layout))
        return self.records[begin:]

    def build(self) -> catalogues.Catalogue:
        """The catalogue as arrays."""
        return catalogues.build(self._entries, self._layout)


class WarmUp:
    """Generates the history slate by slate; `exposures` and `events` grow, each in order of `received_at`."""

    def __init__(self, settings: WarmUpSettings, *, world: World, plan: Plan, generator: Generator) -> None:
        self.settings = settings
        self.catalogue = WorldCatalogue(world, settings.begin_ms)
        self.exposures: list[Exposure] = []
        self.events: list[Event] = []
        self.offline = OfflineFeatures(plan, self.catalogue.records)
        self._world = world
        self._random = generator
        self._pending: list[tuple[int, str, Event]] = []
        self._changed: set[str] = set()
        self._read: dict[str, dict[str, Doubles]] = {}
        self._state = self._refresh(settings.begin_ms)

    def run(self) -> None:
        """Generate the whole history."""
        settings, random = self.settings, self._random
        rate = settings.rate_per_s
        visits = Visits(self._world.settings.users, rate_per_s=rate, generator=random, prefix="warm")
        refreshed_ms = settings.begin_ms
        for number in range(round(settings.seconds * rate)):
            at_ms = settings.begin_ms + round(number / rate * 1000)
            born = self.catalogue.add(self._world, self._world.advance((at_ms - settings.begin_ms) / 1000))
            self.offline.items |= {item.item_id: item for item in born}
            self.fold(at_ms - _LAG_MS)
            if at_ms - refreshed_ms >= settings.look_ms:
                self._state, refreshed_ms = self._refresh(at_ms), at_ms
            self._serve(f"warm-{number}", visits.next(), at_ms)
        self.fold(settings.begin_ms + (settings.seconds + 60) * 1000)
        self.events.sort(key=lambda event: event.received_at or 0)

    def fold(self, until_ms: int) -> None:
        """Apply the events up to a time to the features."""
        while self._pending and self._pending[0][0] <= until_ms:
            _, _, event = heappop(self._pending)
            self.offline.add_events([event])
            self._changed.add(event.item_id or "")

    def add_events(self, events: list[Event]) -> None:
        """Add events; as a trusted producer, set `received_at` to the time of the event."""
        for event in events:
            received = structs.replace(event, received_at=event.occurred_at)
            self.events.append(received)
            heappush(self._pending, (event.occurred_at, event.event_id, received))

    def _refresh(self, at_ms: int) -> ServingState:
        """The catalogue and its features at a time; reads only items with new events again."""
        catalogue = self.catalogue.build()
        changed, self._changed = sorted(self._changed), set[str]()
        values = columns.SHIPPED_COLUMNS.blank(len(catalogue))
        for part in columns.SHIPPED_COLUMNS.groups(self.offline.plan):
            names, codes = catalogue.owners(part.by)
            read = self._read.setdefault(part.group.name, {})
            owners = changed if part.by == "item_id" else names
            read.update(zip(owners, columns.read(self.offline.memory, part, owners, at_ms=at_ms), strict=True))
            unknown = np.full(len(part.features), np.nan)
            rows = np.stack([*(read.get(name, unknown) for name in names), unknown])  # the last: no owner
            columns.SHIPPED_COLUMNS.fill(values, part, rows[codes])
        features = item_features.build(catalogue, values, version={}, read_at=at_ms)
        return state_of(self.offline.plan, catalogue, features)

    def _serve(self, request_id: str, page: Page, at_ms: int) -> None:
        query = Query(
            request_id=request_id,
            user_id=user_name(page.user),
            session_id=page.session_id,
            surface="feed",
            count=self.settings.count,
            at_ms=at_ms,
            seed=0,
            arm=ARM,
        )
        query = self.offline.hydrate(query)
        indexes = self._candidates(query)
        ids = self._state.catalogue.ids[indexes]
        rows = self._state.features.gather(ids)
        candidates = Candidates(ids=ids, found_by=np.zeros(len(ids), np.int64), indexes=indexes)
        dense = inputs(query, candidates, self._state, rows)
        chosen, chances = self._draw(item_features.heat_of(rows, self._state.features.columns), query.count)
        names = [self._state.catalogue.names[int(index)] for index in indexes[chosen]]
        slots = [
            Slot(
                item_id=names[position],
                position=position,
                score=0.0,
                propensity=chance,
                sources=["trending"],
                category=self._state.catalogue.category(int(indexes[candidate])),
                dense=dense[candidate].tobytes(),
            )
            for position, (candidate, chance) in enumerate(zip(chosen, chances, strict=True))
        ]
        packed = self._state.catalogue.packed
        contents = [packed[index] for index in indexes[chosen].tolist()] if packed else []
        self.exposures.append(_exposure(query, slots, contents))
        slate = ShownSlate(
            request_id=request_id, user=page.user, session_id=page.session_id, items=names, shown_at=at_ms
        )
        items = np.array([item_number(name) for name in names], np.int64)
        self.add_events(events_of(slate, self._world.react(page.user, items, self._random)))

    def _candidates(self, query: Query) -> Indexes:
        """Catalogue indexes of hot and of random items, without those that the user has clicked. [C]."""
        catalogue = self._state.catalogue
        hot: Ids = self._state.features.hot[:_HOT]
        some = self._random.choice(len(catalogue), _ANY, replace=False)
        indexes = np.union1d(catalogue.find(hot)[0], some)
        return indexes[judge(query, catalogue, indexes) == KEPT]

    def _draw(self, heat: Doubles, count: int) -> tuple[list[int], list[float]]:
        """The candidate of each position and its probability, given the candidates above it."""
        weights = _BY_HEAT * (heat + 1) / (heat + 1).sum() + (1 - _BY_HEAT) / len(heat)
        chosen = self._random.choice(len(weights), min(count, len(weights)), replace=False, p=weights / weights.sum())
        left = weights.sum() - np.concatenate([[0.0], np.cumsum(weights[chosen])[:-1]])
        return chosen.tolist(), np.minimum(weights[chosen] / left, 1.0).tolist()


def _exposure(query: Query, slots: list[Slot], contents: list[bytes]) -> Exposure:
    return Exposure(
        request_id=query.request_id,
        user_id=query.user_id,
        session_id=query.session_id,
        surface=query.surface,
        received_at=query.at_ms,
        arm=query.arm.name,
        policy=query.arm.policy,
        model_version="",
        feature_set=FEATURE_SET,
        feature_versions={},
        history=query.user.history[:HISTORY],
        slots=slots,
        contents=contents,
    )
