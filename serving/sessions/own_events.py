"""Read-your-writes: a user's next slate knows the events that the API has just accepted (docs/adr/0030)."""

from collections.abc import Callable, Sequence

from headrace.connections.redis_clients import Client, StoreError
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.state.report import NotPublished
from headrace.serving.state.state_source import StateSource
from headrace.store.circuit_breaker import CircuitBreaker
from headrace.store.redis.pending_rows import PendingRows, can_be_pending


class OwnEvents:
    """Adds accepted events to their users' histories. Safe to use from several threads.

    `breaker`: that of the store; while it does not answer, a click counts once the pipeline has folded it, and
    `count_missed` is called with the number of events. `history`: the feature that is the history.
    """

    def __init__(
        self,
        client: Client,
        breaker: CircuitBreaker,
        states: StateSource,
        count_missed: Callable[[int], None],
        history: str = SHIPPED.reads.history,
    ) -> None:
        self._history = history.partition(".")[0]
        self._client = client
        self._breaker = breaker
        self._states = states
        self._count_missed = count_missed
        self._rows: PendingRows | None = None

    def show(self, events: Sequence[Event], *, now_ms: int) -> None:
        """Make the events visible to every worker's next request."""
        if not events:
            return
        try:
            group = self._states.state.plan.find(self._history)
        except NotPublished:  # nothing reads a history yet
            return
        if group is None or not can_be_pending(group):
            return
        if not self._breaker.allows():
            self._count_missed(len(events))
            return
        try:
            asked = self._rows_of(group).add(events, now_ms=now_ms)
        except StoreError:
            self._breaker.record(succeeded=False)
            self._count_missed(len(events))
        else:
            if asked:  # otherwise views alone would close a breaker whose store is still away
                self._breaker.record(succeeded=True)

    def _rows_of(self, group: Group) -> PendingRows:
        """The rows of the group's version in use."""
        rows = self._rows
        if rows is None or rows.group is not group:
            rows = self._rows = PendingRows(self._client, group)
        return rows
