"""`headrace features plan`: what the files would change, what each change would cost, and what speaks against it."""

import sys
from pathlib import Path

import msgspec

from headrace.errors import UsageProblem
from headrace.features import lateness_check, release
from headrace.features.budget import beyond_limit, beyond_memory
from headrace.features.cost import cost_of, measured
from headrace.features.feature_files import plan_in
from headrace.features.release import ReleasePlan
from headrace.layout import FEATURES, Endpoints, Layout
from headrace.log.feature_versions import Registry
from headrace.stack.flink import FlinkRest
from lang.plan.plan import Plan
from store.connect import connect
from store.redis_budget import left_bytes
from store.versions import Versions

PLAN_FILE = Path("features.plan.json")


def plan(folder: Path = FEATURES, *, output: Path = PLAN_FILE) -> None:
    """Say what the files would change on the running stack, and write it down for `apply`.

    Args:
        folder: the feature files.
        output: where to write the plan.
    """
    endpoints, wanted = Layout.here().endpoints(), plan_in(folder)
    found = drafted(endpoints, wanted, Registry(endpoints, who="operator").versions())
    doubts = (
        lateness_check.oversized(endpoints, source, wanted.for_source(source.name).groups) for source in wanted.sources
    )
    sys.stdout.writelines(f"warning: {doubt}\n" for doubt in doubts if doubt)
    costs = {cost.group: cost for cost in found.costs}
    for change in found.changes:
        sys.stdout.write(f"{change}\n")
        if change.group in costs:
            sys.stdout.writelines(f"  {line}\n" for line in costs[change.group].lines())
    for name in found.waiting:
        sys.stdout.write(f"{name} runs and does not answer yet: headrace features promote {name}\n")
    if not found.groups and not found.reworded:
        output.unlink(missing_ok=True)
        sys.stdout.write("nothing to apply\n")
        return
    output.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    count = len(found.groups) + len(found.reworded)
    sys.stdout.write(f"{count} to apply, written to {output}: headrace features apply {output}\n")


def drafted(endpoints: Endpoints, wanted: Plan, versions: Versions) -> ReleasePlan:
    """The release plan with its costs.

    Raises:
        UsageProblem: what `release.planned` refuses; or Redis has no room (F120), or a group for entities (F122).
        StoreError, HTTPError: Redis or Flink did not answer.
    """
    found = release.planned(wanted, versions)
    client, rest = connect(endpoints.redis_url), FlinkRest(endpoints.flink_url)
    started = {group.name: group for group in found.groups}
    live = {
        group.name: measured(client, rest, group=group, versions=versions)
        for group in versions.live_groups()
        if group.name in started and group.entity == started[group.name].entity  # else nothing follows from it
    }
    costs = [
        cost_of(endpoints, change, wanted=started[change.group], live=live.get(change.group))
        for change in found.changes
        if change.group in started
    ]
    refused = [beyond_limit(group, live.get(group.name)) for group in found.groups]
    refused.append(beyond_memory(costs, found.groups, left_bytes(client)))
    if any(refused):
        raise UsageProblem("\n" + "\n".join(filter(None, refused)))
    return msgspec.structs.replace(found, costs=costs)
