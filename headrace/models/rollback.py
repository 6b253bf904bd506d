"""`headrace models rollback`, `freeze`, `unfreeze`: a record of topic `control` each, checked before it is written."""

import sys

from msgspec import structs

from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.log.decision import decide
from headrace.log.model_versions import ModelVersions, read_model_versions
from headrace.models.aliases import models
from headrace.wait import wait_until
from learner.rebuild import RebuildError, base_snapshot, check_samples
from learner.snapshot import Snapshots, load
from learner.source import Samples
from schemas.control import Control
from schemas.defaults import LIVE_MODEL
from schemas.version_policy import FREEZE, MODEL, UNFREEZE, VersionId, parse_version, rollback_decision, version_text

_SERVED_S = 30.0


def rollback(*, to: str | None = None, steps: int = 1, relearn: bool = False, why: str) -> None:
    """Have an earlier version answer, and learning go on from it in a new epoch.

    Args:
        to: the version, epoch.seq; by default `steps` before the one that answers.
        steps: how many versions back.
        relearn: learn again what the versions after it had learnt, instead of leaving that out.
        why: kept with the decision.
    """
    layout = Layout.here()
    endpoints = layout.endpoints()
    chain = read_model_versions(endpoints)
    target = _place(to) if to is not None else _steps_back(chain, steps)
    check_reach(layout, endpoints, chain, target)
    decide(
        endpoints,
        structs.replace(rollback_decision(LIVE_MODEL, target, epoch=chain.next_epoch, relearn=relearn), why=why),
    )
    told = f"learning goes on from it in epoch {chain.next_epoch}"
    sys.stdout.write(f"{_served(endpoints, target, chain.next_epoch)}; {told}\n")


def freeze(*, why: str, model: str = LIVE_MODEL) -> None:
    """Keep live where it is; versions go on being published.

    Args:
        why: kept with the decision.
        model: another one than live's.
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
    """Let live follow again, and a learner that halted go on.

    Args:
        why: kept with the decision.
        model: another one than live's.
    """
    endpoints = Layout.here().endpoints()
    if read_model_versions(endpoints, model).policy.frozen_at is None:
        message = f"model {model} is not frozen; see `headrace models history`"
        raise UsageProblem(message)
    decide(endpoints, Control(name=f"{MODEL}{model}", action=UNFREEZE, arguments={}, who="", at=0, why=why))
    sys.stdout.write(f"serving follows the learner of {model} again\n")


def check_reach(layout: Layout, endpoints: Endpoints, chain: ModelVersions, target: VersionId) -> None:
    """See that serving and the learner can both come to a version.

    Raises:
        UsageProblem: it is not on the log, answers already, or what it is made of is gone.
    """
    if target not in chain.versions:
        there = (
            f"{version_text(min(chain.versions))} to {version_text(max(chain.versions))}"
            if chain.versions
            else "no version"
        )
        message = (
            f"version {version_text(target)} is not on the log, which holds {there}; see `headrace models history`"
        )
        raise UsageProblem(message)
    if target == chain.live:
        message = f"version {version_text(target)} answers already; name an earlier one, or `freeze` to stay at it"
        raise UsageProblem(message)
    snapshots, samples = Snapshots(layout.artefacts / LIVE_MODEL / "snapshots"), Samples(endpoints.bootstrap, "reach")
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


def _place(version: str) -> VersionId:
    try:
        return parse_version(version)
    except ValueError as error:
        raise UsageProblem(str(error)) from error


def _steps_back(chain: ModelVersions, steps: int) -> VersionId:
    """The version so many before live, over those that have answered or might have."""
    path = sorted(filter(chain.policy.allows, chain.versions))
    if not 1 <= steps < len(path):
        message = f"--steps is {steps}; the log holds {max(len(path) - 1, 0)} versions before the one that answers"
        raise UsageProblem(message)
    return path[-1 - steps]


def _served(endpoints: Endpoints, target: VersionId, epoch: int) -> str:
    """Wait until serving has gone back, and say what it has."""
    found: list[str] = []

    def back() -> bool:
        live = [alias for alias in models(endpoints).aliases if alias.alias == "live"]
        found[:] = [f"{alias.version} answers, fingerprint {alias.fingerprint[:10]}" for alias in live]
        return any(parse_version(each.version) == target or parse_version(each.version)[0] >= epoch for each in live)

    hint = "The decision is written and holds. Look at serving.log."
    wait_until(back, what=f"version {version_text(target)} in serving", deadline_s=_SERVED_S, hint=hint)
    return found[0]
