"""`headrace features list … get`: release and read the feature versions of a running stack."""

import sys
import time
from functools import partial
from pathlib import Path

import msgspec
from rich.table import Table

from headrace.connections.redis_clients import connect
from headrace.console import screen
from headrace.errors import UsageProblem
from headrace.features import parity, release
from headrace.features.feature_files import inputs_in, plan_in
from headrace.features.plan import PLAN_FILE
from headrace.features.point_in_time import cases_from_log, store_as_of
from headrace.features.release import ReleasePlan
from headrace.layout import FEATURES, Endpoints, Layout, configured_endpoints
from headrace.log.feature_versions import Registry, remove_data
from headrace.log.feature_versions import seed as register
from headrace.serving.http import lookup
from headrace.serving.http.problems import ProblemError
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.session_cluster import reconcile_versions
from headrace.store.redis.reader import FeatureReader, FeatureStore
from headrace.store.redis.usage import measure_usage
from headrace.wait import wait_until

_FIRST_MS = 10**12  # September 2001: smaller numbers are seconds


def _stack() -> tuple[Endpoints, Registry, FlinkRest]:
    endpoints = Layout.here().endpoints()
    return endpoints, Registry(endpoints, who="operator"), FlinkRest(endpoints.flink_url)


def _reconcile_elsewhere(endpoints: Endpoints) -> None:
    """Submit and cancel jobs on a stack that has no reconciler."""
    if configured_endpoints():
        reconcile_versions(endpoints)


def seed(folder: Path = FEATURES, *, if_none: bool = False) -> None:
    """Register the groups of feature files where there are no versions yet; `apply` adds to an environment that has.

    Args:
        folder: the feature files.
        if_none: where there are versions, do nothing and succeed.

    Raises:
        UsageProblem: there are versions already.
    """
    endpoints, registry, _ = _stack()
    if found := registry.versions().applied:
        if if_none:
            screen().print(f"{len(found)} versions are registered already")
            return
        message = f"there are {len(found)} versions already: `headrace features plan` and `apply` change them"
        raise UsageProblem(message)
    plan = plan_in(folder)
    register(endpoints, plan, who="operator")
    screen().print(f"registered {len(plan.groups)} groups, all live")


def list_versions() -> None:
    """List the versions on the running stack: which one is live, the job of each, entities of groups with a limit."""
    endpoints, registry, rest = _stack()
    versions, jobs, client = registry.versions(), rest.jobs(), connect(endpoints.redis_url)
    table = Table("group", "version", "live", "job", "state", "features", "entities", box=None, pad_edge=False)
    for group in versions.groups():
        job = versions.applied[group.title].job
        state = jobs.get(job, ("", "not running"))[1]
        live = "yes" if versions.is_live(group) else ""
        entities = f"{measure_usage(client, group).entities} of {group.max_entities}" if group.max_entities else ""
        table.add_row(group.name, str(group.version), live, job, state, str(len(group.features)), entities)
    screen().print(table)


def apply(file: Path = PLAN_FILE, *, since: str = release.NOW, why: str = "applied") -> None:
    """Start the versions of a plan alongside the live ones, which are not touched.

    Args:
        file: the plan that `plan` wrote.
        since: from when they read the log: 24h, a time such as 2026-11-22T03:00, or all; now reads only new events.
        why: reason, recorded with the decision.
    """
    try:
        wanted = msgspec.json.decode(file.read_bytes(), type=ReleasePlan)
    except (OSError, msgspec.DecodeError) as error:
        message = f"{file} is not a plan ({error}). Write one with `headrace features plan`."
        raise UsageProblem(message) from error
    endpoints, registry, rest = _stack()
    started = release.apply_release(
        registry, rest, wanted, why=why, since=since, reconcile=partial(_reconcile_elsewhere, endpoints)
    )
    for version in started:
        sys.stdout.write(f"{version.name} runs as job {version.job} and reads the log since {since}\n")
    sys.stdout.writelines(f"{group.title} has its new description\n" for group in wanted.reworded)


