"""A simulation: one world through warm-up and live load, and its report. The caller starts the stack."""

import asyncio

import numpy as np
from msgspec import Struct, structs

from headrace.client import Client
from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Doubles
from headrace.schemas.events import Event
from headrace.schemas.exposures import Exposure
from headrace.schemas.http import AppliedVersion, ModelsAnswer
from headrace.schemas.partition import partition_of
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENT_PARTITIONS
from headrace.serving.offline.log_writer import LogWriter
from headrace.simulator import report as reports
from headrace.simulator.api import Api
from headrace.simulator.click_rates import ClickRate
from headrace.simulator.delivery_faults import FaultRates
from headrace.simulator.knee import Ramp
from headrace.simulator.poison import PoisonProducer
from headrace.simulator.probe import Probe
from headrace.simulator.reconciliation import Reconciliation
from headrace.simulator.report import Report
from headrace.simulator.throttle import Throttle
from headrace.simulator.traffic import Clients, Generators, Traffic, TrafficSettings
from headrace.simulator.warmup import WarmUp, WarmUpSettings
from headrace.simulator.world import World, WorldSettings

_BEFORE_MS = 30_000  # time between the end of the history and the start of the run: longer than the wait of a slot
_LONGEST_RAMP_S = 120.0
FROZEN = "frozen"


class SimulationSettings(Struct, frozen=True, kw_only=True):
    """Seed and duration of the live load, the wait of a slot, and the cadence of versions."""

    seed: int
    duration_s: float
    wait_ms: int
    cadence_ms: int
    pages_per_s: float = 36.0
    rates: FaultRates = FaultRates()
    world: WorldSettings = WorldSettings()


class Address(Struct, frozen=True, kw_only=True):
    """The address of a stack."""

    url: str
    token: str
    bootstrap: str


class SimulationRun:
    """Holds the world across `warm_up`, `write_history` and `live_load`."""

    def __init__(self, settings: SimulationSettings, plan: Plan) -> None:
        self.settings = settings
        self.plan = plan
        names = ("world", "warm-up", "visits", "reactions", "faults", "bootstrap")
        seeds = np.random.SeedSequence(settings.seed).spawn(len(names))
        self._generators = {name: np.random.default_rng(seed) for name, seed in zip(names, seeds, strict=True)}
        self.world = World(settings.world, self._generators["world"])
        self._exposures: list[Exposure] = []
        self._last_events: list[Event] = []
        self.initial_items = len(self.world)
        self.frozen: AppliedVersion | None = None
        self._start: tuple[Doubles, Doubles] = (self.world.trend, self.world.tastes)

    def warm_up(self) -> WarmUp:
        """Generate the history, up to half a minute ago."""
        reference = WarmUpSettings(begin_ms=0)
        begin_ms = now_ms() - _BEFORE_MS - reference.seconds * 1000
        generator = self._generators["warm-up"]
        history = WarmUp(
            structs.replace(reference, begin_ms=begin_ms), world=self.world, plan=self.plan, generator=generator
        )
        history.run()
        self._exposures = history.exposures
        self._last_events = last_of_partitions(history.events)
        self.initial_items = len(self.world)
        return history

    @staticmethod
    def write_history(history: WarmUp, bootstrap: str) -> None:
        """Write the history to the log and close its slots."""
        writer = LogWriter(bootstrap, history.offline.plan.event_source)
        writer.items(history.catalogue.records)
        writer.slates(history.exposures, history.events)
        writer.close(now_ms())

    @property
    def exposures(self) -> int:
        """Number of slots in the history."""
        return sum(len(exposure.slots) for exposure in self._exposures)

    def has_learned(self, models: ModelsAnswer) -> bool:
        """Whether the live version has learned the history, except for samples that the next version will include."""
        if not models.history:
            return False
        closed_ms = self._exposures[-1].received_at + self.settings.wait_ms
        return models.history[0].to_ms >= closed_ms - self.settings.cadence_ms - 2_000

    def has_features(self, client: Client) -> bool:
        """Whether the features include the last event of every partition of the history."""
        for event in self._last_events:
            features = client.read_features("item_engagement", event.item_id or "").features
            if max((feature.as_of or 0) for feature in features) < (event.received_at or 0):
                return False
        return True

    def slots_learned(self) -> int:
        """Number of closed slots of the history that the frozen version learned from."""
        to_ms = self.frozen.to_ms if self.frozen else 0
        closed = (each for each in self._exposures if each.received_at + self.settings.wait_ms <= to_ms)
        return sum(len(exposure.slots) for exposure in closed)

    def measure_knee(self, address: Address) -> float:
        """Let users come faster and faster, and return how many pages a second the machine kept up with, 0 for none.

        Twice the wanted load is the most that is tried.
        """
        ramp = Ramp(2 * self.settings.pages_per_s)
        traffic, clients = self._traffic(address, pace=ramp, duration_s=_LONGEST_RAMP_S)
        asyncio.run(run_load(traffic, clients.api))
        return ramp.knee

    def live_load(self, address: Address, *, pages_per_s: float) -> tuple[Traffic, Clients]:
        """Prepare the live load for `run_load`."""
        self._start = (self.world.trend, self.world.tastes)
        return self._traffic(address, pace=Throttle(pages_per_s), duration_s=self.settings.duration_s)

    def _traffic(self, address: Address, *, pace: Throttle | Ramp, duration_s: float) -> tuple[Traffic, Clients]:
        clients = Clients(Api(address.url, address.token), PoisonProducer(address.bootstrap))
        settings = TrafficSettings(
            duration_s=duration_s, pages_per_s=self.settings.pages_per_s, rates=self.settings.rates
        )
        generators = Generators(self._generators["visits"], self._generators["reactions"], self._generators["faults"])
        return Traffic(settings, self.world, clients=clients, generators=generators, pace=pace), clients

    def arms(self, traffic: Traffic) -> dict[str, ClickRate]:
        """Click rates by arm, including every arm of the demo."""
        found = traffic.clicks.rates(self._generators["bootstrap"])
        nothing = ClickRate(impressions=0, clicks=0, ctr=None, ci95=None)
        return {name: found.get(name, nothing) for name in dict.fromkeys((*reports.ARMS, *found))}

    def facts(self, traffic: Traffic) -> reports.WorldFacts:
        """Facts of the world, and how far it moved during the load."""
        trend, tastes = self._start
        taste_cosine = np.mean([cosine(was, now) for was, now in zip(tastes, self.world.tastes, strict=True)])
        settings: dict[str, float] = structs.asdict(self.world.settings)
        return reports.WorldFacts(
            seed=self.settings.seed,
            users=self.world.settings.users,
            items=len(self.world),
            born=len(self.world) - self.initial_items,
            drift={"trend": round(cosine(trend, self.world.trend), 4), "tastes": round(float(taste_cosine), 4)},
            newborn_share=dict(traffic.clicks.newborn_share()),
            settings=settings,
        )


