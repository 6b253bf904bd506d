"""F110, a warning: a source accepts events far later than they arrive, and most of its tiles exist only for that."""

from collections.abc import Sequence

import numpy as np

from headrace.lang.events.gate import int_value
from headrace.lang.events.ticks import is_tick
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.plan import Group
from headrace.lang.plan.source import Source
from headrace.lang.syntax.duration import format_duration
from headrace.layout import Endpoints
from headrace.log.clean_log import CleanLog
from headrace.store.redis.writer import retention_of

_NEWEST, _FEWEST = 20_000, 1_000
_USUAL = 0.999
# 20,000 events may be half a minute, and a phone can be without a network for an hour: warn only if hardly any device
# comes near the lateness and more than half of a busy key's tiles are kept for it. The shipped source's 15 minutes are
# ten times the delay of the demo's devices, and cost 7 % of its tiles.
_ROOM = 10
_COSTLY = 0.5
_MINUTE_MS = 60_000


def check_lateness(endpoints: Endpoints, source: Source, groups: Sequence[Group]) -> str:
    """Return the F110 message for a source and the groups that read it, or an empty string."""
    if lateness_share(groups, source.lateness_ms) <= _COSTLY:
        return ""
    return lateness_warning(source, groups, observed_delays_ms(endpoints, source))


def observed_delays_ms(endpoints: Endpoints, source: Source) -> list[int]:
    """Delays of the newest events, without ticks; negative for clients whose clock is ahead."""
    log = CleanLog(endpoints, source)
    events = [event for event in log.newest(_NEWEST) if not is_tick(event, source)]
    log.close()
    return [int_value(event, RECEIVED_AT) - int_value(event, source.event_time) for event in events]


def lateness_warning(source: Source, groups: Sequence[Group], delays_ms: Sequence[int]) -> str:
    """Return the F110 message if the lateness is far larger than these delays, or an empty string."""
    if len(delays_ms) < _FEWEST:
        return ""
    usual_s = max(int(np.ceil(np.quantile(delays_ms, _USUAL) / 1_000)), 1)
    enough_ms = -(-usual_s * 1_000 * _ROOM // _MINUTE_MS) * _MINUTE_MS
    now, then = lateness_share(groups, source.lateness_ms), lateness_share(groups, enough_ms)
    if enough_ms >= source.lateness_ms or now <= _COSTLY:
        return ""
    seen = f"{_USUAL:.1%} of the newest {len(delays_ms)} events came within {format_duration(usual_s * 1_000)}"
    cause = f"F110 source {source.name}: lateness {format_duration(source.lateness_ms)}, and {seen.replace('%', ' %')}"
    cost = f"{now * 100:.0f} % of a busy key's tiles are kept for lateness alone"
    fix = f"lateness {format_duration(enough_ms)}, which costs {then * 100:.0f} %, when you next declare the stream"
    return f"{cause}; {cost}\n  fix: {fix}: a running one keeps its declaration"


def lateness_share(groups: Sequence[Group], lateness_ms: int) -> float:
    """Share of a busy key's tiles that groups of one source would keep for this lateness, in [0, 1]."""
    kept_ms = [
        (size, kept - group.source.lateness_ms) for group in groups for size, kept in retention_of(group).kept_ms
    ]
    windows = sum(kept / size for size, kept in kept_ms)
    late = sum(lateness_ms / size for size, _ in kept_ms)
    return late / (windows + late) if kept_ms else 0.0
