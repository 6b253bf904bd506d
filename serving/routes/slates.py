"""`POST /v1/recommendations`, and the same as a stream."""

import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from litestar import Request, Response, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter, JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Struct, structs

from headrace.schemas.context import as_texts, context_fault
from headrace.schemas.http import Id, RecommendationAnswer, RecommendationRequest, SlateEvent
from headrace.schemas.ids import hash64
from headrace.schemas.keys import Traffic
from headrace.schemas.limits import DEADLINE_LEAST_MS, DEADLINE_MOST_MS
from headrace.schemas.times import now_ms
from headrace.serving.http.answers import answers
from headrace.serving.http.auth import KEY, SCOPE, check_slate, request_id
from headrace.serving.http.body import Strict
from headrace.serving.http.load_shedding import RECEIVED
from headrace.serving.http.problems import invalid
from headrace.serving.http.protobuf import SlateBody, slate_response
from headrace.serving.limits.deadline import Deadline
from headrace.serving.limits.traffic import DEFAULT_SURFACE, share_of
from headrace.serving.services import Services
from headrace.serving.sessions import page_tokens
from headrace.serving.state.experiment import Experiment
from headrace.serving.state.query import Query, ids_of
from headrace.serving.telemetry.stopwatch import Stopwatch

DeadlineMs: TypeAlias = Annotated[
    int | None,
    HeaderParameter(
        name="X-Deadline-Ms", ge=DEADLINE_LEAST_MS, le=DEADLINE_MOST_MS, description="how long an answer is of use"
    ),
]
TrafficClass: TypeAlias = Annotated[
    Traffic, HeaderParameter(name="X-Traffic-Class", description="batch: nobody waits for the answer")
]


@post(
    "/v1/recommendations",
    status_code=200,
    dto=SlateBody,
    return_dto=None,
    opt={SCOPE: "recommend"},
    operation_id="recommend",
    summary="A slate for a user",
    tags=["recommend"],
    responses=answers(400, 408, 413, 503),
)
async def recommend(
    data: JSONBody[RecommendationRequest],
    services: NamedDependency[Services],
    request: Request[Any, Any, Any],
    deadline_ms: DeadlineMs = None,
    traffic: TrafficClass = "live",
) -> Response[RecommendationAnswer]:
    """A ranked slate for a user. An unknown user gets one too: a cold start.

    503 at once if it could not be answered in time (docs/adr/0028), and instead of an answer that would come after the
    deadline.
    """
    watch, query = Stopwatch(), query_of(data, services.experiment)
    limits = _limits_of(query, services, request, deadline_ms, traffic)
    with services.admission.admit(share=limits.share, within_ms=limits.deadline.remaining_ms()):
        answer = await services.pipeline.recommend(query, limits.deadline, watch)
    headers = {"Server-Timing": watch.header(), "X-Degraded-Level": f"L{answer.degraded.level}"}
    return slate_response(request, _with_next_page(answer, query), headers)


@post(
    "/v1/recommendations:stream",
    status_code=200,
    dto=Strict[RecommendationRequest],
    return_dto=None,
    opt={SCOPE: "recommend"},
    operation_id="streamRecommendations",
    summary="A first slate at once, then the ranked one",
    tags=["recommend"],
    media_type="text/event-stream",
    responses={
        200: ResponseSpec(
            SlateEvent,
            media_type="text/event-stream",
            generate_examples=False,
            description="events `slate`, each with an answer; the last one counts",
        ),
        **answers(400, 408, 413, 503),
    },
)
async def stream(
    data: JSONBody[RecommendationRequest],
    services: NamedDependency[Services],
    request: Request[Any, Any, Any],
    deadline_ms: DeadlineMs = None,
    traffic: TrafficClass = "live",
) -> ServerSentEvent:
    """Two server-sent events `slate` with the same `request_id`; the second replaces the first.

    The first is made without waiting for the user's features (level 3). The second is the answer that
    `POST /v1/recommendations` gives; it is missing if it would come after the deadline.
    """
    query = query_of(data, services.experiment)
    limits = _limits_of(query, services, request, deadline_ms, traffic)
    made = services.pipeline.stream(query, limits.deadline, Stopwatch())
    with services.admission.admit(share=limits.share, within_ms=limits.deadline.remaining_ms()):
        first = await anext(made)

    async def slates() -> AsyncGenerator[ServerSentEventMessage, None]:
        answer: RecommendationAnswer | None = first
        while answer is not None:
            yield ServerSentEventMessage(event="slate", data=msgspec.json.encode(_with_next_page(answer, query)))
            with services.admission.occupy():  # not while the client reads
                answer = await anext(made, None)

    return ServerSentEvent(slates(), background=BackgroundTask(made.aclose))  # also if the client has left


class _Limits(Struct, frozen=True):
    """By when a request must be answered, and the part of a worker's time that it may use."""

    deadline: Deadline
    share: float


def _limits_of(
    query: Query, services: Services, request: Request[Any, Any, Any], deadline_ms: int | None, traffic: Traffic
) -> _Limits:
    """The limits of a request, if its key allows it.

    Raises:
        ProblemError: the key does not allow it.
    """
    scope: Any = request.scope
    check_slate(scope[KEY], surface=query.surface, traffic=traffic, explain=query.explain)
    surface = services.surfaces.get(query.surface, DEFAULT_SURFACE)
    received_s = scope.get(RECEIVED) or time.monotonic()
    deadline = Deadline.after(min(deadline_ms or DEADLINE_MOST_MS, surface.deadline_ms), received_s=received_s)
    return _Limits(deadline, share_of(traffic, surface.tier))


def _with_next_page(answer: RecommendationAnswer, query: Query) -> RecommendationAnswer:
    token = page_tokens.encode(query.earlier, [item.id for item in answer.items])
    return answer if token is None else structs.replace(answer, next_page_token=token)


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
    earlier = page_tokens.decode(data.page_token or "")
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
        exclude=np.concatenate([ids_of(data.exclude_items), earlier]),
        earlier=earlier,
        explain=data.explain,
    )


def _unless_blank(text: str | None) -> str | None:
    """The text, or None if it is blank."""
    return None if text is None or not text or text.isspace() else text
