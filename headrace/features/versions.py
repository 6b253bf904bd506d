"""`headrace features list … get`: the versions on a running stack, released and read by name."""

import sys
import time
from pathlib import Path

import msgspec
from rich.table import Table

from headrace.console import screen
from headrace.errors import UsageProblem
from headrace.features import parity, release
from headrace.features.plan import PLAN_FILE
from headrace.features.point_in_time import as_known_at, recorded_cases
from headrace.features.release import ReleasePlan
from headrace.layout import Endpoints, Layout
from headrace.log.feature_versions import Registry, remove_data
from headrace.stack.flink import FlinkRest
from headrace.wait import wait_until
from serving.http import lookup
from serving.http.problems import Fault
from store.connect import connect
from store.reader import FeatureReader, FeatureStore
from store.usage import measure_usage

_FIRST_MS = 10**12  # September 2001: what lies before was given in seconds


def _stack() -> tuple[Endpoints, Registry, FlinkRest]:
    endpoints = Layout.here().endpoints()
    return endpoints, Registry(endpoints, who="operator"), FlinkRest(endpoints.flink_url)


def list_versions() -> None:
    """List the versions on the running stack: which answers, the job of each, entities where a limit is."""
    endpoints, registry, rest = _stack()
    versions, jobs, client = registry.versions(), rest.jobs(), connect(endpoints.redis_url)
    table = Table("group", "version", "answers", "job", "state", "features", "entities", box=None, pad_edge=False)
    for group in versions.groups():
        job = versions.applied[group.title].job
        state = jobs.get(job, ("", "not running"))[1]
        answers = "yes" if versions.is_live(group) else ""
        entities = f"{measure_usage(client, group).entities} of {group.max_entities}" if group.max_entities else ""
        table.add_row(group.name, str(group.version), answers, job, state, str(len(group.features)), entities)
    screen().print(table)


def apply(file: Path = PLAN_FILE, *, since: str = release.NOW, why: str = "applied") -> None:
    """Start the versions of a plan beside those that answer; nothing that answers is touched.

    Args:
        file: what `plan` wrote.
        since: how far back they read the log, such as 24h or all; now begins with what comes from now on.
        why: kept with the decision.
    """
    try:
        wanted = msgspec.json.decode(file.read_bytes(), type=ReleasePlan)
    except (OSError, msgspec.DecodeError) as error:
        message = f"{file} is no plan ({error}). Write one with `headrace features plan`."
        raise UsageProblem(message) from error
    _, registry, rest = _stack()
    for version in release.applied(registry, rest, wanted, why=why, since=since):
        sys.stdout.write(f"{version.name} runs as job {version.job}, on the log since {since}\n")
    sys.stdout.writelines(f"{group.title} has its new words\n" for group in wanted.reworded)


def backfill(name: str, *, since: str = "all") -> None:
    """Have a version read the log from further back, and wait until it has caught up.

    Args:
        name: group@version; the newest where no version is given.
        since: how far back, such as 24h or '7 days'; all reads what the log still holds.
    """
    endpoints, registry, rest = _stack()
    version = release.version_of(registry.versions(), name)
    release.filled(registry, rest, endpoints, version, since=since)
    sys.stdout.write(f"{version.name} has read the log since {since}\n")


def promote(name: str, *, why: str = "promoted") -> None:
    """Have a version answer, for every reader at once; refused where it reads otherwise than it should.

    Args:
        name: group@version; the newest where no version is given.
        why: kept with the decision.
    """
    endpoints, registry, _ = _stack()
    version = release.version_of(registry.versions(), name)
    choice = release.promoted(registry, connect(endpoints.redis_url), version, why=why)
    sys.stdout.write(f"{version.name} answers; before it version {choice.previous} did\n")


def diff(first: str, second: str, *, sample: int = 1_000) -> None:
    """Compare two versions of a group in the store: features that mean the same should read the same.

    Args:
        first: group@version.
        second: another version of it.
        sample: how many entities to look at.
    """
    endpoints, registry, _ = _stack()
    groups = [release.version_of(registry.versions(), name).group for name in (first, second)]
    client, at_ms = connect(endpoints.redis_url), time.time_ns() // 1_000_000
    found = parity.compare(client, *groups, sample=sample, at_ms=at_ms)
    sys.stdout.writelines(f"{line}\n" for line in found.lines())


def gc() -> None:
    """Remove what retired versions have left: topics, keys in the store, checkpoints."""
    endpoints, registry, rest = _stack()
    for version in registry.versions().retired.values():
        hint = "Look at keeper.log."
        wait_until(
            lambda job=version.job: job not in rest.jobs(), what=f"end of {version.job}", deadline_s=150, hint=hint
        )
        topics, keys = remove_data(Layout.here(), endpoints, version)
        sys.stdout.write(f"{version.name}: {topics} topics and {keys} keys removed\n")


def create_test(name: str, *, keys: int = 3) -> None:
    """Print test cases made of the newest real events of a group; what they expect is what the oracle says.

    Args:
        name: group, for the version that answers, or group@version.
        keys: how many keys to take, a case each.
    """
    endpoints, registry, _ = _stack()
    group = release.named_or_live(registry.versions(), name)
    try:
        for case in recorded_cases(endpoints, group, keys=keys):
            sys.stdout.write(case)
    except ValueError as error:
        raise UsageProblem(str(error)) from error


def rollback(group: str, *, why: str = "rolled back") -> None:
    """Have the version answer that did so before.

    Args:
        group: name of the group.
        why: kept with the decision.
    """
    _, registry, _ = _stack()
    choice = registry.rollback(group, why=why)
    sys.stdout.write(f"{group}@{choice.version} answers; before it version {choice.previous} did\n")


def retire(name: str) -> None:
    """Stop a version that does not answer.

    Args:
        name: group@version.
    """
    _, registry, _ = _stack()
    version = release.version_of(registry.versions(), name)
    release.retired(registry, version)
    sys.stdout.write(f"{version.name} is retired\n")


def get(name: str, *key: str, at: int | None = None) -> None:
    """Read the features of one key from the running store, as GET /v1/features answers.

    Args:
        name: group, for the version that answers, or group@version.
        key: the entity; further key columns after it, e.g. u1 shoes.
        at: as they were known at this time, ms since 1970 UTC, recomputed from the log; now if not given.
    """
    endpoints, registry, _ = _stack()
    now_ms = time.time_ns() // 1_000_000
    if at is not None and not _FIRST_MS < at <= now_ms:
        message = f"--at is {at}; it is a time that is past, in milliseconds since 1970: now it is {now_ms}"
        raise UsageProblem(message)
    group = release.named_or_live(registry.versions(), name)
    reader: FeatureStore = FeatureReader(connect(endpoints.redis_url))
    if at is not None and key:
        reader = as_known_at(endpoints, group, key[0], at_ms=at)
    try:
        found = lookup.answer(reader, group, key, at=at or now_ms)
    except Fault as fault:
        message = f"{fault.problem.detail} {fault.problem.fix}"
        raise UsageProblem(message) from fault
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
