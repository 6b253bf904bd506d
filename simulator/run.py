"""The play: one world through warm-up and live load, and the report of it. The stack is somebody else's."""

import time

import httpx
import msgspec
import numpy as np
from msgspec import Struct, structs

from lang.plan.plan import Plan
from models.array_types import Doubles
from schemas.events import Event
from schemas.exposures import Exposure
from schemas.http import AppliedVersion, FeaturesAnswer, ModelsAnswer
from schemas.partition import partition_of
from schemas.topics import EVENT_PARTITIONS
from serving.offline.log_writer import LogWriter
from simulator import report as reports
from simulator.api import Api
from simulator.click_rates import Rate
from simulator.delivery_faults import Rates
from simulator.poison import Poisoner
from simulator.probe import Probe
from simulator.reconciliation import Account
from simulator.report import Report
from simulator.traffic import Generators, Traffic, TrafficSettings
from simulator.warmup import WarmUp, WarmUpSettings
from simulator.world import World, WorldSettings

_BEFORE_MS = 30_000  # the history ends so long before the play begins: longer than a slot waits
FROZEN = "frozen"


class PlaySettings(Struct, frozen=True, kw_only=True):
    """One play: its seed, the seconds of live load, how long a slot waits and how often versions come."""

    seed: int
    seconds: float
    wait_ms: int
    cadence_ms: int
    pages_per_s: float = 36.0
    rates: Rates = Rates()
    world: WorldSettings = WorldSettings()


class Address(Struct, frozen=True, kw_only=True):
    """Where the stack is."""

    url: str
    token: str
    bootstrap: str


class Play:
    """Holds the world between the acts: `warm_up`, `write`, `live`."""

    def __init__(self, settings: PlaySettings, plan: Plan) -> None:
        self.settings = settings
        self.plan = plan
        names = ("world", "warm-up", "visits", "reactions", "mischief", "bootstrap")
        seeds = np.random.SeedSequence(settings.seed).spawn(len(names))
        self._by = {name: np.random.default_rng(seed) for name, seed in zip(names, seeds, strict=True)}
        self.world = World(settings.world, self._by["world"])
        self._exposures: list[Exposure] = []
        self._last: list[Event] = []
        self.known = len(self.world)
        self.frozen: AppliedVersion | None = None
        self._before: tuple[Doubles, Doubles] = (self.world.trend, self.world.tastes)

    def warm_up(self) -> WarmUp:
        """Play the history, up to half a minute ago."""
        reference = WarmUpSettings(begin_ms=0)
        begin_ms = _now() - _BEFORE_MS - reference.seconds * 1000
        generator = self._by["warm-up"]
        history = WarmUp(
            structs.replace(reference, begin_ms=begin_ms), world=self.world, plan=self.plan, generator=generator
        )
        history.run()
        self._exposures = history.exposures
        self._last = last_of_partitions(history.events)
        self.known = len(self.world)
        return history

    @staticmethod
    def write(history: WarmUp, bootstrap: str) -> None:
        """Put the history on the log and close its slots."""
        writer = LogWriter(bootstrap)
        writer.items(history.catalogue.records)
        writer.slates(history.exposures, history.events)
        writer.close(_now())

    @property
    def exposures(self) -> int:
        """Slots shown in the history."""
        return sum(len(exposure.slots) for exposure in self._exposures)

    def learnt(self, models: ModelsAnswer) -> bool:
        """Whether the version in service has learnt the history but for what the next version will hold."""
        if not models.history:
            return False
        closed_ms = self._exposures[-1].received_at + self.settings.wait_ms
        return models.history[0].to_ms >= closed_ms - self.settings.cadence_ms - 2_000

    def folded(self, client: httpx.Client) -> bool:
        """Whether the store knows the last event of every partition of the history."""
        for event in self._last:
            answer = client.get(f"/v1/features/item_engagement/{event.item_id}").raise_for_status()
            features = msgspec.json.decode(answer.content, type=FeaturesAnswer).features
            if max((feature.as_of or 0) for feature in features) < (event.received_at or 0):
                return False
        return True

    def slots_learnt(self) -> int:
        """Slots of the history that the frozen version had learnt to their end."""
        to_ms = self.frozen.to_ms if self.frozen else 0
        closed = (each for each in self._exposures if each.received_at + self.settings.wait_ms <= to_ms)
        return sum(len(exposure.slots) for exposure in closed)

    def live(self, address: Address) -> tuple[Traffic, Api, Poisoner]:
        """The live load, ready to be run with `perform`."""
        api, poison = Api(address.url, address.token), Poisoner(address.bootstrap)
        settings = TrafficSettings(
            seconds=self.settings.seconds, pages_per_s=self.settings.pages_per_s, rates=self.settings.rates
        )
        by = Generators(self._by["visits"], self._by["reactions"], self._by["mischief"])
        self._before = (self.world.trend, self.world.tastes)
        return Traffic(settings, self.world, api=api, poison=poison, by=by), api, poison

    def arms(self, traffic: Traffic) -> dict[str, Rate]:
        """Click rates, the arms of the demo always among them."""
        found = traffic.tally.rates(self._by["bootstrap"])
        nothing = Rate(impressions=0, clicks=0, ctr=None, ci95=None)
        return {name: found.get(name, nothing) for name in dict.fromkeys((*reports.ARMS, *found))}

    def facts(self, traffic: Traffic) -> reports.WorldFacts:
        """The world, and how far it moved under the load."""
        trend, tastes = self._before
        alike = np.mean([cosine(was, now) for was, now in zip(tastes, self.world.tastes, strict=True)])
        settings: dict[str, float] = structs.asdict(self.world.settings)
        return reports.WorldFacts(
            seed=self.settings.seed,
            users=self.world.settings.users,
            items=len(self.world),
            born=len(self.world) - self.known,
            drift={"trend": round(cosine(trend, self.world.trend), 4), "tastes": round(float(alike), 4)},
            newborn_share=dict(traffic.tally.newborn_share()),
            settings=settings,
        )


