"""`headrace models challenge`, `promote`: a trained model in the shadow of live, and in its place."""

import sys
from collections.abc import Collection

from msgspec import structs

from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.log.decision import decide
from headrace.log.model_versions import read_model_versions
from headrace.log.trainings import finished_trainings, is_unfinished
from headrace.models.aliases import models
from headrace.models.arm_comparison import Trial, trial
from headrace.models.shadow_comparison import BOUND, ENOUGH, Duel, duel
from headrace.wait import wait_until
from learner.rebuild import RebuildError, check_samples
from learner.snapshot import Snapshots, load
from learner.source import Samples
from schemas.aliases import CHALLENGER, follow_decision
from schemas.defaults import LIVE_MODEL
from schemas.topics import CONTROL_TOPIC
from schemas.version_policy import VersionId, promotion_decision, version_text
from store.log import read_values

_SERVED_S = 30.0


def challenge(model: str | None = None, *, why: str) -> None:
    """Have serving follow a model as the challenger and score in live's shadow with it; without a name, none.

    Args:
        model: the name it was trained by.
        why: kept with the decision.
    """
    layout = Layout.here()
    endpoints = layout.endpoints()
    if model is None:
        decide(endpoints, structs.replace(follow_decision(""), why=why))
        sys.stdout.write("there is no challenger now\n")
        return
    if model == LIVE_MODEL or not read_model_versions(endpoints, model).versions:
        message = (
            f"{model} is no challenger: expected a model with versions on the log, other than {LIVE_MODEL}; train one"
        )
        raise UsageProblem(message)
    refuse_unfinished(layout, model, trained=finished_trainings(read_values(endpoints.bootstrap, CONTROL_TOPIC.name)))
    decide(endpoints, structs.replace(follow_decision(model), why=why))
    hint = "The decision is written and holds. Look at serving.log."
    wait_until(lambda: bool(_seated(endpoints, model)), what=f"{model} in serving", deadline_s=_SERVED_S, hint=hint)
    sys.stdout.write(f"{model} {_seated(endpoints, model)} is the challenger; `headrace models list` compares\n")


def refuse_unfinished(layout: Layout, model: str, *, trained: Collection[str]) -> None:
    """See that no training of this name is under way: its learner would write beside it, its newest version is no end.

    Raises:
        UsageProblem: one is, or was stopped.
    """
    if is_unfinished(layout, model, trained=trained):
        message = (
            f"nothing was decided: the training of {model} is not through; "
            f"`headrace train --model {model}` trains it to its end"
        )
        raise UsageProblem(message)


def promote(model: str, *, why: str, anyway: bool = False) -> None:
    """Have a challenger become live: learning goes on from it in a new epoch.

    Args:
        model: the challenger's name.
        why: kept with the decision.
        anyway: also where it was not compared with live, or is worse; the record says so.
    """
    layout = Layout.here()
    endpoints = layout.endpoints()
    refuse_unfinished(layout, model, trained=finished_trainings(read_values(endpoints.bootstrap, CONTROL_TOPIC.name)))
    chain = read_model_versions(endpoints)
    live, heir = chain.live, newest(layout, endpoints, model)
    if live is None or chain.policy.frozen_at is not None:
        state = f"is frozen at {version_text(live)}; `headrace models unfreeze` first" if live else "has no version yet"
        message = f"nothing was decided: model {LIVE_MODEL} {state}"
        raise UsageProblem(message)
    found, tried = duel(endpoints, model), trial(endpoints, model)
    lacks = wanted(model, found, tried)
    if lacks and not anyway:
        message = f"nothing was decided: {lacks}; --anyway promotes it all the same"
        raise UsageProblem(message)
    figures = "; ".join(str(each) for each, slates in ((tried, tried.arm.slates), (found, found.slates)) if slates)
    told = f"{why} (--anyway: {lacks})" if lacks else f"{why} ({figures})"
    decision = promotion_decision((model, heir), model=LIVE_MODEL, target=live, epoch=chain.next_epoch)
    decide(endpoints, structs.replace(decision, why=told))
    sys.stdout.write(
        f"epoch {chain.next_epoch} begins with {model} {version_text(heir)}; until serving has it "
        f"{version_text(live)} answers; "
        f"back with `headrace models rollback --to {version_text(live)}`\n"
    )


def newest(layout: Layout, endpoints: Endpoints, model: str) -> VersionId:
    """The newest version of a challenger that the learner can go on from.

    Raises:
        UsageProblem: it has no snapshot, not that of a version on the log, or the samples after it are gone.
    """
    folder, links = (
        Snapshots(layout.artefacts / model / "snapshots").latest(),
        read_model_versions(endpoints, model).versions,
    )
    if model == LIVE_MODEL or folder is None:
        message = f"nothing was decided: {model} is no challenger with a snapshot in {layout.artefacts}; train one"
        raise UsageProblem(message)
    meta, _ = load(folder)
    place = (meta.epoch, meta.seq)
    if place not in links or links[place].hash != meta.hash:
        message = (
            f"nothing was decided: {folder} is not version {version_text(place)} of {model} on the log; train another"
        )
        raise UsageProblem(message)
    samples = Samples(endpoints.bootstrap, "reach")
    try:
        check_samples(meta.offset, samples.bounds(), version=place)
    except RebuildError as error:
        message = f"nothing was decided: what came after {model} is gone, {error}; train another"
        raise UsageProblem(message) from error
    finally:
        samples.close()
    return place


def wanted(model: str, found: Duel, tried: Trial) -> str:
    """What a model lacks to become live, empty for nothing: what users did decides where it has an arm."""
    worse = f"{model} is worse than live by more than {BOUND:g} standard errors"
    if not tried.arm.slates and found.slates < ENOUGH:
        return (
            f"{model} was scored in live's shadow on {found.slates} closed slates, {ENOUGH} are wanted; "
            f"`headrace models challenge {model}` and wait"
        )
    if tried.arm.slates and not tried.is_enough:
        return (
            f"{model} has an arm of {tried.arm.slates} closed slates beside {tried.live.slates} of live, "
            f"{ENOUGH} are wanted of each: wait"
        )
    if tried.is_worse:
        return f"{worse}: {tried}"
    return f"{worse}: {found}" if found.slates >= ENOUGH and not found.is_not_worse else ""


def _seated(endpoints: Endpoints, model: str) -> str:
    """The challenger's version in serving; empty while it is another model's."""
    told = (each for each in models(endpoints).aliases if each.alias == CHALLENGER and each.model == model)
    return next((each.version for each in told), "")
