"""Budgets that a plan may not go beyond: Redis' memory (F120), and the entities that a group may have (F122)."""

from collections.abc import Sequence

from headrace.features.cost import Answering, Cost
from headrace.features.state_size import cuts
from lang.plan.plan import Group

_CUTS = 2


def beyond_memory(costs: Sequence[Cost], groups: Sequence[Group], left_bytes: int | None) -> str:
    """F120 where the versions to start want more of Redis than is left; what is not known yet counts as nothing."""
    known = [(cost.redis, group) for group in groups for cost in costs if cost.group == group.name and cost.redis]
    wanted_mb = sum(keys.megabytes for keys, _ in known)
    if left_bytes is None or wanted_mb * 1e6 <= left_bytes:
        return ""
    left = f"{left_bytes / 1e6:.1f} MB of its maxmemory are left"
    lines = [f"F120 the versions to start want about {wanted_mb:.1f} MB of Redis, and {left}"]
    for keys, group in known:
        size = f"  {group.title}: {keys.count} keys of {keys.each_bytes} bytes"
        lines.append("; ".join([size, *map(str, cuts(group, most=_CUTS))]))
    lines.append("  fix: take out what is dear, retire a version that does not answer, or raise maxmemory")
    return "\n".join(lines)


def beyond_limit(wanted: Group, live: Answering | None) -> str:
    """F122 where the version that answers has as many entities already as another one may have."""
    if live is None or wanted.max_entities is None or live.held.entities < wanted.max_entities:
        return ""
    cause = f"F122 {wanted.title} may have {wanted.max_entities} entities, and {live.group.title} has"
    return f"{cause} {live.held.entities}\n  fix: raise max_entities, or group by what there is less of"
