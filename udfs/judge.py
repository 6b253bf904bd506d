"""One record of a source to its verdict: the clean record, or why it is refused.

No record ends the job: whatever a step raises over one, that one is refused with code `internal` and the next is taken.
If most records fail this way the program is at fault, and the job stops.
"""

from typing import Any, TypeAlias

from lang.events.gate import is_tick
from lang.plan.clean_topic import RECEIVED_AT
from lang.plan.source import Source
from schemas.breaker import Breaker
from schemas.dead_letter import REASON_CHARS, reason_of
from schemas.events import BOT
from schemas.limits import RECORD_BYTES
from udfs.decode import EventDecoder, Refused
from udfs.enrich import Stamper
from udfs.mask import Mask

Verdict: TypeAlias = tuple[
    str | None, str | None, int | None, bytes | None, str | None, bytes | None, int, str | None, bytes | None
]
"""key, event id, event time and Avro of an accepted event; reason and payload of a refused one; append time; the name
under which the bot rule counts it, and the marker to write if it exceeds the rule."""


class Judge:
    """Judges the records of one source one by one."""

    def __init__(self, source: Source, stamper: Stamper, mask: Mask) -> None:
        self._source = source
        self._decoder = EventDecoder(source)
        self._stamper = stamper
        self._mask = mask
        self._breaker = Breaker()

    def judge(self, payload: bytes | None, partition: int, offset: int, appended_ms: int) -> Verdict:
        """The clean record with what it is known by, or the reason why it is refused and the payload to keep.

        Raises:
            BrokenProgram: too many of the last records could not be judged.
        """
        try:
            verdict = self._accepted(payload, partition, offset, appended_ms)
            self._breaker.passed()
        except Refused as refused:
            self._breaker.passed()
            verdict = _refused(payload, str(refused), appended_ms)
        except Exception as error:  # whatever it is, the record is set aside and the next one is taken
            reason = reason_of(error)
            self._breaker.failed(f"partition {partition}, offset {offset}", reason)
            verdict = _refused(payload, reason, appended_ms)
        return verdict

    def _accepted(self, payload: bytes | None, partition: int, offset: int, appended_ms: int) -> Verdict:
        event = self._decoder.decode(payload, appended_ms)
        self._stamper.complete(event)
        self._mask.apply(event)
        event["source_partition"] = int(partition)
        event["source_offset"] = int(offset)
        record = self._decoder.contract.encode(event)
        occurred_at = event[self._source.event_time]
        key, event_id = event[self._source.key], event[self._source.dedupe]
        counted_as, marker = self._counted_as(event), self._marker(event)
        return key, event_id, occurred_at, record, None, None, appended_ms, counted_as, marker

    def _counted_as(self, event: dict[str, Any]) -> str | None:
        """Under which name the source's bot rule counts the event; ticks each under their own."""
        bot = self._source.bot
        if bot is None:
            return None
        counted = event[self._source.dedupe] if is_tick(event) else event[bot.key]
        return f"{event[RECEIVED_AT] // bot.each_ms}:{counted}"

    def _marker(self, event: dict[str, Any]) -> bytes | None:
        """The event as one of type `_bot`, by which the samples job excludes a user from training."""
        if self._source.bot is None or is_tick(event) or "event_type" not in event:
            return None
        return self._decoder.contract.encode(event | {"event_type": BOT})


def _refused(payload: bytes | None, reason: str, appended_ms: int) -> Verdict:
    """A dead letter must fit into its topic, and its reason into a string: both are cut to what does."""
    kept = None if payload is None else bytes(payload[:RECORD_BYTES])
    said = reason[:REASON_CHARS].encode("utf-8", "replace").decode()
    return None, None, None, None, said, kept, appended_ms, None, None
