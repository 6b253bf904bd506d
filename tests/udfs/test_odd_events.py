"""Each kind of odd event has the outcome listed in `tests.support.odd_records`, which depends on the record alone."""

from itertools import islice

import pytest

from headrace.lang.events.gate import Gate
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.udfs.decode import EventDecoder, Refused
from tests.support.odd_records import KINDS, Odd, odd_events

SOURCE = load_plan(FEATURES).source("clickstream")
NOW = 1_770_000_000_000
RECORDS = list(islice(odd_events(tag="t", now_ms=NOW, polite=["u1"]), KINDS + 4))


def outcome(records: list[Odd]) -> str:
    """What becomes of the last of some records."""
    decoder, gate, found = EventDecoder(SOURCE), Gate(SOURCE), ""
    for record in records:
        try:
            verdict = gate.judge(decoder.decode(record.payload, NOW))
            found = {"accepted": "clean", "taken": "dead:taken"}.get(verdict, verdict)
        except Refused as refused:
            found = f"dead:{refused.code}"
    return found


@pytest.mark.parametrize("index", range(len(RECORDS)), ids=[record.kind for record in RECORDS])
def test_an_odd_event_has_the_expected_outcome(index: int) -> None:
    record = RECORDS[index]
    assert outcome([each for each in RECORDS[: index + 1] if each.key == record.key]) == record.expected