def backfill(name: str, *, since: str = "all") -> None:
    """Let a version read the log from further back, and wait until it has caught up.

    Args:
        name: group@version, or group for its newest version.
        since: from when: 24h, '7 days', a time such as 2026-11-22T03:00; all reads everything that the log still holds.
    """
    endpoints, registry, rest = _stack()
    version = release.find_version(registry.versions(), name)
    reconcile = partial(_reconcile_elsewhere, endpoints)
    release.backfill_version(registry, rest, endpoints, version, since=since, reconcile=reconcile)
    sys.stdout.write(f"{version.name} has read the log since {since}\n")


def promote(name: str, *, why: str = "promoted") -> None:
    """Make a version live for all readers at once; refused if its values differ where they should not.

    Args:
        name: group@version, or group for its newest version.
        why: reason, recorded with the decision.
    """
    endpoints, registry, _ = _stack()
    version = release.find_version(registry.versions(), name)
    inputs, client = inputs_in(FEATURES), connect(endpoints.redis_url)
    choice = release.promote_version(registry, client, version, why=why, inputs=inputs)
    sys.stdout.write(f"{version.name} is live; it replaces version {choice.previous}\n")


def diff(first: str, second: str, *, sample: int = 1_000) -> None:
    """Compare two versions of a group in the store: features with the same meaning should have the same values.

    Args:
        first: group@version.
        second: another version of the group.
        sample: number of entities to compare.
    """
    endpoints, registry, _ = _stack()
    groups = [release.find_version(registry.versions(), name).group for name in (first, second)]
    client, at_ms = connect(endpoints.redis_url), time.time_ns() // 1_000_000
    found = parity.compare(client, *groups, sample=sample, at_ms=at_ms)
    sys.stdout.writelines(f"{line}\n" for line in found.lines())


def gc() -> None:
    """Remove what retired versions left behind: topics, keys in the store, checkpoints."""
    endpoints, registry, rest = _stack()
    for version in registry.versions().retired.values():
        hint = "Look at reconciler.log."
        wait_until(
            lambda job=version.job: job not in rest.jobs(), what=f"end of {version.job}", deadline_s=150, hint=hint
        )
        topics, keys = remove_data(Layout.here(), endpoints, version)
        sys.stdout.write(f"{version.name}: {topics} topics and {keys} keys removed\n")


def create_test(name: str, *, keys: int = 3) -> None:
    """Print test cases made from the newest real events of a group; the oracle computes the expected values.

    Args:
        name: group for its live version, or group@version.
        keys: number of keys, with one case each.
    """
    endpoints, registry, _ = _stack()
    group = release.find_group(registry.versions(), name)
    try:
        for case in cases_from_log(endpoints, group, keys=keys):
            sys.stdout.write(case)
    except ValueError as error:
        raise UsageProblem(str(error)) from error


def rollback(group: str, *, why: str = "rolled back") -> None:
    """Make the previous version live again.

    Args:
        group: name of the group.
        why: reason, recorded with the decision.
    """
    _, registry, _ = _stack()
    choice = registry.rollback(group, why=why)
    sys.stdout.write(f"{group}@{choice.version} is live; it replaces version {choice.previous}\n")


def retire(name: str) -> None:
    """Stop a version that is not live.

    Args:
        name: group@version.
    """
    endpoints, registry, _ = _stack()
    version = release.find_version(registry.versions(), name)
    release.retire_version(registry, version)
    _reconcile_elsewhere(endpoints)
    sys.stdout.write(f"{version.name} is retired\n")


def get(name: str, *key: str, at: int | None = None) -> None:
    """Read the features of one key from the running store, as GET /v1/features returns them.

    Args:
        name: group for its live version, or group@version.
        key: the entity, followed by further key columns, such as u1 shoes.
        at: recompute the features from the log as of this time, in ms since 1970; default the current values.
    """
    endpoints, registry, _ = _stack()
    now_ms = time.time_ns() // 1_000_000
    if at is not None and not _FIRST_MS < at <= now_ms:
        message = f"--at is {at}; write a past time in milliseconds since 1970; it is now {now_ms}"
        raise UsageProblem(message)
    group = release.find_group(registry.versions(), name)
    reader: FeatureStore = FeatureReader(connect(endpoints.redis_url))
    if at is not None and key:
        reader = store_as_of(endpoints, group, key[0], at_ms=at)
    try:
        found = lookup.answer(reader, group, key, at=at or now_ms)
    except ProblemError as error:
        message = f"{error.problem.detail} {error.problem.fix}"
        raise UsageProblem(message) from error
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
