"""`headrace features plan`: what the files would change, what each change costs, and why it may be refused."""

import sys
from pathlib import Path

import msgspec

from headrace.connections.redis_clients import connect
from headrace.errors import UsageProblem
from headrace.features import lateness_check, release
from headrace.features.budget import entity_problem, memory_problem
from headrace.features.cost import estimate_cost, measure_live
from headrace.features.feature_files import inputs_in, plan_in
from headrace.features.release import ReleasePlan
from headrace.lang.plan.plan import Plan
from headrace.layout import FEATURES, Endpoints, Layout
from headrace.log.feature_versions import Registry
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.stack.flink_rest import FlinkRest
from headrace.store.redis.budget import free_bytes
from headrace.store.versions import Versions

PLAN_FILE = Path("features.plan.json")


def plan(folder: Path = FEATURES, *, output: Path = PLAN_FILE) -> None:
    """Show what the files would change on the running stack, and save it for `apply`.

    Args:
        folder: folder of the feature files.
        output: file for the plan.
    """
    endpoints, wanted = Layout.here().endpoints(), plan_in(folder)
    versions = Registry(endpoints, who="operator").versions()
    draft = plan_with_costs(endpoints, wanted, versions, inputs_in(folder))
    warnings = (
        lateness_check.check_lateness(endpoints, source, wanted.for_source(source.name).groups)
        for source in wanted.sources
    )
    sys.stdout.writelines(f"warning: {warning}\n" for warning in warnings if warning)
    costs = {cost.group: cost for cost in draft.costs}
    for change in draft.changes:
        sys.stdout.write(f"{change}\n")
        if change.group in costs:
            sys.stdout.writelines(f"  {line}\n" for line in costs[change.group].lines())
    for name in draft.waiting:
        sys.stdout.write(f"{name} runs but is not live yet: headrace features promote {name}\n")
    if not draft.groups and not draft.reworded:
        output.unlink(missing_ok=True)
        sys.stdout.write("nothing to apply\n")
        return
    output.write_bytes(msgspec.json.format(msgspec.json.encode(draft)))
    count = len(draft.groups) + len(draft.reworded)
    sys.stdout.write(f"{count} to apply, written to {output}: headrace features apply {output}\n")


def plan_with_costs(endpoints: Endpoints, wanted: Plan, versions: Versions, inputs: Inputs = SHIPPED) -> ReleasePlan:
    """Plan a release and estimate its costs.

    Raises:
        UsageProblem: see `release.plan_release`; or Redis lacks memory (F120), or a group exceeds its entities (F122).
        StoreError, HTTPError: Redis or Flink did not answer.
    """
    draft = release.plan_release(wanted, versions, inputs)
    client, rest = connect(endpoints.redis_url), FlinkRest(endpoints.flink_url)
    starting = {group.name: group for group in draft.groups}
    live = {
        group.name: measure_live(client, rest, group=group, versions=versions)
        for group in versions.live_groups()
        if group.name in starting and group.entity == starting[group.name].entity  # otherwise it is not comparable
    }
    costs = [
        estimate_cost(endpoints, change, wanted=starting[change.group], live=live.get(change.group), inputs=inputs)
        for change in draft.changes
        if change.group in starting
    ]
    problems = [entity_problem(group, live.get(group.name)) for group in draft.groups]
    problems.append(memory_problem(costs, draft.groups, free_bytes(client)))
    if any(problems):
        raise UsageProblem("\n" + "\n".join(filter(None, problems)))
    return msgspec.structs.replace(draft, costs=costs)
