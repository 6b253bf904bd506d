"""`headrace models list`, `pin`: what serving says of its models, and the alias that it pins."""

import sys

import httpx
import msgspec
from rich.table import Table

from headrace.console import screen
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.layout import Endpoints, Layout
from headrace.models.arm_comparison import trial
from headrace.models.shadow_comparison import duel
from headrace.stack import calendar
from headrace.timestamps import utc
from schemas.aliases import SEASON
from schemas.http import AliasAnswer, AliasRequest, ModelsAnswer, Problem

_PATIENCE_S = 10.0
_TOLD = 10  # of a fingerprint's 64 digits


def models(endpoints: Endpoints) -> ModelsAnswer:
    """What serving says of its models.

    Raises:
        EnvironmentProblem: it does not answer.
    """
    return msgspec.json.decode(_ask(endpoints, "GET", "/v1/models"), type=ModelsAnswer)


def list_aliases() -> None:
    """List the aliases, the version of each, whether live is frozen, how others do beside it, and the seasons."""
    layout = Layout.here()
    endpoints = layout.endpoints()
    told = models(endpoints)
    table = Table("alias", "model", "version", "since", "fingerprint", "", box=None, pad_edge=False)
    for alias in told.aliases:
        state = f"frozen at {told.frozen}" if alias.alias == "live" and told.frozen else ""
        table.add_row(alias.alias, alias.model, alias.version, utc(alias.applied_at), alias.fingerprint[:_TOLD], state)
    out = screen()
    out.print(table)
    # A season's model stands as it was trained: live's shadow and trial are the challenger's and the arms'.
    for rival in sorted({alias.model for alias in told.aliases if alias.model and alias.alias != SEASON}):
        found, tried = duel(endpoints, rival), trial(endpoints, rival)
        lines = [str(each) for each, slates in ((found, found.slates), (tried, tried.arm.slates)) if slates]
        for line in lines or ["no closed slate yet"]:
            out.print(f"{rival}: {line}", markup=False, highlight=False)
    calendar.show(layout, endpoints)
    for refused in told.refused:
        which = f"{refused.model} {refused.version}".strip()
        out.print(f"refused {which} {utc(refused.at)} {refused.detail}", markup=False, highlight=False)


def pin(version: str, *, alias: str, why: str) -> None:
    """Pin an alias to the version that is live.

    Args:
        version: epoch.seq; only the one that is live now can be pinned.
        alias: its name, which an arm is given as model:ALIAS.
        why: kept with the decision.
    """
    body = msgspec.json.encode(AliasRequest(version=version, why=why))
    answer = _ask(Layout.here().endpoints(), "PUT", f"/v1/models/aliases/{alias}", body)
    pinned = msgspec.json.decode(answer, type=AliasAnswer)
    sys.stdout.write(f"alias {pinned.alias} names {pinned.version}\n")


def _ask(endpoints: Endpoints, method: str, path: str, body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {endpoints.token}", "Content-Type": "application/json"}
    try:
        answer = httpx.request(method, f"{endpoints.api_url}{path}", content=body, headers=headers, timeout=_PATIENCE_S)
    except httpx.HTTPError as error:
        message = (
            f"serving does not answer at {endpoints.api_url} ({error}). Look at serving.log, or `headrace status`."
        )
        raise EnvironmentProblem(message) from error
    if not answer.is_success:
        problem = msgspec.json.decode(answer.content, type=Problem)
        message = f"{problem.detail} {problem.fix}"
        raise UsageProblem(message)
    return answer.content
