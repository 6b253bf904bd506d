"""The routes of the API. Handlers are thin: they translate between HTTP and the services."""

import time
from typing import Annotated, Any, TypeAlias

from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, PathParameter, QueryParameter

from schemas.aliases import LIVE
from schemas.context import as_texts, context_fault
from schemas.defaults import CLICKSTREAM
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
from schemas.times import now_ms
from serving.http import intake
from serving.http.auth import OPEN, request_id
from serving.http.body import Strict
from serving.http.load_shedding import RECEIVED
from serving.http.paths import checked_id, id_of
from serving.http.problems import ANSWERS, invalid, unavailable
from serving.kafka.producer import CONFIRM_S
from serving.limits.deadline import LEAST_MS, MOST_MS, Deadline
from serving.limits.traffic import DEFAULT_SURFACE, TrafficClass, share_of
from serving.services import Services
from serving.state.experiment import Experiment
from serving.state.query import Query
from serving.state.report import NotPublished
from serving.telemetry import metrics
from serving.telemetry.stopwatch import Stopwatch
from serving.versions import control

Parts: TypeAlias = NamedDependency[Services]
_AWAY = f"Kafka did not accept the records, or too many requests wait for it (each at most {CONFIRM_S:g} s)."
_FULL = "Kafka is away, and the disk has no room for these events, or fails."


@post(
    "/v1/recommendations",
    status_code=200,
    dto=Strict[RecommendationRequest],
    return_dto=None,
    responses=ANSWERS,
)
async def recommend(
    data: JSONBody[RecommendationRequest],
    services: Parts,
    request: Request[Any, Any, Any],
    deadline_ms: Annotated[
        int | None,
        HeaderParameter(name="X-Deadline-Ms", ge=LEAST_MS, le=MOST_MS, description="how long an answer is of use"),
    ] = None,
    traffic: Annotated[
        TrafficClass, HeaderParameter(name="X-Traffic-Class", description="batch: nobody waits for the answer")
    ] = "live",
) -> Response[RecommendationAnswer]:
    """A ranked slate for a user. An unknown user gets one too: a cold start.

    503 at once if it could not be answered in time (docs/adr/0028), and instead of an answer that would come after the
    deadline.
    """
    watch, query = Stopwatch(), query_of(data, services.experiment)
    surface = services.surfaces.get(query.surface, DEFAULT_SURFACE)
    received_s = request.scope.get(RECEIVED) or time.monotonic()
    deadline = Deadline.after(min(deadline_ms or MOST_MS, surface.deadline_ms), received_s=received_s)
    share = share_of(traffic, surface.tier)
    with services.admission.admit(share=share, within_ms=deadline.remaining_ms()):
        answer = await services.pipeline.recommend(query, deadline, watch)
    headers = {"Server-Timing": watch.header(), "X-Degraded-Level": f"L{answer.degraded.level}"}
    return Response(answer, headers=headers)


@post("/v1/events", status_code=202, dto=Strict[EventsRequest], return_dto=None, sync_to_thread=True, responses=ANSWERS)
def receive_events(data: JSONBody[EventsRequest], services: Parts) -> Response[BatchAnswer]:
    """Write events. 202 once the broker, or the disk while Kafka is away, has them. One sent again counts once.

    An event is an object with `event_id`, `user_id`, `event_type` and `occurred_at` (ms), and if they are known
    `item_id`, `session_id`, `request_id` and `position` of the slate, `value` (seconds of a dwell) and `context`
    (text by name; numbers and booleans become text, nulls are dropped). Event types are free, but must not begin with
    `_`; `click`, `dwell` and `purchase` label what was served. Ids have at most 256 characters and no control
    characters. Two events with the same id, user and time are the same. Each event is checked by itself: the answer
    lists rejected events with their index and the reason, and they are not stored. One with the code `busy` may be
    sent again after the seconds in `Retry-After`: Kafka is away, and the disk has room only for events that label what
    was served. 503 if all of a request are `busy`.
    """
    batch = intake.judge_events(data.events, services.plan.source(CLICKSTREAM), now=now_ms())
    refused, fill = services.producer.accept(batch.records), services.producer.fill
    if refused and len(refused) == len(batch.records):
        raise unavailable(_FULL, retry_after_s=intake.retry_after_s(fill))
    answer = intake.without(batch, refused, fill=fill)
    services.metrics.count_records("events", answer)
    return Response(answer, headers={"Retry-After": str(intake.retry_after_s(fill))} if refused else {})


@post(
    "/v1/items:batchUpsert",
    status_code=200,
    dto=Strict[ItemsRequest],
    return_dto=None,
    sync_to_thread=True,
    responses=ANSWERS,
)
def upsert_items(data: JSONBody[ItemsRequest], services: Parts) -> BatchAnswer:
    """Write whole items, and takedowns. 503 while Kafka is away.

    They take effect about a second after the answer, a takedown on this host before it, and also if the answer is 503.

    An item is an object with `item_id` and `category`, and if they are known `title`, `price`, `seller`, `tags`,
    `stock`, `born_at` (ms, when it may first be shown), `content` (vectors by the name of a declared modality) and
    `takedown` (true removes it from every slate).
    """
    batch = intake.judge_items(data.items, services.states.state.catalogue, layout=services.layout, now=now_ms())
    services.marks.mark(batch.taken_down)
    if not services.producer.confirm(batch.records):
        raise unavailable(_AWAY)
    services.marks.confirm(batch.taken_down)
    services.marks.remove(batch.shown.intersection(services.marks.ids.tolist()))
    services.metrics.count_records("items", batch.answer)
    return batch.answer


