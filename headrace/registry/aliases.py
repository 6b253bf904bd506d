"""`headrace models list`, `pin`: list the models that serving holds, and pin an alias to live's version."""

import sys
from collections.abc import Callable
from typing import TypeVar

from rich.table import Table

from headrace.client import ApiError, Client, Refused
from headrace.console import screen
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.registry.arm_comparison import compare_arms
from headrace.registry.shadow_comparison import compare_shadow
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.http import ModelsAnswer
from headrace.schemas.versions.aliases import SEASON
from headrace.stack import calendar
from headrace.stack.model_settings import ranker
from headrace.timestamps import utc

T = TypeVar("T")
_DIGITS = 10  # printed of a fingerprint's 64


def fetch_models(endpoints: Endpoints) -> ModelsAnswer:
    """Fetch the models that serving holds.

    Raises:
        EnvironmentProblem: serving does not answer.
    """
    return _ask(endpoints, Client.list_models)


def list_aliases() -> None:
    """List the aliases and their versions, whether live is frozen, how other models compare, and the seasons."""
    layout = Layout.here()
    endpoints = layout.endpoints()
    answer = fetch_models(endpoints)
    table = Table("alias", "model", "version", "since", "fingerprint", "", box=None, pad_edge=False)
    for alias in answer.aliases:
        state = f"frozen at {answer.frozen}" if alias.alias == "live" and answer.frozen else ""
        fingerprint = alias.fingerprint[:_DIGITS]
        table.add_row(alias.alias, alias.model or LIVE_MODEL, alias.version, utc(alias.applied_at), fingerprint, state)
    out = screen()
    out.print(table if answer.aliases else "no version yet; the first one follows one wait after the first feedback")
    head = ranker(layout).heads.score.name
    # A season's model is not compared: it does not learn, and only the challenger and arms' models are.
    for model in sorted({alias.model for alias in answer.aliases if alias.model and alias.alias != SEASON}):
        shadow, arms = compare_shadow(endpoints, model, head=head), compare_arms(endpoints, model, head=head)
        lines = [str(each) for each, slates in ((shadow, shadow.slates), (arms, arms.arm.slates)) if slates]
        for line in lines or ["no closed slate yet"]:
            out.print(f"{model}: {line}", markup=False, highlight=False)
    calendar.show(layout, endpoints)
    for refused in answer.refused:
        version = f"{refused.model} {refused.version}".strip()
        out.print(f"refused {version} {utc(refused.at)} {refused.detail}", markup=False, highlight=False)


def pin(version: str, *, alias: str, why: str) -> None:
    """Pin an alias to the live version.

    Args:
        version: epoch.seq of the live version, or live; no other version can be pinned.
        alias: name of the alias; an arm uses it as model:ALIAS.
        why: reason, recorded with the decision.
    """
    pinned = _ask(Layout.here().endpoints(), lambda api: api.pin_alias(alias, version=version, why=why))
    sys.stdout.write(f"pinned alias {pinned.alias} to version {pinned.version}\n")


def _ask(endpoints: Endpoints, question: Callable[[Client], T]) -> T:
    """Ask the API; its errors are the command's."""
    try:
        with Client(endpoints.api_url, endpoints.token) as api:
            return question(api)
    except Refused as error:
        message = f"{error.problem.detail} {error.problem.fix}"
        raise UsageProblem(message) from error
    except ApiError as error:
        message = f"{error} Look at serving.log, or `headrace status`."
        raise EnvironmentProblem(message) from error
