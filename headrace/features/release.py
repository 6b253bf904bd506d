"""`headrace features plan … retire`: how an edit of a feature file comes to answer, and how it goes back."""

import time

from msgspec import Struct

from headrace.console import progress
from headrace.errors import UsageProblem
from headrace.features.cost import Cost
from headrace.features.parity import Parity
from headrace.features.parity import compare as compare_in_store
from headrace.layout import Endpoints
from headrace.log.clean_log import CleanLog
from headrace.log.feature_versions import Registry, shared_job
from headrace.stack.flink import FlinkRest
from headrace.wait import wait_until
from lang.plan.plan import Group, Plan
from lang.plan.source import Source
from lang.planner.diff import Change, adopt_wording, compare
from lang.syntax.duration import parse_duration
from serving.feature_dependencies import lacking as lacking_of
from store.connect import Client
from store.versions import LiveState, Version, Versions

_RUNNING_S = 120.0
_FILLED_S = 24 * 3600.0
_SAMPLE = 1_000  # owners compared before a promotion
_DIFFERENT = 0.01  # share of them that may differ: traffic goes on while they are read
NOW = "now"
_STARTS = ("new", "additive", "breaking")


class ReleasePlan(Struct, frozen=True, kw_only=True):
    """What `plan` found, as `apply` wants it.

    Attributes:
        groups: the versions to start, with their `costs`.
        reworded: versions that answer, with what the files now say of them and no value follows from.
        waiting: versions that run as the files say and do not answer yet, as `group@version`.
    """

    changes: list[Change]
    groups: list[Group]
    reworded: list[Group]
    costs: list[Cost] = []
    waiting: list[str] = []


def planned(plan: Plan, versions: Versions) -> ReleasePlan:
    """The changes from what answers to what the files say.

    Raises:
        UsageProblem: a meaning changed and its version did not, or the version was used before (F115); a version lacks
            what serving reads (F117).
    """
    live = {group.name: group for group in versions.live_groups()}
    wanted = {group.name: group for group in plan.groups}
    waiting = {group.name: group.title for group in plan.groups if _waits(group, versions)}
    pairs = ((live.get(name), wanted.get(name)) for name in sorted({*live, *wanted} - {*waiting}))
    changes = [change for pair in pairs if (change := compare(*pair))]
    refused = [_refusal(change, versions) for change in changes] + [_unread(group) for group in plan.groups]
    refused += [_redeclared(source, versions) for source in plan.sources]
    if any(refused):
        raise UsageProblem("\n" + "\n".join(filter(None, refused)))
    starts = [wanted[change.group] for change in changes if change.kind in _STARTS]
    cosmetic = [change.group for change in changes if change.kind == "cosmetic"]
    words = [(live[name], adopt_wording(live[name], wanted[name])) for name in cosmetic]
    told = [new for old, new in words if new != old]
    return ReleasePlan(changes=changes, groups=starts, reworded=told, waiting=list(waiting.values()))


def _waits(group: Group, versions: Versions) -> bool:
    applied = versions.applied.get(group.title)
    return applied is not None and applied.group == group and not versions.is_live(group)


def _refusal(change: Change, versions: Versions) -> str:
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


def _redeclared(source: Source, versions: Versions) -> str:
    running = versions.sources().get(source.name, source)
    if running == source:
        return ""
    cause = f"F115 source {source.name}: its declaration changed, and its ingest runs by the one it began with"
    return f"{cause}\n  fix: declare the stream anew under another name, or start a new stack: headrace down --wipe"


def _unread(group: Group) -> str:
    lacking = lacking_of(group)
    if not lacking:
        return ""
    cause = f"F117 {group.title} has no {', '.join(lacking)}, and serving reads it"
    read = "models/inputs.py and serving/feature_dependencies.py"
    return f"{cause}\n  fix: keep it, or take it out of what is read: {read}"


