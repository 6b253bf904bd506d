"""Background thread: the challenger scores the slates that live serves, after the answer (docs/adr/0017)."""

import sys
import threading
import traceback
from collections.abc import Callable
from queue import Empty, Full, Queue

from msgspec import Struct

from schemas.aliases import CHALLENGER, LIVE
from schemas.ids import hash64
from schemas.shadows import Shadow
from schemas.topics import SHADOWS
from serving.kafka.producer import Record
from serving.stages.record import Slate
from serving.state.query import Query
from serving.state.state import ServedModel

_QUEUE = 500  # slates; each holds the state it was made with
_POLL_S = 0.1


class _ServedSlate(Struct, frozen=True):
    """A slate that live served, and the challenger at that moment."""

    query: Query
    slate: Slate
    challenger: ServedModel
    served_at: int


class Shadows:
    """A bounded queue of slates and the thread that scores them; `left_out` counts slates that were not scored."""

    def __init__(self, send: Callable[[Record], bool]) -> None:
        self._send = send
        self._waiting: Queue[_ServedSlate] = Queue(_QUEUE)
        self.left_out = 0

    def enqueue(self, query: Query, slate: Slate, served_at: int) -> None:
        """Enqueue a slate if live served it and there is a challenger; never blocks."""
        challenger = slate.state.models.get(CHALLENGER)
        if challenger is None or not challenger.name or slate.ranker is None or query.arm.alias != LIVE:
            return
        try:
            self._waiting.put_nowait(_ServedSlate(query, slate, challenger, served_at))
        except Full:
            self.left_out += 1

    def run(self, stop: threading.Event) -> None:
        """Score queued slates until `stop` is set."""
        while not stop.is_set():
            try:
                served = self._waiting.get(timeout=_POLL_S)
            except Empty:
                continue
            try:
                shadow = _shadow(served)
            except Exception:  # the challenger cannot score this slate: continue with the next
                traceback.print_exc(file=sys.stderr)
                self.left_out += 1
                continue
            self._send(Record(topic=SHADOWS, key=shadow.request_id, value=shadow.payload()))


def _shadow(served: _ServedSlate) -> Shadow:
    query, slate, challenger = served.query, served.slate, served.challenger
    candidates, indexes = slate.scored.candidates, [slot.index for slot in slate.slots]
    scores = challenger.model.score(
        hash64(query.user_id),
        query.user.history_ids,
        items=slate.state.catalogue.items(candidates.indexes[indexes]),
        inputs=slate.scored.dense[indexes],
    )
    return Shadow(
        request_id=query.request_id,
        served_at=served.served_at,
        model=challenger.name,
        version=challenger.version,
        click=[float(probability) for probability in scores.click],
    )
