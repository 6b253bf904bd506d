"""Release feature versions: plan, apply, backfill, promote and retire, as `headrace features` does."""

import re
import time
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from headrace.connections.kafka_clients import admin
from headrace.connections.redis_clients import Client, connect
from headrace.console import progress
from headrace.errors import UsageProblem
from headrace.features.cost import Cost
from headrace.features.parity import Parity
from headrace.features.parity import compare as compare_in_store
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.plan.source import Source
from headrace.lang.planner.diff import Change, adopt_wording, compare
from headrace.lang.syntax.duration import parse_duration
from headrace.layout import Endpoints
from headrace.log.clean_log import CleanLog
from headrace.log.feature_versions import Registry, feature_topics, shared_job
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.model.ranker_inputs import SHIPPED, Inputs
from headrace.serving.feature_dependencies import missing_features
from headrace.stack.flink_rest import FlinkRest
from headrace.store.kafka.lag import appended_offsets, consumer_groups, has_read, partitions_of
from headrace.store.versions import LiveState, Version, Versions
from headrace.timestamps import parse_time
from headrace.wait import wait_until

_RUNNING_S = 120.0
_FILLED_S = 24 * 3600.0
_SAMPLE = 1_000  # owners compared before a promotion
_DIFFERENT = 0.01  # share of them that may differ: traffic continues while they are read
NOW = "now"
Reconcile: TypeAlias = Callable[[], None]
_STARTS = ("new", "rebuilt", "additive", "breaking")


class ReleasePlan(Struct, frozen=True, kw_only=True):
    """The changes that `plan` found, as `apply` reads them.

    Attributes:
        groups: versions to start.
        reworded: live versions with changed descriptions or other metadata that affects no value.
        costs: estimated costs of `groups`.
        waiting: versions that run as declared but are not live yet, as `group@version`.
    """

    changes: list[Change]
    groups: list[Group]
    reworded: list[Group]
    costs: list[Cost] = []
    waiting: list[str] = []


def plan_release(plan: Plan, versions: Versions, inputs: Inputs = SHIPPED) -> ReleasePlan:
    """Plan the changes from the live versions to those of the files.

    Raises:
        UsageProblem: a meaning changed without a new version, or the version was used before (F115); a version lacks a
            feature that serving reads (F117).
    """
    live = {group.name: group for group in versions.live_groups()}
    declared = {group.name: group for group in plan.groups}
    waiting = {group.name: group.title for group in plan.groups if _is_waiting(group, versions)}
    pairs = ((live.get(name), declared.get(name)) for name in sorted({*live, *declared} - {*waiting}))
    changes = [change for pair in pairs if (change := compare(*pair))]
    problems = [_version_problem(change, versions) for change in changes]
    problems += [_missing_problem(group, inputs) for group in plan.groups]
    problems += [_source_problem(source, versions) for source in plan.sources]
    if any(problems):
        raise UsageProblem("\n" + "\n".join(filter(None, problems)))
    starts = [declared[change.group] for change in changes if change.kind in _STARTS]
    cosmetic = [change.group for change in changes if change.kind == "cosmetic"]
    pairs_reworded = [(live[name], adopt_wording(live[name], declared[name])) for name in cosmetic]
    changed = [new for old, new in pairs_reworded if new != old]
    return ReleasePlan(changes=changes, groups=starts, reworded=changed, waiting=list(waiting.values()))


def _is_waiting(group: Group, versions: Versions) -> bool:
    applied = versions.applied.get(group.title)
    return applied is not None and applied.group == group and not versions.is_live(group)


def _version_problem(change: Change, versions: Versions) -> str:
    name = f"{change.group}@{change.version}"
    if change.kind == "unversioned":
        features = ", ".join((*change.added, *change.changed, *change.removed))
        cause = f"F115 {name}: the meaning of {features} changed, the version did not"
        return f"{cause}\n  fix: version {change.before + 1}"
    if change.kind in _STARTS and name in {*versions.applied, *versions.retired}:
        used = [group.version for group in versions.groups() if group.name == change.group]
        used += [each.group.version for each in versions.retired.values() if each.group.name == change.group]
        promote = f", or promote {name}" if name in versions.applied else ""
        return f"F115 {name} has been applied before\n  fix: version {max(used) + 1}{promote}"
    return ""


