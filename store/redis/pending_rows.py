# pyright: reportUnknownMemberType=false
"""Rows of sequences that the pipeline may not have folded yet, so that a user's next slate knows their last click.

They are written when the API accepts an event, and `store.reader` unites them with the rows that the pipeline wrote.
See docs/adr/0030.
"""

from collections.abc import Sequence as Many

from msgspec import structs

from headrace.connections.redis_clients import Client, StoreError
from headrace.lang.executors.fold import SequenceRow, TileFold
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.schemas.redis_keys import pending_key
from headrace.store.redis.decode import SequenceWrite, row_of
from headrace.store.redis.rows import batches_of, queue_sorted_set

KEPT_MS = 30 * 60_000
"""How long a user's rows are kept after their last event: a visit is over by then, and Flink has folded them."""


def can_be_pending(group: Group) -> bool:
    """Whether the rows of an event depend on nothing but the event, and are those of one user."""
    return len(group.entity) == 1 and not group.pairs and not group.sessions


class PendingRows:
    """Writes the rows of one group that `can_be_pending`. Safe to use from several threads.

    Events of other users in one call cost no more round trips; events older than `KEPT_MS` are left to the pipeline.
    """

    def __init__(self, client: Client, group: Group) -> None:
        self._client = client
        self.group = group
        self._fold = TileFold(structs.replace(group, families=()))  # holds no state: there are no tiles to add up

    def add(self, events: Many[Event], *, now_ms: int) -> bool:
        """Write the rows of accepted events. Returns whether there were any; otherwise the store was not asked.

        Raises:
            StoreError: the store did not answer.
        """
        rows = [row for event in events for row in self._fold.add(event)]
        recent = [row for row in rows if isinstance(row, SequenceRow) and row.occurred_at > now_ms - KEPT_MS]
        if not recent:
            return False
        pipeline = self._client.pipeline(transaction=False)
        for key, batch in batches_of([(KEPT_MS, self._write(row)) for row in recent]).items():
            queue_sorted_set(pipeline, key, batch, life_ms=KEPT_MS)
        for reply in pipeline.execute(raise_on_error=False):
            if isinstance(reply, StoreError) and not _is_foreign(reply):
                raise reply
        return True

    def _write(self, row: SequenceRow) -> SequenceWrite:
        sequence = next(each for each in self.group.sequences if each.name == row.sequence)
        (owner,) = row.key
        return SequenceWrite(
            pending_key(self.group.name, self.group.version, owner, row.sequence),
            None,
            row.occurred_at,
            row_of(sequence, event_id=row.event_id, payload=row.payload, occurred_at=row.occurred_at),
            sequence.limit,
            row.as_of,
            oldest=sequence.function == "first",
        )


def _is_foreign(error: Exception) -> bool:
    """Whether the key holds something that another program wrote: that costs its own rows only."""
    return str(error).startswith("WRONGTYPE")
