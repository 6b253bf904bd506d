"""What anyone may read: health, metrics, and what a kind of error means."""

from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import PathParameter

from headrace.schemas.http import LiveAnswer, ProblemType, ReadyAnswer
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.http.answers import answer_of
from headrace.serving.http.auth import OPEN
from headrace.serving.http.paths import id_of
from headrace.serving.http.problem_types import FOLDER, TYPES
from headrace.serving.http.problems import invalid
from headrace.serving.services import Services
from headrace.serving.state.report import NotPublished
from headrace.serving.telemetry import metrics


@get(
    "/health/live",
    opt={OPEN: True},
    sync_to_thread=False,
    operation_id="checkLive",
    summary="Whether the process answers",
    tags=["health"],
    security=[{}],
)
def is_live() -> LiveAnswer:
    """200 while the process answers."""
    return LiveAnswer()


@get(
    "/health/ready",
    opt={OPEN: True},
    sync_to_thread=False,
    operation_id="checkReady",
    summary="Whether requests may come",
    tags=["health"],
    security=[{}],
    responses={503: ResponseSpec(ReadyAnswer, generate_examples=False, description="Not yet ready"), **answer_of(500)},
)
def is_ready(services: NamedDependency[Services]) -> Response[ReadyAnswer]:
    """Whether requests may come: catalogue, control and item features are read, and a model loaded if there is one.

    It is also ready while features are not updated; `stalled` names the consumer that makes no progress. And it is
    ready without features that no file declares; `missing` names them and who would read them.
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
        missing={**services.missing.of(state.plan).features},
    )
    return Response(answer, status_code=503 if waiting_for else 200)


@get(
    "/metrics",
    opt={OPEN: True},
    sync_to_thread=True,
    media_type=metrics.MEDIA_TYPE,
    operation_id="readMetrics",
    summary="Metrics",
    tags=["health"],
    security=[{}],
    responses=answer_of(500),
)
def read_metrics(services: NamedDependency[Services]) -> bytes:
    """Metrics in Prometheus' text format; docs/modules.md lists them."""
    return services.metrics.text(services.states.metrics)


@get(
    f"{FOLDER}{{name:str}}",
    opt={OPEN: True},
    sync_to_thread=False,
    operation_id="explainProblem",
    summary="What a kind of error means",
    tags=["health"],
    security=[{}],
    responses=answer_of(400, 404),
)
def explain_problem(
    name: Annotated[str, PathParameter(description="the last part of the `type` of a problem")],
) -> ProblemType:
    """A kind of error, as the field `type` of an error names it: its status, what it means, and what to do."""
    name = id_of(name)
    found = next((each for each in TYPES if each.type == f"{FOLDER}{name}"), None)
    if found is None:
        detail = f"There is no kind of error {name[:60]!r}."
        names = ", ".join(each.type.removeprefix(FOLDER) for each in TYPES)
        raise invalid(detail, fix=f"Ask for one of: {names}.", status=404)
    return found
