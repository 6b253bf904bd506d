"""The paths of the API. Handlers are thin: they translate between HTTP and the parts that do the work."""

import time
from typing import Annotated, TypeAlias

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter

from schemas.aliases import LIVE
from schemas.context import as_texts, context_fault
from schemas.http import (
    AliasAnswer,
    AliasRequest,
    AliasState,
    BatchAnswer,
    EventsRequest,
    FeaturesAnswer,
    Id,
    ItemsRequest,
    ModelsAnswer,
    ReadyAnswer,
    RecommendationAnswer,
    RecommendationRequest,
    SimilarAnswer,
)
from schemas.ids import hash64
from schemas.version_policy import named
from serving.http import intake
from serving.http.auth import OPEN, request_id
from serving.http.body import Strict
from serving.http.paths import checked_id, id_of
from serving.http.problems import ANSWERS, invalid, unavailable
from serving.kafka.producer import CONFIRM_S
from serving.services import Services
from serving.state.experiment import Experiment
from serving.state.query import Query
from serving.telemetry import metrics
from serving.telemetry.stopwatch import Stopwatch
from serving.versions import control

Parts: TypeAlias = NamedDependency[Services]
_AWAY = f"Kafka did not take the records, or too many requests wait for it (each at most {CONFIRM_S:g} s)."


@post(
    "/v1/recommendations",
    status_code=200,
    dto=Strict[RecommendationRequest],
    return_dto=None,
    responses=ANSWERS,
)
async def recommend(data: JSONBody[RecommendationRequest], services: Parts) -> Response[RecommendationAnswer]:
    """A ranked slate for a user. An unknown user is a cold start and gets one too.

    503 where more slates are asked for than the process can make: a request that waited half a second is refused.
    """
    watch, query = Stopwatch(), query_of(data, services.experiment)
    answer = await services.admission.run(lambda: services.pipeline.recommend(query, watch), watch)
    headers = {"Server-Timing": watch.header(), "X-Degraded-Level": f"L{answer.degraded.level}"}
    return Response(answer, headers=headers)


@post("/v1/events", status_code=202, dto=Strict[EventsRequest], return_dto=None, sync_to_thread=True, responses=ANSWERS)
def take_events(data: JSONBody[EventsRequest], services: Parts) -> BatchAnswer:
    """Keep events. 202 when the broker has them; sending them again does no harm, an event counts once.

    An event is an object with `event_id`, `user_id`, `event_type` and `occurred_at` (ms), and where they are known
    `item_id`, `session_id`, `request_id` and `position` of the slate, `value` (seconds of a dwell) and `context`
    (text by name; numbers and booleans become text, nulls are dropped). Types are free but for those that begin with
    `_`; `click`, `dwell` and `purchase` label what was served. Ids have at most 256 characters, none of them a control
    character; the id of an event is its user's own. Each event is judged by itself: what is refused stands in the
    answer, with its place and reason, and is kept nowhere.
    """
    batch = intake.judge_events(data.events, services.plan.source("clickstream"), now=_now())
    return _kept("events", batch, services)


@post(
    "/v1/items:batchUpsert",
    status_code=200,
    dto=Strict[ItemsRequest],
    return_dto=None,
    sync_to_thread=True,
    responses=ANSWERS,
)
def upsert_items(data: JSONBody[ItemsRequest], services: Parts) -> BatchAnswer:
    """Write items, whole; takedowns too. In force about a second after the answer.

    An item is an object with `item_id` and `category`, and where they are known `title`, `price`, `seller`, `tags`,
    `stock`, `born_at` (ms, when it may first be shown), `content` (vectors by the name of a declared modality) and
    `takedown` (true takes it out of every slate).
    """
    batch = intake.judge_items(data.items, services.live.state.catalogue, layout=services.layout, now=_now())
    return _kept("items", batch, services)


@get("/v1/features/{group:str}", sync_to_thread=True, responses=ANSWERS)
def read_features(
    group: FromPath[str],
    key: Annotated[list[str], QueryParameter(description="one for each key column of the group, in its order")],
    services: Parts,
) -> FeaturesAnswer:
    """Every feature of a group for one key, now: `/v1/features/user_category?key=u1&key=shoes`."""
    return services.lookup.read(id_of(group), [checked_id(part) for part in key])


@get("/v1/features/{group:str}/{key:str}", sync_to_thread=True, responses=ANSWERS)
def read_features_of_one_column(
    group: FromPath[str],
    key: Annotated[str, PathParameter(description="the key, percent-encoded")],
    services: Parts,
) -> FeaturesAnswer:
    """Every feature of a group of one key column, now."""
    return services.lookup.read(id_of(group), [id_of(key)])


@get("/v1/items/{item:str}/similar", sync_to_thread=True, responses=ANSWERS)
def read_similar(
    item: Annotated[str, PathParameter(description="the item's id, percent-encoded")], services: Parts
) -> SimilarAnswer:
    """Items looked at after this one within one session, as far as the catalogue shows them."""
    return services.similar.read(id_of(item))


