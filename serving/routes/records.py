"""`POST /v1/events` and `POST /v1/items:batchUpsert`."""

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from headrace.schemas.http import BatchAnswer, EventsRequest, ItemsRequest
from headrace.schemas.times import now_ms
from headrace.serving.http import intake
from headrace.serving.http.answers import answers
from headrace.serving.http.auth import SCOPE
from headrace.serving.http.body import Strict
from headrace.serving.http.problems import AWAY, invalid, unavailable
from headrace.serving.services import Services

_FULL = "Kafka is away, and the disk has no room for these events, or fails."


@post(
    "/v1/events",
    status_code=202,
    dto=Strict[EventsRequest],
    return_dto=None,
    sync_to_thread=True,
    opt={SCOPE: "events"},
    operation_id="sendEvents",
    summary="Send events",
    tags=["events"],
    responses=answers(400, 408, 413, 503),
)
def receive_events(data: JSONBody[EventsRequest], services: NamedDependency[Services]) -> Response[BatchAnswer]:
    """Write events. 202 once the broker, or the disk while Kafka is away, has them. One sent again counts once.

    Each event is checked by itself: the answer lists rejected events with their index and the reason, and they are not
    stored. The user's next slate knows the accepted ones, on any worker. One with the code `busy` may be sent again
    after the seconds in `Retry-After`: Kafka is away, and the disk has room only for events that label what was served.
    503 if all of a request are `busy`.
    """
    now = now_ms()
    try:
        source = services.plan.event_source
    except KeyError as error:
        fix = "Declare a source with topic 'events' in features/sources/, and restart serving."
        detail = f"Nothing takes events: {error.args[0]}."
        raise invalid(detail, fix=fix) from error
    batch = intake.judge_events(data.events, source, now=now, heads=services.heads)
    refused, fill = services.producer.accept(batch.records), services.producer.fill
    if refused and len(refused) == len(batch.records):
        raise unavailable(_FULL, retry_after_s=intake.retry_after_s(fill))
    services.own_events.show([each for index, each in enumerate(batch.events) if index not in refused], now_ms=now)
    answer = intake.without(batch, refused, fill=fill)
    services.metrics.count_records("events", answer)
    return Response(answer, headers={"Retry-After": str(intake.retry_after_s(fill))} if refused else {})


@post(
    "/v1/items:batchUpsert",
    status_code=200,
    dto=Strict[ItemsRequest],
    return_dto=None,
    sync_to_thread=True,
    opt={SCOPE: "catalogue"},
    operation_id="upsertItems",
    summary="Write items",
    tags=["catalogue"],
    responses=answers(400, 408, 413, 503),
)
def upsert_items(data: JSONBody[ItemsRequest], services: NamedDependency[Services]) -> BatchAnswer:
    """Write whole items, and takedowns. 503 while Kafka is away.

    They take effect about a second after the answer, a takedown on this host before it, and also if the answer is 503.
    """
    batch = intake.judge_items(data.items, services.states.state.catalogue, layout=services.layout, now=now_ms())
    services.marks.mark(batch.taken_down)
    if not services.producer.confirm(batch.records):
        raise unavailable(AWAY)
    services.marks.confirm(batch.taken_down)
    services.marks.remove(batch.shown.intersection(services.marks.ids.tolist()))
    services.metrics.count_records("items", batch.answer)
    return batch.answer
