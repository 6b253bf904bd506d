# pyright: reportIncompatibleMethodOverride=false
# (PyFlink types `eval` as returning nothing)
"""The one Python step of the ingest job: decode, judge, stamp and complete a batch of events."""

from typing import Any, TypeAlias

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, ScalarFunction

from lang.clean import RECEIVED_AT
from lang.gate import is_tick
from lang.source import Source
from udfs.decode import EventDecoder, Refused
from udfs.history import TableTail
from udfs.mask import Mask
from udfs.stamp import Stamper

VERDICT = DataTypes.ROW(
    [
        DataTypes.FIELD("key", DataTypes.STRING()),
        DataTypes.FIELD("event_id", DataTypes.STRING()),
        DataTypes.FIELD("occurred_at", DataTypes.BIGINT()),
        DataTypes.FIELD("record", DataTypes.BYTES()),
        DataTypes.FIELD("reason", DataTypes.STRING()),
        DataTypes.FIELD("appended_at", DataTypes.BIGINT()),
        DataTypes.FIELD("counted_as", DataTypes.STRING()),
    ]
)
_COLUMNS = pd.Index(VERDICT.field_names())
Verdict: TypeAlias = tuple[str | None, str | None, int | None, bytes | None, str | None, int, str | None]


class JudgeEvents(ScalarFunction):
    """(payload, partition, offset, appended) → (key columns, clean Avro record) or a reason.

    The record leaves as Avro bytes: the JVM carries them to the sink without looking inside.
    """

    def __init__(self, source: Source, bootstrap: str) -> None:
        self._source = source
        self._bootstrap = bootstrap

    def open(self, function_context: FunctionContext) -> None:
        """Begin to follow the tables that the source is stamped from."""
        self._decoder = EventDecoder(self._source)
        self._stamper = Stamper(self._source)
        self._mask = Mask.from_environment(self._source)
        self._tables = [TableTail(self._bootstrap, history) for history in self._stamper.histories]

    def close(self) -> None:
        """Leave the tables' topics."""
        for table in self._tables:
            table.close()

    def eval(self, *columns: pd.Series) -> pd.DataFrame:
        """Judge one batch; the columns are payload, partition, offset and append time, each of length B."""
        payload, partition, offset, appended = columns
        for table in self._tables:
            table.catch_up()
        appended_ms = appended.to_numpy(dtype="datetime64[ms]").astype("int64").tolist()
        rows = [self._judge(*row) for row in zip(payload, partition, offset, appended_ms, strict=True)]
        return pd.DataFrame(rows, columns=_COLUMNS, dtype=object)

    def _judge(self, payload: bytes | None, partition: int, offset: int, appended_ms: int) -> Verdict:
        try:
            event = self._decoder.decode(payload, appended_ms)
        except Refused as refused:
            return None, None, None, None, str(refused), appended_ms, None
        self._stamper.complete(event)
        self._mask.apply(event)
        event["source_partition"] = int(partition)
        event["source_offset"] = int(offset)
        record = self._decoder.contract.encode(event)
        occurred_at = event[self._source.event_time]
        key, event_id = event[self._source.key], event[self._source.dedupe]
        return key, event_id, occurred_at, record, None, appended_ms, self._counted_as(event)

    def _counted_as(self, event: dict[str, Any]) -> str | None:
        """Under which name the source's bot rule counts the event; ticks each under their own."""
        bot = self._source.bot
        if bot is None:
            return None
        counted = event[self._source.dedupe] if is_tick(event) else event[bot.key]
        return f"{event[RECEIVED_AT] // bot.each_ms}:{counted}"
