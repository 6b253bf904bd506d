"""`headrace models rollback`, `freeze`, `unfreeze`: each writes a record to topic `control`, after checking it."""

import sys

from msgspec import structs

from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.learner.samples.source import Samples
from headrace.learner.versions.rebuild import RebuildError, base_snapshot, check_samples
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.log.decision import decide
from headrace.log.model_versions import ModelVersions, read_model_versions
from headrace.registry.aliases import fetch_models
from headrace.schemas.control import Control
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.versions.version_policy import (
    FREEZE,
    MODEL,
    UNFREEZE,
    VersionId,
    parse_version,
    rollback_decision,
    version_text,
)
from headrace.store.snapshot_files import snapshots_of
from headrace.wait import wait_until

_SERVED_S = 30.0


def rollback(*, to: str | None = None, steps: int = 1, relearn: bool = False, why: str) -> None:
    """Serve an earlier version, and continue learning from it in a new epoch.

    Args:
        to: epoch.seq of the version; by default `steps` before the live one.
        steps: number of versions to go back.
        relearn: learn the samples of the later versions again, instead of leaving them out.
        why: reason, recorded with the decision.
    """
    layout = Layout.here()
    endpoints = layout.endpoints()
    chain = read_model_versions(endpoints)
    target = _parse_version(to) if to is not None else _steps_back(chain, steps)
    check_reachable(layout, endpoints, chain, target)
    decide(
        endpoints,
        structs.replace(rollback_decision(LIVE_MODEL, target, epoch=chain.next_epoch, relearn=relearn), why=why),
    )
    served = _wait_until_served(endpoints, target, chain.next_epoch)
    sys.stdout.write(f"{served}; learning continues from it in epoch {chain.next_epoch}\n")


def freeze(*, why: str, model: str = LIVE_MODEL) -> None:
    """Keep the current version in service; new versions are still published.

    Args:
        why: reason, recorded with the decision.
        model: a model other than live.
    """
    endpoints = Layout.here().endpoints()
    chain = read_model_versions(endpoints, model)
    live = chain.live
    if live is None or chain.policy.frozen_at is not None:
        state = f"is frozen at {version_text(live)} already" if live else "has no version yet"
        message = f"model {model} {state}; see `headrace models history`"
        raise UsageProblem(message)
    arguments = {"version": version_text(live)}
    decide(endpoints, Control(name=f"{MODEL}{model}", action=FREEZE, arguments=arguments, who="", at=0, why=why))
    sys.stdout.write(f"{model} stays at {version_text(live)} until `headrace models unfreeze`\n")


def unfreeze(*, why: str, model: str = LIVE_MODEL) -> None:
    """Follow new versions again; a halted learner continues.

    Args:
        why: reason, recorded with the decision.
        model: a model other than live.
    """
    endpoints = Layout.here().endpoints()
    if read_model_versions(endpoints, model).policy.frozen_at is None:
        message = f"model {model} is not frozen; see `headrace models history`"
        raise UsageProblem(message)
    decide(endpoints, Control(name=f"{MODEL}{model}", action=UNFREEZE, arguments={}, who="", at=0, why=why))
    sys.stdout.write(f"serving follows the learner of {model} again\n")


def check_reachable(layout: Layout, endpoints: Endpoints, chain: ModelVersions, target: VersionId) -> None:
    """Check that serving and the learner can both go back to a version.

    Raises:
        UsageProblem: the version is not on the log, is live already, has other inputs or heads, or the data to rebuild
            it is gone.
    """
    _check_is_earlier(chain, target)
    snapshots, samples = Snapshots(snapshots_of(layout.snapshots, LIVE_MODEL)), Samples(endpoints.bootstrap, "reach")
    try:
        folder = base_snapshot(snapshots, target)
        meta = load(folder)[0] if folder else None
        check_samples(meta.offset if meta else 0, samples.bounds(), version=target)
    except RebuildError as error:
        message = f"nothing was decided: {error}"
        raise UsageProblem(message) from error
    finally:
        samples.close()
    begin = meta.seq if meta else 0
    missing = [seq for seq in range(begin + 1, target[1] + 1) if (target[0], seq) not in chain.versions]
    if missing:
        message = (
            f"nothing was decided: between snapshot {target[0]}.{begin} and version {version_text(target)} the log "
            "lacks "
            f"{target[0]}.{missing[0]}; name a later version"
        )
        raise UsageProblem(message)


def _check_is_earlier(chain: ModelVersions, target: VersionId) -> None:
    """Check that a version is on the log, is not live, and has live's inputs and heads; raises UsageProblem."""
    if target not in chain.versions:
        range_ = (
            f"{version_text(min(chain.versions))} to {version_text(max(chain.versions))}"
            if chain.versions
            else "no version"
        )
        message = (
            f"version {version_text(target)} is not on the log, which holds {range_}; see `headrace models history`"
        )
        raise UsageProblem(message)
    if target == chain.live:
        message = f"version {version_text(target)} is live already; name an earlier one, or `freeze` to stay at it"
        raise UsageProblem(message)
    if chain.live and chain.schema_of(target) != chain.schema_of(chain.live):
        message = (
            f"nothing was decided: version {version_text(target)} has other inputs or heads than "
            f"{version_text(chain.live)}, which learner and serving declare; go back to the old `model.toml` instead"
        )
        raise UsageProblem(message)


def _parse_version(version: str) -> VersionId:
    try:
        return parse_version(version)
    except ValueError as error:
        raise UsageProblem(str(error)) from error


def _steps_back(chain: ModelVersions, steps: int) -> VersionId:
    """The version `steps` before live, among those of its inputs and heads that the version policy allows."""
    allowed, live = filter(chain.policy.allows, chain.versions), chain.live
    path = sorted(each for each in allowed if live and chain.schema_of(each) == chain.schema_of(live))
    if not 1 <= steps < len(path):
        message = f"--steps is {steps}; the log holds {max(len(path) - 1, 0)} versions before the live one"
        raise UsageProblem(message)
    return path[-1 - steps]


def _wait_until_served(endpoints: Endpoints, target: VersionId, epoch: int) -> str:
    """Wait until serving has gone back, and describe the version it serves."""
    descriptions: list[str] = []

    def is_back() -> bool:
        live = [alias for alias in fetch_models(endpoints).aliases if alias.alias == "live"]
        descriptions[:] = [f"{alias.version} is live, fingerprint {alias.fingerprint[:10]}" for alias in live]
        return any(parse_version(each.version) == target or parse_version(each.version)[0] >= epoch for each in live)

    hint = "The decision is recorded and stays in force. Look at serving.log."
    wait_until(is_back, what=f"version {version_text(target)} in serving", deadline_s=_SERVED_S, hint=hint)
    return descriptions[0]
