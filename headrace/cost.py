"""What a new version of a group would cost: events to read again, minutes for that, bytes in Redis."""

import time
from itertools import islice
from typing import cast

import msgspec
from msgspec import Struct

from headrace.clean_log import CleanLog
from headrace.layout import REPOSITORY, Endpoints
from lang.plan import Group
from schemas.redis_keys import tiles_key
from store.connect import Client

_MEASURED = REPOSITORY / "benchmarks" / "results" / "throughput.json"
_SAMPLE = 2_000  # keys looked at for their size


class Cost(Struct, frozen=True, kw_only=True):
    """Of one version.

    Attributes:
        events: in the log as far back as the longest window; `minutes` to read them at the rate of `benchmarks/`.
        redis_mb: in the store once filled, by the size of the version that answers; None for a new group.
    """

    events: int
    minutes: float
    redis_mb: float | None

    def __str__(self) -> str:
        """One phrase: `1200 events, 0.1 minutes, about 3.2 MB in Redis`."""
        size = "entities not known yet" if self.redis_mb is None else f"about {self.redis_mb:.1f} MB in Redis"
        return f"{self.events} events, {self.minutes:.1f} minutes, {size}"


def cost_of(endpoints: Endpoints, client: Client, wanted: Group, live: Group | None) -> Cost:
    """The cost of having a version read the log as far back as it needs."""
    now_ms = time.time_ns() // 1_000_000
    log = CleanLog(endpoints, wanted.source)
    events = log.count(now_ms - wanted.retain_ms, now_ms)
    log.close()
    rate = msgspec.json.decode(_MEASURED.read_bytes())["median_events_per_s"]["ours"]
    return Cost(events=events, minutes=round(events / rate / 60, 1), redis_mb=_redis_mb(client, wanted, live))


def _redis_mb(client: Client, wanted: Group, live: Group | None) -> float | None:
    """The live version's bytes, in step with the cells of a tile."""
    if live is None:
        return None
    found = client.scan_iter(match=tiles_key(live.name, live.version, "*"), count=1000)
    sizes = [cast("int | None", client.memory_usage(key)) or 0 for key in islice(found, _SAMPLE)]
    owners = len(sizes) + sum(1 for _ in found)
    mean = sum(sizes) / max(len(sizes), 1)
    return round(owners * mean * _cells(wanted) / _cells(live) / 1e6, 1)


def _cells(group: Group) -> int:
    """A weight for comparing two versions: cells of one tile of each size, and of a sequence up to ten rows."""
    tiles = sum(len(family.sizes_ms) * (2 + len(family.partials)) for family in group.families)
    return tiles + sum(min(sequence.limit, 10) for sequence in group.sequences)
