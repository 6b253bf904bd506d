"""The report of a demo, as JSON and as text."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from msgspec import Struct

from headrace.simulator.click_rates import ClickRate
from headrace.simulator.probe import GIVE_UP_S

ARMS = ("online", "frozen", "popular")


class Percentiles(Struct, frozen=True):
    """Median and 99th percentile of `count` measurements, ms; None if there are none."""

    p50: float | None
    p99: float | None
    count: int


class Freshness(Struct, frozen=True, kw_only=True):
    """Time from an event's receipt to its feature, to its sample, and to live weights that learned from it."""

    append_to_feature: Percentiles
    append_to_sample: Percentiles
    click_to_weights: Percentiles


class Deltas(Struct, frozen=True, kw_only=True):
    """Model versions during the load."""

    published: int
    applied: int
    rejected: int


class DeadLetters(Struct, frozen=True, kw_only=True):
    """Dead letters, by reason code."""

    count: int
    by_reason: dict[str, int]


class Poison(Struct, frozen=True, kw_only=True):
    """Poison records sent; `accounted` are among the dead letters with their offset and the expected reason."""

    sent: int
    accounted: int
    expected: dict[str, int]


class Http(Struct, frozen=True, kw_only=True):
    """Requests of the load.

    Attributes:
        knee_per_s: the rate that the machine kept up with before the load, at most twice what the demo wants.
        wanted_per_s: rate of recommendation requests if the machine keeps up.
        refused: requests answered with 503 because the machine fell behind; `errors_5xx` leaves them out.
        p50_ms, p99_ms: latency of recommendations, from the time when each request was due.
        levels: answers by degradation level.
    """

    requests: int
    recommendations: int
    recommendations_per_s: float
    knee_per_s: float
    wanted_per_s: float
    errors_5xx: int
    refused: int
    unanswered: int
    p50_ms: float | None
    p99_ms: float | None
    levels: dict[str, int]


class WorldFacts(Struct, frozen=True, kw_only=True):
    """The world and how far it moved. `drift`: cosine of trend and of tastes between the start and the end."""

    seed: int
    users: int
    items: int
    born: int
    drift: dict[str, float]
    newborn_share: dict[str, float]
    settings: dict[str, float]


class WarmUpFacts(Struct, frozen=True, kw_only=True):
    """Exposures written, how many the frozen version learned from, and the seconds until it was pinned."""

    exposures: int
    learnt: int
    frozen_version: str
    seconds: float


class Report(Struct, frozen=True, kw_only=True):
    """All results of a demo.

    Attributes:
        judged: ingest had passed the last event when the log was read.
        probes_lost: clicks that never became a feature.
        peak_rss_mb: peak of the sum of PSS during the load; shared pages count once.
    """

    seconds: float
    events: int
    events_per_s: float
    freshness_ms: Freshness
    deltas: Deltas
    arms: dict[str, ClickRate]
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
        """What went wrong in the pipeline. Which arm won does not matter here."""
        checks = {
            f"{self.http.errors_5xx} answers were 5xx, refused ones apart": self.http.errors_5xx > 0,
            f"{self.http.refused} slates were refused, {self.http.recommendations} answered": (
                self.http.refused > self.http.recommendations
            ),
            f"{self.http.unanswered} requests got no answer": self.http.unanswered > 0,
            f"{self.poison.accounted} of {self.poison.sent} poison records are among the dead letters": (
                self.poison.accounted != self.poison.sent
            ),
            "ingest had not processed every event: the counts of the log are too low": not self.judged,
            f"{self.probes_lost} clicks did not become features within {GIVE_UP_S:.0f} s": self.probes_lost > 0,
            "no click became a feature": not self.freshness_ms.append_to_feature.count,
            f"{self.duplicates_removed} of {self.duplicates_sent} duplicates were removed": (
                self.duplicates_removed != self.duplicates_sent
            ),
            "no version was applied during the load": self.deltas.applied == 0,
        }
        return [fault for fault, found in checks.items() if found]


def percentiles(measured: Sequence[float]) -> Percentiles:
    """The percentiles of measurements, ms.

    >>> percentiles([1.0, 2.0, 9.0]).p50
    2.0
    """
    if not measured:
        return Percentiles(None, None, 0)
    p50, p99 = np.percentile(measured, [50, 99])
    return Percentiles(round(float(p50), 1), round(float(p99), 1), len(measured))


def format_report(report: Report) -> list[str]:
    """The lines of the report as text."""
    http, fresh, world = report.http, report.freshness_ms, report.world
    return [
        f"seed {world.seed}: {world.users} users, {world.items} items, {world.born} of them born during the "
        f"{report.seconds:.0f} s; cosine between start and end: trend {world.drift['trend']:.2f}, tastes "
        f"{world.drift['tastes']:.2f}",
        f"load       {report.events_per_s:.0f} events/s, {http.recommendations_per_s:.1f} slates/s "
        f"of {http.wanted_per_s:g} (p50 {_ms(http.p50_ms)}, p99 {_ms(http.p99_ms)}), {http.refused} refused with 503, "
        f"{http.errors_5xx} other answers 5xx; the machine kept up with {http.knee_per_s:g} slates/s",
        f"freshness  feature {_percentiles(fresh.append_to_feature)} | sample {_percentiles(fresh.append_to_sample)} | "
        f"weights {_percentiles(fresh.click_to_weights)}",
        f"versions   {report.deltas.published} published, {report.deltas.applied} applied, "
        f"{report.deltas.rejected} rejected",
        f"log        {report.duplicates_sent} duplicates sent, {report.duplicates_removed} removed; "
        f"{report.held_back} events held back; poison {report.poison.sent} sent, {report.poison.accounted} found "
        f"among {report.dead_letters.count} dead letters",
        f"warm-up    {report.warm_up.exposures} exposures, {report.warm_up.learnt} of them learned by frozen version "
        f"{report.warm_up.frozen_version}, {report.warm_up.seconds:.0f} s",
        f"memory     {report.peak_rss_mb:.0f} MB peak (sum of PSS)",
        *(_format_arm(name, rate, world.newborn_share) for name, rate in report.arms.items()),
        compare_arms(report.arms),
    ]


def compare_arms(arms: Mapping[str, ClickRate]) -> str:
    """Compare the interval of the online arm with those of the others, in one sentence."""
    intervals = {name: each.ci95 for name, each in arms.items()}
    online = intervals.get("online")
    others = {name: interval for name, interval in intervals.items() if name != "online" and interval}
    if online is None or not others:
        return "no comparison: online and another arm need impressions"
    above = [name for name, interval in others.items() if online[0] > interval[1]]
    below = [name for name, interval in others.items() if online[1] < interval[0]]
    undecided = [name for name in others if name not in above and name not in below]
    results = (("above", above), ("below", below), ("not distinguishable from", undecided))
    return "online is " + ", ".join(f"{word} {' and '.join(names)}" for word, names in results if names) + " (95 %)"


def encode(report: Report) -> bytes:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _format_arm(name: str, rate: ClickRate, newborn_share: Mapping[str, float]) -> str:
    if rate.ctr is None or rate.ci95 is None:
        return f"{name:<10} no impressions"
    low, high = rate.ci95
    return (
        f"{name:<10} click rate {rate.ctr:.4f} [{low:.4f}, {high:.4f}], {rate.clicks} of {rate.impressions}; "
        f"{newborn_share.get(name, 0.0):.0%} newborn items"
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _percentiles(found: Percentiles) -> str:
    return f"p50 {_ms(found.p50)}, p99 {_ms(found.p99)}"
