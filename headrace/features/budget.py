"""Budgets that a plan may not exceed: Redis' memory (F120), and the number of entities of a group (F122)."""

from collections.abc import Sequence

from headrace.features.cost import Cost, LiveVersion
from headrace.features.state_size import cuts
from headrace.lang.plan.plan import Group

_CUTS = 2


def memory_problem(costs: Sequence[Cost], groups: Sequence[Group], free_bytes: int | None) -> str:
    """Return the F120 message if the new versions need more memory than Redis has free, or an empty string.

    Unknown costs count as 0.
    """
    known = [(cost.redis, group) for group in groups for cost in costs if cost.group == group.name and cost.redis]
    needed_mb = sum(keys.megabytes for keys, _ in known)
    if free_bytes is None or needed_mb * 1e6 <= free_bytes:
        return ""
    free = f"only {free_bytes / 1e6:.1f} MB of maxmemory is free"
    lines = [f"F120 the new versions need about {needed_mb:.1f} MB of Redis, but {free}"]
    for keys, group in known:
        size = f"  {group.title}: {keys.count} keys of {keys.each_bytes} bytes"
        lines.append("; ".join([size, *map(str, cuts(group, most=_CUTS))]))
    lines.append("  fix: remove the features listed above, retire a version that is not live, or raise maxmemory")
    return "\n".join(lines)


def entity_problem(group: Group, live: LiveVersion | None) -> str:
    """Return the F122 message if the live version has as many entities as `group` may have, or an empty string."""
    if live is None or group.max_entities is None or live.held.entities < group.max_entities:
        return ""
    cause = f"F122 {group.title} may have {group.max_entities} entities, but {live.group.title} has"
    return f"{cause} {live.held.entities}\n  fix: raise max_entities, or group by a key with fewer values"
