"""The history before the demo: slates that nobody ranked, and what people did with them.

Slates mix popularity and chance, so that the model learns from more than its own choice. The dense inputs are those
that serving would have computed: the same functions over the same plan, with the events up to half a second before
the request. Two things are coarser than live: item features and the catalogue are looked at every `look_ms`
instead of every second or two, and an item that no event touched keeps the values it was read with.
"""

from heapq import heappop, heappush

import numpy as np
from msgspec import Struct, structs
from numpy.random import Generator

from lang.plan.plan import Plan
from models.array_types import Doubles, Ids, Indexes
from models.content import ContentLayout
from models.inputs import FEATURE_SET
from schemas.catalogue import Item
from schemas.defaults import HISTORY
from schemas.events import Event
from schemas.exposures import Exposure, Slot
from serving.offline.features import OfflineFeatures
from serving.stages.filters import KEPT, judge
from serving.stages.score import inputs
from serving.state import catalogue as catalogues
from serving.state import columns, item_features
from serving.state.experiment import Arm
from serving.state.query import Candidates, Query
from serving.state.state import ServingState
from simulator.behaviour import Served, events_of
from simulator.visits import Page, Visits
from simulator.world import World, item_number, user_name

ARM = Arm(name="warm-up", share=1.0, policy="popular and random")
_LAG_MS = 500  # from an event to its feature, about what the line needs
_HOT, _ANY = 160, 100  # candidates of a request, as many as serving has
_BY_HEAT = 0.5  # share of slots drawn by popularity; the others each alike


class WarmUpSettings(Struct, frozen=True, kw_only=True):
    """How much history: slates of `count` items at `rate_per_s` over `seconds`; `begin_ms` is when it begins.

    Attributes:
        look_ms: between two looks at item features and the catalogue.
    """

    begin_ms: int
    seconds: int = 400
    rate_per_s: float = 14.1
    count: int = 10
    look_ms: int = 10_000


class Catalogue:
    """The items of the world as serving holds them."""

    def __init__(self, world: World, begun_ms: int) -> None:
        self._begun_ms = begun_ms
        self._layout = ContentLayout([view.modality for view in world.settings.views])
        self.records: list[Item] = []
        self._entries: list[catalogues.Entry] = []
        self.add(world, np.arange(len(world)))

    def add(self, world: World, born: Indexes) -> list[Item]:
        """Take in newborn items, in order of their numbers."""
        begin = len(self.records)
        for item in born.tolist():
            record = world.record(item, begun_ms=self._begun_ms)
            record = structs.replace(record, received_at=max(record.born_at, self._begun_ms))
            self.records.append(record)
            self._entries.append(catalogues.entry_of(record, self._layout))
        return self.records[begin:]

    def built(self) -> catalogues.Catalogue:
        """As arrays."""
        return catalogues.build(self._entries, self._layout)


