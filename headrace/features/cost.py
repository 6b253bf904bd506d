"""Estimate the cost of a new version of a group: events to read again, Redis, Flink's state; and who reads it."""

import time
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from headrace.connections.redis_clients import Client
from headrace.features.flink_state import cell_bytes
from headrace.features.state_size import cells, tile_cells
from headrace.lang.plan.plan import Group
from headrace.lang.planner.diff import Change
from headrace.layout import PACKAGE, Endpoints
from headrace.log.clean_log import CleanLog
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.serving.feature_dependencies import touched
from headrace.stack.flink_rest import FlinkRest
from headrace.store.redis.usage import Usage, measure_usage
from headrace.store.versions import Versions

_MEASURED = PACKAGE / "features" / "throughput.json"
_UNKNOWN = "not known yet"


class LiveVersion(Struct, frozen=True, kw_only=True):
    """Measurements of a group's live version, from which a new one is estimated.

    Attributes:
        held: what the store holds of it.
        cell_bytes: Flink's state for each cell of a tile (`headrace.features.flink_state`); None before a checkpoint.
    """

    group: Group
    held: Usage
    cell_bytes: float | None


def measure_live(client: Client, rest: FlinkRest, *, group: Group, versions: Versions) -> LiveVersion:
    """Measure a live version.

    Raises:
        StoreError, HTTPError: Redis or Flink did not answer.
    """
    job = versions.applied[group.title].job
    state = cell_bytes(rest.tasks(job), versions.computed_by(job), group)
    return LiveVersion(group=group, held=measure_usage(client, group), cell_bytes=state)


class Keys(Struct, frozen=True):
    """Number of keys in Redis, and their average size in bytes."""

    count: int
    each_bytes: int

    @property
    def megabytes(self) -> float:
        """Size of all keys."""
        return self.count * self.each_bytes / 1e6


class Cost(Struct, frozen=True, kw_only=True):
    """Cost of one version, once it has read the log.

    Attributes:
        events: events in the log, as far back as the version reads.
        minutes: time to read them, at the rate that `benchmarks/` measured.
        redis: estimated from the live version and the cells of a key; None if unknown.
        flink_mb: size of a checkpoint, estimated the same way; the heap needs more.
        touches: readers of the features that it changes.
    """

    group: str
    events: int
    minutes: float
    redis: Keys | None
    flink_mb: float | None
    touches: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Lines for people: `redis: about 3.2 MB, 6400 keys of 502 bytes`."""
        yield f"reads: {self.events} events, {self.minutes:.1f} minutes"
        keys = self.redis
        size = f"about {keys.megabytes:.1f} MB, {keys.count} keys of {keys.each_bytes} bytes" if keys else _UNKNOWN
        yield f"redis: {size}"
        yield f"flink: {_UNKNOWN if self.flink_mb is None else f'about {self.flink_mb:.1f} MB in a checkpoint'}"
        yield f"touches: {', '.join(self.touches) or 'nothing that serving reads'}"


def estimate_cost(
    endpoints: Endpoints, change: Change, *, wanted: Group, live: LiveVersion | None, inputs: Inputs = SHIPPED
) -> Cost:
    """Estimate the cost of a version that reads the log as far back as it needs."""
    now_ms = time.time_ns() // 1_000_000
    log = CleanLog(endpoints, wanted.source)
    events = log.count(now_ms - wanted.retain_ms, now_ms)
    log.close()
    rate = msgspec.json.decode(_MEASURED.read_bytes())["median_events_per_s"]["ours"]
    versions = (wanted, live.group) if live else (wanted,)
    return Cost(
        group=wanted.name,
        events=events,
        minutes=round(events / rate / 60, 1),
        redis=estimate_keys(wanted, live) if live and live.held.keys else None,
        flink_mb=_flink_mb(wanted, live) if live else None,
        touches=touched((*change.added, *change.changed, *change.removed), *versions, inputs=inputs),
    )


def estimate_keys(wanted: Group, live: LiveVersion) -> Keys:
    """As many keys as the live version has, with sizes proportional to the cells of a key."""
    each_bytes = live.held.bytes / live.held.keys
    return Keys(live.held.keys, round(each_bytes * cells(wanted) / cells(live.group)))


def _flink_mb(wanted: Group, live: LiveVersion) -> float | None:
    return None if live.cell_bytes is None else round(live.cell_bytes * tile_cells(wanted) / 1e6, 1)
