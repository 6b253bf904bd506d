"""Budgets that a plan may not exceed: Redis' memory (F120), and the number of entities of a group (F122)."""

from collections.abc import Sequence

from headrace.features.cost import Cost, LiveVersion
from headrace.features.state_size import cuts
from lang.plan.plan import Group

_CUTS = 2


def memory_problem(costs: Sequence[Cost], groups: Sequence[Group], left_bytes: int | None) -> str:
    """F120 if the versions to start need more of Redis than is left, else empty; unknown costs count as 0."""
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


def entity_problem(wanted: Group, live: LiveVersion | None) -> str:
    """F122 if the live version already has as many entities as the new one may have, else empty."""
    if live is None or wanted.max_entities is None or live.held.entities < wanted.max_entities:
        return ""
    cause = f"F122 {wanted.title} may have {wanted.max_entities} entities, and {live.group.title} has"
    return f"{cause} {live.held.entities}\n  fix: raise max_entities, or group by what there is less of"