class WarmUp:
    """Plays the history second by second; `exposures` and `events` grow, each in order of `received_at`."""

    def __init__(self, settings: WarmUpSettings, *, world: World, plan: Plan, generator: Generator) -> None:
        self.settings = settings
        self.catalogue = Catalogue(world, settings.begin_ms)
        self.exposures: list[Exposure] = []
        self.events: list[Event] = []
        self.offline = OfflineFeatures(plan, self.catalogue.records)
        self._world = world
        self._random = generator
        self._pending: list[tuple[int, str, Event]] = []
        self._touched: set[str] = set()
        self._read: dict[str, dict[str, Doubles]] = {}
        self._state = self._look(settings.begin_ms)

    def run(self) -> None:
        """Play the whole history."""
        settings, random = self.settings, self._random
        rate = settings.rate_per_s
        visits = Visits(self._world.settings.users, rate_per_s=rate, generator=random, prefix="warm")
        looked_ms = settings.begin_ms
        for number in range(round(settings.seconds * rate)):
            at_ms = settings.begin_ms + round(number / rate * 1000)
            born = self.catalogue.add(self._world, self._world.advance((at_ms - settings.begin_ms) / 1000))
            self.offline.items |= {item.item_id: item for item in born}
            self.fold(at_ms - _LAG_MS)
            if at_ms - looked_ms >= settings.look_ms:
                self._state, looked_ms = self._look(at_ms), at_ms
            self._serve(f"warm-{number}", visits.next(), at_ms)
        self.fold(settings.begin_ms + (settings.seconds + 60) * 1000)
        self.events.sort(key=lambda event: event.received_at or 0)

    def fold(self, upto_ms: int) -> None:
        """Let features take in the events up to a time."""
        while self._pending and self._pending[0][0] <= upto_ms:
            _, _, event = heappop(self._pending)
            self.offline.happen([event])
            self._touched.add(event.item_id or "")

    def happen(self, events: list[Event]) -> None:
        """Note events; the trusted producer's `received_at` is the event's own time."""
        for event in events:
            received = structs.replace(event, received_at=event.occurred_at)
            self.events.append(received)
            heappush(self._pending, (event.occurred_at, event.event_id, received))

    def _look(self, at_ms: int) -> ServingState:
        """The catalogue and its features at a time; only what was touched is read again."""
        catalogue = self.catalogue.built()
        touched, self._touched = sorted(self._touched), set[str]()
        values = columns.blank(len(catalogue))
        for part in columns.parts_of(self.offline.plan):
            names, codes = catalogue.owners(part.by)
            read = self._read.setdefault(part.group.name, {})
            looked = touched if part.by == "item_id" else names
            read.update(zip(looked, columns.read(self.offline.memory, part, looked, at_ms=at_ms), strict=True))
            unknown = np.full(len(part.features), np.nan)
            rows = np.stack([*(read.get(name, unknown) for name in names), unknown])  # the last for items of no owner
            columns.fill(values, part, rows[codes])
        features = item_features.build(catalogue, values, version={}, swept_at=at_ms)
        return ServingState(plan=self.offline.plan, catalogue=catalogue, features=features, models={})

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
        query = self.offline.hydrated(query)
        places = self._candidates(query)
        ids = self._state.catalogue.ids[places]
        rows = self._state.features.gather(ids)
        candidates = Candidates(ids=ids, found_by=np.zeros(len(ids), np.int64), places=places)
        dense = inputs(query, candidates, self._state, rows)
        chosen, chances = self._draw(item_features.heat_of(rows), query.count)
        names = [self._state.catalogue.names[place] for place in places[chosen].tolist()]
        slots = [
            Slot(
                item_id=names[position],
                position=position,
                score=0.0,
                propensity=chance,
                sources=["trending"],
                category=self._state.catalogue.category(int(places[place])),
                dense=dense[place].tobytes(),
            )
            for position, (place, chance) in enumerate(zip(chosen, chances, strict=True))
        ]
        packed = self._state.catalogue.packed
        contents = [packed[place] for place in places[chosen].tolist()] if packed else []
        self.exposures.append(_exposure(query, slots, contents))
        served = Served(request_id=request_id, user=page.user, session_id=page.session_id, items=names, shown_at=at_ms)
        items = np.array([item_number(name) for name in names], np.int64)
        self.happen(events_of(served, self._world.react(page.user, items, self._random)))

    def _candidates(self, query: Query) -> Indexes:
        """Places of hot items and of any, without those the user has clicked. [C]."""
        catalogue = self._state.catalogue
        hot: Ids = self._state.features.hot[:_HOT]
        some = self._random.choice(len(catalogue), _ANY, replace=False)
        places = np.union1d(catalogue.find(hot)[0], some)
        return places[judge(query, catalogue, places) == KEPT]

    def _draw(self, warmth: Doubles, count: int) -> tuple[list[int], list[float]]:
        """Candidates for each position and the chance that each had, given the positions above it."""
        weights = _BY_HEAT * (warmth + 1) / (warmth + 1).sum() + (1 - _BY_HEAT) / len(warmth)
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
