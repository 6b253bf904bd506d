"""`GET /v1/models` and `PUT /v1/models/aliases/…`."""

from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from headrace.schemas.http import AliasAnswer, AliasRequest, AliasState, ModelsAnswer
from headrace.schemas.times import now_ms
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.http.answers import answers
from headrace.serving.http.auth import SCOPE
from headrace.serving.http.body import Strict
from headrace.serving.http.paths import id_of
from headrace.serving.http.problems import AWAY, invalid, unavailable
from headrace.serving.services import Services
from headrace.serving.versions import control
from headrace.store.location import LocationProblem


@get(
    "/v1/models",
    sync_to_thread=True,
    opt={SCOPE: "admin"},
    operation_id="listModels",
    summary="Models that are served",
    tags=["admin"],
    responses=answers(503),
)
def list_models(services: NamedDependency[Services]) -> ModelsAnswer:
    """The versions that are served, those that were applied, and those that were refused."""
    state, report = services.states.state, services.states.report
    aliases = [
        AliasState(
            alias=alias,
            version=served.version,
            seq=int(served.version.partition(".")[2] or 0),
            applied_at=served.applied_at,
            offset=served.offset,
            fingerprint=served.fingerprint,
            model=served.name,
        )
        for alias, served in sorted(state.models.items())
    ]
    return ModelsAnswer(
        aliases=aliases,
        history=report.applied,
        rejected=report.rejected,
        refused=report.refused,
        frozen=report.frozen,
        unshadowed=report.unshadowed,
    )


@put(
    "/v1/models/aliases/{alias:str}",
    dto=Strict[AliasRequest],
    return_dto=None,
    sync_to_thread=True,
    opt={SCOPE: "admin"},
    operation_id="pinAlias",
    summary="Pin an alias to the live version",
    tags=["admin"],
    responses=answers(400, 408, 409, 413, 503),
)
def pin_alias(alias: FromPath[str], data: JSONBody[AliasRequest], services: NamedDependency[Services]) -> AliasAnswer:
    """Pin an alias to the version that is live now. This takes effect once the decision has been read back."""
    alias, live = id_of(alias), services.states.state.models.get(LIVE)
    if alias in services.states.report.following:
        detail = f"The alias {alias!r} follows a model and cannot be pinned."
        raise invalid(detail, fix="Pin another alias and give it to an arm as `model:ALIAS`.")
    if live is None or data.version not in (LIVE, live.version):
        current = live.version if live else "none"
        detail = f"The version {data.version!r} is not served; live is {current}."
        raise invalid(detail, fix='Send {"version": "live"} once there is a version.', pointer="/version", status=409)
    try:
        services.pins.save(live)
    except LocationProblem as problem:
        detail = f"The version was not written: {problem}."
        raise unavailable(detail, fix="Send it again once the bucket can be used.") from problem
    at = now_ms()
    if not services.producer.confirm([control.pin(alias, live.version, at=at, why=data.why)]):
        raise unavailable(AWAY)
    return AliasAnswer(alias=alias, version=live.version, at=at)
