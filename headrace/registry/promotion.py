"""`headrace models challenge`, `promote`: score a trained model in live's shadow, and make it live."""

import sys
from collections.abc import Collection

from msgspec import structs

from headrace.errors import UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.learner.samples.source import Samples
from headrace.learner.versions.rebuild import RebuildError, check_samples
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.log.decision import decide
from headrace.log.model_versions import read_model_versions
from headrace.log.trainings import finished_trainings, is_unfinished
from headrace.registry.aliases import fetch_models
from headrace.registry.arm_comparison import ArmComparison, compare_arms
from headrace.registry.shadow_comparison import BOUND, ENOUGH, ShadowComparison, compare_shadow
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.topics import CONTROL_TOPIC
from headrace.schemas.versions.aliases import CHALLENGER, follow_decision
from headrace.schemas.versions.version_policy import VersionId, promotion_decision, version_text
from headrace.stack.model_settings import ranker
from headrace.store.kafka.log import read_values
from headrace.store.snapshot_files import snapshots_of
from headrace.wait import wait_until

_SERVED_S = 30.0


def challenge(model: str | None = None, *, why: str) -> None:
    """Make a model the challenger, which scores every live slate in the shadow; without a model, end the challenge.

    Args:
        model: name of the trained model.
        why: reason, recorded with the decision.
    """
    layout = Layout.here()
    endpoints = layout.endpoints()
    if model is None:
        decide(endpoints, structs.replace(follow_decision(""), why=why))
        sys.stdout.write("there is no challenger now\n")
        return
    if model == LIVE_MODEL or not read_model_versions(endpoints, model).versions:
        message = f"{model} cannot challenge: expected a model with versions on the log, not {LIVE_MODEL}; train one"
        raise UsageProblem(message)
    refuse_unfinished(layout, model, trained=finished_trainings(read_values(endpoints.bootstrap, CONTROL_TOPIC.name)))
    decide(endpoints, structs.replace(follow_decision(model), why=why))
    hint = "The decision is recorded and stays in force. Look at serving.log."
    wait_until(
        lambda: bool(_challenger_version(endpoints, model)),
        what=f"{model} in serving",
        deadline_s=_SERVED_S,
        hint=hint,
    )
    version = _challenger_version(endpoints, model)
    sys.stdout.write(f"{model} {version} is the challenger; `headrace models list` compares it with live\n")


def refuse_unfinished(layout: Layout, model: str, *, trained: Collection[str]) -> None:
    """Check that no training of this name is unfinished: it may still write versions.

    Raises:
        UsageProblem: a training is running or was stopped.
    """
    if is_unfinished(layout, model, trained=trained):
        message = (
            f"nothing was decided: the training of {model} is not finished; "
            f"`headrace train --model {model}` finishes it"
        )
        raise UsageProblem(message)


def promote(model: str, *, why: str, anyway: bool = False) -> None:
    """Make a challenger the live model; learning continues from it in a new epoch.

    Args:
        model: name of the challenger.
        why: reason, recorded with the decision.
        anyway: promote even if it was not compared with live, or is worse; the record says so.
    """
    layout = Layout.here()
    endpoints = layout.endpoints()
    refuse_unfinished(layout, model, trained=finished_trainings(read_values(endpoints.bootstrap, CONTROL_TOPIC.name)))
    chain = read_model_versions(endpoints)
    live, successor = chain.live, newest_version(layout, endpoints, model)
    if live is None or chain.policy.frozen_at is not None:
        state = f"is frozen at {version_text(live)}; `headrace models unfreeze` first" if live else "has no version yet"
        message = f"nothing was decided: model {LIVE_MODEL} {state}"
        raise UsageProblem(message)
    head = ranker(layout).heads.score.name
    schema = read_model_versions(endpoints, model).schema_of(successor)
    if schema != chain.schema_of(live):
        message = (
            f"nothing was decided: {model} {version_text(successor)} has other inputs or heads than {LIVE_MODEL} "
            f"{version_text(live)}, and a learner and serving have one declaration; see docs/features.md, "
            '"A changed declaration is another model"'
        )
        raise UsageProblem(message)
    shadow, arms = compare_shadow(endpoints, model, head=head), compare_arms(endpoints, model, head=head)
    objection = objection_to(model, shadow, arms)
    if objection and not anyway:
        message = f"nothing was decided: {objection}; --anyway promotes it all the same"
        raise UsageProblem(message)
    figures = "; ".join(str(each) for each, slates in ((arms, arms.arm.slates), (shadow, shadow.slates)) if slates)
    reason = f"{why} (--anyway: {objection})" if objection else f"{why} ({figures})"
    decision = promotion_decision((model, successor), model=LIVE_MODEL, target=live, epoch=chain.next_epoch)
    decide(endpoints, structs.replace(decision, why=reason))
    sys.stdout.write(
        f"epoch {chain.next_epoch} begins with {model} {version_text(successor)}; "
        f"until then {version_text(live)} is served; "
        f"`headrace models rollback --to {version_text(live)}` goes back\n"
    )


def newest_version(layout: Layout, endpoints: Endpoints, model: str) -> VersionId:
    """The newest version of a challenger that the learner can continue from.

    Raises:
        UsageProblem: the model has no snapshot, its snapshot is not a version on the log, or the samples after it are
            gone.
    """
    folder = Snapshots(snapshots_of(layout.snapshots, model)).latest()
    links = read_model_versions(endpoints, model).versions
    if model == LIVE_MODEL or folder is None:
        message = f"nothing was decided: {model} is not a challenger with a snapshot in {layout.snapshots}; train one"
        raise UsageProblem(message)
    meta, _ = load(folder)
    version = (meta.epoch, meta.seq)
    if version not in links or links[version].hash != meta.hash:
        message = (
            f"nothing was decided: {folder} is not version {version_text(version)} of {model} on the log; train another"
        )
        raise UsageProblem(message)
    samples = Samples(endpoints.bootstrap, "reach")
    try:
        check_samples(meta.offset, samples.bounds(), version=version)
    except RebuildError as error:
        message = f"nothing was decided: the samples after {model} are gone, {error}; train another"
        raise UsageProblem(message) from error
    finally:
        samples.close()
    return version


def objection_to(model: str, shadow: ShadowComparison, arms: ArmComparison) -> str:
    """Why a model should not become live, empty if nothing objects; its arm decides if it has one."""
    worse = f"{model} is worse than live by more than {BOUND:g} standard errors"
    if not arms.arm.slates and shadow.slates < ENOUGH:
        return (
            f"{model} was scored in live's shadow on {shadow.slates} closed slates, {ENOUGH} are needed; "
            f"`headrace models challenge {model}` and wait"
        )
    if arms.arm.slates and not arms.is_enough:
        return (
            f"the arm of {model} has {arms.arm.slates} closed slates and live's has {arms.live.slates}, "
            f"{ENOUGH} are needed of each: wait"
        )
    if arms.is_worse:
        return f"{worse}: {arms}"
    return f"{worse}: {shadow}" if shadow.slates >= ENOUGH and not shadow.is_not_worse else ""


def _challenger_version(endpoints: Endpoints, model: str) -> str:
    """The model's version in serving as challenger; empty while another model is the challenger."""
    aliases = fetch_models(endpoints).aliases
    return next((each.version for each in aliases if each.alias == CHALLENGER and each.model == model), "")
