"""The spool's file format: whatever happened to the bytes, reading returns the records before it and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.schemas.topics import EVENTS, EXPOSURES
from headrace.serving.kafka import segment
from headrace.serving.kafka.producer import Record

TEXT = st.text(max_size=20)
RECORDS = st.lists(
    st.builds(
        Record,
        topic=st.sampled_from([EVENTS, EXPOSURES]),
        key=st.none() | TEXT,
        value=st.none() | st.binary(max_size=60),
        headers=st.lists(st.tuples(TEXT, st.binary(max_size=10)), max_size=2).map(tuple),
    ),
    max_size=6,
)


def whole(records: list[Record]) -> bytes:
    return segment.MAGIC + b"".join(map(segment.frame, records))


@given(RECORDS)
def test_what_is_written_is_read(records: list[Record]) -> None:
    data = whole(records)
    assert segment.read(data) == segment.Contents(records, len(data))


@given(RECORDS, st.data())
def test_a_write_cut_at_any_byte_keeps_the_records_before_it(records: list[Record], data: st.DataObject) -> None:
    whole_ = whole(records)
    cut = data.draw(st.integers(0, len(whole_)))
    zeros = data.draw(st.integers(0, 40))
    found = segment.read(whole_[:cut] + bytes(zeros))
    ends = [len(whole(records[:count])) for count in range(len(records) + 1)]
    kept = sum(end <= cut for end in ends) - 1
    if not zeros:
        assert (found.records, found.fault) == (records[: max(kept, 0)], "" if cut in ends else "torn")
    elif cut in ends:
        assert (found.records, found.fault) == (records[:kept], "torn"), "zeros where the power was lost"
    assert found.records[: max(kept, 0)] == records[: max(kept, 0)]
    assert found.records == records[: len(found.records)]


@given(RECORDS, st.data())
def test_a_changed_byte_is_noticed_and_invents_nothing(records: list[Record], data: st.DataObject) -> None:
    changed = bytearray(whole(records))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    found = segment.read(bytes(changed))
    assert found.fault
    assert found.end <= at
    assert found.records == records[: len(found.records)]


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(data: bytes) -> None:
    assert segment.read(data).records == []
    assert segment.read(segment.MAGIC + data).fault in ("", "torn", "damaged")
