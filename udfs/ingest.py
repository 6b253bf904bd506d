# pyright: reportIncompatibleMethodOverride=false
# (PyFlink types `eval` as returning nothing)
"""The Python step of the ingest job: decode, check, stamp and complete a batch of events."""

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, ScalarFunction

from headrace.lang.plan.source import Source
from headrace.udfs.enrich import EventEnricher
from headrace.udfs.judge import Judge
from headrace.udfs.mask import Mask
from headrace.udfs.temporal_table import TableTail

JUDGED_ROW = DataTypes.ROW(
    [
        DataTypes.FIELD("key", DataTypes.STRING()),
        DataTypes.FIELD("event_id", DataTypes.STRING()),
        DataTypes.FIELD("occurred_at", DataTypes.BIGINT()),
        DataTypes.FIELD("record", DataTypes.BYTES()),
        DataTypes.FIELD("reason", DataTypes.STRING()),
        DataTypes.FIELD("refused", DataTypes.BYTES()),
        DataTypes.FIELD("appended_at", DataTypes.BIGINT()),
        DataTypes.FIELD("counted_as", DataTypes.STRING()),
        DataTypes.FIELD("marker", DataTypes.BYTES()),
    ]
)
_COLUMNS = pd.Index(JUDGED_ROW.field_names())


class JudgeEvents(ScalarFunction):
    """(payload, partition, offset, appended) → (key columns, clean Avro record) or a reason.

    The record is returned as Avro bytes, which the JVM passes to the sink without decoding them.
    """

    def __init__(self, source: Source, bootstrap: str) -> None:
        self._source = source
        self._bootstrap = bootstrap

    def open(self, function_context: FunctionContext) -> None:
        """Start consuming the tables that the source is stamped from."""
        enricher = EventEnricher(self._source)
        self._judge = Judge(self._source, enricher, Mask.from_environment(self._source))
        self._tables = [TableTail(self._bootstrap, table) for table in enricher.tables]

    def close(self) -> None:
        """Close the tables' consumers."""
        for table in self._tables:
            table.close()

    def eval(self, *columns: pd.Series) -> pd.DataFrame:
        """Judge one batch; the columns are payload, partition, offset and append time, each of length B."""
        payload, partition, offset, appended = columns
        for table in self._tables:
            table.catch_up()
        appended_ms = appended.to_numpy(dtype="datetime64[ms]").astype("int64").tolist()
        rows = [self._judge.judge(*row) for row in zip(payload, partition, offset, appended_ms, strict=True)]
        return pd.DataFrame(rows, columns=_COLUMNS, dtype=object)