@get("/v1/features/{group:str}", sync_to_thread=True, responses=ANSWERS)
def read_features(
    group: FromPath[str],
    key: Annotated[list[str], QueryParameter(description="one for each key column of the group, in order")],
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
    """Every feature of a group with one key column, now."""
    return services.lookup.read(id_of(group), [id_of(key)])


@get("/v1/items/{item:str}/similar", sync_to_thread=True, responses=ANSWERS)
def read_similar(
    item: Annotated[str, PathParameter(description="the item's id, percent-encoded")], services: Parts
) -> SimilarAnswer:
    """Items looked at after this one in the same session, as far as they are in the catalogue."""
    return services.similar.read(id_of(item))


@get("/v1/models", sync_to_thread=True, responses=ANSWERS)
def list_models(services: Parts) -> ModelsAnswer:
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
    "/v1/models/aliases/{alias:str}", dto=Strict[AliasRequest], return_dto=None, sync_to_thread=True, responses=ANSWERS
)
def pin_alias(alias: FromPath[str], data: JSONBody[AliasRequest], services: Parts) -> AliasAnswer:
    """Pin an alias to the version that is live now. This takes effect once the decision has been read back."""
    alias, live = id_of(alias), services.states.state.models.get(LIVE)
    if alias in services.states.report.following:
        detail = f"The alias {alias!r} follows a model and cannot be pinned."
        raise invalid(detail, fix="Pin another alias and give it to an arm as `model:ALIAS`.")
    if live is None or data.version not in (LIVE, live.version):
        current = live.version if live else "none"
        detail = f"The version {data.version!r} is not served; live is {current}."
        raise invalid(detail, fix='Send {"version": "live"} once there is a version.', pointer="/version", status=409)
    services.pins.save(live)
    at = now_ms()
    if not services.producer.confirm([control.pin(alias, live.version, at=at, why=data.why)]):
        raise unavailable(_AWAY)
    return AliasAnswer(alias=alias, version=live.version, at=at)


@get("/health/live", opt={OPEN: True}, sync_to_thread=False)
def is_live() -> dict[str, str]:
    """200 while the process answers."""
    return {"status": "live"}


@get("/health/ready", opt={OPEN: True}, sync_to_thread=False)
def is_ready(services: Parts) -> Response[ReadyAnswer]:
    """Whether requests may come: catalogue, control and item features are read, and a model loaded if there is one.

    It is also ready while features are not updated; `stalled` names the consumer that makes no progress.
    """
    try:
        state, report = services.states.state, services.states.report
    except NotPublished:
        starting = ReadyAnswer(ready=False, waiting_for=["feeder"], items=0, model="", queued=0, spooled=0, dropped=0)
        return Response(starting, status_code=503)
    live, waiting_for = state.models.get(LIVE), report.waiting_for
    if not services.warm.is_set():
        waiting_for = [*waiting_for, "warm-up"]
    answer = ReadyAnswer(
        ready=not waiting_for,
        waiting_for=waiting_for,
        items=len(state.catalogue),
        model=live.version if live else "",
        queued=services.producer.queued,
        spooled=services.producer.spooled,
        dropped=services.producer.dropped,
        stalled=report.stalled,
    )
    return Response(answer, status_code=503 if waiting_for else 200)


@get("/metrics", opt={OPEN: True}, sync_to_thread=True, media_type=metrics.MEDIA_TYPE)
def read_metrics(services: Parts) -> bytes:
    """Metrics in Prometheus' text format; docs/modules.md lists them."""
    return services.metrics.text(services.states.metrics)


def query_of(data: RecommendationRequest, experiment: Experiment) -> Query:
    """The query in a request.

    Raises:
        ProblemError: it names no user, or its context is not valid.
    """
    user_id: Id | None = data.user_id or data.anonymous_id
    if user_id is None:
        detail = "Neither user_id nor anonymous_id is given; one of them must name the user."
        raise invalid(detail, fix="Send user_id, or any stable anonymous_id for a visitor.", pointer="/user_id")
    context = as_texts(data.context)
    if fault := context_fault(context):
        fix = "Send fewer and shorter entries, without control characters."
        detail = f"The context is not valid: {fault[1]}."
        raise invalid(detail, fix=fix, pointer="/context")
    name = request_id()
    return Query(
        request_id=name,
        user_id=user_id,
        session_id=_unless_blank(data.session_id) or name,
        surface=_unless_blank(data.surface) or "feed",
        count=data.count,
        at_ms=now_ms(),
        seed=hash64(name),
        arm=experiment.arm_of(user_id),
        context=context,
        exclude=frozenset(data.exclude_items),
        explain=data.explain,
    )


def _unless_blank(text: str | None) -> str | None:
    """The text, or None if it is blank."""
    return None if text is None or not text or text.isspace() else text


HANDLERS = (
    recommend,
    receive_events,
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
