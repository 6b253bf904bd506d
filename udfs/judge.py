"""Accept or refuse one record of a source: return the clean record, or the reason for refusing it.

No single record stops the job: if a step raises an unexpected error, the record is refused with code `internal` and
the next one is processed. If most records fail this way, the program itself is broken and the job stops.
"""

from typing import Any, TypeAlias

from headrace.lang.events.ticks import is_tick
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Source
from headrace.schemas.breaker import Breaker
from headrace.schemas.dead_letter import REASON_CHARS, reason_of
from headrace.schemas.events import BOT
from headrace.schemas.limits import RECORD_BYTES
from headrace.udfs.decode import EventDecoder, Refused
from headrace.udfs.enrich import EventEnricher
from headrace.udfs.mask import Mask

JudgedRow: TypeAlias = tuple[
    str | None, str | None, int | None, bytes | None, str | None, bytes | None, int, str | None, bytes | None
]
"""key, event id, event time and Avro of an accepted event; reason and payload of a refused one; append time; the key
under which the bot rule counts the event, and the marker to write if it exceeds the rule."""


class Judge:
    """Accepts or refuses the records of one source, one at a time."""

    def __init__(self, source: Source, enricher: EventEnricher, mask: Mask) -> None:
        self._source = source
        self._decoder = EventDecoder(source)
        self._enricher = enricher
        self._mask = mask
        self._breaker = Breaker()

    def judge(self, payload: bytes | None, partition: int, offset: int, appended_ms: int) -> JudgedRow:
        """Return the clean record and its key columns, or the reason for refusing it and the payload to keep.

        Raises:
            BrokenProgram: too many of the last records raised an unexpected error.
        """
        try:
            row = self._accept(payload, partition, offset, appended_ms)
            self._breaker.count_passed()
        except Refused as refused:
            self._breaker.count_passed()
            row = _refuse(payload, str(refused), appended_ms)
        except Exception as error:  # whatever it is, refuse the record and continue with the next one
            reason = reason_of(error)
            self._breaker.count_failed(f"partition {partition}, offset {offset}", reason)
            row = _refuse(payload, reason, appended_ms)
        return row

    def _accept(self, payload: bytes | None, partition: int, offset: int, appended_ms: int) -> JudgedRow:
        event = self._decoder.decode(payload, appended_ms)
        self._enricher.complete(event)
        self._mask.apply(event)
        event["source_partition"] = int(partition)
        event["source_offset"] = int(offset)
        record = self._decoder.contract.encode(event)
        occurred_at = event[self._source.event_time]
        key, event_id = event[self._source.key], event[self._source.dedupe]
        counted_as, marker = self._counted_as(event), self._marker(event)
        return key, event_id, occurred_at, record, None, None, appended_ms, counted_as, marker

    def _counted_as(self, event: dict[str, Any]) -> str | None:
        """The key under which the bot rule counts the event; each tick has its own key."""
        bot = self._source.bot
        if bot is None:
            return None
        counted = event[self._source.dedupe] if is_tick(event, self._source) else event[bot.key]
        return f"{event[RECEIVED_AT] // bot.each_ms}:{counted}"

    def _marker(self, event: dict[str, Any]) -> bytes | None:
        """The event with type `_bot`, which makes the samples job exclude the user from training."""
        column = self._source.roles.event_type
        if self._source.bot is None or is_tick(event, self._source) or column not in event:
            return None
        return self._decoder.contract.encode(event | {column: BOT})


def _refuse(payload: bytes | None, reason: str, appended_ms: int) -> JudgedRow:
    """The row of a refused record, its payload and reason truncated to the limits of a dead letter."""
    kept = None if payload is None else bytes(payload[:RECORD_BYTES])
    text = reason[:REASON_CHARS].encode("utf-8", "replace").decode()
    return None, None, None, None, text, kept, appended_ms, None, None
