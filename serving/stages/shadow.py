"""Background thread: what a challenger says of the slates that live serves, after the answer (docs/adr/0017)."""

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
from serving.kafka.producer import Letter
from serving.stages.record import Slate
from serving.state.query import Query
from serving.state.state import ServedModel

_QUEUE = 500  # slates; each holds the state it was made with
_POLL_S = 0.1


class _Seen(Struct, frozen=True):
    """A slate that live served, and the challenger of that moment."""

    query: Query
    slate: Slate
    rival: ServedModel
    served_at: int


class Shadows:
    """A bounded queue of slates and the thread that scores them; `left_out`: not scored."""

    def __init__(self, send: Callable[[Letter], bool]) -> None:
        self._send = send
        self._waiting: Queue[_Seen] = Queue(_QUEUE)
        self.left_out = 0

    def take(self, query: Query, slate: Slate, served_at: int) -> None:
        """Queue a slate, where live served it and there is a challenger; never waits."""
        rival = slate.state.models.get(CHALLENGER)
        if rival is None or not rival.name or slate.ranker is None or query.arm.alias != LIVE:
            return
        try:
            self._waiting.put_nowait(_Seen(query, slate, rival, served_at))
        except Full:
            self.left_out += 1

    def run(self, stop: threading.Event) -> None:
        """Score what is queued until told to stop."""
        while not stop.is_set():
            try:
                seen = self._waiting.get(timeout=_POLL_S)
            except Empty:
                continue
            try:
                shadow = _shadow(seen)
            except Exception:  # a slate that the challenger cannot score: the next one is taken
                traceback.print_exc(file=sys.stderr)
                self.left_out += 1
                continue
            self._send(Letter(topic=SHADOWS, key=shadow.request_id, value=shadow.payload()))


def _shadow(seen: _Seen) -> Shadow:
    query, slate, rival = seen.query, seen.slate, seen.rival
    candidates, places = slate.scored.candidates, [slot.place for slot in slate.slots]
    scores = rival.model.score(
        hash64(query.user_id),
        query.user.history_ids,
        items=slate.state.catalogue.items(candidates.places[places]),
        inputs=slate.scored.dense[places],
    )
    return Shadow(
        request_id=query.request_id,
        served_at=seen.served_at,
        model=rival.name,
        version=rival.version,
        click=[float(chance) for chance in scores.click],
    )
