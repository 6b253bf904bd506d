"""The demo's report: what was measured, as it is written to a file and told to a person."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from simulator.click_rates import Rate
from simulator.probe import GIVE_UP_S

ARMS = ("online", "frozen", "popular")


class Spread(Struct, frozen=True):
    """Median and 99th percentile, ms; None where nothing was measured. `count` measurements."""

    p50: float | None
    p99: float | None
    count: int


class Freshness(Struct, frozen=True, kw_only=True):
    """From an event's receipt to its feature, to its sample, to weights in service that have learnt it."""

    append_to_feature: Spread
    append_to_sample: Spread
    click_to_weights: Spread


class Deltas(Struct, frozen=True, kw_only=True):
    """Versions while the load ran."""

    published: int
    applied: int
    rejected: int


class DeadLetters(Struct, frozen=True, kw_only=True):
    """Refused records, by reason code."""

    count: int
    by_reason: dict[str, int]


class Poison(Struct, frozen=True, kw_only=True):
    """Poison written, and how much was found among the dead letters: at its own place, with the expected reason."""

    sent: int
    accounted: int
    expected: dict[str, int]


class Http(Struct, frozen=True, kw_only=True):
    """Requests of the load. `p50_ms`, `p99_ms`: recommendations, from when each was due. `levels`: answers by level.

    `wanted_per_s`: recommendations that are asked for where the machine keeps up. `refused`: those answered with 503
    because it fell behind; not among `errors_5xx`.
    """

    requests: int
    recommendations: int
    recommendations_per_s: float
    wanted_per_s: float
    errors_5xx: int
    refused: int
    unanswered: int
    p50_ms: float | None
    p99_ms: float | None
    levels: dict[str, int]


class WorldFacts(Struct, frozen=True, kw_only=True):
    """The world and how far it moved. `drift`: cosines of trend and tastes at the end with those at the start."""

    seed: int
    users: int
    items: int
    born: int
    drift: dict[str, float]
    newborn_share: dict[str, float]
    settings: dict[str, float]


class WarmUpFacts(Struct, frozen=True, kw_only=True):
    """Exposures written, those that the frozen version had learnt, and seconds until it was pinned."""

    exposures: int
    learnt: int
    frozen_version: str
    seconds: float


class Report(Struct, frozen=True, kw_only=True):
    """Everything.

    Attributes:
        judged: ingest was past the last event when the log was read. `probes_lost`: clicks that never became a feature.
        peak_rss_mb: largest sum of PSS under the load: shared pages count once.
    """

    seconds: float
    events: int
    events_per_s: float
    freshness_ms: Freshness
    deltas: Deltas
    arms: dict[str, Rate]
    dead_letters: DeadLetters
    duplicates_removed: int
    duplicates_sent: int
    held_back: int
    http: Http
    peak_rss_mb: float
    judged: bool
    probes_lost: int
    poison: Poison
    world: WorldFacts
    warm_up: WarmUpFacts

    def faults(self) -> list[str]:
        """Why the line did not do its work; which arm won is no matter of that."""
        checks = {
            f"{self.http.errors_5xx} answers were 5xx": self.http.errors_5xx > 0,
            f"{self.http.refused} slates were refused, {self.http.recommendations} answered": (
                self.http.refused > self.http.recommendations
            ),
            f"{self.http.unanswered} requests had no answer": self.http.unanswered > 0,
            f"of {self.poison.sent} poison records {self.poison.accounted} are among the dead letters": (
                self.poison.accounted != self.poison.sent
            ),
            "ingest had not judged every event: the counts of the log are too low": not self.judged,
            f"{self.probes_lost} clicks did not become a feature within {GIVE_UP_S:.0f} s": self.probes_lost > 0,
            "no click was seen to become a feature": not self.freshness_ms.append_to_feature.count,
            f"of {self.duplicates_sent} duplicates {self.duplicates_removed} were removed": (
                self.duplicates_removed != self.duplicates_sent
            ),
            "no version was applied while the load ran": self.deltas.applied == 0,
        }
        return [fault for fault, found in checks.items() if found]


def spread(measured: Sequence[float]) -> Spread:
    """Percentiles of what was measured.

    >>> spread([1.0, 2.0, 9.0]).p50
    2.0
    """
    if not measured:
        return Spread(None, None, 0)
    p50, p99 = np.percentile(measured, [50, 99])
    return Spread(round(float(p50), 1), round(float(p99), 1), len(measured))


def lines(report: Report) -> list[str]:
    """The report for a person."""
    http, fresh, world = report.http, report.freshness_ms, report.world
    return [
        f"seed {world.seed}: {world.users} users, {world.items} items, {world.born} of them born during the "
        f"{report.seconds:.0f} s; trend now at cosine {world.drift['trend']:.2f} to where it was, tastes at "
        f"{world.drift['tastes']:.2f}",
        f"load       {report.events_per_s:.0f} events/s, {http.recommendations_per_s:.1f} slates/s "
        f"of {http.wanted_per_s:g} (p50 {_ms(http.p50_ms)}, p99 {_ms(http.p99_ms)}), {http.refused} refused, "
        f"{http.errors_5xx} answers 5xx",
        f"freshness  feature {_spread(fresh.append_to_feature)} | sample {_spread(fresh.append_to_sample)} | "
        f"weights {_spread(fresh.click_to_weights)}",
        f"versions   {report.deltas.published} published, {report.deltas.applied} applied, "
        f"{report.deltas.rejected} rejected",
        f"log        {report.duplicates_sent} duplicates sent, {report.duplicates_removed} removed; "
        f"{report.held_back} events out of order; poison {report.poison.sent} sent, {report.poison.accounted} found "
        f"among {report.dead_letters.count} dead letters",
        f"warm-up    {report.warm_up.exposures} exposures, {report.warm_up.learnt} of them in the frozen version "
        f"{report.warm_up.frozen_version}, {report.warm_up.seconds:.0f} s",
        f"memory     {report.peak_rss_mb:.0f} MB at most (sum of PSS)",
        *(_arm(name, rate, world.newborn_share) for name, rate in report.arms.items()),
        verdict(report.arms),
    ]


def verdict(arms: Mapping[str, Rate]) -> str:
    """Whether the online arm's interval lies above the others', in one sentence."""
    intervals = {name: each.ci95 for name, each in arms.items()}
    online = intervals.get("online")
    others = {name: interval for name, interval in intervals.items() if name != "online" and interval}
    if online is None or not others:
        return "online was not shown beside another arm: nothing to compare"
    above = [name for name, interval in others.items() if online[0] > interval[1]]
    below = [name for name, interval in others.items() if online[1] < interval[0]]
    open_ = [name for name in others if name not in above and name not in below]
    said = (("above", above), ("below", below), ("not told apart from", open_))
    return "online is " + ", ".join(f"{word} {' and '.join(names)}" for word, names in said if names) + " (95 %)"


def encode(report: Report) -> bytes:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _arm(name: str, rate: Rate, newborn_share: Mapping[str, float]) -> str:
    if rate.ctr is None or rate.ci95 is None:
        return f"{name:<10} no impressions"
    low, high = rate.ci95
    return (
        f"{name:<10} click rate {rate.ctr:.4f} [{low:.4f}, {high:.4f}], {rate.clicks} of {rate.impressions}; "
        f"{newborn_share.get(name, 0.0):.0%} of it newborn items"
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _spread(of: Spread) -> str:
    return f"p50 {_ms(of.p50)}, p99 {_ms(of.p99)}"
