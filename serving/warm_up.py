"""The first slates of a worker, for nobody: they map memory, open connections and fill caches before users come."""

import asyncio
import gc
import sys
import traceback

from headrace.schemas.times import now_ms
from headrace.serving.services import Services
from headrace.serving.state.query import Query
from headrace.serving.state.report import NotPublished

_SLATES = 30
_LOOK_S = 0.1
_USER = "_warm_up"


async def warm_up(services: Services) -> None:
    """Wait until the state is complete, make some slates, and set `services.warm`. Nothing is written or counted.

    The garbage collector does not look again at the objects made so far: a full collection takes as long as a slate.
    """
    while not _is_complete(services):
        await asyncio.sleep(_LOOK_S)
    try:
        for number in range(_SLATES):
            await services.pipeline.rehearse(_query(services, number))
    except Exception:  # requests would fail likewise: the worker stays unready
        traceback.print_exc(file=sys.stderr)
        return
    gc.collect()
    gc.freeze()
    services.warm.set()


def _is_complete(services: Services) -> bool:
    try:
        return not services.states.report.waiting_for and bool(services.states.state)
    except NotPublished:
        return False


def _query(services: Services, number: int) -> Query:
    return Query(
        request_id=_USER,
        user_id=_USER,
        session_id="",
        surface="",
        count=20,
        at_ms=now_ms(),
        seed=number,
        arm=services.experiment.arm_of(f"{_USER}{number}"),
    )