@get("/v1/models", sync_to_thread=True, responses=ANSWERS)
def list_models(services: Parts) -> ModelsAnswer:
    """Which versions are in service, which came, which were refused."""
    live = services.live
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
        for alias, served in sorted(live.state.models.items())
    ]
    progress, frozen_at = live.progress, live.policy.frozen_at
    # Readers append meanwhile, and a deque that grows while it is iterated raises: each is copied in one step.
    refused = [each for of in (progress, *list(live.alias_progress.values())) for each in list(of.refused)]
    return ModelsAnswer(
        aliases=aliases,
        history=list(progress.applied),
        rejected=dict(progress.rejected),
        refused=sorted(refused, key=lambda each: -each.at),
        frozen=named(frozen_at) if frozen_at else None,
        unshadowed=services.pipeline.shadows.left_out,
    )


@put(
    "/v1/models/aliases/{alias:str}", dto=Strict[AliasRequest], return_dto=None, sync_to_thread=True, responses=ANSWERS
)
def pin_alias(alias: FromPath[str], data: JSONBody[AliasRequest], services: Parts) -> AliasAnswer:
    """Let an alias name the version that is live now. It holds when the decision has been read back."""
    alias, live = id_of(alias), services.live.state.models.get(LIVE)
    if alias in services.live.following:
        detail = f"The alias {alias!r} follows a model and cannot be pinned."
        raise invalid(detail, fix="Pin another alias and give it to an arm as `model:ALIAS`.")
    if live is None or data.version not in (LIVE, live.version):
        there = live.version if live else "none"
        detail = f"The version {data.version!r} is not in service; live is {there}."
        raise invalid(detail, fix='Send {"version": "live"} once a version is there.', pointer="/version", status=409)
    services.pins.save(live)
    at = _now()
    if not services.producer.confirm([control.pin(alias, live.version, at=at, why=data.why)]):
        raise unavailable(_AWAY)
    return AliasAnswer(alias=alias, version=live.version, at=at)


@get("/health/live", opt={OPEN: True}, sync_to_thread=False)
def is_live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@get("/health/ready", opt={OPEN: True}, sync_to_thread=False)
def is_ready(services: Parts) -> Response[ReadyAnswer]:
    """Whether requests may come: catalogue and control read to their ends, features swept, model loaded or absent.

    Requests may come too while features stand still; `stalled` says which consumer does not move.
    """
    waiting, state = services.live.waiting_for(), services.live.state
    live = state.models.get(LIVE)
    answer = ReadyAnswer(
        ready=not waiting,
        waiting_for=waiting,
        items=len(state.catalogue),
        model=live.version if live else "",
        queued=services.producer.queued,
        dropped=services.producer.dropped,
        stalled=list(services.live.progress.stalled),
    )
    return Response(answer, status_code=503 if waiting else 200)


@get("/metrics", opt={OPEN: True}, sync_to_thread=True, media_type=metrics.MEDIA_TYPE)
def read_metrics(services: Parts) -> bytes:
    """Features and requests as Prometheus scrapes them; docs/modules.md lists the metrics."""
    return services.metrics.text()


def query_of(data: RecommendationRequest, experiment: Experiment) -> Query:
    """The request, understood.

    Raises:
        Fault: nobody is named.
    """
    user_id: Id | None = data.user_id or data.anonymous_id
    if user_id is None:
        detail = "Neither user_id nor anonymous_id is there; one of them says whose slate it is."
        raise invalid(detail, fix="Send user_id, or for a visitor any stable anonymous_id.", pointer="/user_id")
    context = as_texts(data.context)
    if fault := context_fault(context):
        fix = "Send fewer and shorter entries, without control characters."
        detail = f"Context cannot be taken: {fault[1]}."
        raise invalid(detail, fix=fix, pointer="/context")
    name = request_id()
    return Query(
        request_id=name,
        user_id=user_id,
        session_id=_there(data.session_id) or name,
        surface=_there(data.surface) or "feed",
        count=data.count,
        at_ms=_now(),
        seed=hash64(name),
        arm=experiment.arm_of(user_id),
        context=context,
        exclude=frozenset(data.exclude_items),
        explain=data.explain,
    )


def _there(text: str | None) -> str | None:
    """A text, None where it is blank."""
    return None if text is None or not text or text.isspace() else text


def _kept(kind: str, batch: intake.Batch, services: Services) -> BatchAnswer:
    if not services.producer.confirm(batch.records):
        raise unavailable(_AWAY)
    services.metrics.count_records(kind, batch.answer)
    return batch.answer


def _now() -> int:
    return time.time_ns() // 1_000_000


HANDLERS = (
    recommend,
    take_events,
    upsert_items,
    read_features,
    read_features_of_one_column,
    read_similar,
    list_models,
    pin_alias,
    is_live,
    is_ready,
    read_metrics,
)