class Measurements(Struct, frozen=True, kw_only=True):
    """What a run measured, before it becomes a report."""

    traffic: Traffic
    clients: Clients
    probe: Probe
    knee_per_s: float
    pages_per_s: float
    reconciliation: Reconciliation
    judged: bool
    published: int
    rejected: int
    begun_ms: int
    warm_up_s: float
    peak_mb: float


async def run_load(traffic: Traffic, api: Api) -> None:
    """Run the live load."""
    try:
        await traffic.run()
    finally:
        await api.close()


def build_report(run: SimulationRun, measured: Measurements, models: ModelsAnswer) -> Report:
    """Build the report of a run."""
    traffic, probe, reconciliation = measured.traffic, measured.probe, measured.reconciliation
    poison, duration_s = measured.clients.poison, run.settings.duration_s
    applied = [version for version in models.history if version.applied_at >= measured.begun_ms]
    return Report(
        seconds=duration_s,
        events=traffic.sent["accepted"],
        events_per_s=round(traffic.under_load / duration_s, 1),
        freshness_ms=reports.Freshness(
            append_to_feature=reports.percentiles(probe.to_feature_ms),
            append_to_sample=reports.percentiles(probe.to_sample_ms),
            click_to_weights=reports.percentiles(probe.to_weights_ms()),
        ),
        deltas=reports.Deltas(published=measured.published, applied=len(applied), rejected=measured.rejected),
        arms=run.arms(traffic),
        dead_letters=reports.DeadLetters(count=len(reconciliation.dead), by_reason=reconciliation.reasons()),
        duplicates_removed=reconciliation.duplicates,
        duplicates_sent=traffic.sent["copies"] - traffic.sent["duplicate"],
        held_back=traffic.sent["held_back"],
        judged=measured.judged,
        probes_lost=probe.lost,
        http=_http(measured, duration_s),
        peak_rss_mb=round(measured.peak_mb, 1),
        poison=reports.Poison(
            sent=poison.sent,
            accounted=sum(reconciliation.dead.get(record) == code for record, code in poison.codes.items()),
            expected=dict(sorted(poison.expected.items())),
        ),
        world=run.facts(traffic),
        warm_up=reports.WarmUpFacts(
            exposures=run.exposures,
            learnt=run.slots_learned(),
            frozen_version=run.frozen.version if run.frozen else "",
            seconds=round(measured.warm_up_s, 1),
        ),
    )


def _http(measured: Measurements, duration_s: float) -> reports.Http:
    api = measured.clients.api
    latency = reports.percentiles(api.latencies_ms)
    return reports.Http(
        requests=api.statuses.total() + api.refused,
        recommendations=latency.count,
        recommendations_per_s=round(latency.count / duration_s, 2),
        wanted_per_s=round(measured.pages_per_s, 1),
        knee_per_s=round(measured.knee_per_s, 1),
        errors_5xx=sum(count for status, count in api.statuses.items() if status >= 500),
        refused=api.refused,
        unanswered=api.statuses[0],
        p50_ms=latency.p50,
        p99_ms=latency.p99,
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