class Measured(Struct, frozen=True, kw_only=True):
    """What the acts of a play left behind."""

    traffic: Traffic
    api: Api
    poison: Poisoner
    probe: Probe
    account: Account
    judged: bool
    published: int
    rejected: int
    begun_ms: int
    warm_up_s: float
    peak_mb: float


async def perform(traffic: Traffic, api: Api) -> None:
    """Run the live load."""
    try:
        await traffic.run()
    finally:
        await api.close()


def conclude(play: Play, measured: Measured, models: ModelsAnswer) -> Report:
    """The report."""
    traffic, probe, account = measured.traffic, measured.probe, measured.account
    poison, seconds = measured.poison, play.settings.seconds
    applied = [version for version in models.history if version.applied_at >= measured.begun_ms]
    return Report(
        seconds=seconds,
        events=traffic.sent["accepted"],
        events_per_s=round(traffic.under_load / seconds, 1),
        freshness_ms=reports.Freshness(
            append_to_feature=reports.spread(probe.to_feature_ms),
            append_to_sample=reports.spread(probe.to_sample_ms),
            click_to_weights=reports.spread(probe.to_weights_ms()),
        ),
        deltas=reports.Deltas(published=measured.published, applied=len(applied), rejected=measured.rejected),
        arms=play.arms(traffic),
        dead_letters=reports.DeadLetters(count=len(account.dead), by_reason=account.reasons()),
        duplicates_removed=account.duplicates,
        duplicates_sent=traffic.sent["copies"] - traffic.sent["duplicate"],
        held_back=traffic.sent["held_back"],
        judged=measured.judged,
        probes_lost=probe.lost,
        http=_http(measured.api, seconds, play.settings.pages_per_s),
        peak_rss_mb=round(measured.peak_mb, 1),
        poison=reports.Poison(
            sent=poison.sent,
            accounted=sum(account.dead.get(place) == code for place, code in poison.places.items()),
            expected=dict(sorted(poison.expected.items())),
        ),
        world=play.facts(traffic),
        warm_up=reports.WarmUpFacts(
            exposures=play.exposures,
            learnt=play.slots_learnt(),
            frozen_version=play.frozen.version if play.frozen else "",
            seconds=round(measured.warm_up_s, 1),
        ),
    )


def _http(api: Api, seconds: float, wanted_per_s: float) -> reports.Http:
    answered = reports.spread(api.answered_ms)
    return reports.Http(
        requests=api.statuses.total() + api.refused,
        recommendations=answered.count,
        recommendations_per_s=round(answered.count / seconds, 2),
        wanted_per_s=wanted_per_s,
        errors_5xx=sum(count for status, count in api.statuses.items() if status >= 500),
        refused=api.refused,
        unanswered=api.statuses[0],
        p50_ms=answered.p50,
        p99_ms=answered.p99,
        levels={f"L{level}": count for level, count in sorted(api.levels.items())},
    )


def last_of_partitions(events: list[Event]) -> list[Event]:
    """The last impression of each partition of the log."""
    last: dict[int, Event] = {}
    for event in reversed(events):
        partition = partition_of(event.user_id, EVENT_PARTITIONS)
        if event.event_type == "impression" and partition not in last:
            last[partition] = event
        if len(last) == EVENT_PARTITIONS:
            break
    return list(last.values())


def cosine(one: Doubles, two: Doubles) -> float:
    """Cosine of two vectors."""
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)))


def _now() -> int:
    return time.time_ns() // 1_000_000
