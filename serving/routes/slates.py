"""`POST /v1/recommendations`."""

import time
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody

from schemas.context import as_texts, context_fault
from schemas.http import Id, RecommendationAnswer, RecommendationRequest
from schemas.ids import hash64
from schemas.keys import Traffic
from schemas.limits import DEADLINE_LEAST_MS, DEADLINE_MOST_MS
from schemas.times import now_ms
from serving.http.answers import answers
from serving.http.auth import KEY, SCOPE, check_slate, request_id
from serving.http.load_shedding import RECEIVED
from serving.http.problems import invalid
from serving.http.protobuf import SlateBody, slate_response
from serving.limits.deadline import Deadline
from serving.limits.traffic import DEFAULT_SURFACE, share_of
from serving.services import Services
from serving.state.experiment import Experiment
from serving.state.query import Query
from serving.telemetry.stopwatch import Stopwatch


@post(
    "/v1/recommendations",
    status_code=200,
    dto=SlateBody,
    return_dto=None,
    opt={SCOPE: "recommend"},
    operation_id="recommend",
    summary="A slate for a user",
    tags=["recommend"],
    responses=answers(400, 413, 503),
)
async def recommend(
    data: JSONBody[RecommendationRequest],
    services: NamedDependency[Services],
    request: Request[Any, Any, Any],
    deadline_ms: Annotated[
        int | None,
        HeaderParameter(
            name="X-Deadline-Ms", ge=DEADLINE_LEAST_MS, le=DEADLINE_MOST_MS, description="how long an answer is of use"
        ),
    ] = None,
    traffic: Annotated[
        Traffic, HeaderParameter(name="X-Traffic-Class", description="batch: nobody waits for the answer")
    ] = "live",
) -> Response[RecommendationAnswer]:
    """A ranked slate for a user. An unknown user gets one too: a cold start.

    503 at once if it could not be answered in time (docs/adr/0028), and instead of an answer that would come after the
    deadline.
    """
    watch, query = Stopwatch(), query_of(data, services.experiment)
    scope: Any = request.scope
    check_slate(scope[KEY], surface=query.surface, traffic=traffic, explain=data.explain)
    surface = services.surfaces.get(query.surface, DEFAULT_SURFACE)
    received_s = scope.get(RECEIVED) or time.monotonic()
    deadline = Deadline.after(min(deadline_ms or DEADLINE_MOST_MS, surface.deadline_ms), received_s=received_s)
    share = share_of(traffic, surface.tier)
    with services.admission.admit(share=share, within_ms=deadline.remaining_ms()):
        answer = await services.pipeline.recommend(query, deadline, watch)
    headers = {"Server-Timing": watch.header(), "X-Degraded-Level": f"L{answer.degraded.level}"}
    return slate_response(request, answer, headers)


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