def applied(registry: Registry, rest: FlinkRest, release: ReleasePlan, *, why: str, since: str = NOW) -> list[Version]:
    """Start every version of a release plan beside the live one, and wait until its job runs; tell the new words.

    Args:
        registry: where it is decided.
        rest: the cluster that runs the jobs.
        release: the plan.
        why: kept with the decision.
        since: how far back they read the log: a duration, `all`, or `now` for what comes from now on.

    Raises:
        UsageProblem: one of them has been applied since the plan was made, or `since` is none of these.
        EnvironmentProblem: a job did not come up.
    """
    versions = registry.versions()
    for name in (group.title for group in release.groups):
        if name in {*versions.applied, *versions.retired}:
            message = f"{name} has been applied since the plan was made; make a new one: headrace features plan"
            raise UsageProblem(message)
    for group in release.reworded:
        registry.update_metadata(version_of(versions, group.title), group, why=why)
    from_ms = _from_ms(since, time.time_ns() // 1_000_000)
    started = [registry.apply(group, from_ms=from_ms, why=why) for group in release.groups]
    for version in started:
        _wait_for_job(rest, version)
    return started


def _wait_for_job(rest: FlinkRest, version: Version) -> None:
    hint = "Look at keeper.log and at Flink's page."
    wait_until(lambda: rest.is_running(version.job), what=f"job {version.job}", deadline_s=_RUNNING_S, hint=hint)


def filled(registry: Registry, rest: FlinkRest, endpoints: Endpoints, version: Version, *, since: str) -> Version:
    """Have a version read the log from further back, and wait until it has read what was there when it began.

    Raises:
        UsageProblem: the version shares its job, or `since` is no duration.
        EnvironmentProblem: its job did not come up, or did not get through.
    """
    if version.job == shared_job(version.group.source):
        message = f"{version.name} was there from the first start and has read the whole log"
        raise UsageProblem(message)
    now_ms = time.time_ns() // 1_000_000
    from_ms = _from_ms(since, now_ms)
    if version.from_ms > from_ms:  # else it has begun there already: an interrupted backfill is only watched
        version = registry.fill(version.group, from_ms=from_ms, why=f"backfill since {since}")
    _wait_for_job(rest, version)
    _watch(endpoints, version, until_ms=now_ms)
    return version


def _watch(endpoints: Endpoints, version: Version, *, until_ms: int) -> None:
    log = CleanLog(endpoints, version.group.source, reader=version.job)
    with progress() as bar:
        task = bar.add_task(version.name)

        def through() -> bool:
            read, there = log.read(version.from_ms, until_ms), log.count(version.from_ms, until_ms)
            bar.update(task, completed=read, total=there)
            return read >= there

        hint = "Look at Flink's page; the same backfill again goes on where it stands."
        wait_until(through, what=f"the backfill of {version.name}", deadline_s=_FILLED_S, hint=hint)
    log.close()


def _from_ms(since: str, now_ms: int) -> int:
    if since == "all":
        return 1
    if since == NOW:
        return now_ms
    duration = parse_duration(since)
    if duration is None:
        message = f"--since is {since!r}; it is a duration such as 24h or '7 days', all, or now"
        raise UsageProblem(message)
    return now_ms - duration.length_ms


def version_of(versions: Versions, name: str) -> Version:
    """The applied version that `group@version` names; without a version the newest.

    Raises:
        UsageProblem: there is none.
    """
    of_group = [each for each in versions.groups() if each.name == name]
    full = of_group[-1].title if of_group else name
    if full not in versions.applied:
        message = f"there is no version {name!r}; there are {', '.join(sorted(versions.applied))}"
        raise UsageProblem(message)
    return versions.applied[full]


def named_or_live(versions: Versions, name: str) -> Group:
    """The group version that `group@version` names; without a version the one that answers.

    Raises:
        UsageProblem: there is none.
    """
    live = {group.name: group for group in versions.live_groups()}
    return live[name] if name in live else version_of(versions, name).group


def promoted(registry: Registry, client: Client, version: Version, *, why: str) -> LiveState:
    """Have a version answer, once it reads as the one that answers now wherever they mean the same.

    Raises:
        UsageProblem: it does not (F160), the worst keys are named; or it lacks what serving reads (F117).
    """
    if unread := _unread(version.group):
        raise UsageProblem(unread)
    live = [group for group in registry.versions().live_groups() if group.name == version.group.name]
    if live and live[0].version == version.group.version:
        message = f"{version.name} answers already"
        raise UsageProblem(message)
    if live:
        at_ms = time.time_ns() // 1_000_000
        parity = compare_in_store(client, live[0], version.group, sample=_SAMPLE, at_ms=at_ms)
        if parity.share > _DIFFERENT or parity.moving > parity.judged:
            raise UsageProblem(unlike(version.name, live[0], parity))
    return registry.promote(version, previous=live[0].version if live else 0, why=why)


def unlike(name: str, live: Group, parity: Parity) -> str:
    """What is said of a version that reads otherwise than the one that answers."""
    cause = f"F160 {name} does not read as {live.title} does"
    fix = f"  fix: headrace features backfill {name}, or give what means something else another name"
    return "\n".join([cause, *parity.lines(), fix])


def retired(registry: Registry, version: Version) -> None:
    """Let go of a version that does not answer.

    Raises:
        UsageProblem: it answers, or the shared job computes it.
    """
    if registry.versions().is_live(version.group):
        message = f"{version.name} answers: promote another version first"
        raise UsageProblem(message)
    if version.job == shared_job(version.group.source):
        message = f"{version.name} is computed by the job of the first start and goes with it: `headrace down --wipe`"
        raise UsageProblem(message)
    registry.retire(version, why="retired")