def _source_problem(source: Source, versions: Versions) -> str:
    running = versions.sources().get(source.name, source)
    if running == source:
        return ""
    cause = f"F115 source {source.name}: its declaration changed, but its ingest still runs with the earlier one"
    return f"{cause}\n  fix: declare the stream under another name, or start a new stack: headrace down --wipe"


def _missing_problem(group: Group, inputs: Inputs) -> str:
    missing = missing_features(group, inputs)
    if not missing:
        return ""
    cause = f"F117 {group.title} has no {', '.join(missing)}, and serving reads it"
    return f"{cause}\n  fix: keep it, or declare a model without it: model.toml"


def _already_reconciled() -> None:
    """The reconciler of a local stack submits jobs by itself."""


def apply_release(
    registry: Registry,
    rest: FlinkRest,
    release: ReleasePlan,
    *,
    why: str,
    since: str = NOW,
    reconcile: Reconcile = _already_reconciled,
) -> list[Version]:
    """Start every version of a release plan alongside the live one, wait until its job runs, and update descriptions.

    Args:
        registry: records the decisions.
        rest: the cluster that runs the jobs.
        release: the plan.
        why: reason, recorded with the decision.
        since: from when they read the log: a duration, a time, `all`, or `now` for new events only.
        reconcile: submits the jobs once the versions are recorded.

    Raises:
        UsageProblem: a version has been applied since the plan was made, or `since` is not valid.
        EnvironmentProblem: a job did not start.
    """
    versions = registry.versions()
    for name in (group.title for group in release.groups):
        if name in {*versions.applied, *versions.retired}:
            message = f"{name} has been applied since the plan was made; make a new one: headrace features plan"
            raise UsageProblem(message)
    for group in release.reworded:
        registry.update_metadata(find_version(versions, group.title), group, why=why)
    from_ms = _from_ms(since, time.time_ns() // 1_000_000)
    started = [registry.apply(group, from_ms=from_ms, why=why) for group in release.groups]
    reconcile()
    for version in started:
        _wait_for_job(rest, version)
    return started


def _wait_for_job(rest: FlinkRest, version: Version) -> None:
    hint = "Look at Flink's web page, and on a local stack at reconciler.log."
    wait_until(lambda: rest.is_running(version.job), what=f"job {version.job}", deadline_s=_RUNNING_S, hint=hint)


def backfill_version(
    registry: Registry,
    rest: FlinkRest,
    endpoints: Endpoints,
    version: Version,
    *,
    since: str,
    reconcile: Reconcile = _already_reconciled,
) -> Version:
    """Let a version read the log from further back; wait until the store has the values of all events up to now.

    Raises:
        UsageProblem: the version shares its job, or `since` is not valid.
        EnvironmentProblem: its job did not start, or it or the loader did not finish in time.
        StoreError: the store does not answer.
    """
    if version.job == shared_job(version.group.source):
        message = f"{version.name} has run since the first start and has read the whole log already"
        raise UsageProblem(message)
    now_ms = time.time_ns() // 1_000_000
    from_ms = _from_ms(since, now_ms)
    if version.from_ms > from_ms:  # otherwise an interrupted backfill already reads from there: only watch it
        version = registry.fill(version.group, from_ms=from_ms, why=f"backfill since {since}")
    reconcile()
    _wait_for_job(rest, version)
    _watch(endpoints, version, until_ms=now_ms)
    return version


def _watch(endpoints: Endpoints, version: Version, *, until_ms: int) -> None:
    log = CleanLog(endpoints, version.group.source, reader=version.job)
    with progress() as bar:
        task = bar.add_task(version.name)

        def is_done() -> bool:
            read, total = log.read(version.from_ms, until_ms), log.count(version.from_ms, until_ms)
            bar.update(task, completed=read, total=total)
            return read >= total

        hint = "Look at Flink's web page; the same command continues the backfill."
        wait_until(is_done, what=f"the backfill of {version.name}", deadline_s=_FILLED_S, hint=hint)
    log.close()
    _wait_for_loader(endpoints, version)


def _wait_for_loader(endpoints: Endpoints, version: Version) -> None:
    """Wait until the store has what the version's job has written so far."""
    broker, client = admin(endpoints.bootstrap), connect(endpoints.redis_url)
    pattern = "|".join(re.escape(topic.name) for topic in feature_topics((version.group,)))
    ends = appended_offsets(broker, partitions_of(broker, pattern))

    def is_loaded() -> bool:
        loader = consumer_groups(client, LIVE_MODEL).get("loader")  # under another name once the store is emptied
        return loader is not None and has_read(endpoints.bootstrap, broker, loader.group, ends)

    hint = "Look at the loader's log and at `headrace status`; the same command continues the backfill."
    wait_until(is_loaded, what=f"the values of {version.name} in the store", deadline_s=_FILLED_S, hint=hint)


def _from_ms(since: str, now_ms: int) -> int:
    if since == "all":
        return 1
    if since == NOW:
        return now_ms
    if duration := parse_duration(since):
        return now_ms - duration.length_ms
    try:
        return parse_time(since)
    except UsageProblem as error:
        message = f"--since is {since!r}; write a duration such as 24h, a time such as 2026-11-22T03:00, all, or now"
        raise UsageProblem(message) from error


def find_version(versions: Versions, name: str) -> Version:
    """Find an applied version by `group@version`, or the newest of `group`.

    Raises:
        UsageProblem: it does not exist.
    """
    of_group = [each for each in versions.groups() if each.name == name]
    full = of_group[-1].title if of_group else name
    if full not in versions.applied:
        message = f"there is no version {name!r}; the versions are {', '.join(sorted(versions.applied))}"
        raise UsageProblem(message)
    return versions.applied[full]


def find_group(versions: Versions, name: str) -> Group:
    """Find a group version by `group@version`, or the live one of `group`.

    Raises:
        UsageProblem: it does not exist.
    """
    live = {group.name: group for group in versions.live_groups()}
    return live[name] if name in live else find_version(versions, name).group


def promote_version(
    registry: Registry, client: Client, version: Version, *, why: str, inputs: Inputs = SHIPPED
) -> LiveState:
    """Make a version live, after checking that features with the same meaning have the live version's values.

    Raises:
        UsageProblem: they differ (F160; the message names the worst keys), or the version lacks a feature that serving
            reads (F117).
    """
    if problem := _missing_problem(version.group, inputs):
        raise UsageProblem(problem)
    live = [group for group in registry.versions().live_groups() if group.name == version.group.name]
    if live and live[0].version == version.group.version:
        message = f"{version.name} is live already"
        raise UsageProblem(message)
    if live:
        at_ms = time.time_ns() // 1_000_000
        parity = compare_in_store(client, live[0], version.group, sample=_SAMPLE, at_ms=at_ms)
        if parity.share > _DIFFERENT or parity.moving > parity.judged:
            raise UsageProblem(parity_problem(version.name, live[0], parity))
    return registry.promote(version, previous=live[0].version if live else 0, why=why)


def parity_problem(name: str, live: Group, parity: Parity) -> str:
    """Return the F160 message for a version whose values differ from the live version's."""
    cause = f"F160 {name} does not have the values of {live.title}"
    fix = f"  fix: headrace features backfill {name}, or rename the features whose meaning changed"
    return "\n".join([cause, *parity.lines(), fix])


def retire_version(registry: Registry, version: Version) -> None:
    """Stop a version that is not live.

    Raises:
        UsageProblem: the version is live, or the shared job computes it.
    """
    if registry.versions().is_live(version.group):
        message = f"{version.name} is live: promote another version first"
        raise UsageProblem(message)
    if version.job == shared_job(version.group.source):
        message = f"the job of the first start computes {version.name}; only `headrace down --wipe` removes it"
        raise UsageProblem(message)
    registry.retire(version, why="retired")
